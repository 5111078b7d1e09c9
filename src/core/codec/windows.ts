/**
 * Memory for the large windows of zstd, shared by the threads of a process: decoders whose windows do not fit together wait for one
 * another. A decoder takes all units of its window at once or none, and holds none while it waits, so that one can always go on. Only
 * for decoders that wait for nothing that another decoder must bring first: those of the workers, and not the streams of a user.
 */
import { startTimer } from '../async/timer.ts';

/** What zstd's levels up to 19 use: such windows are not counted. */
export const UNCOUNTED_WINDOW: number = 8 << 20;

const UNIT = 16 << 20;

/** 128 MiB together: one window of the largest size that is decoded. */
const UNITS = 8;

/** Milliseconds between two looks for free units. */
const LOOK_MS = 5;

/** For each unit 0, or the number of the thread that has the unit. */
export type SharedWindows = SharedArrayBuffer;

export function sharedWindows(): SharedWindows {
  return new SharedArrayBuffer(UNITS * Int32Array.BYTES_PER_ELEMENT);
}

/** One thread's part, for one decoder at a time. */
export class Windows {
  readonly #units: Int32Array;
  readonly #owner: number;

  /** `owner`: above 0, and of no other thread that shares these windows. */
  constructor(shared: SharedWindows, owner: number) {
    this.#units = new Int32Array(shared);
    this.#owner = owner;
  }

  /** Gives back what is held, then waits until `bytes` fit (at most 128 MiB). Rejects with the signal's reason. */
  async reserve(bytes: number, signal: AbortSignal): Promise<void> {
    this.release();
    signal.throwIfAborted();
    while (!this.#take(Math.min(UNITS, Math.ceil(bytes / UNIT)))) {
      await new Promise<void>((resolve) => startTimer(LOOK_MS, resolve));
      signal.throwIfAborted();
    }
  }

  /** Whether anything is held. */
  get held(): boolean {
    return this.#units.some((owner) => owner === this.#owner);
  }

  /** Gives back what is held; for a thread that has ended, too. */
  release(): void {
    for (let at = 0; at < UNITS; at++) Atomics.compareExchange(this.#units, at, this.#owner, 0);
  }

  #take(count: number): boolean {
    let taken = 0;
    for (let at = 0; at < UNITS && taken < count; at++)
      if (Atomics.compareExchange(this.#units, at, 0, this.#owner) === 0) taken++;
    if (taken < count) this.release();
    return taken === count;
  }
}
