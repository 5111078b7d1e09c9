/** gzip and zstd, damaged and whole: the runtime's decoder and the portable one agree on every byte and every refusal (H66). */
import zlib from 'node:zlib';
import { Deflate, Z_DEFAULT_STRATEGY, Z_FINISH, Z_HUFFMAN_ONLY, Z_PARTIAL_FLUSH } from 'pako';
import { decodeGzip } from '../../src/core/codec/gzip-members.ts';
import { codecOf } from '../../src/core/codec/portable.ts';
import { decompressFrame } from '../../src/core/codec/zstd-oneshot.ts';
import { isKind, type Kind } from '../../src/core/errors.ts';
import type { Codec, Compression } from '../../src/core/ports/codecs.ts';
import { linkedFunctions } from '../../src/platform/codecs/decoder-functions.ts';
import { createCodecs, zlibEngine } from '../../src/platform/codecs/native-codecs.ts';
import { concat, sourceOf } from '../support/streams.ts';
import { many, mutate, type Next, pick, randomBytes, rarely, seeded } from './random.ts';
import { type AnyTarget, bytesTarget, Finding, type Outcome, outcomeOf } from './target.ts';

const ERRORS: readonly Kind[] = ['DataLoss', 'ResourceExhausted', 'NotImplemented'];
const codecs = createCodecs();
/** More output than this is not looked at: bombs have their own tests. */
const MAX_OUTPUT = 8 * 2 ** 20;

function plain(next: Next): Uint8Array {
  const length = pick(next, [0, 1, next(50), next(3000), 70_000]);
  if (next(2)) return randomBytes(next, Math.min(length, 3000));
  const word = randomBytes(next, 1 + next(20));
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += word.length) out.set(word.subarray(0, length - at), at);
  return out;
}

/** A stream that no output buffer of a decoder holds, in small blocks: a buffer is full anywhere in a block, at its end, too. */
function smallBlocks(next: Next): Uint8Array {
  const length = 300_000 + next(1_700_000);
  const letters = 1 + next(pick(next, [4, 20, 256]));
  const size = 100 + next(pick(next, [300, 300, 5000]));
  const strategy = pick(next, [Z_HUFFMAN_ONLY, Z_DEFAULT_STRATEGY]);
  const deflate = new Deflate({ raw: true, level: 1 + next(6), strategy });
  const text = randomBytes(next, 20_000).map((byte) => byte % letters);
  for (let done = 0; done < length; done += size) {
    const from = next(text.length - size);
    deflate.push(text.subarray(from, from + size), Z_PARTIAL_FLUSH);
  }
  deflate.push(new Uint8Array(0), Z_FINISH);
  return deflate.result as Uint8Array;
}

function gzipMember(next: Next): Uint8Array {
  const level = next(10);
  const raw = rarely(next, 200)
    ? smallBlocks(next)
    : zlib.deflateRawSync(plain(next), { level, strategy: next(5) });
  if (rarely(next, 2)) return zlib.gzipSync(plain(next), { level });
  const content = zlib.inflateRawSync(raw);
  const flags = next(32);
  const head: number[] = [0x1f, 0x8b, 8, flags, ...randomBytes(next, 6)];
  if (flags & 4) {
    const extra = next(300);
    head.push(extra & 255, extra >> 8, ...randomBytes(next, extra));
  }
  for (const flag of [8, 16]) if (flags & flag) head.push(...many(next, 300, () => 1 + next(255)), 0);
  const crc = zlib.crc32(Uint8Array.from(head)) & 0xffff;
  if (flags & 2) head.push(crc & 255, crc >> 8);
  const trailer = new DataView(new ArrayBuffer(8));
  trailer.setUint32(0, zlib.crc32(content), true);
  trailer.setUint32(4, content.length, true);
  return concat(Uint8Array.from(head), raw, new Uint8Array(trailer.buffer));
}

function zstdFrame(next: Next): Uint8Array {
  if (rarely(next, 6))
    return concat(Uint8Array.of(0x50 + next(16), 0x2a, 0x4d, 0x18, next(40), 0, 0, 0), randomBytes(next, 40));
  if (next(2)) {
    const { ZSTD_c_checksumFlag, ZSTD_c_compressionLevel, ZSTD_c_windowLog, ZSTD_c_contentSizeFlag } =
      zlib.constants;
    const params = {
      [ZSTD_c_checksumFlag]: next(2),
      [ZSTD_c_compressionLevel]: pick(next, [-5, 1, 3, 9]),
      [ZSTD_c_windowLog]: 10 + next(10),
      [ZSTD_c_contentSizeFlag]: next(2),
    };
    return zlib.zstdCompressSync(plain(next), { params });
  }
  return concat(zstdHeader(next), ...zstdBlocks(next));
}

/** RFC 8878 3.1.1.1, each field as odd as may be. */
function zstdHeader(next: Next): Uint8Array {
  const descriptor = pick(next, [0x00, 0x20, 0x40, 0x60, 0x80, 0xa0, 0xe0, 0x04, next(256)]);
  const single = (descriptor & 0x20) !== 0;
  const window = single ? [] : [pick(next, [0, next(256), 17 << 3, (17 << 3) | 1])];
  const dictionary = new Uint8Array([0, 1, 2, 4][descriptor & 3] ?? 0).fill(pick(next, [0, 0, 7]));
  const size = new Uint8Array([single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0);
  if (size.length > 0) size[0] = next(60);
  return concat(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, descriptor, ...window), dictionary, size);
}

function zstdBlocks(next: Next): Uint8Array[] {
  const count = 1 + next(4);
  return Array.from({ length: count }, (_, i) => {
    const type = pick(next, [0, 0, 1, 1, 2, 3]);
    const length = pick(next, [0, 1, next(60), next(2 ** 17), 2 ** 17 + next(2)]);
    const stored = type === 1 ? 1 : type === 0 ? Math.min(length, 500) : Math.min(length, 60);
    const size = type === 1 ? length : stored;
    const header = (size << 3) | (type << 1) | (i === count - 1 ? 1 : 0);
    return concat(Uint8Array.of(header & 255, (header >> 8) & 255, header >> 16), randomBytes(next, stored));
  });
}

const generator = (make: (next: Next) => Uint8Array) => (next: Next) => {
  const all = concat(
    ...many(next, 4, () => make(next)),
    rarely(next, 4) ? randomBytes(next, next(20)) : new Uint8Array(0),
  );
  return rarely(next, 3) ? all : mutate(next, all, 2);
};

/** The output, as far as it came, and how it ended. */
async function decode(
  compression: Compression,
  choice: 'native' | 'portable',
  input: Uint8Array,
): Promise<Outcome<string>> {
  return decodeBy(await codecs.get(compression, choice), input);
}

async function decodeBy(codec: Codec, input: Uint8Array): Promise<Outcome<string>> {
  const next = seeded(input.length);
  return outcomeOf(ERRORS, async () => {
    let length = 0;
    let crc = 0;
    const size = 1 + next(pick(next, [30, 3000, 2 ** 17]));
    // Not too many pieces.
    const { stream } = sourceOf(input, Math.max(size, input.length >> 13));
    for await (const chunk of codec.decode(stream)) {
      crc = zlib.crc32(chunk, crc);
      length += chunk.length;
      if (length > MAX_OUTPUT) return 'more';
    }
    return `${length} bytes, CRC ${crc}`;
  });
}

/** Which of several faults is met first may differ. */
function agree(one: Outcome<string>, two: Outcome<string>): void {
  const brief = (result: Outcome<string>): string => ('error' in result ? 'refused' : result.value);
  if (brief(one) !== brief(two))
    throw new Finding(`decoders differ: ${JSON.stringify(one)} and ${JSON.stringify(two)}`);
}

const linked = linkedFunctions() !== undefined;
const byZlib = codecOf('gzip', 'native', 'zlib', (source) => decodeGzip(source, zlibEngine));

async function executeGzip(input: Uint8Array): Promise<void> {
  const native = await decode('gzip', 'native', input);
  agree(native, await decode('gzip', 'portable', input));
  // Both are ISA-L then.
  if (linked) agree(native, await decodeBy(byZlib, input));
}

/**
 * Where the runtime has no decoder of its own, the one for whole frames is the other. Whether that refuses an input says nothing
 * (undefined when it does): it also holds a frame to the content size that it declares, which zstd's decoder of streams does
 * not when the last block is empty; and it takes compressed blocks that expand beyond the window, which newer ones refuse.
 */
async function wholeZstd(input: Uint8Array): Promise<Outcome<string> | undefined> {
  const whole = await outcomeOf(ERRORS, async () => {
    const all = await decompressFrame(input, MAX_OUTPUT);
    return `${all.length} bytes, CRC ${zlib.crc32(all)}`;
  });
  return 'error' in whole ? undefined : whole;
}

async function hasNativeZstd(): Promise<boolean> {
  try {
    await codecs.get('zstd', 'native');
    return true;
  } catch (err) {
    if (!isKind(err, 'NotImplemented')) throw err;
    return false;
  }
}

async function executeZstd(input: Uint8Array): Promise<void> {
  const portable = await decode('zstd', 'portable', input);
  if (await hasNativeZstd()) return agree(await decode('zstd', 'native', input), portable);
  const whole = await wholeZstd(input);
  if (whole !== undefined && !('error' in portable)) agree(whole, portable);
}

export const codecTargets: readonly AnyTarget[] = [
  bytesTarget({ name: 'gzip', generate: generator(gzipMember), execute: executeGzip }),
  bytesTarget({ name: 'zstd', generate: generator(zstdFrame), execute: executeZstd }),
];
