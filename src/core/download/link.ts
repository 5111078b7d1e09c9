import type { Clock } from '../ports/clock.ts';

/** When and how far a blob is fetched in several ranges at once. */
export interface SplitOptions {
  /** Ranges of one blob at once; 1: never split. Default 6. */
  readonly lanes?: number | undefined;
  /** Bytes of a range; all of them may wait in memory. Default 8 MiB. */
  readonly piece?: number | undefined;
  /** Ranges that may wait in memory, over all blobs. Default 8. */
  readonly pieces?: number | undefined;
  /** Milliseconds over which speed is measured. Default 1 s. */
  readonly interval?: number | undefined;
}

/** More ranges must bring this much more, or they are given up. */
const GAIN = 1.15;
/** Intervals before another trial, after one that brought nothing. */
const REST = 20;

/**
 * The bytes of all streams of a transfer, and the trials whether more streams bring more. One blob tries at a time, so that the
 * difference is its own.
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

  /** Reserves one piece buffer; false when all are in use. */
  take(): boolean {
    if (this.#free === 0) return false;
    this.#free--;
    return true;
  }

  /** Gives a piece buffer back. */
  give(): void {
    this.#free++;
  }

  /** Begins the trial of a blob with more ranges; false while another has one or all rest. `before`: the link's bytes a millisecond without them. */
  begin(by: object, before: number): boolean {
    if (this.#trial !== undefined || this.clock.monotonic() < this.#restUntil) return false;
    this.#trial = { by, before };
    return true;
  }

  /** Ends the trial: whether the link brings enough more by now. */
  judge(by: object, now: number): boolean {
    const trial = this.#trial;
    if (trial?.by !== by) return true;
    this.#trial = undefined;
    const worth = now >= trial.before * GAIN;
    if (!worth) this.#restUntil = this.clock.monotonic() + REST * this.interval;
    return worth;
  }

  /** Ends the trial of a blob without judging. */
  leave(by: object): void {
    if (this.#trial?.by === by) this.#trial = undefined;
  }
}
