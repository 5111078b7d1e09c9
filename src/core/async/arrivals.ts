import { onAbort } from './abort.ts';

/** Things that are waited for by name, and come once. */
export class Arrivals {
  readonly #here = new Set<string>();
  readonly #waiting = new Map<string, Set<() => void>>();

  arrived(name: string): void {
    this.#here.add(name);
    for (const wake of this.#waiting.get(name) ?? []) wake();
    this.#waiting.delete(name);
  }

  has(name: string): boolean {
    return this.#here.has(name);
  }

  /** Resolves when it has arrived; rejects with the signal's reason. */
  async of(name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#here.has(name)) return;
    await new Promise<void>((resolve, reject) => {
      const waiters = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, waiters);
      const wake = () => {
        stopListening();
        resolve();
      };
      const stopListening = onAbort(signal, () => {
        waiters.delete(wake);
        reject(signal.reason);
      });
      waiters.add(wake);
    });
  }
}
