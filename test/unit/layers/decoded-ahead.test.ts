/** Layers that are decoded before anything of them is applied. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AheadCodecs } from '../../../src/core/layers/decoded-ahead.ts';

test('decoded ahead: what is held is as large as what was decoded, although outputs are views of larger buffers', async () => {
  const OUTPUTS = 1000;
  let left = OUTPUTS;
  const decoded = new ReadableStream<Uint8Array>({
    pull(out) {
      // As zlib gives a byte: at the start of a buffer for many.
      if (left-- > 0) out.enqueue(new Uint8Array(16 * 1024).fill(left).subarray(0, 1));
      else out.close();
    },
  });
  const codec = { library: 'none', decode: () => decoded } as never;
  const ahead = new AheadCodecs({ get: async () => codec }, OUTPUTS, async () => {});
  const reading = (await ahead.get('gzip')).decode(new ReadableStream());
  let held = 0;
  let sum = 0;
  for await (const bytes of reading) {
    held += bytes.buffer.byteLength;
    sum += bytes[0] ?? 0;
  }
  assert.equal(held, OUTPUTS);
  assert.equal(
    sum,
    Array.from({ length: OUTPUTS }, (_, at) => at % 256).reduce((a, b) => a + b),
  );
  assert.equal(ahead.exceeded, false);
});
