import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteSource } from '../../../src/core/codec/source.ts';
import { zstdFrames } from '../../../src/core/codec/zstd-frames.ts';
import { compress, decompressFrame } from '../../../src/core/codec/zstd-oneshot.ts';
import { isKind } from '../../../src/core/errors.ts';
import { concat, sourceOf, testBytes } from '../../support/streams.ts';

const SKIPPABLE = Uint8Array.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

interface Part {
  readonly length: number;
  readonly end: boolean;
}

/** What the walk gives, after checking that together it is `want`. */
async function parts(packed: Uint8Array, want: Uint8Array, size: number, split: boolean): Promise<Part[]> {
  const source = new ByteSource(sourceOf(packed, size).stream.getReader());
  const out: Part[] = [];
  const all: Uint8Array[] = [];
  for await (const { bytes, frameEnd } of zstdFrames(source, split)) {
    out.push({ length: bytes.length, end: frameEnd });
    all.push(bytes);
  }
  assert.deepEqual(concat(...all), want);
  return out;
}

function framesOf(...lengths: readonly number[]): Promise<Uint8Array[]> {
  return Promise.all(lengths.map((length) => compress(testBytes('random', length))));
}

test('split gives parts of one frame each, joined as few as possible', async () => {
  const frames = await framesOf(10, 5000, 70_000);
  const packed = concat(...frames);
  assert.deepEqual(
    await parts(packed, packed, packed.length, true),
    frames.map((frame) => ({ length: frame.length, end: true })),
  );
  assert.deepEqual(await parts(packed, packed, packed.length, false), [{ length: packed.length, end: true }]);
});

test('skippable frames are left out and end a part', async () => {
  const [a = SKIPPABLE, b = SKIPPABLE] = await framesOf(10, 20);
  const packed = concat(SKIPPABLE, a, SKIPPABLE, SKIPPABLE, b, SKIPPABLE);
  const want = [a, b].map((frame) => ({ length: frame.length, end: true }));
  assert.deepEqual(await parts(packed, concat(a, b), packed.length, false), want);
});

test('at every chunk size the bytes of all frames come out, and ends are told exactly', async () => {
  const frames = await framesOf(0, 1, 300, 3000);
  const packed = concat(SKIPPABLE, ...frames, SKIPPABLE);
  const ends = frames.map((_, at) => frames.slice(0, at + 1).reduce((sum, frame) => sum + frame.length, 0));
  for (const size of [1, 2, 3, 4, 5, 17, 1000]) {
    const seen: number[] = [];
    let total = 0;
    for (const part of await parts(packed, concat(...frames), size, true)) {
      total += part.length;
      if (part.end) seen.push(total);
    }
    assert.deepEqual(seen, ends, `chunks of ${size}`);
  }
});

test('a source is read to its end', async () => {
  const source = sourceOf(concat(await compress(testBytes('text', 9)), SKIPPABLE), 5);
  const bytes = new ByteSource(source.stream.getReader());
  for await (const part of zstdFrames(bytes, false)) assert.ok(part.bytes.length > 0);
  assert.equal(bytes.chunk.length, 0);
});

test('more frames than allowed, empty and skippable ones counted', async () => {
  const [frame = SKIPPABLE] = await framesOf(0);
  const count = async (packed: Uint8Array): Promise<void> => {
    const bytes = new ByteSource(sourceOf(packed, 7).stream.getReader());
    for await (const part of zstdFrames(bytes, true, 3)) assert.ok(part.bytes.length > 0);
  };
  await count(concat(frame, SKIPPABLE, frame));
  for (const more of [frame, SKIPPABLE]) {
    await assert.rejects(count(concat(frame, SKIPPABLE, frame, more)), (err) =>
      isKind(err, 'ResourceExhausted'),
    );
  }
});

test('found by fuzzing: a compressed block or a run of no bytes is damage, however it is cut', async () => {
  const frame = (...blocks: number[]): Uint8Array =>
    Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, ...blocks);
  const damage = (err: unknown): boolean =>
    isKind(err, 'DataLoss') && /empty block is not raw/.test(String(err));
  for (const packed of [
    frame(0x05, 0, 0),
    frame(0, 0, 0, 0x05, 0, 0),
    frame(0x04, 0, 0, 0x01, 0, 0),
    frame(0x03, 0, 0, 7),
  ]) {
    for (const split of [true, false]) await assert.rejects(parts(packed, packed, 100, split), damage);
    await assert.rejects(decompressFrame(packed, 100), damage);
  }
  const empty = frame(0x01, 0, 0);
  assert.deepEqual(await parts(empty, empty, 100, true), [{ length: empty.length, end: true }]);
});

test('found by fuzzing: a block larger than the window is damage, a run of one byte too', async () => {
  const blockOf = (size: number, type: number): number[] => {
    const header = (size << 3) | (type << 1) | 1;
    return [header & 255, (header >> 8) & 255, header >> 16];
  };
  const window1K = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00];
  const raw = (size: number) => Uint8Array.from([...window1K, ...blockOf(size, 0), ...new Uint8Array(size)]);
  const run = (size: number) => Uint8Array.from([...window1K, ...blockOf(size, 1), 7]);
  for (const make of [raw, run]) {
    assert.equal((await decompressFrame(make(1024), 5000)).length, 1024);
    await assert.rejects(decompressFrame(make(1025), 5000), (err) => isKind(err, 'DataLoss'));
  }
});
