/** What every codec must do: the same bytes accepted, the same refused, by every implementation on every runtime. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { isKind, type Kind } from '../../src/core/errors.ts';
import type { Codec, CodecChoice, Codecs, Compression } from '../../src/core/ports/codecs.ts';
import { fewLetters, gzipInBlocks } from '../support/small-blocks.ts';
import { collect, concat, sourceOf, testBytes } from '../support/streams.ts';

const MIB = 1024 * 1024;
const bytes = (...values: number[]) => Uint8Array.from(values);
const text = (value: string) => new TextEncoder().encode(value);

const SKIPPABLE = bytes(0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 9, 9, 9, 9, 9);

/** Frames without content size, as streaming encoders make them. */
async function zstdStreamed(data: Uint8Array, params: Record<number, number> = {}): Promise<Uint8Array> {
  const encoder = zlib.createZstdCompress({ params });
  const done = collectNode(encoder);
  for (let at = 0; at < data.length; at += 70_000) encoder.write(data.subarray(at, at + 70_000));
  encoder.end();
  return done;
}

async function collectNode(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return concat(...chunks);
}

const PACK: Record<Exclude<Compression, 'identity'>, (data: Uint8Array) => Uint8Array> = {
  gzip: (data) => zlib.gzipSync(data, { level: 1 }),
  zstd: (data) =>
    zlib.zstdCompressSync(data, {
      params: { [zlib.constants.ZSTD_c_checksumFlag]: 1, [zlib.constants.ZSTD_c_compressionLevel]: 1 },
    }),
};

interface Under {
  decode(packed: Uint8Array, size?: number): Promise<Uint8Array>;
  refuses(packed: Uint8Array, kind: Kind, size?: number): Promise<void>;
  readonly codec: Codec;
}

/** `by` names the implementation in the titles. */
export function codecsSuite(
  codecs: Codecs,
  choice: CodecChoice,
  compression: Compression,
  by: string = choice,
): void {
  const under = async (): Promise<Under> => {
    const codec = await codecs.get(compression, choice);
    const decode = (packed: Uint8Array, size = 65_536) =>
      collect(codec.decode(sourceOf(packed, size).stream));
    return {
      codec,
      decode,
      refuses: (packed, kind, size) =>
        assert.rejects(decode(packed, size), (err) => {
          assert.ok(isKind(err, kind), `want ${kind}, got ${String(err)}`);
          return true;
        }),
    };
  };
  const check = (title: string, body: (codec: Under) => Promise<void>) =>
    test(`codecs/${compression}/${by}: ${title}`, async () => body(await under()));

  check('is what was asked for', async ({ codec }) => {
    assert.equal(codec.compression, compression);
    if (choice !== 'auto') assert.equal(codec.implementation, choice);
  });
  streaming(check, compression === 'identity' ? (data) => data : PACK[compression]);
  if (compression === 'gzip') gzip(check);
  if (compression === 'zstd') zstd(check);
}

type CheckFn = (title: string, body: (codec: Under) => Promise<void>) => void;

function streaming(check: CheckFn, pack: (data: Uint8Array) => Uint8Array): void {
  for (const kind of ['text', 'random'] as const) {
    for (const [length, sizes] of [
      [0, [1, 7, 65_536]],
      [1, [1, 7, 65_536]],
      [5000, [1, 7, 65_536]],
      [MIB + 1, [65_536, 1_000_003]],
      [40 * MIB, [65_536]],
    ] as const) {
      check(`${length} bytes of ${kind} come back`, async ({ decode }) => {
        const data = testBytes(kind, length);
        const packed = pack(data);
        // Nothing may be empty but a stream of no compression.
        for (const size of sizes)
          assert.equal(Buffer.compare(await decode(packed, size), data), 0, `chunks of ${size}`);
      });
    }
  }
  check('1-byte and 7-byte chunks of a larger stream come back', async ({ decode }) => {
    const data = testBytes('text', 40_000);
    assert.equal(Buffer.compare(await decode(pack(data), 1), data), 0);
    const noise = testBytes('random', 60_000);
    assert.equal(Buffer.compare(await decode(pack(noise), 7), noise), 0);
  });
  check("chunks are the reader's to keep, empty input chunks are nothing", async ({ codec }) => {
    const data = testBytes('random', 3 * MIB);
    const packed = pack(data);
    const parts = [
      packed.subarray(0, 9),
      bytes(),
      packed.subarray(9, 2 * MIB),
      bytes(),
      packed.subarray(2 * MIB),
    ];
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        const part = parts.shift();
        if (part === undefined) controller.close();
        else controller.enqueue(part);
      },
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of codec.decode(source)) {
      assert.ok(chunk.length > 0);
      chunks.push(chunk);
    }
    assert.equal(Buffer.compare(concat(...chunks), data), 0);
  });
  check('cancelling cancels the source with the reason', async ({ codec }) => {
    const source = sourceOf(pack(testBytes('random', 4 * MIB)), 65_536, { stall: true });
    const reader = codec.decode(source.stream).getReader();
    await reader.read();
    const reason = new Error('enough');
    await reader.cancel(reason);
    assert.equal(source.cancelled()?.reason, reason);
    assert.ok(source.given() < 4 * MIB);
  });
  check('cancelling while it waits for the source ends the wait', async ({ codec }) => {
    const source = sourceOf(pack(testBytes('random', 1000)).subarray(0, 20), 20, { stall: true });
    const reader = codec.decode(source.stream).getReader();
    while ((await Promise.race([reader.read().then(() => 'more'), tick()])) === 'more');
    await reader.cancel('stop');
    assert.equal(source.cancelled()?.reason, 'stop');
  });
  check('an abort rejects with its reason and cancels the source', async ({ codec }) => {
    const stop = new AbortController();
    const source = sourceOf(pack(testBytes('random', 4 * MIB)), 65_536, { stall: true });
    const reader = codec.decode(source.stream, { signal: stop.signal }).getReader();
    await reader.read();
    const reason = new Error('interrupted');
    stop.abort(reason);
    await assert.rejects(readAll(reader), (err) => err === reason);
    await tick();
    assert.equal(source.cancelled()?.reason, reason);
  });
  check('a signal aborted before rejects at once', async ({ codec }) => {
    const source = sourceOf(pack(bytes(1, 2, 3)), 65_536);
    const reason = new Error('before');
    const stream = codec.decode(source.stream, { signal: AbortSignal.abort(reason) });
    await assert.rejects(collect(stream), (err) => err === reason);
  });
  check('what the source throws comes through', async ({ codec }) => {
    const broken = new Error('network');
    const source = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(broken) });
    await assert.rejects(collect(codec.decode(source)), (err) => err === broken);
  });
  check('a reader that does not read stops the source', async ({ codec }) => {
    const packed = pack(testBytes('random', 32 * MIB));
    const source = sourceOf(packed, 65_536);
    const reader = codec.decode(source.stream).getReader();
    await reader.read();
    const quiet = await settled(source.given);
    assert.ok(quiet < 8 * MIB, `${quiet} bytes were taken`);
    await reader.cancel();
  });
}

/** Waits until a count stays the same for a while. */
async function settled(count: () => number): Promise<number> {
  for (let before = -1, same = 0; same < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    same = count() === before ? same + 1 : 0;
    before = count();
  }
  return count();
}

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

const tick = () => new Promise<'waiting'>((resolve) => setTimeout(() => resolve('waiting'), 20));

function gzip(check: CheckFn): void {
  const one = zlib.gzipSync(text('one '));
  const two = zlib.gzipSync(text('two'));
  const both = 'one two';
  const same = async (decoded: Promise<Uint8Array>, want: string) =>
    assert.equal(new TextDecoder().decode(await decoded), want);

  check('members follow one another, at every chunk size', async ({ decode }) => {
    for (const size of [1, 2, 3, 7, 23, 65_536]) await same(decode(concat(one, two), size), both);
    await same(decode(concat(one, zlib.gzipSync(bytes()), two)), both);
  });
  check('thousands of members, small and large', async ({ decode }) => {
    const parts = Array.from({ length: 3000 }, (_, i) =>
      testBytes('text', i % 500 === 7 ? 700_000 : i % 90, i),
    );
    const packed = concat(...parts.map((part) => zlib.gzipSync(part, { level: 1 })));
    for (const size of [4099, 1_000_000])
      assert.equal(Buffer.compare(await decode(packed, size), concat(...parts)), 0);
  });
  check('bytes after the last member that start no other are ignored', async ({ decode }) => {
    const junks = [
      bytes(0),
      new Uint8Array(70_000),
      text('signature'),
      bytes(0x1f),
      bytes(0x1f, 0x8c, 8),
      bytes(0x1f, 0x8b, 9, 1),
      testBytes('random', 300_000),
    ];
    for (const [at, junk] of junks.entries()) {
      if (at === 3) continue;
      for (const size of [1, one.length, 65_536].filter((n) => junk.length < 1000 || n > 1)) {
        await same(decode(concat(one, two, junk), size), both);
        await same(decode(concat(one, junk), size), 'one ');
      }
    }
    await same(decode(concat(one, new Uint8Array(5), two)), 'one ');
  });
  check('all of the source is read, what is ignored too', async ({ codec }) => {
    const source = sourceOf(concat(one, testBytes('random', 500_000)), 65_536);
    await collect(codec.decode(source.stream));
    assert.equal(source.given(), one.length + 500_000);
  });
  check('every optional header field is passed over', async ({ decode, refuses }) => {
    const header = (flags: number, ...fields: Uint8Array[]) =>
      concat(bytes(0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3), ...fields);
    const extra = concat(bytes(0x40, 0x9c), testBytes('random', 40_000));
    const name = concat(testBytes('text', 100_000), bytes(0));
    const head = header(0x1f, extra, name, text('comment\0'));
    const crc = zlib.crc32(head) & 0xffff;
    for (const size of [1, 7, 65_536]) {
      const packed = concat(head, bytes(crc & 255, crc >> 8), one.subarray(10));
      await same(decode(packed, size), 'one ');
    }
    await refuses(concat(head, bytes((crc & 255) ^ 1, crc >> 8), one.subarray(10)), 'DataLoss');
    await refuses(concat(header(0x20), one.subarray(10)), 'DataLoss');
  });
  check('cut short at every byte is DataLoss, empty input too', async ({ refuses }) => {
    for (let length = 0; length < one.length; length++) await refuses(one.subarray(0, length), 'DataLoss');
    const packed = concat(one, two);
    for (let length = one.length + 1; length < packed.length; length++)
      await refuses(packed.subarray(0, length), 'DataLoss', 9);
    const long = zlib.gzipSync(testBytes('text', 3 * MIB));
    await refuses(long.subarray(0, long.length - 9), 'DataLoss');
    await refuses(long.subarray(0, long.length >> 1), 'DataLoss');
    // In chunks of memory that is given back.
    const large = zlib.gzipSync(testBytes('random', 3 * MIB));
    for (const length of [large.length - 1, large.length - 8, large.length - 9, 2 * MIB])
      await refuses(large.subarray(0, length), 'DataLoss', MIB);
  });
  check('a wrong checksum, length, method or block is DataLoss', async ({ refuses }) => {
    for (const at of [one.length - 1, one.length - 5, 0, 1, 2, 10]) {
      const bad = concat(one);
      bad[at] = (bad[at] ?? 0) ^ 0xff;
      await refuses(bad, 'DataLoss');
      if (at >= 3) await refuses(concat(two, bad), 'DataLoss');
    }
    await refuses(text('plain text, no gzip'), 'DataLoss');
  });
  check('a damaged large stream is DataLoss', async ({ refuses }) => {
    const bad = zlib.gzipSync(testBytes('text', 5 * MIB));
    bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 0x55;
    await refuses(bad, 'DataLoss');
  });
  // ISA-L for arm64 before 2.32 (issue 316) took such a stream for ended, or refused the stream.
  check('many small blocks, each end of one beside each end of an output buffer', async ({ decode }) => {
    const data = fewLetters(700_000);
    for (const first of [255, 256, 257]) {
      const packed = gzipInBlocks(data, first, 256);
      assert.equal(Buffer.compare(await decode(packed), data), 0, `first block of ${first}`);
    }
  });
  check('a bomb is given out piece by piece', async ({ codec }) => {
    const packed = zlib.gzipSync(new Uint8Array(64 * MIB));
    await bomb(codec, packed, 64 * MIB);
  });
}

/** All of it from a single input chunk, with no output chunk above 1 MiB. */
async function bomb(codec: Codec, packed: Uint8Array, size: number): Promise<void> {
  let total = 0;
  for await (const chunk of codec.decode(sourceOf(packed, packed.length).stream)) {
    assert.ok(chunk.length <= MIB, `a chunk of ${chunk.length}`);
    total += chunk.length;
  }
  assert.equal(total, size);
}

function zstd(check: CheckFn): void {
  const one = PACK.zstd(text('one '));
  const two = zlib.zstdCompressSync(text('two'));
  const both = 'one two';
  const same = async (decoded: Promise<Uint8Array>, want: string) =>
    assert.equal(new TextDecoder().decode(await decoded), want);

  check('frames follow one another, skippable ones are passed over', async ({ decode }) => {
    const streams = [concat(one, two), concat(SKIPPABLE, one, SKIPPABLE, SKIPPABLE, two, SKIPPABLE)];
    for (const packed of streams) {
      for (const size of [1, 2, 3, 7, 23, 65_536]) await same(decode(packed, size), both);
    }
    await same(decode(SKIPPABLE), '');
    const big = concat(bytes(0x50, 0x2a, 0x4d, 0x18, 0, 0, 0x10, 0), new Uint8Array(MIB), one);
    await same(decode(big, 65_536), 'one ');
  });
  check('thousands of frames, small and large', async ({ decode }) => {
    const parts = Array.from({ length: 3000 }, (_, i) =>
      testBytes(i % 3 ? 'text' : 'random', i % 500 === 7 ? 700_000 : i % 90, i),
    );
    const packed = concat(...parts.map((part) => zlib.zstdCompressSync(part)));
    for (const size of [4099, 1_000_000])
      assert.equal(Buffer.compare(await decode(packed, size), concat(...parts)), 0);
  });
  check('frames without content size', async ({ decode }) => {
    for (const kind of ['text', 'random'] as const) {
      const data = testBytes(kind, 3 * MIB + 17);
      const packed = await zstdStreamed(data);
      for (const size of [777, 65_536]) assert.equal(Buffer.compare(await decode(packed, size), data), 0);
    }
  });
  check('a window of 128 MiB is decoded, a larger one is ResourceExhausted', async ({ decode, refuses }) => {
    // One frame with a window descriptor and one raw block.
    const frame = (window: number) => bytes(0x28, 0xb5, 0x2f, 0xfd, 0x00, window, 0x09, 0x00, 0x00, 0x61);
    await same(decode(frame((27 - 10) << 3)), 'a');
    await refuses(frame(((27 - 10) << 3) | 1), 'ResourceExhausted');
    await refuses(frame((31 - 10) << 3), 'ResourceExhausted');
    const single = bytes(0x28, 0xb5, 0x2f, 0xfd, 0xa0, 1, 0, 0, 8, 0x09, 0x00, 0x00, 0x61);
    await refuses(single, 'ResourceExhausted');
  });
  check('a dictionary is NotImplemented', async ({ refuses }) => {
    await refuses(bytes(0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 1, 0x09, 0, 0, 0x61), 'NotImplemented');
  });
  check('cut short at every byte is DataLoss, empty input too', async ({ refuses }) => {
    for (let length = 0; length < one.length; length++) await refuses(one.subarray(0, length), 'DataLoss');
    const packed = concat(SKIPPABLE, one);
    for (let length = 1; length < packed.length; length++)
      if (length !== SKIPPABLE.length) await refuses(packed.subarray(0, length), 'DataLoss', 9);
    const long = await zstdStreamed(testBytes('random', 3 * MIB));
    for (const length of [long.length - 1, long.length - 3, long.length >> 1])
      for (const size of [65_536, MIB]) await refuses(long.subarray(0, length), 'DataLoss', size);
  });
  check('what follows the last frame and is none is DataLoss', async ({ refuses }) => {
    for (const junk of [bytes(0), bytes(0, 0, 0, 0), text('signature'), bytes(0x28, 0xb5)])
      await refuses(concat(one, junk), 'DataLoss');
    await refuses(text('plain text, no zstd'), 'DataLoss');
  });
  check('damage is DataLoss', async ({ refuses }) => {
    const bad = concat(one);
    bad[bad.length - 1] = (bad[bad.length - 1] ?? 0) ^ 0xff;
    await refuses(bad, 'DataLoss');
    await refuses(bytes(0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 0x0f, 0, 0, 0x61), 'DataLoss');
    const text3 = PACK.zstd(testBytes('text', 3 * MIB));
    for (const at of [20, 30, text3.length >> 1]) {
      const damaged = concat(text3);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      await refuses(damaged, 'DataLoss');
    }
  });
  check('a bomb is given out piece by piece', async ({ codec }) => {
    await bomb(codec, zlib.zstdCompressSync(new Uint8Array(64 * MIB)), 64 * MIB);
  });
}
