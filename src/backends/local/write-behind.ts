import type { Clock } from '../../core/ports/clock.ts';
import type { FileHandle } from '../../core/ports/file-system.ts';

/** Bytes that another thread is given at once: to give it less takes longer than to write it here. */
const BATCH = 1 << 20;
/** Pieces of a batch at most, however small they are. */
const MAX_PIECES = 256;
/** What comes slower than a piece in so many milliseconds is written here, as it comes. */
const PAUSE = 5;
/** Nothing that was taken waits longer than so many milliseconds for more. */
const LAG = 20;

/**
 * Writes a file from a position on, in order. What comes fast is gathered and written by another thread, so that the
 * caller can go on: at most two batches are held. The file always ends with the last byte of `written` or later.
 */
export class WriteBehind {
  readonly #file: FileHandle;
  readonly #clock: Clock;
  readonly #onWritten: (end: number) => void;
  #pieces: Uint8Array[] = [];
  #gathered = 0;
  #written: number;
  /** When the latest piece came. */
  #latest = Number.NEGATIVE_INFINITY;
  /** All writes that were begun; never rejects. */
  #running: Promise<void> = Promise.resolve();
  #failure: { readonly reason: unknown } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `onWritten` is told how far the file is good. */
  constructor(file: FileHandle, at: number, clock: Clock, onWritten: (end: number) => void) {
    this.#file = file;
    this.#written = at;
    this.#clock = clock;
    this.#onWritten = onWritten;
  }

  /** How far the file is good. */
  get written(): number {
    return this.#written;
  }

  /**
   * Takes the bytes, which must not change until `flush`; one call at a time. Resolves when the next may be given. Rejects
   * with what an earlier write failed with, too, and nothing is written after that.
   */
  async push(bytes: Uint8Array): Promise<void> {
    const now = this.#clock.monotonic();
    const slow = now - this.#latest > PAUSE;
    this.#latest = now;
    this.#pieces.push(bytes);
    this.#gathered += bytes.length;
    if (slow) await this.flush();
    else if (this.#gathered >= BATCH || this.#pieces.length >= MAX_PIECES) {
      await this.#running;
      this.#begin();
    } else this.#timer ??= setTimeout(() => this.#begin(), LAG);
    this.#check();
  }

  /** Resolves when all that was taken is written. */
  async flush(): Promise<void> {
    this.#begin();
    await this.#running;
    this.#check();
  }

  /** Drops what is not being written yet. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#pieces = [];
    await this.#running;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pieces.length > 0) this.#running = this.#write(this.#running);
  }

  async #write(before: Promise<void>): Promise<void> {
    await before;
    const pieces = this.#pieces;
    const length = this.#gathered;
    this.#pieces = [];
    this.#gathered = 0;
    if (this.#failure !== undefined || pieces.length === 0) return;
    try {
      await this.#file.write(pieces, this.#written);
      this.#written += length;
      this.#onWritten(this.#written);
    } catch (reason) {
      this.#failure = { reason };
    }
  }
}
