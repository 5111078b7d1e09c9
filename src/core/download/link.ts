import type { Clock } from '../ports/clock.ts';

/** When and how far a blob is fetched in several ranges at once. */
export interface SplitOptions {
  /** Ranges of one blob at once; 1: never split. Default 6. */
  readonly lanes?: number | undefined;
  /** Bytes of a range, all of which may have to wait in memory. Default 8 MiB. */
  readonly piece?: number | undefined;
  /** Ranges that may wait in memory, over all blobs. Default 8. */
  readonly pieces?: number | undefined;
  /** Milliseconds over which speed is measured. Default 1 s. */
  readonly interval?: number | undefined;
}

/** More ranges must bring this much more, or they go again. */
const GAIN = 1.15;
/** Intervals before another try, after one that brought nothing. */
const REST = 20;

/**
 * What the network brings, over all streams of a transfer, and whether more streams bring more: known only by trying.
 * One blob tries at a time, so that it is the tried one that is measured.
 */
export class Link {
  readonly clock: Clock;
  readonly lanes: number;
  readonly piece: number;
  readonly interval: number;
  #free: number;
  #bytes = 0;
  #trial: { readonly by: object; readonly before: number } | undefined;
  #restUntil = 0;

  constructor(clock: Clock, options: SplitOptions = {}) {
    this.clock = clock;
    this.lanes = options.lanes ?? 6;
    this.piece = options.piece ?? 8 << 20;
    this.interval = options.interval ?? 1000;
    this.#free = options.pieces ?? 8;
  }

  /** Bytes that have arrived so far. */
  get bytes(): number {
    return this.#bytes;
  }

  readonly arrived = (count: number): void => {
    this.#bytes += count;
  };

  /** Memory for one more piece, to be given back. */
  take(): boolean {
    if (this.#free === 0) return false;
    this.#free--;
    return true;
  }

  give(): void {
    this.#free++;
  }

  /** May this blob try more ranges? `before`: bytes a millisecond over the link without them. */
  begin(by: object, before: number): boolean {
    if (this.#trial !== undefined || this.clock.monotonic() < this.#restUntil) return false;
    this.#trial = { by, before };
    return true;
  }

  /** Whether the try was worth it. */
  judge(by: object, now: number): boolean {
    const trial = this.#trial;
    if (trial?.by !== by) return true;
    this.#trial = undefined;
    const worth = now >= trial.before * GAIN;
    if (!worth) this.#restUntil = this.clock.monotonic() + REST * this.interval;
    return worth;
  }

  /** The blob has no more to try with. */
  leave(by: object): void {
    if (this.#trial?.by === by) this.#trial = undefined;
  }
}
