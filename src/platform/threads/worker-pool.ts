import { Worker } from 'node:worker_threads';
import { linkAbort, onAbort } from '../../core/async/abort.ts';
import { fromRecord, HawserError, messageOf } from '../../core/errors.ts';
import {
  parseReply,
  type Verb,
  type Verbs,
  type WorkerAbort,
  type WorkerRequest,
} from '../../core/layers/worker-protocol.ts';
import type { Workers } from '../../core/layers/workers.ts';
import type { Call } from '../../core/ports/call.ts';

export interface WorkerPoolOptions {
  readonly url: URL;
  /** At most so many threads. */
  readonly size: number;
  /** A worker that does not end an aborted call within so many milliseconds is terminated. Default 2000. */
  readonly grace?: number;
}

/**
 * Worker threads (node:worker_threads, on Deno too: libc through FFI and unref work there), started when there is work,
 * one call each at a time. Idle ones keep no process alive. An aborted call is ended by the worker itself, which closes
 * what it opened (descriptors belong to the process, not to the thread). Only one that does not is terminated: Deno
 * (checked in 2.9.6) says that a thread ended while it still runs a synchronous loop.
 */
export function createWorkerPool(options: WorkerPoolOptions): Workers {
  const pool = new Pool(options);
  return {
    warm: () => pool.warm(),
    apply: (job, call) => pool.run('apply', job, call),
    rebase: (job, call) => pool.run('rebase', job, call),
    copyTree: async (job, call) => void (await pool.run('copyTree', job, call)),
    usage: (path, call) => pool.run('usage', path, call),
    removeTree: async (path, call) => void (await pool.run('removeTree', path, call)),
    syncfs: async (paths, call) => void (await pool.run('syncfs', paths, call)),
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

/** Of short-lived objects a worker has many and keeps none: room for more of them is touched, and costs memory, in vain. */
const YOUNG_MIB = 6;

type RunCall = Call & { onProgress?: (bytes: number) => void };

class Pool {
  readonly #options: WorkerPoolOptions;
  readonly #idle: Thread[] = [];
  readonly #all = new Set<Thread>();
  readonly #running = new Set<Promise<unknown>>();
  /** Callers that wait for a thread, first come first served. */
  readonly #waiting: ((thread: Thread) => void)[] = [];
  readonly #closing = new AbortController();

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  async run<V extends Verb>(
    verb: V,
    input: Verbs[V]['input'],
    call: RunCall = {},
  ): Promise<Verbs[V]['output']> {
    const stop = new AbortController();
    const links = [linkAbort(this.#closing.signal, stop), linkAbort(call.signal, stop)];
    const running = this.#run(verb, input, stop.signal, call.onProgress);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
      for (const unlink of links) unlink();
    }
  }

  async #run<V extends Verb>(
    verb: V,
    input: Verbs[V]['input'],
    signal: AbortSignal,
    onProgress: RunCall['onProgress'],
  ): Promise<Verbs[V]['output']> {
    signal.throwIfAborted();
    const thread = await this.#take(verb, signal);
    try {
      return await thread.call(verb, input, signal, onProgress);
    } finally {
      this.#give(thread);
    }
  }

  warm(): void {
    if (this.#all.size === 0 && !this.#closing.signal.aborted) this.#idle.push(this.#start());
  }

  /** A sync waits for the disk, not for a processor: it takes a thread more. */
  async #take(verb: Verb, signal: AbortSignal): Promise<Thread> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const most = Math.max(1, this.#options.size) + (verb === 'syncfs' ? 1 : 0);
    if (this.#all.size < most) return this.#start();
    return new Promise((resolve, reject) => {
      const take = (thread: Thread) => {
        stopListening();
        resolve(thread);
      };
      this.#waiting.push(take);
      const stopListening = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        reject(signal.reason);
      });
    });
  }

  #start(): Thread {
    const thread: Thread = new Thread(this.#options, () => this.#lost(thread));
    this.#all.add(thread);
    return thread;
  }

  /** A thread ended: whoever waits for one gets a new one. */
  #lost(thread: Thread): void {
    this.#all.delete(thread);
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
    if (!this.#closing.signal.aborted) this.#waiting.shift()?.(this.#start());
  }

  #give(thread: Thread): void {
    if (!this.#all.has(thread)) return;
    const next = this.#waiting.shift();
    if (next !== undefined) next(thread);
    else this.#idle.push(thread);
  }

  async close(): Promise<void> {
    this.#closing.abort(new HawserError('FailedPrecondition', 'The workers were closed'));
    await Promise.allSettled(this.#running);
    await Promise.all([...this.#all].map((thread) => thread.stop()));
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #grace: number;
  /** The number of the call to abort, which the worker sees at once. */
  readonly #aborted = new Int32Array(new SharedArrayBuffer(4));
  readonly #ended: Promise<void>;
  #calls = 0;
  #over = false;
  #onMessage: (value: unknown) => void = () => {};
  #onFailure: (err: unknown) => void = () => {};

  constructor({ url, grace = 2000 }: WorkerPoolOptions, onEnd: () => void) {
    const worker = new Worker(url, {
      workerData: this.#aborted.buffer,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    worker.on('message', (value) => this.#onMessage(value));
    worker.on('messageerror', (err) => this.#onFailure(err));
    worker.on('error', (err) => this.#onFailure(err));
    this.#ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#over = true;
        onEnd();
        this.#onFailure(new Error(`it ended with code ${code}`));
        resolve();
      });
    });
    this.#worker = worker;
    this.#grace = grace;
    worker.unref();
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
    signal: AbortSignal,
    onProgress: ((bytes: number) => void) | undefined,
  ): Promise<Verbs[V]['output']> {
    const call = ++this.#calls;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopListening = () => {};
    this.#worker.ref();
    try {
      return await new Promise<Verbs[V]['output']>((resolve, reject) => {
        let failure: { readonly err: unknown } | undefined;
        /** Settles only when the thread has ended, so that it is not used again and nothing of it goes on. */
        const fail = (err: unknown) => {
          if (failure !== undefined) return;
          failure = { err };
          void this.stop().then(() => reject(err), reject);
        };
        const abort = () => {
          Atomics.store(this.#aborted, 0, call);
          this.#worker.postMessage({ abort: call } satisfies WorkerAbort);
          timer = setTimeout(() => fail(signal.reason), this.#grace);
        };
        this.#onFailure = (err) => fail(signal.aborted ? signal.reason : crashed(verb, err));
        this.#onMessage = (value) => {
          try {
            const reply = parseReply(verb, value);
            if (reply.type === 'progress') {
              if (!signal.aborted && failure === undefined) onProgress?.(reply.bytes);
            } else if (signal.aborted) reject(signal.reason);
            else if (reply.type === 'done') resolve(reply.output);
            else reject(fromRecord(reply.error));
          } catch (err) {
            fail(err);
          }
        };
        if (this.#over) return fail(crashed(verb, new Error('it has ended')));
        this.#worker.postMessage({ call, verb, input } as WorkerRequest);
        stopListening = onAbort(signal, abort);
      });
    } finally {
      clearTimeout(timer);
      stopListening();
      this.#onMessage = () => {};
      this.#onFailure = () => {};
      this.#worker.unref();
    }
  }
}

function crashed(verb: Verb, err: unknown): HawserError {
  return new HawserError('Internal', `A worker failed in ${verb}: ${messageOf(err)}`, { cause: err });
}
