/** Decompresses one blob with every implementation that this runtime has: `GZIP ZSTD RUNS`, prints JSON. Node and Deno. */
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { decodeGzip } from '../../src/core/codec/gzip-members.ts';
import { pakoEngine } from '../../src/core/codec/gzip-portable.ts';
import { codecOf } from '../../src/core/codec/portable.ts';
import type { Compression } from '../../src/core/ports/codecs.ts';
import { createHashers } from '../../src/platform/codecs/hashers.ts';
import { createCodecs } from '../../src/platform/codecs/native-codecs.ts';

/** Decompressed bytes a second, one number a run. */
export interface ProbeResult {
  readonly codec: Compression | 'sha256';
  readonly implementation: 'native' | 'portable' | 'pako';
  readonly rates: readonly number[];
}

const CHUNK = 256 * 1024;

function chunks(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        // A copy, which a Buffer's own slice is not: chunks become the decoder's.
        controller.enqueue(Uint8Array.from(bytes.subarray(at, at + CHUNK)));
        at += CHUNK;
      },
    },
    { highWaterMark: 0 },
  );
}

async function rateOf(work: () => Promise<number> | number, runs: number): Promise<number[]> {
  const rates: number[] = [];
  for (let run = 0; run <= runs; run++) {
    const began = performance.now();
    const bytes = await work();
    const rate = (bytes / (performance.now() - began)) * 1000;
    // The first is for the compilers to warm up on.
    if (run > 0) rates.push(rate);
  }
  return rates;
}

const [gzip = '', zstd = '', runs = '3'] = process.argv.slice(2);
const codecs = createCodecs();
/** Portable gzip where there is no WebAssembly. */
const pako = codecOf('gzip', 'portable', 'pako', (source) => decodeGzip(source, pakoEngine));
const results: ProbeResult[] = [];
for (const [codec, path] of [
  ['gzip', gzip],
  ['zstd', zstd],
] as const) {
  const bytes = readFileSync(path);
  for (const implementation of ['native', 'portable', 'pako'] as const) {
    if (implementation === 'pako' && codec !== 'gzip') continue;
    const found =
      implementation === 'pako' ? pako : await codecs.get(codec, implementation).catch(() => undefined);
    if (found === undefined) continue;
    const decode = async () => {
      let size = 0;
      for await (const chunk of found.decode(chunks(bytes))) size += chunk.length;
      return size;
    };
    results.push({ codec, implementation, rates: await rateOf(decode, Number(runs)) });
  }
}
const bytes = readFileSync(gzip);
const hash = () => {
  const hasher = createHashers().create('sha256');
  for (let at = 0; at < bytes.length; at += CHUNK) hasher.update(bytes.subarray(at, at + CHUNK));
  hasher.digest();
  return bytes.length;
};
results.push({ codec: 'sha256', implementation: 'native', rates: await rateOf(hash, Number(runs)) });
console.log(JSON.stringify(results));
