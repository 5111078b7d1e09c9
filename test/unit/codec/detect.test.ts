import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DETECT_LENGTH, detectCompression } from '../../../src/core/codec/formats.ts';
import { peek } from '../../../src/core/codec/peek.ts';
import { collect, sourceOf, testBytes } from '../../support/streams.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);

test('detectCompression tells by the magic numbers alone', () => {
  assert.equal(detectCompression(bytes(0x1f, 0x8b, 8, 0)), 'gzip');
  assert.equal(detectCompression(bytes(0x1f, 0x8b, 7, 0)), 'identity');
  assert.equal(detectCompression(bytes(0x1f, 0x8b)), 'identity');
  assert.equal(detectCompression(bytes(0x28, 0xb5, 0x2f, 0xfd)), 'zstd');
  for (let low = 0x50; low <= 0x5f; low++)
    assert.equal(detectCompression(bytes(low, 0x2a, 0x4d, 0x18, 0, 0, 0, 0)), 'zstd');
  assert.equal(detectCompression(bytes(0x60, 0x2a, 0x4d, 0x18, 0, 0, 0, 0)), 'identity');
  assert.equal(detectCompression(bytes(0x50, 0x2a, 0x4d, 0x18, 0, 0, 0)), 'identity');
  assert.equal(detectCompression(bytes()), 'identity');
  assert.equal(detectCompression(bytes(0x42, 0x5a, 0x68, 0x39)), 'identity');
});

test('peek gives the head and then all of the stream', async () => {
  const data = testBytes('random', 1000);
  for (const size of [1, 3, 8, 9, 1000]) {
    const { head, stream } = await peek(sourceOf(data, size).stream, DETECT_LENGTH);
    assert.deepEqual(head, data.subarray(0, 8));
    assert.deepEqual(await collect(stream), data);
  }
});

test('peek of a shorter stream gives what there is', async () => {
  for (const length of [0, 1, 7]) {
    const data = testBytes('random', length);
    const { head, stream } = await peek(sourceOf(data, 2).stream, 8);
    assert.deepEqual(head, data);
    assert.deepEqual(await collect(stream), data);
  }
});

test('cancelling what peek gave cancels the source', async () => {
  const source = sourceOf(testBytes('random', 100), 10);
  const { stream } = await peek(source.stream, 8);
  await stream.cancel('enough');
  assert.equal(source.cancelled()?.reason, 'enough');
  assert.equal(source.given(), 10);
});

test('an abort while peek waits cancels the source and rejects with the reason', async () => {
  const source = sourceOf(bytes(1), 1, { stall: true });
  const stop = new AbortController();
  const peeking = peek(source.stream, 8, { signal: stop.signal });
  const reason = new Error('stop');
  setTimeout(() => stop.abort(reason), 5);
  await assert.rejects(peeking, (err) => err === reason);
  assert.equal(source.cancelled()?.reason, reason);
});
