import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { onAbort } from '../../core/async/abort.ts';
import { startTimer, type Timer } from '../../core/async/timer.ts';
import { sharedWindows, Windows } from '../../core/codec/windows.ts';
import { findError, fromRecord, HawserError, messageOf } from '../../core/errors.ts';
import type {
  Verb,
  Verbs,
  WorkerAbort,
  WorkerData,
  WorkerReply,
  WorkerRequest,
} from '../../core/layers/worker-protocol.ts';
import type { Call } from '../../core/ports/call.ts';

export interface ThreadOptions {
  /** The worker's module. */
  readonly url: URL;
  /** Milliseconds that a worker has to end an aborted call; then it is terminated. Default: 2000. */
  readonly grace?: number | undefined;
}

export type ThreadCall = Call & { onProgress?: (bytes: number) => void };

/** MiB of V8's young generation: a worker keeps none of its many short-lived objects, and more room costs memory only. */
const YOUNG_MIB = 6;

/** Of all pools of the process. */
const windows = sharedWindows();
let threadsStarted = 0;

/**
 * A worker thread (node:worker_threads on Deno too: FFI and unref work there; loaded with the first, as most commands start none). It runs one call at a time, and keeps the
 * process alive only meanwhile. The worker itself ends an aborted call and closes what it opened, because descriptors
 * belong to the process. A worker that does not is terminated; Deno (checked in 2.9.6) reports the end of a thread that
 * still runs a synchronous loop.
 */
export class WorkerThread {
  readonly #worker: Worker;
  readonly #grace: number;
  readonly #windows: Windows;
  /** The number of the aborted call, in memory shared with the worker. */
  readonly #aborted = new Int32Array(new SharedArrayBuffer(4));
  readonly #ended: Promise<void>;
  #calls = 0;
  #over = false;
  #running: { take(value: unknown): void; crash(err: unknown): void } | undefined;

  constructor({ url, grace = 2000 }: ThreadOptions, onEnd: () => void) {
    const threads = process.getBuiltinModule('node:worker_threads');
    const number = ++threadsStarted;
    this.#windows = new Windows(windows, number);
    const data: WorkerData = { aborted: this.#aborted.buffer, windows, number };
    const worker = new threads.Worker(url, {
      workerData: data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    worker.on('message', (value) => this.#running?.take(value));
    worker.on('messageerror', (err) => this.#running?.crash(err));
    worker.on('error', (err) => this.#running?.crash(isMissing(url, err) ? missingModule(url, err) : err));
    this.#ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#over = true;
        this.#windows.release();
        onEnd();
        this.#running?.crash(new Error(`it ended with code ${code}`));
        resolve();
      });
    });
    this.#worker = worker;
    this.#grace = grace;
    worker.unref();
  }

  /** Between calls: the thread holds the memory of a large window, and gives it back at its end only. */
  get isFull(): boolean {
    return this.#windows.held;
  }

  /** Ends the thread, whatever it is doing; resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#over) return;
    this.#worker.ref();
    await this.#worker.terminate();
    await this.#ended;
  }

  async call<V extends Verb>(
    verb: V,
    input: Verbs[V]['input'],
    { signal, onProgress }: ThreadCall = {},
  ): Promise<Verbs[V]['output']> {
    const call = ++this.#calls;
    const running = new RunningCall(verb, () => this.stop(), signal, onProgress);
    this.#running = running;
    let timer: Timer | undefined;
    const abort = () => {
      Atomics.store(this.#aborted, 0, call);
      this.#worker.postMessage({ abort: call } satisfies WorkerAbort);
      timer = startTimer(this.#grace, () => running.end(signal?.reason));
    };
    this.#worker.ref();
    let stopListening = () => {};
    try {
      if (this.#over) running.crash(new Error('it has ended'));
      else {
        this.#worker.postMessage({ call, verb, input } as WorkerRequest);
        stopListening = onAbort(signal, abort);
      }
      return await running.output;
    } finally {
      clearTimeout(timer);
      stopListening();
      this.#running = undefined;
      this.#worker.unref();
    }
  }
}

/** A call and what came of it. After a failure of the worker the output settles only when the thread has ended. */
class RunningCall<V extends Verb> {
  readonly output: Promise<Verbs[V]['output']>;
  readonly #verb: V;
  readonly #stop: () => Promise<void>;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: ThreadCall['onProgress'];
  readonly #resolve: (output: Verbs[V]['output']) => void;
  readonly #reject: (reason: unknown) => void;
  #ending = false;

  constructor(
    verb: V,
    stop: () => Promise<void>,
    signal: AbortSignal | undefined,
    onProgress: ThreadCall['onProgress'],
  ) {
    this.#verb = verb;
    this.#stop = stop;
    this.#signal = signal;
    this.#onProgress = onProgress;
    const { promise, resolve, reject } = Promise.withResolvers<Verbs[V]['output']>();
    this.output = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** A message of the worker. One that comes after the call has failed changes nothing. */
  take(reply: WorkerReply): void {
    if (this.#ending) return;
    try {
      this.#answer(reply);
    } catch (err) {
      this.end(err);
    }
  }

  #answer(reply: WorkerReply): void {
    const aborted = this.#signal?.aborted === true;
    if (reply.type === 'progress') {
      if (!aborted) this.#onProgress?.(reply.bytes);
    } else if (aborted) this.#reject(this.#signal?.reason);
    else if (reply.type === 'done') this.#resolve(reply.output as Verbs[V]['output']);
    else this.#reject(fromRecord(reply.error));
  }

  /** The worker failed. */
  crash(err: unknown): void {
    this.end(this.#signal?.aborted === true ? this.#signal.reason : crashed(this.#verb, err));
  }

  /** Rejects with the reason when the thread has ended. */
  end(reason: unknown): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#stop().then(() => this.#reject(reason), this.#reject);
  }
}

function crashed(verb: Verb, err: unknown): HawserError {
  const kind = findError(err)?.kind ?? 'Internal';
  return new HawserError(kind, `A worker failed in ${verb}: ${messageOf(err)}`, { cause: err });
}

/** Whether the worker's own module is not there: Node names its path, Deno its URL. */
function isMissing(url: URL, err: unknown): boolean {
  const message = messageOf(err);
  const names = url.protocol === 'file:' ? [url.href, fileURLToPath(url)] : [];
  return /not found|cannot find module/i.test(message) && names.some((name) => message.includes(name));
}

function missingModule(url: URL, cause: unknown): HawserError {
  return new HawserError('FailedPrecondition', `its module ${fileURLToPath(url)} is not there`, {
    cause,
    hint: "Bundle hawser/worker as that file beside your program, or install hawser's package anew",
  });
}
