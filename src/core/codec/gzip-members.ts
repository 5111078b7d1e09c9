/**
 * gzip framing (RFC 1952), the same over every inflater, so that all accept and refuse the same input:
 * members follow one another; after a complete member, bytes that do not start another one (1f 8b 08) are ignored;
 * anything cut short or not matching its CRC-32 and length is DataLoss, empty input included.
 */
import { corrupt, tooMany } from './failures.ts';
import { release } from './release.ts';
import type { ByteSource } from './source.ts';

/** The sums of what a deflate stream gave. */
export interface Sums {
  readonly crc: number;
  /** Bytes, of which only the low 32 bits must be right. */
  readonly size: number;
}

/** What became of a deflate stream that ended. */
export interface Ended extends Sums {
  /** What follows the stream in the inputs. */
  readonly rest: Uint8Array;
}

/** Inflates one deflate stream (RFC 1951) at a time. Chunks it yields are the reader's to keep. */
export interface Inflater {
  /**
   * Takes all of `input`, which may be released after, and yields output as it comes: some may come with a later input only.
   * No input: nothing more comes, and all output is yielded. Returns undefined while the stream goes on. Throws DataLoss.
   */
  decode(input?: Uint8Array): AsyncGenerator<Uint8Array, Ended | undefined, undefined>;
  /**
   * For inflaters that go on by themselves: yields the output of the inputs so far as it comes, until `more` is settled or nothing is left
   * to decode. So damage is told although a download stands still. Throws as `decode`.
   */
  meanwhile?(more: Promise<unknown>): AsyncGenerator<Uint8Array, void, undefined>;
  /** Ready for the next deflate stream. */
  reset(): void;
  close(): void;
}

export interface GzipEngine {
  open(): Inflater;
  crc32(bytes: Uint8Array, crc: number): number;
  /** A whole deflate stream at the start of `input` in one step; `undefined` when it is longer or too large for that. */
  inflateSmall?(
    input: Uint8Array,
  ): (Sums & { readonly output: Uint8Array; readonly used: number }) | undefined;
}

/** Sums the output of an inflater that does not. */
export class Summing implements Sums {
  crc = 0;
  size = 0;
  readonly #crc32: GzipEngine['crc32'];

  constructor(crc32: GzipEngine['crc32']) {
    this.#crc32 = crc32;
  }

  add(output: Uint8Array): void {
    this.crc = this.#crc32(output, this.crc);
    this.size += output.length;
  }

  ended(rest: Uint8Array): Ended {
    return { crc: this.crc, size: this.size, rest };
  }
}

/** After a member up to this size, further small ones are expected: archives for random access have one for each file. */
const SMALL = 256 * 1024;

/** As many as a layer may have entries: formats that can be sought in have a member a file or more. */
const MAX_MEMBERS = 10_000_000;

/** A first piece up to this size is likely the whole stream, and is inflated in one call. */
const LITTLE = 64 * 1024;

const truncated = () => corrupt('gzip', 'it ends in the middle');

export async function* decodeGzip(
  source: ByteSource,
  engine: GzipEngine,
  maxMembers: number = MAX_MEMBERS,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (!(await source.need(1))) throw corrupt('gzip', 'it is empty');
  const inflater = engine.open();
  try {
    let small = source.chunk.length <= LITTLE;
    let members = 0;
    do {
      members++;
      if (members > maxMembers) throw tooMany('gzip', maxMembers);
      await skipHeader(source, engine);
      small = yield* decodeMember(source, engine, inflater, small);
    } while (await startsMember(source));
    await source.drain();
  } finally {
    inflater.close();
  }
}

async function startsMember(source: ByteSource): Promise<boolean> {
  await source.need(3);
  const head = source.chunk;
  const matches = [0x1f, 0x8b, 8].every((byte, at) => at >= head.length || head[at] === byte);
  if (matches && head.length > 0 && head.length < 3) throw truncated();
  return matches && head.length > 0;
}

/** Deflate stream and trailer. Returns whether the member was small. */
async function* decodeMember(
  source: ByteSource,
  engine: GzipEngine,
  inflater: Inflater,
  expectSmall: boolean,
): AsyncGenerator<Uint8Array, boolean, undefined> {
  const quick = expectSmall ? engine.inflateSmall?.(source.chunk) : undefined;
  if (quick === undefined) {
    const { used, sums } = yield* inflate(source, inflater);
    await checkTrailer(source, sums);
    return used <= SMALL;
  }
  source.advance(quick.used);
  if (quick.output.length > 0) yield quick.output;
  await checkTrailer(source, quick);
  return quick.used <= SMALL;
}

/** One deflate stream, a piece of input at a time. Returns its length too. */
async function* inflate(
  source: ByteSource,
  inflater: Inflater,
): AsyncGenerator<Uint8Array, { readonly used: number; readonly sums: Sums }, undefined> {
  inflater.reset();
  for (let given = 0; ; ) {
    const more = source.need(1);
    if (inflater.meanwhile !== undefined) yield* inflater.meanwhile(more);
    const input = (await more) ? source.take() : undefined;
    const ended = yield* inflater.decode(input);
    given += input?.length ?? 0;
    if (ended !== undefined) {
      source.unread(ended.rest);
      return { used: given - ended.rest.length, sums: ended };
    }
    if (input === undefined) throw truncated();
    release(input);
  }
}

async function checkTrailer(source: ByteSource, { crc, size }: Sums): Promise<void> {
  if (!(await source.need(8))) throw truncated();
  if (uint32(source.chunk, 0) !== crc) throw corrupt('gzip', 'its checksum (CRC-32) does not match');
  if (uint32(source.chunk, 4) !== size % 2 ** 32) throw corrupt('gzip', 'its length (ISIZE) does not match');
  source.advance(8);
}

const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;
const RESERVED = 0xe0;

/** RFC 1952 section 2.3: the fixed ten bytes, then what the flags announce. Names may be long; none is kept. */
async function skipHeader(source: ByteSource, engine: GzipEngine): Promise<void> {
  const header = new HeaderReader(source, engine);
  const [id1, id2, method, flags = 0] = await header.need(10);
  if (id1 !== 0x1f || id2 !== 0x8b) throw corrupt('gzip', 'it does not start with a gzip header');
  if (method !== 8 || (flags & RESERVED) !== 0)
    throw corrupt('gzip', 'its header has unknown methods or flags');
  header.take(10);
  if (flags & FEXTRA) await header.skipExtra();
  if (flags & FNAME) await header.skipText();
  if (flags & FCOMMENT) await header.skipText();
  if (flags & FHCRC) await header.checkCrc();
}

/** Reads a header and sums the bytes that it takes. */
class HeaderReader {
  readonly #source: ByteSource;
  readonly #engine: GzipEngine;
  #crc = 0;

  constructor(source: ByteSource, engine: GzipEngine) {
    this.#source = source;
    this.#engine = engine;
  }

  /** What is at hand: at least `count` bytes. */
  async need(count: number): Promise<Uint8Array> {
    if (!(await this.#source.need(count))) throw truncated();
    return this.#source.chunk;
  }

  take(count: number): void {
    this.#crc = this.#engine.crc32(this.#source.chunk.subarray(0, count), this.#crc);
    this.#source.advance(count);
  }

  async skipExtra(): Promise<void> {
    let left = uint16(await this.need(2), 0);
    for (this.take(2); left > 0; ) {
      const count = Math.min(left, (await this.need(1)).length);
      this.take(count);
      left -= count;
    }
  }

  /** A name or a comment, with its NUL. */
  async skipText(): Promise<void> {
    for (let end = -1; end < 0; ) {
      const bytes = await this.need(1);
      end = bytes.indexOf(0);
      this.take(end < 0 ? bytes.length : end + 1);
    }
  }

  async checkCrc(): Promise<void> {
    const stored = uint16(await this.need(2), 0);
    if (stored !== (this.#crc & 0xffff)) throw corrupt('gzip', 'its header checksum does not match');
    this.#source.advance(2);
  }
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

function uint32(bytes: Uint8Array, at: number): number {
  return (uint16(bytes, at) | (uint16(bytes, at + 2) << 16)) >>> 0;
}
