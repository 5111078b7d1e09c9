import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { crc32 } from '../../../src/core/codec/crc32.ts';
import { testBytes } from '../../support/streams.ts';

test('crc32 has the check value of its definition', () => {
  assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});

test("crc32 equals zlib's at every length and alignment, and can be continued", () => {
  const data = testBytes('random', 5000, 42);
  for (let length = 0; length < 70; length++)
    for (const from of [0, 1, 2, 3]) {
      const part = data.subarray(from, from + length);
      assert.equal(crc32(part), zlib.crc32(part));
    }
  for (const cut of [1, 2, 3, 1000, 4999])
    assert.equal(crc32(data.subarray(cut), crc32(data.subarray(0, cut))), zlib.crc32(data));
});
