import type { Link } from './link.ts';

/** The share of an interval that must be waiting for the network: else the network is not the slow part. */
const NETWORK_BOUND = 0.5;

/** How many ranges of one blob are fetched at once: doubled as long as that brings more. */
export class Lanes {
  readonly #link: Link;
  readonly #size: number;
  #count = 1;
  #countBefore = 1;
  #splittable = true;
  #trial: 'none' | 'settling' | 'measuring' = 'none';
  /** The begin of the interval: its time, the link's bytes then, and milliseconds of waiting since. */
  #interval: { at: number; bytes: number; waited: number };

  /** `size`: of the blob, in bytes. */
  constructor(link: Link, size: number) {
    this.#link = link;
    this.#size = size;
    this.#interval = { at: link.clock.monotonic(), bytes: link.bytes, waited: 0 };
  }

  get count(): number {
    return this.#count;
  }

  get splittable(): boolean {
    return this.#splittable;
  }

  /** Adds milliseconds of waiting for the network. */
  waited(milliseconds: number): void {
    this.#interval.waited += milliseconds;
  }

  /** Once an interval, more lanes are tried, or the trial is judged; then true. `position`: how far the blob has been read. */
  look(position: number): boolean {
    const now = this.#link.clock.monotonic();
    const { at, bytes, waited } = this.#interval;
    if (now - at < this.#link.interval) return false;
    const rate = (this.#link.bytes - bytes) / (now - at);
    this.#interval = { at: now, bytes: this.#link.bytes, waited: 0 };
    if (this.#trial === 'settling') this.#trial = 'measuring';
    else if (this.#trial === 'measuring') this.#judge(rate);
    else if (waited / (now - at) >= NETWORK_BOUND && this.#mayGrow(position)) this.#try(rate);
    return true;
  }

  /** No more than one range from now on. */
  giveUp(): void {
    this.#splittable = false;
    this.#count = 1;
    this.#trial = 'none';
    this.#link.leave(this);
  }

  #mayGrow(position: number): boolean {
    const { lanes, piece } = this.#link;
    const enough = this.#size - position >= piece * (this.#count + 2);
    return this.#splittable && this.#count < lanes && enough;
  }

  #try(rate: number): void {
    if (!this.#link.begin(this, rate)) return;
    this.#countBefore = this.#count;
    this.#count = Math.min(this.#link.lanes, this.#count * 2);
    this.#trial = 'settling';
  }

  #judge(rate: number): void {
    this.#trial = 'none';
    if (!this.#link.judge(this, rate)) this.#count = this.#countBefore;
  }
}
