/** Chromium without a window, by the DevTools protocol over pipes: pages as a reader at a screen and a keyboard has them. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';

type Json = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Json;
  readonly result?: Json;
  readonly error?: { readonly message: string };
}

export interface Screen {
  readonly width: number;
  readonly scheme: 'light' | 'dark';
}

/** Keys of DevTools' `Input.dispatchKeyEvent`. */
const KEYS = {
  Tab: { key: 'Tab', code: 'Tab', windowsVirtualKeyCode: 9 },
  Enter: { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' },
} as const;

export interface Page {
  /** What the console said, and what the page asked for beside itself. */
  readonly complaints: readonly string[];
  show(screen: Screen): Promise<void>;
  press(key: keyof typeof KEYS): Promise<void>;
  /** The value of an expression in the page, as JSON has it. */
  evaluate<T>(expression: string): Promise<T>;
  /** The whole page as PNG. */
  screenshot(): Promise<Buffer>;
}

export interface Browser extends AsyncDisposable {
  open(file: string, screen: Screen): Promise<Page>;
}

const FLAGS: readonly string[] = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
  '--remote-debugging-pipe',
];

/** `profile`: a directory that the browser fills. */
export function startBrowser(chromium: string, profile: string): Browser {
  const child = spawn(chromium, [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const link = new Link(child);
  return {
    open: (file, screen) => openPage(link, file, screen),
    [Symbol.asyncDispose]: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Requests and events of the protocol: JSON texts that end in a zero byte. */
class Link {
  readonly #input: Writable;
  readonly #open = new Map<number, { resolve(result: Json): void; reject(err: Error): void }>();
  readonly #listeners = new Set<(message: Message) => void>();
  #last = 0;

  constructor(child: ChildProcess) {
    this.#input = child.stdio[3] as Writable;
    this.#input.on('error', () => {});
    let rest = '';
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => {
      const texts = (rest + text).split('\0');
      rest = texts.pop() ?? '';
      for (const one of texts) this.#take(JSON.parse(one) as Message);
    });
    child.once('exit', (code) => {
      for (const { reject } of this.#open.values()) reject(new Error(`Chromium ended with ${code}`));
    });
  }

  send(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  listen(listener: (message: Message) => void): void {
    this.#listeners.add(listener);
  }

  #take(message: Message): void {
    if (message.id === undefined) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    const asked = this.#open.get(message.id);
    this.#open.delete(message.id);
    if (message.error) asked?.reject(new Error(message.error.message));
    else asked?.resolve(message.result ?? {});
  }
}

async function openPage(link: Link, file: string, screen: Screen): Promise<Page> {
  const { targetId } = await link.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await link.send('Target.attachToTarget', { targetId, flatten: true });
  const session = String(sessionId);
  const send = (method: string, params?: Json): Promise<Json> => link.send(method, params, session);
  const url = pathToFileURL(file).href;
  const complaints: string[] = [];
  const { promise: loaded, resolve: load } = Promise.withResolvers<void>();
  link.listen(({ sessionId: from, method, params = {} }) => {
    if (from !== session) return;
    if (method === 'Page.loadEventFired') load();
    const said = complaintOf(method, params, url);
    if (said !== undefined) complaints.push(said);
  });
  const show = async ({ width, scheme }: Screen): Promise<void> => {
    const metrics = { width, height: 900, deviceScaleFactor: 1, mobile: false };
    await send('Emulation.setDeviceMetricsOverride', metrics);
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await send('Emulation.setEmulatedMedia', { features });
  };
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  await show(screen);
  await send('Page.navigate', { url });
  await loaded;
  return {
    complaints,
    show,
    press: async (key) => {
      await send('Input.dispatchKeyEvent', { type: 'keyDown', ...KEYS[key] });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', ...KEYS[key] });
    },
    evaluate: async <T>(expression: string) => {
      const answer = await send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
      if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
      return (answer.result as { readonly value: T }).value;
    },
    screenshot: async () => {
      const { data } = await send('Page.captureScreenshot', { captureBeyondViewport: true });
      return Buffer.from(String(data), 'base64');
    },
  };
}

function complaintOf(method: string | undefined, params: Json, url: string): string | undefined {
  switch (method) {
    case 'Runtime.consoleAPICalled':
    case 'Runtime.exceptionThrown':
    case 'Log.entryAdded':
      return JSON.stringify(params);
    case 'Network.requestWillBeSent': {
      const asked = (params.request as { readonly url: string }).url;
      return asked === url ? undefined : `asks for ${asked}`;
    }
    default:
      return undefined;
  }
}
