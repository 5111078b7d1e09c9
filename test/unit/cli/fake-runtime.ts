/** A runtime with nothing below it but two recorded streams, an environment and a clock that is moved by hand. */

import { HawserError } from '../../../src/core/errors.ts';
import type { Output } from '../../../src/core/ports/host.ts';
import type { Runtime } from '../../../src/core/runtime.ts';

export interface FakeOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  /** Default: /home/me. */
  readonly cwd?: string;
  readonly columns?: number;
  readonly stdinLines?: readonly string[];
  readonly stdinIsTerminal?: boolean;
  readonly files?: Readonly<Record<string, string>>;
  /** Standard output has no reader. */
  readonly closedStdout?: boolean;
  /** Nothing can be written to standard output. */
  readonly fullStdout?: boolean;
  /** Milliseconds; default 0. */
  readonly monotonic?: () => number;
}

type SignalName = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

export interface Fake {
  readonly runtime: Runtime;
  readonly out: () => string;
  readonly err: () => string;
  interrupt(signal: SignalName): void;
  /** Handlers and timers that are still there. */
  readonly left: () => number;
  /** Ends every sleep, or those of a length (milliseconds). */
  wake(length?: number): void;
  readonly silent: boolean[];
  /** What was written to files, and closed. Nothing can be written below /closed. */
  readonly written: ReadonlyMap<string, string>;
}

export function fakeRuntime(opts: FakeOptions = {}): Fake {
  let [out, err] = ['', ''];
  const handlers = new Set<(signal: SignalName) => void>();
  const sleeps = new Map<() => void, number>();
  const silent: boolean[] = [];
  const written = new Map<string, string>();
  const lines = [...(opts.stdinLines ?? [])];
  const output = (take: (text: string) => void, columns?: number): Output => ({
    isTerminal: columns !== undefined,
    columns: () => columns,
    write: async (data) => take(typeof data === 'string' ? data : new TextDecoder().decode(data)),
  });
  const stdout = output((text) => {
    if (opts.closedStdout === true) throw new HawserError('Aborted', 'write EPIPE');
    if (opts.fullStdout === true) throw new HawserError('ResourceExhausted', 'no space left');
    out += text;
  }, opts.columns);
  const stderr = output((text) => {
    err += text;
  });
  const host = {
    runtime: 'node',
    runtimeVersion: '1.2.3',
    os: 'linux',
    arch: 'amd64',
    variant: '',
    uid: opts.uid ?? 0,
    stdout,
    stderr,
    stdinIsTerminal: opts.stdinIsTerminal ?? false,
    cwd: () => opts.cwd ?? '/home/me',
    env: (name: string) => opts.env?.[name],
    readLine: async (how: { silent?: boolean } = {}) => {
      silent.push(how.silent ?? false);
      return lines.shift() ?? '';
    },
    onInterrupt: (handler: (signal: SignalName) => void) => {
      handlers.add(handler);
      return { [Symbol.dispose]: () => handlers.delete(handler) };
    },
  };
  const clock = {
    now: () => 1_000_000,
    monotonic: () => opts.monotonic?.() ?? 0,
    sleep: (length: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const end = (settle: () => void) => () => {
          sleeps.delete(wakeUp);
          signal?.removeEventListener('abort', cancel);
          settle();
        };
        const wakeUp = end(resolve);
        const cancel = end(() => reject(signal?.reason));
        sleeps.set(wakeUp, length);
        signal?.addEventListener('abort', cancel);
      }),
  };
  const fs = {
    stat: async (path: string) => {
      const text = opts.files?.[path];
      return text === undefined
        ? undefined
        : { type: 'file', size: text.length, mode: 0o644, uid: opts.uid ?? 1000, mtime: 0 };
    },
    readFile: async (path: string) => {
      const text = opts.files?.[path];
      if (text === undefined) throw new HawserError('NotFound', `open ${path}: no such file or directory`);
      return new TextEncoder().encode(text);
    },
    open: async (path: string) => {
      if (path.startsWith('/closed/')) throw new HawserError('PermissionDenied', `open ${path}: EACCES`);
      let text = '';
      return {
        truncate: async () => {
          text = '';
        },
        write: async (bytes: Uint8Array) => {
          text += new TextDecoder().decode(bytes);
        },
        close: async () => void written.set(path, text),
      };
    },
    list: async (path: string) => {
      throw new HawserError('NotFound', `no such file or directory: ${path}`);
    },
  };
  const noDirectories = {
    openRoot: (path: string) => {
      throw new HawserError('NotFound', `open ${path}: no such file or directory`);
    },
  };
  return {
    runtime: {
      host,
      clock,
      fs,
      hashers: {},
      transports: {},
      syscalls: async () => noDirectories,
    } as unknown as Runtime,
    out: () => out,
    err: () => err,
    interrupt: (signal) => {
      for (const handler of [...handlers]) handler(signal);
    },
    left: () => handlers.size + sleeps.size,
    wake: (length) => {
      for (const [wakeUp, of] of [...sleeps]) if (length === undefined || of === length) wakeUp();
    },
    silent,
    written,
  };
}
