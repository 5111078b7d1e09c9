/**
 * Many pulls in one process leave nothing behind: no thread, no descriptor, no memory. HAWSER_LEAKS says how many pulls (default 32; none on Node 22 and
 * Deno, which share all but the decoders and the system calls).
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import zlib from 'node:zlib';
import type { CodecChoice } from '../../src/mod.ts';
import { linkedFunctions } from '../../src/platform/codecs/decoder-functions.ts';
import { buildImage, noise, type TestEntry, type TestLayer } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from '../support/exec.ts';
import type { Held, PullTask, Task } from '../support/leak-probe.ts';
import { isDeno, needs } from '../support/needs.ts';
import { repository } from '../support/runtimes.ts';
import { tempDir } from '../support/tmp.ts';

const MIB = 1 << 20;
const isMain = !isDeno && !process.version.startsWith('v22.');
/** On Node 22 and Deno when asked for: half a minute each. */
const PULLS = Number(process.env.HAWSER_LEAKS ?? (isMain ? 32 : 0));
const BLOCKS = PULLS >= 200 ? 10 : 4;
/** Until here memory may grow: code is compiled, pools are filled. */
const WARM = BLOCKS / 2;
/** MiB that the process may grow by after that: a decoder that is kept has 3. Deno goes on growing for some hundred pulls. */
const MOST_RSS = isDeno ? 64 : 32;

/** Our own decoders on one runtime only: they are the same on all. */
const CODECS: readonly CodecChoice[] =
  isMain && linkedFunctions() === undefined ? ['auto', 'portable'] : ['auto'];

const files = (dir: string, count: number, bytes: number): TestEntry[] =>
  Array.from({ length: count }, (_, n) => ({ name: `${dir}/${n}`, data: noise(bytes, n + bytes) }));

/** Layers above the sizes at which workers begin. */
const large: TestLayer = { entries: files('large', 12, 100_000) };
const largeZstd: TestLayer = { entries: files('zstd', 12, 100_000), compression: 'zstd' };
const small: TestLayer = { entries: files('small', 3, 2000) };

async function damaged(layer: TestLayer, spoil: (bytes: Uint8Array) => Uint8Array): Promise<TestLayer> {
  const { blobs, layers } = await buildImage({ layers: [layer] });
  const whole = blobs.get(layers[0]?.digest ?? '');
  assert.ok(whole);
  return { ...layer, packed: spoil(whole) };
}

const cut = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length >> 1);
const flipped = (bytes: Uint8Array): Uint8Array =>
  bytes.slice().fill(0x55, bytes.length >> 1, (bytes.length >> 1) + 500);

/** Pulls that end well, badly, and before their time. */
async function pushAll(registry: TestRegistry): Promise<PullTask[]> {
  const tasks: PullTask[] = [];
  const push = async (name: string, ends: readonly string[], ...layers: TestLayer[]): Promise<string> => {
    const ref = registry.push(`t/${name}`, '1', await buildImage({ layers }));
    tasks.push({ ref, ends });
    return ref;
  };
  const whole = await push('whole', ['well'], small, large, largeZstd);
  await push('small', ['well'], small, { entries: files('b', 2, 500), compression: 'zstd' });
  for (const abortAt of [2, 6, 12, 20]) tasks.push({ ref: whole, ends: ['Canceled'], abortAt });
  for (const [name, count, bytes, compression] of [
    ['gzip', 9, 90_000, 'gzip'],
    ['zstd', 9, 90_000, 'zstd'],
    ['small', 3, 3000, 'gzip'],
  ] as const) {
    // Layers of their own: one whose snapshot is there is not decoded.
    const layer = (dir: string): TestLayer => ({
      entries: files(`${dir}-${name}`, count, bytes),
      compression,
    });
    await push(`cut-${name}`, ['DataLoss'], small, await damaged(layer('cut'), cut));
    await push(
      `flipped-${name}`,
      ['DataLoss', 'InvalidArgument'],
      await damaged(layer('flipped'), flipped),
      large,
    );
  }
  const bomb = { tar: new Uint8Array(1024), packed: zlib.zstdCompressSync(new Uint8Array(70 * MIB)) };
  await push('bomb', ['ResourceExhausted'], largeZstd, { ...bomb, compression: 'zstd' });
  await push('lost', ['well'], { entries: files('lost', 4, 90_000) }, large);
  registry.faults.push({ match: '/t/lost/blobs/', method: 'GET', cutAfter: 200_000, reset: true });
  await push('down', ['Unavailable'], large, largeZstd);
  registry.faults.push({ match: '/t/down/blobs/', method: 'GET', status: 503 });
  tasks.push({ ref: `${registry.host}/t/absent:1`, ends: ['NotFound'] });
  return tasks;
}

async function run(task: Omit<Task, 'dir'>): Promise<Held[]> {
  const dir = tempDir();
  const probe = join(repository, 'test/support/leak-probe.ts');
  const args = isDeno
    ? ['run', '-A', '--no-check', '--quiet', '--v8-flags=--expose-gc', probe]
    : ['--disable-warning=ExperimentalWarning', '--expose-gc', probe];
  try {
    const text = JSON.stringify({ ...task, dir: dir.path } satisfies Task);
    const timeout = 60_000 + PULLS * 15_000;
    const { stdout } = await execOk(process.execPath, [...args, text], { timeout });
    const lines = stdout.trim().split('\n');
    return lines.map((line) => JSON.parse(line) as Held);
  } finally {
    dir[Symbol.dispose]();
  }
}

const skip = PULLS > 0 ? needs({ root: true }) : 'HAWSER_LEAKS says how many pulls';
describe('many pulls in one process', { skip }, () => {
  let registry: TestRegistry;
  let pulls: readonly PullTask[];
  before(async () => {
    registry = await startRegistry();
    pulls = await pushAll(registry);
  });
  after(() => registry.close());

  for (const codec of CODECS) {
    test(`${codec}: ${PULLS} leave no thread, no descriptor and no memory`, async (t) => {
      const blockSize = Math.ceil(PULLS / BLOCKS);
      const held = await run({ codec, pulls, blocks: BLOCKS, blockSize });
      for (const one of held) t.diagnostic(JSON.stringify(one));
      const [warm, last] = [held[WARM - 1], held.at(-1)];
      assert.ok(warm && last && held.length === BLOCKS);
      assert.ok(Object.keys(last.ends).length >= 4, 'pulls of every kind');
      for (const what of ['threads', 'descriptors'] as const)
        assert.deepEqual(
          held.slice(WARM).map((one) => one[what]),
          Array(BLOCKS - WARM).fill(warm[what]),
          what,
        );
      const grown = (what: 'heap' | 'buffers' | 'rss'): number => (last[what] - warm[what]) / MIB;
      assert.ok(grown('heap') < 2, `the heap grew by ${grown('heap')} MiB`);
      assert.ok(grown('buffers') < 4, `buffers grew by ${grown('buffers')} MiB`);
      assert.ok(grown('rss') < MOST_RSS, `the process grew by ${grown('rss')} MiB`);
    });
  }
});
