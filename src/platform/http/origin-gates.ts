import { onAbort } from '../../core/async/abort.ts';

/** At most `limit` exchanges at once for one origin, first come first served. */
export class OriginGates {
  readonly #limit: number;
  readonly #busy = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves to a function that gives the place back (a second call does nothing). Rejects with the signal's reason. */
  async enter(origin: string, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    const busy = this.#busy.get(origin) ?? 0;
    if (busy >= this.#limit) await this.#wait(origin, signal);
    else this.#busy.set(origin, busy + 1);
    let left = false;
    return () => {
      if (!left) this.#leave(origin);
      left = true;
    };
  }

  async #wait(origin: string, signal?: AbortSignal): Promise<void> {
    const queue = this.#waiting.get(origin) ?? [];
    this.#waiting.set(origin, queue);
    await new Promise<void>((resolve, reject) => {
      const turn = (): void => {
        stopListening();
        resolve();
      };
      queue.push(turn);
      const stopListening = onAbort(signal, () => {
        queue.splice(queue.indexOf(turn), 1);
        reject(signal?.reason);
      });
    });
  }

  /** The place goes to the next in the queue, if any. */
  #leave(origin: string): void {
    const next = this.#waiting.get(origin)?.shift();
    if (next !== undefined) {
      next();
      return;
    }
    const busy = (this.#busy.get(origin) ?? 1) - 1;
    if (busy === 0) this.#busy.delete(origin);
    else this.#busy.set(origin, busy);
    this.#waiting.delete(origin);
  }
}
