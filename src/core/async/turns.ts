import { Limiter } from './limiter.ts';

/** One at a time for each key: whoever comes second finds what the first has made, or makes it when the first has failed. */
export class Turns {
  readonly #busy = new Map<string, { readonly turn: Limiter; users: number }>();

  /** Rejects with the signal's reason when it aborts while waiting. */
  async run<T>(key: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const entry = this.#busy.get(key) ?? { turn: new Limiter(1), users: 0 };
    this.#busy.set(key, entry);
    entry.users++;
    try {
      return await entry.turn.run(signal, work);
    } finally {
      if (--entry.users === 0) this.#busy.delete(key);
    }
  }
}
