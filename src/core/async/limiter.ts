/** A counting semaphore whose holders can lend their slot while they wait for others. */

export interface Slot {
  /** Gives the slot back while `work` runs, and takes one again before returning: waiting for children cannot deadlock. */
  lend<T>(work: () => Promise<T>): Promise<T>;
}

interface Waiter {
  readonly grant: () => void;
}

/** At most `limit` bodies run at once (first come, first served). `limit` is at least 1. */
export class Limiter {
  #free: number;
  readonly #waiting: Waiter[] = [];

  constructor(limit: number) {
    this.#free = Math.max(1, Math.floor(limit));
  }

  /** Rejects with the signal's reason when it aborts while waiting for a slot. */
  async run<T>(signal: AbortSignal | undefined, body: (slot: Slot) => Promise<T>): Promise<T> {
    await this.#acquire(signal);
    let held = true;
    const slot: Slot = {
      lend: async (work) => {
        held = false;
        this.#release();
        const result = await work();
        await this.#acquire(signal);
        held = true;
        return result;
      },
    };
    try {
      return await body(slot);
    } finally {
      if (held) this.#release();
    }
  }

  async #acquire(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        grant: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next.grant();
    else this.#free++;
  }
}
