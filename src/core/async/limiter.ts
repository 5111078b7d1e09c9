/** A counting semaphore whose holders can lend their slot while they wait for others. */
import { onAbort } from './abort.ts';

export interface Slot {
  /** Frees the slot while `work` runs and takes one again afterwards: a body that waits for its children cannot deadlock. */
  lend<T>(work: () => Promise<T>): Promise<T>;
}

interface Waiter {
  readonly weight: number;
  readonly grant: () => void;
}

/** Runs at most `limit` bodies at once (at least 1). The heaviest waiter is next; of equals the one that came first. */
export class Limiter {
  #free: number;
  readonly #waiting: Waiter[] = [];

  constructor(limit: number) {
    this.#free = Math.max(1, Math.floor(limit));
  }

  /** Rejects with the signal's reason when it aborts while waiting for a slot. */
  async run<T>(
    signal: AbortSignal | undefined,
    body: (slot: Slot) => Promise<T>,
    weight: number = 0,
  ): Promise<T> {
    await this.#acquire(signal, weight);
    let held = true;
    const slot: Slot = {
      lend: async (work) => {
        held = false;
        this.#release();
        const result = await work();
        await this.#acquire(signal, weight);
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

  async #acquire(signal: AbortSignal | undefined, weight: number): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        weight,
        grant: () => {
          stopListening();
          resolve();
        },
      };
      const stopListening = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason);
      });
      const lighter = this.#waiting.findIndex((other) => other.weight < weight);
      this.#waiting.splice(lighter < 0 ? this.#waiting.length : lighter, 0, waiter);
    });
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next.grant();
    else this.#free++;
  }
}
