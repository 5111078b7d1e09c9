/**
 * The decoders that are linked into the static executable, as threads: what codecs.test.ts does not ask. On any other program there
 * are none, and node:zlib decodes.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import zlib from 'node:zlib';
import { linkedFunctions } from '../../src/platform/codecs/decoder-functions.ts';
import { createCodecs } from '../../src/platform/codecs/native-codecs.ts';
import { execOk } from '../support/exec.ts';
import { isStatic } from '../support/ffi.ts';
import { needs } from '../support/needs.ts';
import { sourceOf, testBytes } from '../support/streams.ts';

const MIB = 1024 * 1024;
const FORMATS = ['gzip', 'zstd'] as const;
const codecs = createCodecs();
const linked = linkedFunctions() !== undefined;
const skip = linked ? false : 'only the static executable has linked decoders';

const pack = (format: 'gzip' | 'zstd', data: Uint8Array): Uint8Array =>
  format === 'gzip' ? zlib.gzipSync(data, { level: 1 }) : zlib.zstdCompressSync(data);

const threads = (): number => readdirSync('/proc/self/task').length;

/** Waits, at most some seconds, until there are as many threads as before. */
async function untilThreads(count: number): Promise<void> {
  for (let tries = 0; threads() > count; tries++) {
    assert.ok(tries < 2000, `${threads()} threads, ${count} before`);
    await delay(5);
  }
}

test('linked decoders: the codec tells what decodes', async () => {
  const names = await Promise.all(FORMATS.map(async (name) => (await codecs.get(name)).library));
  assert.match(names.join(', '), linked ? /^ISA-L \d[\d.]+, Zstandard \d/ : /^zlib \d.*, Zstandard /);
});

test('linked decoders: the static executable has them, and no other program', () => {
  assert.equal(linked, isStatic);
});

for (const format of FORMATS) {
  test(`linked decoders: ${format}: an abort in the middle of a bomb ends the thread within 50 ms`, {
    skip,
  }, async () => {
    const bomb = pack(format, new Uint8Array(256 * MIB));
    const codec = await codecs.get(format, 'native');
    const before = threads();
    let soonest = Number.POSITIVE_INFINITY;
    // Other programs may have the processors.
    for (let tries = 0; tries < 10 && soonest >= 50; tries++) {
      const stop = new AbortController();
      const reader = codec.decode(sourceOf(bomb, bomb.length).stream, { signal: stop.signal }).getReader();
      for (let chunks = 0; chunks < 5; chunks++) await reader.read();
      assert.ok(threads() > before);
      const start = performance.now();
      stop.abort(new Error('enough'));
      await assert.rejects(async () => {
        while (!(await reader.read()).done);
      }, /enough/);
      await untilThreads(before);
      soonest = Math.min(soonest, performance.now() - start);
    }
    assert.ok(soonest < 50, `${soonest} ms`);
  });

  test(`linked decoders: ${format}: 500 streams, whole, damaged and cancelled, leave no thread and no memory`, {
    skip,
  }, async () => {
    const whole = pack(format, testBytes('random', 3 * MIB));
    const damaged = Uint8Array.from(whole);
    damaged.fill(0x55, MIB, MIB + 1000);
    const codec = await codecs.get(format, 'native');
    const before = threads();
    let memory = 0;
    for (let round = 0; round < 500; round++) {
      const reader = codec.decode(sourceOf(round % 3 === 1 ? damaged : whole, MIB).stream).getReader();
      const all = async () => {
        while (!(await reader.read()).done);
      };
      if (round % 3 === 2) {
        await reader.read();
        await reader.cancel();
      } else await all().catch(() => {});
      if (round === 100) memory = process.memoryUsage.rss();
    }
    await untilThreads(before);
    const more = process.memoryUsage.rss() - memory;
    assert.ok(more < 64 * MIB, `${more} bytes more`);
  });
}

test('linked decoders: a worker that is terminated while it decodes leaves no thread', { skip }, async () => {
  const before = threads();
  const code = `import { createCodecs } from ${JSON.stringify(new URL('../../src/platform/codecs/native-codecs.ts', import.meta.url).href)};
    import { parentPort, workerData } from 'node:worker_threads';
    const codec = await createCodecs().get('gzip', 'native');
    const source = new ReadableStream({ start: (out) => out.enqueue(workerData) });
    await codec.decode(source).getReader().read();
    parentPort.postMessage('decoding');`;
  const workerData = pack('gzip', testBytes('random', 8 * MIB)).subarray(0, 4 * MIB);
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  assert.ok(threads() > before + 1);
  await worker.terminate();
  await untilThreads(before);
});

/** Decodes both formats in a process that may start no thread. */
const WITHOUT_THREADS = `
  import { execFileSync } from 'node:child_process';
  import { stat } from 'node:fs/promises';
  import process from 'node:process';
  import zlib from 'node:zlib';
  import { createCodecs } from ${JSON.stringify(new URL('../../src/platform/codecs/native-codecs.ts', import.meta.url).href)};
  import { collect, concat, sourceOf, testBytes } from ${JSON.stringify(new URL('../support/streams.ts', import.meta.url).href)};
  const codecs = [await createCodecs().get('gzip', 'native'), await createCodecs().get('zstd', 'native')];
  const data = testBytes('text', 3_000_000);
  const packed = [zlib.gzipSync, zlib.zstdCompressSync].map((pack) => concat(pack(data), pack(data)));
  // Node starts its own threads with the first call of this kind.
  await stat('/');
  execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1:1']);
  process.setgid(65534);
  process.setuid(65534);
  for (const [at, codec] of codecs.entries()) {
    const output = await collect(codec.decode(sourceOf(packed[at], 300_000).stream));
    console.log(codec.library, output.length, zlib.crc32(output) === zlib.crc32(concat(data, data)));
  }`;

test('linked decoders: where no thread can be started (a limit of processes) other decoders take over', {
  skip: skip || needs({ root: true, tools: ['prlimit'] }),
}, async () => {
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', WITHOUT_THREADS];
  const { stdout } = await execOk(process.execPath, args);
  assert.match(stdout, /^ISA-L \S+ 6000000 true\nZstandard \S+ 6000000 true\n$/);
});

test('linked decoders: gzip: the checksum is right for every length', { skip }, async () => {
  const codec = await codecs.get('gzip', 'native');
  const bytes = testBytes('random', 70_000);
  const lengths = [...Array.from({ length: 520 }, (_, n) => n), 4095, 4096, 4097, 65_535, 65_536, 70_000];
  for (const length of lengths) {
    const from = length % 16;
    const data = bytes.subarray(from, Math.min(from + length, bytes.length));
    let size = 0;
    // The second member is not the first, so that it goes through the thread where it is large.
    for (const packed of [zlib.gzipSync(data), Buffer.concat([zlib.gzipSync(bytes), zlib.gzipSync(data)])])
      for await (const chunk of codec.decode(sourceOf(packed, packed.length).stream)) size += chunk.length;
    assert.equal(size, 2 * data.length + bytes.length);
  }
});
