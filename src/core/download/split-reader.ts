import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import { Lanes } from './lanes.ts';
import type { Link } from './link.ts';
import { Piece } from './piece.ts';
import { type Range, RangeReader, type ReaderDeps } from './range-reader.ts';
import type { Served } from './served.ts';

/**
 * The rest of a blob, in order. The first request is for all of it; while the network keeps the reader waiting, ranges further on
 * are fetched at the same time (`Lanes`). A host that cannot give parts costs nothing: the first request is cut short only
 * once the server has begun to send the part after it.
 */
export class SplitReader {
  readonly #deps: ReaderDeps;
  readonly #desc: Descriptor;
  readonly #served: Served;
  readonly #link: Link;
  readonly #lanes: Lanes;
  readonly #call: Call;
  /** Reads now; the pieces follow without a gap. */
  #head: RangeReader | Piece;
  #pieces: Piece[] = [];
  /** Requested to be the first piece, and not answered yet. */
  #candidate: Piece | undefined;
  /** The closing of candidates that were not needed. */
  readonly #closing: Promise<void>[] = [];
  readonly #closed = new WeakSet<object>();
  #position: number;

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
    this.#lanes = new Lanes(state.link, desc.size);
    this.#call = call;
    this.#position = start;
    this.#head = this.#reader({ start, end: desc.size }, call.signal);
  }

  /** Undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const { clock } = this.#link;
    for (;;) {
      const began = clock.monotonic();
      const chunk = await this.#readHead();
      this.#lanes.waited(clock.monotonic() - began);
      if (chunk !== undefined) {
        this.#position += chunk.length;
        if (this.#lanes.look(this.#position)) this.#topUp();
        return chunk;
      }
      if (!(await this.#advance())) return undefined;
    }
  }

  async close(): Promise<void> {
    this.#lanes.giveUp();
    await this.#dropPieces();
    await this.#end(this.#head);
    await Promise.all(this.#closing);
  }

  /** After a piece that fails, the rest of the blob is read as one range. */
  async #readHead(): Promise<Uint8Array | undefined> {
    try {
      return await this.#head.read();
    } catch (err) {
      if (!(this.#head instanceof Piece) || this.#call.signal?.aborted === true) throw err;
      this.#lanes.giveUp();
      await this.#dropPieces();
      return undefined;
    }
  }

  /** Makes the next piece the head; false at the end of the blob. */
  async #advance(): Promise<boolean> {
    await this.#end(this.#head);
    const next = this.#pieces.shift();
    if (next === undefined && this.#position >= this.#desc.size) return false;
    this.#head = next ?? this.#reader({ start: this.#position, end: this.#desc.size }, this.#call.signal);
    this.#topUp();
    return true;
  }

  /** Requests pieces until there are as many as lanes beside the head's. */
  #topUp(): void {
    const { count, splittable } = this.#lanes;
    if (count === 1 || !splittable || this.#candidate !== undefined) return;
    if (this.#head instanceof RangeReader && this.#pieces.length === 0) {
      this.#propose(this.#head);
      return;
    }
    while (this.#pieces.length < count - 1) {
      const start = this.#pieces.at(-1)?.end ?? this.#head.end;
      if (start >= this.#desc.size || !this.#link.take()) return;
      this.#pieces.push(this.#piece(start));
    }
  }

  /** Requests the first piece. The head keeps its end until the server has begun to send the piece. */
  #propose(head: RangeReader): void {
    const start = this.#position + this.#link.piece;
    if (start >= this.#desc.size || !this.#link.take()) return;
    const candidate = this.#piece(start, (usable) => {
      if (this.#candidate !== candidate) return;
      this.#candidate = undefined;
      const inTime = this.#head === head && head.position <= start;
      if (usable && inTime && this.#lanes.splittable) {
        head.shorten(start);
        this.#pieces.push(candidate);
        this.#topUp();
      } else {
        this.#lanes.giveUp();
        this.#closing.push(this.#end(candidate));
      }
    });
    this.#candidate = candidate;
  }

  #piece(start: number, onOpen?: (usable: boolean) => void): Piece {
    const end = Math.min(this.#desc.size, start + this.#link.piece);
    const range = { start, end, exact: true };
    return new Piece(range, this.#call.signal, (signal) => this.#reader(range, signal), onOpen);
  }

  #reader(range: Range, signal: AbortSignal | undefined): RangeReader {
    return new RangeReader(this.#deps, this.#desc, this.#served, range, { signal });
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
}
