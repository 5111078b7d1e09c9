import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { decodeGzip } from '../../../src/core/codec/gzip-members.ts';
import { wasmGzipEngine } from '../../../src/core/codec/gzip-wasm.ts';
import { ByteSource } from '../../../src/core/codec/source.ts';
import { concat, sourceOf, testBytes } from '../../support/streams.ts';

const FIRST_INPUT = 4096;

/** How many bytes `work` copies by `set`. */
async function copied(work: () => Promise<void>): Promise<number> {
  const { set } = Uint8Array.prototype;
  let bytes = 0;
  Uint8Array.prototype.set = function (from: ArrayLike<number>, at?: number) {
    bytes += from.length;
    set.call(this, from, at);
  };
  try {
    await work();
  } finally {
    Uint8Array.prototype.set = set;
  }
  return bytes;
}

test('gzip in WebAssembly copies little more than each member has', async () => {
  const engine = await wasmGzipEngine();
  for (const [count, length] of [
    [2000, 0],
    [200, 9000],
    [3, 900_000],
  ] as const) {
    const parts = Array.from({ length: count }, (_, at) => testBytes('random', length, at));
    const packed = concat(...parts.map((part) => gzipSync(part)));
    let output = new Uint8Array(0);
    const source = new ByteSource(sourceOf(packed, packed.length).stream.getReader());
    const bytes = await copied(async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of decodeGzip(source, engine)) chunks.push(chunk);
      output = Buffer.concat(chunks);
    });
    assert.ok(bytes > 0);
    assert.ok(bytes <= count * FIRST_INPUT + 5 * packed.length, `${count} of ${length}: ${bytes} bytes`);
    assert.equal(Buffer.compare(output, concat(...parts)), 0);
  }
});
