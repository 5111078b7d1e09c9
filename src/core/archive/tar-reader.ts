import type { ByteString } from '../bytes.ts';
import { display } from '../bytes.ts';
import { HawserError, wrap } from '../errors.ts';
import { buildEntry } from './build-entry.ts';
import type { TarEntry, TarSink } from './entry.ts';
import { BLOCK, type Header, isZeroBlock, longName, MALFORMED, malformed, parseHeader } from './header.ts';
import { MAX_EXTENSION, mergeGlobal, type PaxRecord, parsePax } from './pax.ts';
import { gnuSparse, gnuSparseExtension, type SparseMap, SparseMapParser } from './sparse.ts';
import { SparseBody } from './sparse-body.ts';

const NO_RECORDS: readonly PaxRecord[] = [];

/**
 * - `header`, `sparse`: fills a block (a header; an old GNU sparse extension).
 * - `extension`: collects the data of a PAX or GNU extension header.
 * - `map`: reads the map in front of a PAX 1.0 sparse file's data.
 * - `body`: passes data on. `skip`: drops data that nobody wants. `padding`: drops up to the next block.
 * - `end`: after two zero blocks everything is ignored.
 */
type State = 'header' | 'sparse' | 'extension' | 'map' | 'body' | 'skip' | 'padding' | 'end';

/** How an entry goes on after its header. */
interface Start {
  readonly entry: TarEntry;
  readonly state: State;
  readonly stored: number;
}

/**
 * A push parser for tar: v7, ustar, star, PAX (local and global headers), GNU (long names, base-256 numbers,
 * sparse files). Synchronous; bodies are not copied. What the archive says is hostile: every size is bounded and the
 * first thing that is wrong is an error (InvalidArgument; DataLoss when the archive ends too early).
 *
 * The size of an entry is the PAX one where there is one, for its data and for where the next header is (CVE-2025-62518).
 * Vendor types: 'X' (Solaris) is read as 'x'; 'V' (GNU volume label) and 'A' (Solaris ACL) are no files and are left
 * out; 'D' is a directory; 'M', 'N' and all others are errors. Global PAX headers may not set names, sizes or sparse
 * maps: those of one entry cannot be meant for all.
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #sparseBody: SparseBody;
  readonly #block = new Uint8Array(BLOCK);
  #filled = 0;
  #state: State = 'header';
  /** Bytes taken before the current chunk. */
  #before = 0;
  #zeroBlocks = 0;
  /** Stored bytes still to come in `extension`, `map`, `body`, `skip`; then the padding. */
  #left = 0;
  #padding = 0;
  #extension: { type: string; bytes: Uint8Array } | undefined;
  #global: readonly PaxRecord[] = NO_RECORDS;
  #local: readonly PaxRecord[] = NO_RECORDS;
  #longName: ByteString | undefined;
  #longLink: ByteString | undefined;
  /** An extension header was read, and its entry has not come yet. */
  #pending = false;
  #entry: TarEntry | undefined;
  #sparse: SparseMap | undefined;
  #mapParser: SparseMapParser | undefined;

  constructor(sink: TarSink) {
    this.#sink = sink;
    this.#sparseBody = new SparseBody(sink);
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    try {
      while (at < chunk.length && this.#state !== 'end') at = this.#step(chunk, at);
    } finally {
      this.#sink.chunkEnd?.();
    }
    this.#before += chunk.length;
  }

  /** How many bytes of the entry's content `skip` may pass over: those of a plain file that are still to come. */
  get skippable(): number {
    return (this.#state === 'body' || this.#state === 'skip') && this.#sparse === undefined ? this.#left : 0;
  }

  /** The entry at hand is a file with holes, as the archive has it. */
  get isSparse(): boolean {
    return this.#sparse !== undefined;
  }

  /** The next `count` bytes of the content are not pushed: nobody wants them. At most `skippable`. */
  skip(count: number): void {
    this.#before += count;
    this.#left -= count;
    if (this.#left === 0) this.#finish();
  }

  /** The archive ends here. End blocks may be missing, as may the last padding. */
  end(): void {
    this.#end(this.#before);
  }

  #end(offset: number): void {
    const between = this.#state === 'padding' || (this.#state === 'header' && this.#filled === 0);
    if (this.#state !== 'end' && (!between || this.#pending)) throw this.#truncated(offset);
    this.#state = 'end';
  }

  #truncated(offset: number): HawserError {
    const where = this.#entry === undefined ? '' : ` in ${JSON.stringify(display(this.#entry.name))}`;
    return new HawserError('DataLoss', `truncated tar${where} after ${offset} bytes`, { reason: MALFORMED });
  }

  #step(chunk: Uint8Array, at: number): number {
    switch (this.#state) {
      case 'header':
      case 'sparse':
        return this.#fill(chunk, at);
      case 'padding': {
        const taken = Math.min(this.#padding, chunk.length - at);
        this.#padding -= taken;
        if (this.#padding === 0) this.#state = 'header';
        return at + taken;
      }
      default:
        return this.#data(chunk, at);
    }
  }

  #fill(chunk: Uint8Array, at: number): number {
    let block: Uint8Array = this.#block;
    let next: number;
    if (this.#filled === 0 && chunk.length - at >= BLOCK) {
      block = chunk.subarray(at, at + BLOCK);
      next = at + BLOCK;
    } else {
      next = Math.min(chunk.length, at + BLOCK - this.#filled);
      block.set(chunk.subarray(at, next), this.#filled);
      this.#filled += next - at;
      if (this.#filled < BLOCK) return next;
      this.#filled = 0;
    }
    if (this.#state === 'sparse') {
      this.#sparseBlock(block);
      return next;
    }
    const start = this.#headerBlock(block, this.#before + next - BLOCK);
    return start === undefined ? next : this.#begin(start, chunk, next);
  }

  /** What begins with a header whose entry is not an extension of another. */
  #begin({ entry, state, stored }: Start, chunk: Uint8Array, at: number): number {
    const end = at + stored;
    if (state === 'body' && end <= chunk.length && this.#sparse === undefined && this.#sink.wholeFile) {
      this.#sink.wholeFile(entry, chunk.subarray(at, end));
      this.#padding = (BLOCK - (stored % BLOCK)) % BLOCK;
      this.#state = this.#padding > 0 ? 'padding' : 'header';
      return end;
    }
    this.#entry = entry;
    this.#sink.entry(entry);
    this.#expect(state, stored);
    return at;
  }

  /** Returns the entry that the block is the header of, if it is one. */
  #headerBlock(block: Uint8Array, offset: number): Start | undefined {
    if (block[0] === 0 && isZeroBlock(block)) {
      this.#zeroBlocks++;
      if (this.#zeroBlocks === 2) this.#end(offset + BLOCK);
      return undefined;
    }
    try {
      if (this.#zeroBlocks === 1) throw malformed('a single zero block before a header');
      const header = parseHeader(block);
      return this.#startExtension(header) ? undefined : this.#startEntry(header, block);
    } catch (err) {
      throw wrap(`reading the header at byte ${offset}`, err);
    }
  }

  /** True when the header is not an entry's own. */
  #startExtension(header: Header): boolean {
    switch (header.type) {
      case 'x':
      case 'X':
      case 'g':
      case 'L':
      case 'K':
        if (header.size < 0 || header.size > MAX_EXTENSION) throw malformed('an extension header over 1 MiB');
        if (header.type !== 'g') this.#pending = true;
        this.#extension = { type: header.type, bytes: new Uint8Array(header.size) };
        this.#expect('extension', header.size);
        return true;
      case 'V':
      case 'A':
        if (header.size < 0) throw malformed('negative size');
        this.#expect('skip', header.size);
        return true;
      default:
        return false;
    }
  }

  #startEntry(header: Header, block: Uint8Array): Start {
    const { entry, stored, sparse } = buildEntry(header, {
      global: this.#global,
      local: this.#local,
      longName: this.#longName,
      longLink: this.#longLink,
    });
    this.#local = NO_RECORDS;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#pending = false;
    this.#sparseBody.begin();
    this.#sparse = sparse?.map;
    let size = entry.size;
    let state: State = entry.type === 'file' ? 'body' : 'skip';
    if (header.type === 'S') {
      if (header.format !== 'gnu' || sparse !== undefined)
        throw malformed('a GNU sparse file in another format');
      const { map, more } = gnuSparse(block);
      this.#sparse = map;
      size = map.realSize;
      if (more) state = 'sparse';
    }
    if (sparse?.mapInData === true) {
      this.#mapParser = new SparseMapParser(sparse.map);
      state = 'map';
    }
    if (this.#sparse !== undefined && (state === 'body' || state === 'skip')) this.#sparse.check(stored);
    return { entry: size === entry.size ? entry : { ...entry, size }, state, stored };
  }

  #sparseBlock(block: Uint8Array): void {
    if (this.#sparse === undefined) throw malformed('no sparse file');
    if (gnuSparseExtension(this.#sparse, block)) return;
    this.#sparse.check(this.#left);
    this.#expect('body', this.#left);
  }

  /** Goes on to `state` with `size` stored bytes; with none, on to what follows. */
  #expect(state: State, size: number): void {
    this.#state = state;
    this.#left = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (size === 0 && state !== 'sparse') this.#finish();
  }

  #data(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#left);
    if (this.#state === 'map') return this.#mapData(chunk, at, end);
    if (this.#state === 'body') this.#body(chunk.subarray(at, end));
    else if (this.#extension !== undefined) {
      const { bytes } = this.#extension;
      bytes.set(chunk.subarray(at, end), bytes.length - this.#left);
    }
    this.#left -= end - at;
    if (this.#left === 0) this.#finish();
    return end;
  }

  #mapData(chunk: Uint8Array, at: number, end: number): number {
    const parser = this.#mapParser;
    if (parser === undefined || this.#sparse === undefined) throw malformed('no sparse map');
    const taken = parser.take(chunk, at, end);
    this.#left -= taken;
    if (parser.done) {
      this.#mapParser = undefined;
      this.#sparse.check(this.#left);
      this.#state = 'body';
    }
    if (this.#left === 0) this.#finish();
    return at + taken;
  }

  #body(bytes: Uint8Array): void {
    if (this.#sparse === undefined) this.#sink.data(bytes);
    else this.#sparseBody.data(bytes, this.#sparse.parts);
  }

  /** All stored bytes are there. */
  #finish(): void {
    const done = this.#state;
    this.#state = this.#padding > 0 ? 'padding' : 'header';
    if (this.#extension !== undefined) this.#extensionEnd(this.#extension);
    if (done === 'map') throw malformed('a sparse map longer than its file');
    if (this.#entry === undefined) return;
    if (this.#sparse !== undefined) this.#sparseBody.holeTo(this.#sparse.realSize);
    this.#sparse = undefined;
    this.#entry = undefined;
    this.#sink.entryEnd();
  }

  #extensionEnd({ type, bytes }: { type: string; bytes: Uint8Array }): void {
    this.#extension = undefined;
    if (type === 'L') this.#longName = longName(bytes);
    else if (type === 'K') this.#longLink = longName(bytes);
    else if (type === 'g') this.#global = mergeGlobal(this.#global, parsePax(bytes));
    else this.#local = parsePax(bytes);
  }
}
