/** Damage of a store is found by `verify` and mended by `repair`, which fetches what is damaged and nothing else. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { pull, type RepairReport, repair, type Store, verify } from '../../src/mod.ts';
import { buildImage } from '../registry/image.ts';
import { type Bench, image, runtimeOf, withBench } from '../support/bench.ts';
import { filesBelow, flipBit, randomFlip } from '../support/damage.ts';
import { needs } from '../support/needs.ts';
import { chosenSeed } from '../support/seed.ts';
import { noise } from '../support/small-image.ts';
import { viewMounts } from '../support/snapshot-mounts.ts';
import { tempDir } from '../support/tmp.ts';
import { random } from '../unit/archive/random.ts';

const ROOT = { skip: needs({ root: true }) };
const SNAPSHOTTERS = ['overlayfs', 'native'] as const;
/** Without FFI, where each attribute is read by a program, a tenth. */
const FLIPS = Number(process.env.HAWSER_FLIPS ?? 60);
/** At once. */
const BATCH = 10;

async function pulled({ store, registry }: Bench): Promise<string[]> {
  const files = (n: number) =>
    Array.from({ length: 8 }, (_, i) => ({ name: `usr/${n}-${i}`, data: noise(n * 10 + i, 3000 * (i + 1)) }));
  const shared = { entries: [{ name: 'usr/', type: 'directory' as const }, ...files(0)] };
  const images = [
    await buildImage({ layers: [shared, { entries: files(1) }] }),
    await buildImage({
      layers: [
        shared,
        { entries: files(2), compression: 'zstd' },
        { entries: files(3), compression: 'none' },
      ],
    }),
    await image('x'),
  ];
  const refs = images.map((one, n) => registry.push(`t/repair${n}`, 'v1', one));
  for (const ref of refs) for (const snapshotter of SNAPSHOTTERS) await pull(ref, { store, snapshotter });
  return refs;
}

async function repairAll(store: Store, refs: readonly string[]): Promise<RepairReport[]> {
  const reports: RepairReport[] = [];
  for (const ref of refs) reports.push(await repair(ref, { store }));
  return reports;
}

const blobOf = (path: string): string => `sha256:${path.slice(-64)}`;

test(
  'bits flipped at random are found, and mended by fetching what is damaged and nothing else',
  ROOT,
  async (t) => {
    const seed = chosenSeed();
    t.diagnostic(`HAWSER_SEED=${seed}`);
    const next = random(seed);
    await withBench(async (bench) => {
      const { registry, store } = bench;
      const refs = await pulled(bench);
      const before = new Set(fs.readdirSync(join(store.root, 'content/blobs/sha256')));
      const isSlow = (await runtimeOf(store).syscalls()).provider === 'tools';
      const count = isSlow ? FLIPS / 10 : FLIPS;
      for (let done = 0; done < count; done += BATCH) {
        const blobs = filesBelow(store, 'content/blobs');
        const trees = filesBelow(store, 'snapshots');
        const flips = new Map<string, ReturnType<typeof randomFlip>>();
        while (flips.size < BATCH) {
          const flip = randomFlip(next(2) === 0 ? blobs : trees, next);
          if (!flips.has(flip.path)) flips.set(flip.path, flip);
        }
        for (const flip of flips.values()) flipBit(flip);
        const found = await verify({ store });
        const damagedBlobs = [...flips.keys()].filter((path) => path.includes('/blobs/')).map(blobOf);
        const foundBlobs = found.damage.flatMap((one) => (one.type === 'blob' ? [one.digest as string] : []));
        // Behind a damaged document nothing can be told of others; all blobs are hashed in any case.
        assert.deepEqual([...foundBlobs].sort(), [...new Set(damagedBlobs)].sort(), `HAWSER_SEED=${seed}`);
        registry.requests.length = 0;
        const reports = await repairAll(store, refs);
        assert.deepEqual(
          reports.flatMap(({ left }) => left),
          [],
          `HAWSER_SEED=${seed}`,
        );
        const fetched = registry.requests.flatMap(({ path, status }) =>
          status < 300 ? (/sha256:[0-9a-f]{64}/.exec(path)?.[0] ?? []) : [],
        );
        assert.deepEqual([...new Set(fetched)].sort(), [...new Set(damagedBlobs)].sort());
        const after = await verify({ store });
        assert.deepEqual([after.damage, after.unchecked], [[], []], `HAWSER_SEED=${seed}`);
        const repaired = reports.flatMap((report) => report.repaired);
        for (const path of flips.keys()) {
          if (!path.includes('/snapshots/')) continue;
          const mended = repaired.some(
            (one) => one.type === 'snapshot' && one.problems.some((problem) => path.endsWith(problem.path)),
          );
          assert.ok(mended, `${path} HAWSER_SEED=${seed}`);
        }
      }
      assert.deepEqual(new Set(fs.readdirSync(join(store.root, 'content/blobs/sha256'))), before);
      assert.deepEqual(await store.leases.list(), []);
      const { snapshots } = await store.collect();
      assert.equal(snapshots, 0, 'repairs leave no snapshots behind');
    });
  },
);

test('of a sound image nothing is fetched and nothing changed', ROOT, async () => {
  await withBench(async (bench) => {
    const { registry, store } = bench;
    const [ref = ''] = await pulled(bench);
    registry.requests.length = 0;
    const files = filesBelow(store, '.').filter((path) => !/hawser\.db|\/run\//.test(path));
    const report = await repair(ref, { store });
    assert.deepEqual([report.repaired, report.left, report.unchecked], [[], [], []]);
    assert.equal(registry.requests.length, 0);
    assert.deepEqual(
      filesBelow(store, '.').filter((path) => !/hawser\.db|\/run\//.test(path)),
      files,
    );
  });
});

test('damaged bytes stay until others have come, and what cannot be fetched is said', ROOT, async () => {
  await withBench(async (bench) => {
    const { registry, store } = bench;
    const [, ref = ''] = await pulled(bench);
    const [path = ''] = filesBelow(store, 'content/blobs').sort(
      (a, b) => fs.statSync(b).size - fs.statSync(a).size,
    );
    flipBit({ path, byte: 40, bit: 2 });
    registry.faults.push({ match: blobOf(path), status: 404 });
    const { left, repaired } = await repair(ref, { store, retry: { tries: 0 } });
    assert.deepEqual(repaired, []);
    assert.equal(left.length, 1);
    assert.match(left[0]?.why ?? '', /not found|404/i);
    assert.ok(fs.existsSync(path));
    registry.faults.length = 0;
    assert.equal((await repair(ref, { store })).repaired.length, 1);
  });
});

test('a snapshot that is mounted is not touched, and that is said; then its turn comes', ROOT, async () => {
  await withBench(async (bench) => {
    const { store } = bench;
    const [ref = ''] = await pulled(bench);
    const { unpacked } = await pull(ref, { store });
    const chainId = unpacked[0]?.chainId ?? '';
    const snapshotter = store.snapshotter('overlayfs');
    const mounter = await runtimeOf(store).mounter();
    const temp = tempDir();
    try {
      await mounter.mount(await viewMounts(snapshotter, 'shown', chainId), temp.path);
      const [path = ''] = filesBelow(store, 'snapshots/overlayfs');
      const before = fs.readFileSync(path);
      flipBit({ path, byte: 1, bit: 1 });
      const { left, repaired } = await repair(ref, { store });
      assert.deepEqual(repaired, []);
      assert.match(left[0]?.why ?? '', /mounted/);
      flipBit({ path, byte: 1, bit: 1 });
      assert.deepEqual(fs.readFileSync(path), before, 'the files are where they were');
      flipBit({ path, byte: 1, bit: 1 });
      await mounter.unmount(temp.path);
      assert.equal((await repair(ref, { store })).repaired.length, 1);
      assert.deepEqual((await verify({ store })).damage, []);
      // The view lies on the new files now.
      await mounter.mount(await snapshotter.mounts('shown'), temp.path);
      assert.ok(fs.readdirSync(temp.path).length > 0);
      await mounter.unmount(temp.path);
    } finally {
      await mounter.unmount(temp.path, { lazy: true }).catch(() => {});
      temp[Symbol.dispose]();
    }
  });
});
