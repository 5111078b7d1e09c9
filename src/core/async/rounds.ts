/**
 * Work that serves every caller who asked before it began (a group commit). While one round of a key runs, later callers
 * share the next round. A round that fails, fails for all its callers.
 */
export class Rounds {
  readonly #work: (key: string) => Promise<void>;
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  /** `work` takes no signal, because many callers wait for it: it must end by itself. */
  constructor(work: (key: string) => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when a round that began after this call has ended. */
  join(key: string): Promise<void> {
    const waiting = this.#next.get(key);
    if (waiting !== undefined) return waiting;
    const round = this.#begin(key, this.#running.get(key));
    this.#next.set(key, round);
    return round;
  }

  async #begin(key: string, before: Promise<void> | undefined): Promise<void> {
    // Always one await: `join` registers the round before it begins.
    await before?.catch(() => {});
    this.#next.delete(key);
    const round = this.#work(key);
    this.#running.set(key, round);
    try {
      await round;
    } finally {
      if (this.#running.get(key) === round) this.#running.delete(key);
    }
  }
}
