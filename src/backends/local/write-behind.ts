import { releaseWhole } from '../../core/codec/release.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { FileHandle } from '../../core/ports/file-system.ts';

/** Bytes of a batch. A smaller one takes longer to hand to another thread than to write on this one. */
const BATCH = 1 << 20;
/** Most pieces of a batch, whatever their sizes. */
const MAX_PIECES = 256;
/** Milliseconds between two pieces above which each piece is written at once, on this thread. */
const PAUSE = 5;
/** Ends a wait. The usual reason of an abort is an error with a stack: one for each MiB. */
const COMPLETE = Symbol('the batch is complete');
/** Most milliseconds that a piece waits for the rest of its batch. */
const LAG = 20;

/**
 * Writes a file from a position on, in order. Pieces that come fast are gathered into batches, which another thread writes
 * while the caller goes on: at most two batches are held. The file always ends with the last byte of `written` or later.
 */
export class WriteBehind {
  readonly #file: FileHandle;
  readonly #clock: Clock;
  readonly #onWritten: (end: number) => void;
  #pieces: Uint8Array[] = [];
  /** Pieces whose memory nobody needs once they are written. */
  #given: Uint8Array[] = [];
  #gathered = 0;
  #written: number;
  /** Monotonic time of the latest piece, milliseconds. */
  #latest = Number.NEGATIVE_INFINITY;
  /** All writes that were begun; never rejects. */
  #running: Promise<void> = Promise.resolve();
  #failure: { readonly reason: unknown } | undefined;
  /** Ends the wait for the rest of the batch; undefined when nothing waits. */
  #waiting: AbortController | undefined;

  /** `onWritten` gets the end of what is written, after each write. */
  constructor(file: FileHandle, at: number, clock: Clock, onWritten: (end: number) => void) {
    this.#file = file;
    this.#written = at;
    this.#clock = clock;
    this.#onWritten = onWritten;
  }

  /** The end of what is written. */
  get written(): number {
    return this.#written;
  }

  /**
   * Takes the bytes, which must not change until `flush`; `isGiven`: frees them once they are written. One call at a time. Resolves when
   * the next piece may be given.
   * Rejects with the error of this or an earlier write; nothing is written after a failure.
   */
  async push(bytes: Uint8Array, isGiven = false): Promise<void> {
    const now = this.#clock.monotonic();
    const slow = now - this.#latest > PAUSE;
    this.#latest = now;
    this.#pieces.push(bytes);
    if (isGiven) this.#given.push(bytes);
    this.#gathered += bytes.length;
    if (slow) await this.flush();
    else if (this.#gathered >= BATCH || this.#pieces.length >= MAX_PIECES) {
      await this.#running;
      this.#begin();
    } else if (this.#waiting === undefined) this.#beginLater();
    this.#check();
  }

  /** Resolves when every piece is written. */
  async flush(): Promise<void> {
    this.#begin();
    await this.#running;
    this.#check();
  }

  /** Drops the pieces whose write has not begun. */
  async stop(): Promise<void> {
    this.#stopWaiting();
    this.#pieces = [];
    this.#given = [];
    await this.#running;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  #beginLater(): void {
    const waiting = new AbortController();
    this.#waiting = waiting;
    this.#clock.sleep(LAG, waiting.signal).then(
      () => this.#begin(),
      () => {},
    );
  }

  #stopWaiting(): void {
    this.#waiting?.abort(COMPLETE);
    this.#waiting = undefined;
  }

  #begin(): void {
    this.#stopWaiting();
    if (this.#pieces.length > 0) this.#running = this.#write(this.#running);
  }

  async #write(before: Promise<void>): Promise<void> {
    await before;
    const pieces = this.#pieces;
    const length = this.#gathered;
    const given = this.#given;
    this.#pieces = [];
    this.#given = [];
    this.#gathered = 0;
    if (this.#failure !== undefined || pieces.length === 0) return;
    try {
      await this.#file.write(pieces, this.#written);
      for (const piece of given) releaseWhole(piece);
      this.#written += length;
      this.#onWritten(this.#written);
    } catch (reason) {
      this.#failure = { reason };
    }
  }
}
