import { onAbort } from './abort.ts';
import { startTimer, type Timer } from './timer.ts';

/** Word 0 counts the changes; waiters sleep on it. Word 1 is 1 after `restart`. Bytes 8 to 15 hold the good length. */
const BYTES = 16;
/**
 * Milliseconds. Deno (2.9) delivers a wake-up only to an event loop that has something else to do: a timer of the loop, not of
 * the Clock, as no time is measured.
 */
const LOOK_AGAIN = 10;

/**
 * The number of good bytes of a growing file, in memory that threads share: one thread sets the number, others wait for
 * more. Good bytes stay good; `restart` says that they were not, and ends the use of this gauge.
 */
export class Gauge {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #length: BigInt64Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 2);
    this.#length = new BigInt64Array(buffer, 8, 1);
  }

  get length(): number {
    return Number(Atomics.load(this.#length, 0));
  }

  get restarted(): boolean {
    return Atomics.load(this.#words, 1) === 1;
  }

  grow(length: number): void {
    Atomics.store(this.#length, 0, BigInt(length));
    this.#wake();
  }

  restart(): void {
    Atomics.store(this.#words, 1, 1);
    this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
  }

  /** Resolves when at least `length` bytes are good, or after `restart`. Rejects with the signal's reason. */
  async reach(length: number, signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const seen = Atomics.load(this.#words, 0);
      if (this.length >= length || this.restarted) return;
      const wait = Atomics.waitAsync(this.#words, 0, seen, LOOK_AGAIN);
      if (wait.async) await first(wait.value, signal);
    }
  }
}

/** Resolves when `wait` ends, when the signal aborts, or after LOOK_AGAIN. */
async function first(wait: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  let timer: Timer | undefined;
  let stopListening = () => {};
  const other = new Promise<void>((resolve) => {
    timer = startTimer(LOOK_AGAIN, resolve);
    stopListening = onAbort(signal, resolve);
  });
  await Promise.race([wait, other]);
  clearTimeout(timer);
  stopListening();
}
