/**
 * gzip framing (RFC 1952), the same over every inflater, so that all accept and refuse the same input:
 * members follow one another; after a complete member, bytes that do not start another one (1f 8b 08) are ignored;
 * anything cut short or not matching its CRC-32 and length is DataLoss, empty input included.
 */
import { corrupt, tooMany } from './detect.ts';
import { release } from './release.ts';
import type { ByteSource } from './source.ts';

/** How far one piece of input brought an inflater. Less than all of it is used only when the deflate stream ended. */
export interface Inflated {
  readonly used: number;
  readonly ended: boolean;
}

/** Inflates one deflate stream (RFC 1951) at a time. Chunks it yields are the reader's to keep. */
export interface Inflater {
  /** Throws DataLoss. */
  decode(input: Uint8Array): AsyncGenerator<Uint8Array, Inflated, undefined>;
  /** Ready for the next deflate stream. */
  reset(): void;
  close(): void;
}

export interface GzipEngine {
  open(): Inflater;
  crc32(bytes: Uint8Array, crc: number): number;
  /** A whole deflate stream at the start of `input` in one step; `undefined` when it is longer or too large for that. */
  inflateSmall?(input: Uint8Array): { output: Uint8Array; used: number } | undefined;
}

/** A member up to this size makes us expect more of them, as archives that can be sought in have one a file. */
const SMALL = 256 * 1024;

/** As many as a layer may have entries: formats that can be sought in have a member a file or more. */
const MAX_MEMBERS = 10_000_000;

/** So much of a first piece is inflated in one call, in the hope that it is all. */
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
    // What begins with little is likely little in all.
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
  let crc = 0;
  let size = 0;
  let used = 0;
  const quick = expectSmall ? engine.inflateSmall?.(source.chunk) : undefined;
  if (quick !== undefined) {
    source.advance(quick.used);
    used = quick.used;
    size = quick.output.length;
    crc = engine.crc32(quick.output, 0);
    if (size > 0) yield quick.output;
  } else {
    inflater.reset();
    for (let ended = false; !ended; ) {
      if (!(await source.need(1))) throw truncated();
      const input = source.chunk;
      const run = inflater.decode(input);
      let step = await run.next();
      for (; !step.done; step = await run.next()) {
        crc = engine.crc32(step.value, crc);
        size += step.value.length;
        yield step.value;
      }
      source.advance(step.value.used);
      if (step.value.used === input.length) release(input);
      used += step.value.used;
      ended = step.value.ended;
    }
  }
  await checkTrailer(source, crc, size);
  return used <= SMALL;
}

async function checkTrailer(source: ByteSource, crc: number, size: number): Promise<void> {
  if (!(await source.need(8))) throw truncated();
  if (uint32(source.chunk, 0) !== crc) throw corrupt('gzip', 'its checksum (CRC-32) does not match');
  if (uint32(source.chunk, 4) !== size % 2 ** 32) throw corrupt('gzip', 'its length (ISIZE) does not match');
  source.advance(8);
}

/** RFC 1952 section 2.3: the fixed ten bytes, then what the flags announce. Names may be long; none is kept. */
async function skipHeader(source: ByteSource, engine: GzipEngine): Promise<void> {
  let crc = 0;
  const take = (count: number): void => {
    crc = engine.crc32(source.chunk.subarray(0, count), crc);
    source.advance(count);
  };
  const need = async (count: number): Promise<Uint8Array> => {
    if (!(await source.need(count))) throw truncated();
    return source.chunk;
  };
  const [id1, id2, method, flags = 0] = await need(10);
  if (id1 !== 0x1f || id2 !== 0x8b) throw corrupt('gzip', 'it does not start with a gzip header');
  if (method !== 8 || (flags & 0xe0) !== 0) throw corrupt('gzip', 'its header has unknown methods or flags');
  take(10);
  if (flags & 0x04) {
    let left = uint16(await need(2), 0);
    for (take(2); left > 0; ) {
      const count = Math.min(left, (await need(1)).length);
      take(count);
      left -= count;
    }
  }
  for (const flag of [0x08, 0x10]) {
    for (let ended = (flags & flag) === 0; !ended; ) {
      const end = (await need(1)).indexOf(0);
      take(end < 0 ? source.chunk.length : end + 1);
      ended = end >= 0;
    }
  }
  if (flags & 0x02) {
    if (uint16(await need(2), 0) !== (crc & 0xffff))
      throw corrupt('gzip', 'its header checksum does not match');
    source.advance(2);
  }
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

function uint32(bytes: Uint8Array, at: number): number {
  return (uint16(bytes, at) | (uint16(bytes, at + 2) << 16)) >>> 0;
}
