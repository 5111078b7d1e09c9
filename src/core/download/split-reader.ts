import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Link } from './link.ts';
import { Piece } from './piece.ts';
import { type Range, RangeReader, type ReaderDeps, type Served } from './range-reader.ts';

/** Of an interval, the share that must have been waiting for the network: else it is not what is slow. */
const NETWORK_BOUND = 0.5;

/**
 * The rest of a blob, in order. It begins as one request; when that keeps its reader waiting, parts further on are
 * fetched at the same time, as many as bring something. A host that cannot give parts costs nothing: the first request
 * is cut short only once the part after it is on its way.
 */
export class SplitReader {
  readonly #deps: ReaderDeps;
  readonly #desc: Descriptor;
  readonly #served: Served;
  readonly #link: Link;
  readonly #call: Call;
  /** Reads now; the pieces follow it without a gap. */
  #head: RangeReader | Piece;
  #pieces: Piece[] = [];
  readonly #closed = new WeakSet<object>();
  /** Candidates that were not needed, on their way out. */
  readonly #leaving: Promise<void>[] = [];
  /** On its way to be the first piece. */
  #candidate: Piece | undefined;
  #lanes = 1;
  #lanesBefore = 1;
  #position: number;
  #splittable = true;
  #trying: 'no' | 'settling' | 'measuring' = 'no';
  /** Since the last look: its time, the link's bytes then, milliseconds waited. */
  #looked: { at: number; bytes: number; waited: number };

  constructor(
    deps: ReaderDeps,
    desc: Descriptor,
    start: number,
    state: { served: Served; link: Link },
    call: Call,
  ) {
    this.#deps = { ...deps, onBytes: state.link.arrived };
    this.#desc = desc;
    this.#served = state.served;
    this.#link = state.link;
    this.#call = call;
    this.#position = start;
    this.#head = this.#reader({ start, end: desc.size }, call.signal);
    this.#looked = { at: deps.clock.monotonic(), bytes: state.link.bytes, waited: 0 };
  }

  /** Undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const began = this.#link.clock.monotonic();
      const chunk = await this.#readHead();
      const now = this.#link.clock.monotonic();
      this.#looked.waited += now - began;
      if (chunk !== undefined) {
        this.#position += chunk.length;
        if (now - this.#looked.at >= this.#link.interval) this.#look(now);
        return chunk;
      }
      if (!(await this.#turn())) return undefined;
    }
  }

  async close(): Promise<void> {
    this.#giveUp();
    await this.#dropPieces();
    await this.#end(this.#head);
    await Promise.all(this.#leaving);
  }

  /** A part that cannot be had as a part is had as the rest of the whole. */
  async #readHead(): Promise<Uint8Array | undefined> {
    try {
      return await this.#head.read();
    } catch (err) {
      if (!(this.#head instanceof Piece) || this.#call.signal?.aborted === true) throw err;
      this.#giveUp();
      await this.#dropPieces();
      return undefined;
    }
  }

  async #dropPieces(): Promise<void> {
    const all = [...this.#pieces, ...(this.#candidate === undefined ? [] : [this.#candidate])];
    this.#pieces = [];
    this.#candidate = undefined;
    await Promise.all(all.map((one) => this.#end(one)));
  }

  async #end(one: RangeReader | Piece): Promise<void> {
    if (this.#closed.has(one)) return;
    this.#closed.add(one);
    await one.close();
    if (one instanceof Piece) this.#link.give();
  }

  /** The next piece's turn; false at the end of the blob. */
  async #turn(): Promise<boolean> {
    await this.#end(this.#head);
    const next = this.#pieces.shift();
    if (next === undefined && this.#position >= this.#desc.size) return false;
    this.#head = next ?? this.#reader({ start: this.#position, end: this.#desc.size }, this.#call.signal);
    this.#topUp();
    return true;
  }

  #reader(range: Range, signal: AbortSignal | undefined): RangeReader {
    return new RangeReader(this.#deps, this.#desc, this.#served, range, { signal });
  }

  /** Once an interval: more ranges are tried, or judged. */
  #look(now: number): void {
    const { at, bytes, waited } = this.#looked;
    const rate = (this.#link.bytes - bytes) / (now - at);
    this.#looked = { at: now, bytes: this.#link.bytes, waited: 0 };
    if (this.#trying === 'settling') this.#trying = 'measuring';
    else if (this.#trying === 'measuring') {
      this.#trying = 'no';
      if (!this.#link.judge(this, rate)) this.#lanes = this.#lanesBefore;
    } else if (waited / (now - at) >= NETWORK_BOUND && this.#mayGrow() && this.#link.begin(this, rate)) {
      this.#lanesBefore = this.#lanes;
      this.#lanes = Math.min(this.#link.lanes, this.#lanes * 2);
      this.#trying = 'settling';
    }
    this.#topUp();
  }

  #mayGrow(): boolean {
    const left = this.#desc.size - this.#position;
    return this.#splittable && this.#lanes < this.#link.lanes && left >= this.#link.piece * (this.#lanes + 2);
  }

  /** As many pieces on their way as there are lanes beside the head's. */
  #topUp(): void {
    if (this.#lanes === 1 || !this.#splittable || this.#candidate !== undefined) return;
    if (this.#head instanceof RangeReader && this.#pieces.length === 0) {
      this.#propose(this.#head);
      return;
    }
    while (this.#pieces.length < this.#lanes - 1) {
      const start = this.#pieces.at(-1)?.end ?? this.#head.end;
      if (start >= this.#desc.size || !this.#link.take()) return;
      this.#pieces.push(this.#piece(start));
    }
  }

  /** The first piece: the head goes on as far as it would until the server has begun to send the piece. */
  #propose(head: RangeReader): void {
    const start = this.#position + this.#link.piece;
    if (start >= this.#desc.size || !this.#link.take()) return;
    const candidate = this.#piece(start, (usable) => {
      if (this.#candidate !== candidate) return;
      this.#candidate = undefined;
      const inTime = usable && this.#head === head && this.#splittable && head.position <= start;
      if (inTime) {
        head.shorten(start);
        this.#pieces.push(candidate);
        this.#topUp();
      } else {
        this.#giveUp();
        this.#leaving.push(this.#end(candidate));
      }
    });
    this.#candidate = candidate;
  }

  #giveUp(): void {
    this.#splittable = false;
    this.#lanes = 1;
    this.#trying = 'no';
    this.#link.leave(this);
  }

  #piece(start: number, onOpen?: (usable: boolean) => void): Piece {
    const end = Math.min(this.#desc.size, start + this.#link.piece);
    const range = { start, end, exact: true };
    return new Piece(range, this.#call.signal, (signal) => this.#reader(range, signal), onOpen);
  }
}
