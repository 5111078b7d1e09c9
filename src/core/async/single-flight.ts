import { orAborted } from './abort.ts';

interface Flight<T> {
  readonly result: Promise<T>;
  readonly stop: AbortController;
  waiters: number;
}

/**
 * Concurrent calls with one key share one run of the work, which has a signal of its own: a caller that aborts leaves
 * alone, and the last one to leave stops the work. Results are not remembered.
 */
export class SingleFlight<T> {
  readonly #running = new Map<string, Flight<T>>();

  async run(
    key: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const flight = this.#running.get(key) ?? this.#start(key, work);
    flight.waiters++;
    try {
      return await orAborted(flight.result, signal);
    } finally {
      if (--flight.waiters === 0) {
        this.#forget(key, flight);
        flight.stop.abort(signal?.reason);
      }
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const stop = new AbortController();
    const flight: Flight<T> = { result: work(stop.signal), stop, waiters: 0 };
    this.#running.set(key, flight);
    const forget = (): void => this.#forget(key, flight);
    flight.result.then(forget, forget);
    return flight;
  }

  #forget(key: string, flight: Flight<T>): void {
    if (this.#running.get(key) === flight) this.#running.delete(key);
  }
}
