import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { compress, decompressFrame } from '../../../src/core/codec/zstd-oneshot.ts';
import { isKind, type Kind } from '../../../src/core/errors.ts';
import { concat, testBytes } from '../../support/streams.ts';

const MIB = 1024 * 1024;
const is = (kind: Kind) => (err: unknown) => isKind(err, kind) || assert.fail(String(err));

test('what compress makes, zlib and decompressFrame read', async () => {
  for (const kind of ['text', 'random'] as const)
    for (const length of [0, 1, 100, 300, 65_800, 3 * MIB]) {
      const data = testBytes(kind, length);
      const packed = await compress(data, 3);
      assert.equal(Buffer.compare(zlib.zstdDecompressSync(packed), data), 0);
      assert.equal(Buffer.compare(await decompressFrame(packed, length), data), 0);
    }
});

test('levels change the size', async () => {
  const data = concat(...Array.from({ length: 40 }, (_, i) => testBytes('text', 20_000, i * i)));
  assert.ok((await compress(data, 19)).length < (await compress(data, 1)).length);
});

test('more than maxSize is ResourceExhausted, with and without content size, and does not take the memory', async () => {
  const data = testBytes('text', 3 * MIB);
  const packed = await compress(data);
  await assert.rejects(decompressFrame(packed, 3 * MIB - 1), is('ResourceExhausted'));
  const streamed = await zstdStreamed(data);
  assert.equal(Buffer.compare(await decompressFrame(streamed, 3 * MIB), data), 0);
  await assert.rejects(decompressFrame(streamed, 1000), is('ResourceExhausted'));
  // A content size of 2^60 for one byte.
  const lie = Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x38, 0, 0, 0, 0, 0, 0, 0, 0x10, 9, 0, 0, 0x61]);
  await assert.rejects(decompressFrame(lie, MIB), is('DataLoss'));
});

async function zstdStreamed(data: Uint8Array): Promise<Uint8Array> {
  const encoder = zlib.createZstdCompress();
  encoder.write(data);
  encoder.end();
  const chunks: Uint8Array[] = [];
  for await (const chunk of encoder) chunks.push(chunk);
  return concat(...chunks);
}

test('damaged, cut and foreign data is DataLoss', async () => {
  const packed = zlib.zstdCompressSync(testBytes('text', 5000), {
    params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 },
  });
  for (let length = 0; length < packed.length; length++)
    await assert.rejects(decompressFrame(packed.subarray(0, length), 5000), is('DataLoss'));
  const bad = concat(packed);
  bad[bad.length - 1] = (bad[bad.length - 1] ?? 0) ^ 1;
  await assert.rejects(decompressFrame(bad, 5000), is('DataLoss'));
  await assert.rejects(decompressFrame(new TextEncoder().encode('no frame at all'), 10), is('DataLoss'));
});

test('several frames and skippable ones are read', async () => {
  const skippable = Uint8Array.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7]);
  const packed = concat(
    skippable,
    await compress(testBytes('text', 10)),
    skippable,
    await compress(testBytes('text', 20)),
  );
  assert.deepEqual(await decompressFrame(packed, 30), concat(testBytes('text', 10), testBytes('text', 20)));
});
