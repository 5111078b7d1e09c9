/** Sparse files as GNU tar stores them: old GNU ('S') and PAX 0.0, 0.1 and 1.0 (GNU tar manual, "Sparse Formats"). */
import { type ByteString, fromBytes } from '../bytes.ts';
import { BLOCK, malformed, parseNumber } from './header.ts';
import { type PaxRecord, paxInteger, paxText } from './pax.ts';

const PREFIX = 'GNU.sparse.';

/** Entries beyond this are refused (a map of 16 MiB). */
const MAX_FRAGMENTS = 1_000_000;

/** The parts of a sparse file that the archive holds, in order: offset, length, offset, length... */
export class SparseMap {
  readonly parts: number[] = [];
  readonly realSize: number;

  constructor(realSize: number) {
    if (realSize < 0) throw malformed('negative size of a sparse file');
    this.realSize = realSize;
  }

  add(offset: number, length: number): void {
    const last = this.parts.length - 2;
    const floor = last < 0 ? 0 : (this.parts[last] ?? 0) + (this.parts[last + 1] ?? 0);
    if (this.parts.length >= 2 * MAX_FRAGMENTS) throw malformed('too many fragments in a sparse file');
    if (offset < floor || length < 0 || offset + length > this.realSize) {
      throw malformed('fragments of a sparse file overlap or exceed its size');
    }
    this.parts.push(offset, length);
  }

  /** The fragments must hold exactly the bytes that the archive stores. */
  check(stored: number): void {
    let sum = 0;
    for (let i = 1; i < this.parts.length; i += 2) sum += this.parts[i] ?? 0;
    if (sum !== stored) throw malformed('fragments of a sparse file do not add up to its stored size');
  }
}

/** Fragments from a block: `count` of 24 bytes from `at`, ended by an empty field. */
function addFields(map: SparseMap, block: Uint8Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const field = at + i * 24;
    if (block[field] === 0) return;
    map.add(
      parseNumber(block, field, 12, 'a sparse offset'),
      parseNumber(block, field + 12, 12, 'a sparse length'),
    );
  }
}

/** The map of an old GNU header; `more`: extension blocks follow. */
export function gnuSparse(block: Uint8Array): { map: SparseMap; more: boolean } {
  const map = new SparseMap(parseNumber(block, 483, 12, 'the size of a sparse file'));
  addFields(map, block, 386, 4);
  return { map, more: block[482] !== 0 };
}

/** Adds an extension block; true when another follows. */
export function gnuSparseExtension(map: SparseMap, block: Uint8Array): boolean {
  addFields(map, block, 0, 21);
  return block[504] !== 0;
}

export interface PaxSparse {
  readonly map: SparseMap;
  readonly name: ByteString | undefined;
  /** Version 1.0: the map is at the start of the stored data. */
  readonly mapInData: boolean;
}

/** What the records of one entry say about sparseness. */
export function paxSparse(records: readonly PaxRecord[]): PaxSparse | undefined {
  if (!records.some(isSparse)) return undefined;
  const own = records.filter(isSparse);
  const pairs = pairsOf(own);
  const found = new Map(own.map((record) => [record.key.slice(PREFIX.length), record]));
  const mapInData = versionOf(found) === 1;
  if (!mapInData && !found.has('map') && !found.has('numblocks')) return undefined;
  const size = found.get('realsize') ?? found.get('size');
  if (size === undefined) throw malformed('a sparse file without its size');
  const map = new SparseMap(paxInteger(size));
  const text = found.get('map');
  if (!mapInData) addPairs(map, text === undefined ? pairs : numbersOf(paxText(text)));
  const name = found.get('name');
  return { map, name: name && paxText(name), mapInData };
}

function versionOf(found: ReadonlyMap<string, PaxRecord>): number {
  const major = found.get('major');
  const version = major === undefined ? 0 : paxInteger(major);
  if (version > 1) throw malformed(`a sparse file of the unknown version ${version}`);
  return version;
}

function isSparse(record: PaxRecord): boolean {
  return record.key.startsWith(PREFIX);
}

/** The map of version 0.0: a record for each number, offset and length in turn. */
function pairsOf(records: readonly PaxRecord[]): number[] {
  const pairs: number[] = [];
  for (const record of records) {
    const key = record.key.slice(PREFIX.length);
    if (key !== 'offset' && key !== 'numbytes') continue;
    if ((pairs.length % 2 === 0) !== (key === 'offset')) throw malformed('bad PAX sparse map');
    pairs.push(paxInteger(record));
  }
  return pairs;
}

/** The map of version 0.1: all numbers in one record. */
function numbersOf(text: ByteString): number[] {
  if (text === '') return [];
  return text.split(',').map((part) => {
    if (!/^[0-9]{1,16}$/.test(part)) throw malformed('bad PAX sparse map');
    return Number(part);
  });
}

function addPairs(map: SparseMap, pairs: readonly number[]): void {
  if (pairs.length % 2 !== 0) throw malformed('bad PAX sparse map');
  for (let i = 0; i < pairs.length; i += 2) map.add(pairs[i] ?? 0, pairs[i + 1] ?? 0);
}

/** Reads the map that starts the data of PAX sparse 1.0: decimal lines (count, then offset and length), padded to a block. */
export class SparseMapParser {
  readonly #map: SparseMap;
  #line = '';
  #expected = -1;
  #offset = -1;
  #added = 0;
  /** Bytes taken, padding included. */
  taken = 0;
  done = false;

  constructor(map: SparseMap) {
    this.#map = map;
  }

  /** Returns how many bytes of `bytes` from `at` it took. */
  take(bytes: Uint8Array, at: number, end: number): number {
    const start = at;
    for (; at < end && !this.done; at++) {
      this.taken++;
      const byte = bytes[at] ?? 0;
      if (this.#complete) this.done = this.taken % BLOCK === 0;
      else if (byte === 0x0a) this.#number();
      else if (this.#line.length < 16) this.#line += fromBytes(bytes, at, at + 1);
      else throw malformed('bad sparse map');
    }
    return at - start;
  }

  get #complete(): boolean {
    return this.#added === this.#expected;
  }

  #number(): void {
    if (!/^[0-9]+$/.test(this.#line)) throw malformed('bad sparse map');
    const value = Number(this.#line);
    this.#line = '';
    if (this.#expected < 0) {
      if (value > MAX_FRAGMENTS) throw malformed('too many fragments in a sparse file');
      this.#expected = value;
    } else if (this.#offset < 0) this.#offset = value;
    else {
      this.#map.add(this.#offset, value);
      this.#offset = -1;
      this.#added++;
    }
    if (this.#complete) this.done = this.taken % BLOCK === 0;
  }
}
