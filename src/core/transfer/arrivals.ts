/** Lets the unpacks wait for blobs that the walk fetches. */
export class Arrivals {
  readonly #here = new Set<string>();
  readonly #waiting = new Map<string, Set<() => void>>();

  arrived(digest: string): void {
    this.#here.add(digest);
    for (const wake of this.#waiting.get(digest) ?? []) wake();
    this.#waiting.delete(digest);
  }

  /** Resolves when the blob has arrived; rejects with the signal's reason. */
  async of(digest: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#here.has(digest)) return;
    await new Promise<void>((resolve, reject) => {
      const waiters = this.#waiting.get(digest) ?? new Set();
      this.#waiting.set(digest, waiters);
      const wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = () => {
        waiters.delete(wake);
        reject(signal.reason);
      };
      waiters.add(wake);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}
