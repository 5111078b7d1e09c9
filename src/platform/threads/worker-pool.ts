import { linkAbort, onAbort } from '../../core/async/abort.ts';
import { HawserError } from '../../core/errors.ts';
import type { Verb, Verbs } from '../../core/layers/worker-protocol.ts';
import type { Workers } from '../../core/layers/workers.ts';
import { type ThreadCall, type ThreadOptions, WorkerThread } from './worker-thread.ts';

export interface WorkerPoolOptions extends ThreadOptions {
  /** The most threads; a sync or a removal may add one. */
  readonly size: number;
}

/**
 * A sync waits for the disk, not for a processor. A removal follows a failure, and must not wait for layers that follow a slow
 * download: they are stopped after the removal.
 */
const TAKES_ONE_MORE: ReadonlySet<Verb> = new Set<Verb>(['syncfs', 'removeTree']);

interface Waiter {
  readonly verb: Verb;
  take(thread: WorkerThread): void;
}

/** Threads are started when there is work. Each runs one call at a time. */
export function createWorkerPool(options: WorkerPoolOptions): Workers {
  const pool = new Pool(options);
  return {
    warm: () => pool.warm(),
    apply: (job, call) => pool.run('apply', job, call),
    rebase: (job, call) => pool.run('rebase', job, call),
    check: (job, call) => pool.run('check', job, call),
    copyTree: async (job, call) => void (await pool.run('copyTree', job, call)),
    usage: (path, call) => pool.run('usage', path, call),
    removeTree: async (path, call) => void (await pool.run('removeTree', path, call)),
    syncfs: async (paths, call) => void (await pool.run('syncfs', paths, call)),
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

class Pool {
  readonly #options: WorkerPoolOptions;
  readonly #idle: WorkerThread[] = [];
  readonly #all = new Set<WorkerThread>();
  readonly #running = new Set<Promise<unknown>>();
  /** Callers that wait for a thread, in the order of their coming. */
  readonly #waiting: Waiter[] = [];
  readonly #closing = new AbortController();

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  async run<V extends Verb>(
    verb: V,
    input: Verbs[V]['input'],
    call: ThreadCall = {},
  ): Promise<Verbs[V]['output']> {
    const stop = new AbortController();
    const links = [linkAbort(this.#closing.signal, stop), linkAbort(call.signal, stop)];
    const running = this.#run(verb, input, { ...call, signal: stop.signal });
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
    call: ThreadCall & { readonly signal: AbortSignal },
  ): Promise<Verbs[V]['output']> {
    call.signal.throwIfAborted();
    const thread = await this.#take(verb, call.signal);
    try {
      return await thread.call(verb, input, call);
    } finally {
      this.#give(thread);
    }
  }

  get #size(): number {
    return Math.max(1, this.#options.size);
  }

  warm(): void {
    if (this.#all.size === 0 && !this.#closing.signal.aborted) this.#idle.push(this.#start());
  }

  async #take(verb: Verb, signal: AbortSignal): Promise<WorkerThread> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const most = this.#size + (TAKES_ONE_MORE.has(verb) ? 1 : 0);
    if (this.#all.size < most) return this.#start();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        verb,
        take(thread) {
          stopListening();
          resolve(thread);
        },
      };
      this.#waiting.push(waiter);
      const stopListening = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason);
      });
    });
  }

  #start(): WorkerThread {
    const thread: WorkerThread = new WorkerThread(this.#options, () => this.#lost(thread));
    this.#all.add(thread);
    return thread;
  }

  /** A thread ended: who is next gets a new one. */
  #lost(thread: WorkerThread): void {
    if (!this.#all.delete(thread)) return;
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
    if (!this.#closing.signal.aborted) this.#next(this.#all.size + 1)?.take(this.#start());
  }

  /** A thread that was added ends when nobody waits who may add one; one that is full makes place for another. */
  #give(thread: WorkerThread): void {
    if (!this.#all.has(thread)) return;
    if (thread.isFull) {
      this.#end(thread);
      this.#next(this.#all.size + 1)?.take(this.#start());
      return;
    }
    const next = this.#next(this.#all.size);
    if (next !== undefined) next.take(thread);
    else if (this.#all.size > this.#size) this.#end(thread);
    else this.#idle.push(thread);
  }

  /** Takes out of the line who gets one of `count` threads: who may add one goes first, and alone gets one of more than `size`. */
  #next(count: number): Waiter | undefined {
    const first = this.#waiting.findIndex(({ verb }) => TAKES_ONE_MORE.has(verb));
    if (first < 0 && count > this.#size) return undefined;
    return this.#waiting.splice(Math.max(0, first), 1)[0];
  }

  #end(thread: WorkerThread): void {
    this.#all.delete(thread);
    const ending = thread.stop().finally(() => this.#running.delete(ending));
    this.#running.add(ending);
    ending.catch(() => {});
  }

  async close(): Promise<void> {
    this.#closing.abort(new HawserError('FailedPrecondition', 'The workers were closed'));
    await Promise.allSettled(this.#running);
    await Promise.all([...this.#all].map((thread) => thread.stop()));
  }
}
