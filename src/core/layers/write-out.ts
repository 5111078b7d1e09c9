import { isKind } from '../errors.ts';
import type { Runtime } from '../runtime.ts';

/** Milliseconds from the end of one sync to the next. */
const INTERVAL = 1000;

/**
 * Has the kernel write out what is unpacked while more is unpacked. Left alone it waits until a tenth of the memory is
 * dirty, and all the writing is left to the one sync at the end: six layers of 1.5 GB take 8.0 s on ext4 instead of 6.8.
 */
export class WriteOut {
  readonly #runtime: Pick<Runtime, 'clock' | 'fs' | 'workers'>;
  #active = 0;
  #stop = new AbortController();
  /** All that was begun; never rejects. */
  #running: Promise<void> = Promise.resolve();
  #failure: { readonly reason: unknown } | undefined;

  constructor(runtime: Pick<Runtime, 'clock' | 'fs' | 'workers'>) {
    this.#runtime = runtime;
  }

  /** Runs `work`, which fills directories of the file system that holds `path`. */
  async during<T>(path: string, work: () => Promise<T>): Promise<T> {
    if (this.#active++ === 0) {
      this.#stop = new AbortController();
      this.#running = this.#run(path, this.#running, this.#stop.signal);
    }
    try {
      return await work();
    } finally {
      if (--this.#active === 0) this.#stop.abort();
    }
  }

  /**
   * Resolves when nothing of this is under way. Rejects with what a sync failed with: the kernel tells that once, so a later
   * sync would succeed though something is lost.
   */
  async settled(): Promise<void> {
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  async #run(path: string, before: Promise<void>, stop: AbortSignal): Promise<void> {
    await before;
    try {
      while (await this.#pause(stop)) {
        if (!(await this.#isDisk(path))) return;
        await this.#runtime.workers.syncfs([path]);
      }
    } catch (reason) {
      // What was removed meanwhile needs no writing.
      if (!isKind(reason, 'NotFound')) this.#failure ??= { reason };
    }
  }

  /** Where that is not to be known (Deno may ask for a permission), what this gains is done without. */
  async #isDisk(path: string): Promise<boolean> {
    try {
      return !(await this.#runtime.fs.isVolatile(path));
    } catch {
      return false;
    }
  }

  /** False when there is nothing more to write. */
  async #pause(stop: AbortSignal): Promise<boolean> {
    try {
      await this.#runtime.clock.sleep(INTERVAL, stop);
    } catch {}
    return !stop.aborted;
  }
}
