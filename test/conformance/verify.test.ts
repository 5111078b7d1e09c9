/** What is stored against its digests: a sound store, damage of every part. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { type Damage, fetch, isKind, openStore, pull, type Store, verify } from '../../src/mod.ts';
import { buildImage, type TestImage } from '../registry/image.ts';
import { altered, type Bench, image, withBench } from '../support/bench.ts';
import { filesBelow, flipBit } from '../support/damage.ts';
import { needs } from '../support/needs.ts';
import { noise } from '../support/small-image.ts';

const ROOT = { skip: needs({ root: true }) };
const SNAPSHOTTERS = ['overlayfs', 'native'] as const;

const blobPath = (store: Store, digest: string): string =>
  join(store.root, 'content/blobs', digest.replace(':', '/'));

/** All files, but the notes of processes. */
function namesIn({ root }: Store): string[] {
  const names = fs.readdirSync(root, { recursive: true }).map(String);
  return names.filter((name) => !name.startsWith('run/')).sort();
}

/** Two images that share a layer, in both snapshotters. */
async function pulled({ store, registry }: Bench): Promise<{ refs: string[]; images: TestImage[] }> {
  const shared = {
    entries: [
      { name: 'usr/', type: 'directory' as const },
      { name: 'usr/lib', data: noise(1, 200_000) },
    ],
  };
  const images = [
    await buildImage({ layers: [shared, { entries: [{ name: 'a', data: 'aaa' }] }] }),
    await buildImage({
      layers: [shared, { entries: [{ name: 'b', data: noise(2, 100_000) }], compression: 'zstd' }],
    }),
    await image('x'),
  ];
  const refs = images.map((one, n) => registry.push(`t/verify${n}`, 'v1', one));
  for (const ref of refs) for (const snapshotter of SNAPSHOTTERS) await pull(ref, { store, snapshotter });
  return { refs, images };
}

function detailOf(one: Damage): string {
  if (one.type === 'records') return one.problem;
  return one.type === 'snapshot' ? `${one.snapshotter} ${one.layer}` : one.digest;
}

function brief(damage: readonly Damage[]): string[] {
  return damage.map((one) => `${one.type} ${detailOf(one)}`);
}

test('of a sound store everything is checked, and nothing is damaged', ROOT, async () => {
  await withBench(async (bench) => {
    const { refs } = await pulled(bench);
    const { store } = bench;
    const before = namesIn(store);
    const report = await verify({ store });
    assert.deepEqual([report.damage, report.unchecked], [[], []]);
    assert.deepEqual([report.images, report.blobs, report.snapshots], [3, 3 + 3 + 5, 2 * 5]);
    assert.deepEqual(namesIn(store), before, 'nothing is written');
    const one = await verify({ store, images: refs.slice(0, 1) });
    assert.deepEqual([one.images, one.blobs, one.snapshots], [1, 4, 4]);
    assert.equal((await verify({ store, parts: ['content'] })).snapshots, 0);
    assert.equal((await verify({ store, parts: ['snapshots'] })).blobs, 0);
  });
});

test(
  'a flipped bit, a short, a lost and an unreadable blob are found, and stay as they are',
  ROOT,
  async () => {
    await withBench(async (bench) => {
      const { images, refs } = await pulled(bench);
      const { store } = bench;
      const [first, second, third] = images.map((one) => one.layers.at(-1)?.digest ?? '');
      const paths = [first, second, third].map((digest) => blobPath(store, digest ?? ''));
      flipBit({ path: paths[0] ?? '', byte: 30, bit: 3 });
      fs.truncateSync(paths[1] ?? '', 10);
      fs.rmSync(paths[2] ?? '');
      const report = await verify({ store, parts: ['content'] });
      const want = [first, second, third].map((digest) => `blob ${digest}`);
      assert.deepEqual(brief(report.damage).sort(), want.sort());
      assert.deepEqual(report.damage.map((one) => one.images).sort(), refs.map((ref) => [ref]).sort());
      assert.ok(fs.existsSync(paths[0] ?? ''));
      const snapshots = await verify({ store, parts: ['snapshots'] });
      assert.deepEqual(snapshots.damage, [], 'the unpacked files are sound, as far as can be told');
      assert.equal(snapshots.unchecked.length, 6);
      for (const { why } of snapshots.unchecked) assert.match(why, /blob/);
    });
  },
);

test('a damaged manifest is found; so is what a document and its blob do not agree about', ROOT, async () => {
  await withBench(async (bench) => {
    const { images, refs } = await pulled(bench);
    const { store } = bench;
    const root = images[0]?.root.digest ?? '';
    flipBit({ path: blobPath(store, root), byte: 5, bit: 0 });
    const report = await verify({ store });
    assert.deepEqual(brief(report.damage), [`blob ${root}`]);
    assert.ok(report.unchecked.length > 0, 'what only that manifest names cannot be compared');
    await store.images.put('odd', { ...(await store.images.get(refs[1] ?? '')).target, size: 7 }, {});
    const odd = await verify({ store, images: ['odd'].map(() => refs[1] ?? ''), parts: ['content'] });
    assert.deepEqual(odd.damage, []);
    const all = await verify({ store, parts: ['content'] });
    assert.ok(brief(all.damage).includes(`document ${images[1]?.root.digest}`), brief(all.damage).join());
  });
});

test('a blob that an image of this machine needs and that has no record is missing', ROOT, async () => {
  await withBench(async ({ store, registry }) => {
    const one = await image('y');
    const ref = registry.push('t/missing', 'v1', one);
    await fetch(ref, { store });
    const digest = one.layers[1]?.digest ?? '';
    await store.content.delete(parseDigest(digest));
    assert.deepEqual(brief((await verify({ store })).damage), [`blob ${digest}`]);
  });
});

for (const snapshotter of SNAPSHOTTERS) {
  test(`${snapshotter}: damaged unpacked files are found, each snapshot by its own`, ROOT, async () => {
    await withBench(async (bench) => {
      await pulled(bench);
      const { store } = bench;
      const files = filesBelow(store, `snapshots/${snapshotter}`);
      assert.ok(files.length > 5);
      for (const path of files) {
        flipBit({ path, byte: 0, bit: 1 });
        const { damage } = await verify({ store, parts: ['snapshots'] });
        flipBit({ path, byte: 0, bit: 1 });
        assert.equal(damage.length, 1, path);
        const [only] = damage;
        assert.ok(only?.type === 'snapshot' && only.snapshotter === snapshotter);
        assert.deepEqual(
          only.problems.map((problem) => problem.what),
          ['content'],
        );
        assert.ok(path.endsWith(only.problems[0]?.path ?? '?'), path);
      }
      assert.deepEqual((await verify({ store, parts: ['snapshots'] })).damage, []);
      const dir = join(store.root, `snapshots/${snapshotter}`);
      fs.rmSync(join(dir, fs.readdirSync(dir)[0] ?? '?'), { recursive: true });
      const [gone] = (await verify({ store, parts: ['snapshots'] })).damage;
      assert.ok(gone?.type === 'snapshot' && gone.problems[0]?.what === 'missing');
    });
  });
}

test('a snapshot that no image explains is not checked, and said so', ROOT, async () => {
  await withBench(async ({ store }) => {
    const snapshotter = store.snapshotter('native');
    await snapshotter.prepare('mine', '');
    await snapshotter.commit('theirs', 'mine');
    const { unchecked, damage } = await verify({ store });
    assert.deepEqual(damage, []);
    assert.deepEqual(
      unchecked.map(({ name }) => name),
      ['theirs'],
    );
  });
});

test('a damaged database is found, before anything is asked of it', ROOT, async () => {
  await withBench(async (bench) => {
    await pulled(bench);
    const { store } = bench;
    const copy = join(store.root, '../copy');
    for (const page of [2, 3, 5, 8]) {
      fs.rmSync(copy, { recursive: true, force: true });
      const { backend, runtime } = partsOf(store);
      assert.equal(await backend.checkRecords?.(), undefined);
      // All that is in the log goes into the file.
      const db = runtime.databases.open(join(store.root, 'hawser.db'), { busyTimeout: 1000 });
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      db.close();
      execFileSync('cp', ['-a', store.root, copy]);
      for (const name of ['run', 'hawser.db-wal', 'hawser.db-shm']) {
        fs.rmSync(join(copy, name), { recursive: true, force: true });
      }
      const bytes = fs.readFileSync(join(copy, 'hawser.db'));
      bytes.fill(0xa5, (page - 1) * 4096, page * 4096);
      fs.writeFileSync(join(copy, 'hawser.db'), bytes);
      const found = await damageOf(copy);
      assert.match(found, /records|DataLoss/, `page ${page}`);
    }
  });
});

/** The types of damage, or the kind of the error that came first. */
async function damageOf(root: string): Promise<string> {
  try {
    const store = await openStore({ root });
    try {
      return (await verify({ store })).damage.map(({ type }) => type).join();
    } finally {
      await store[Symbol.asyncDispose]();
    }
  } catch (err) {
    assert.ok(isKind(err, 'DataLoss'), String(err));
    return 'DataLoss';
  }
}

test(
  'a check that is interrupted goes on where it was; what is damaged is looked at again',
  ROOT,
  async () => {
    await withBench(async (bench) => {
      const { images } = await pulled(bench);
      const { store } = bench;
      const damaged = images[0]?.layers[0]?.digest ?? '';
      flipBit({ path: blobPath(store, damaged), byte: 40, bit: 1 });
      const things = new Set<string>();
      const whole = await verify({ store });
      for (let rounds = 0; ; rounds++) {
        assert.ok(rounds < 60, 'each round finds something sound');
        const before = things.size;
        const stop = new AbortController();
        const sound = {
          has: (thing: string) => things.has(thing),
          add: async (thing: string) => {
            things.add(thing);
            if (things.size === before + 2) stop.abort();
          },
        };
        const report = await verify({ store, sound, signal: stop.signal }).catch(() => undefined);
        if (report === undefined) continue;
        assert.ok(rounds > 3);
        const { resumed, ...rest } = report;
        assert.deepEqual({ ...rest, resumed: 0 }, whole);
        assert.ok(resumed >= things.size - 2 && resumed > 6, `${resumed} of ${things.size}`);
        assert.ok(!things.has(damaged));
        break;
      }
    });
  },
);

test('what other processes remove, move and bring meanwhile is not damaged', ROOT, async () => {
  type Work = (store: Store, ref: string, registry: Bench['registry']) => Promise<void>;
  const meanwhile = async (when: 'before' | 'after', work: Work) => {
    await withBench(async (bench) => {
      const { store, registry } = bench;
      const ref = registry.push('t/moving', 'v1', await image('first'));
      await pull(ref, { store });
      const list = partsOf(store).backend.images;
      let isDone = false;
      const images = Object.assign(Object.create(list), {
        list: async (call?: object) => {
          const before = await list.list(call);
          if (isDone) return before;
          isDone = true;
          await work(store, ref, registry);
          return when === 'after' ? before : await list.list(call);
        },
      });
      const { damage, unchecked } = await verify({ store: altered(store, { images }) });
      assert.ok(isDone);
      assert.deepEqual(damage, []);
      if (when === 'before') assert.deepEqual(unchecked, []);
    });
  };
  const remove = async (store: Store, ref: string): Promise<void> => {
    await store.images.delete(ref);
    await store.collect();
  };
  await meanwhile('after', remove);
  await meanwhile('after', async (store, ref, registry) => {
    registry.push('t/moving', 'v1', await image('second'));
    await pull(ref, { store });
    await store.collect();
  });
  await meanwhile('after', async (store, ref) => {
    await remove(store, ref);
    await pull(ref, { store });
  });
  await meanwhile('before', async (store, _, registry) => {
    await pull(registry.push('t/new', 'v1', await image('third')), { store });
  });
});

test('blobs are read no faster than asked', ROOT, async () => {
  await withBench(async (bench) => {
    await pulled(bench);
    const { store } = bench;
    const began = performance.now();
    const { bytes } = await verify({ store, parts: ['content'], limitRate: 400_000 });
    const took = performance.now() - began;
    assert.ok(took > (bytes / 400_000) * 1000 * 0.8, `${bytes} bytes in ${took} ms`);
  });
});
