/** A lost or damaged database is made again from content/, by `recover` and by nothing else. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { beginRecovery } from '../../src/backends/local/recovery.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '../../src/core/oci/media-types.ts';
import {
  collectionPlan,
  fetch,
  type Info,
  openStore,
  pull,
  recover,
  type Store,
  unpack,
  usage,
  verify,
} from '../../src/mod.ts';
import { buildIndex, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { image, rejectsWith, runtimeOf } from '../support/bench.ts';
import { flipBit } from '../support/damage.ts';
import { needs } from '../support/needs.ts';
import { digestOf } from '../support/stores.ts';
import { tempDir } from '../support/tmp.ts';

const ROOT = { skip: needs({ root: true }) };

interface World {
  readonly root: string;
  readonly registry: TestRegistry;
  readonly refs: readonly string[];
  readonly images: readonly TestImage[];
  /** What the store had. */
  readonly before: readonly Info[];
}

/** A store with two images, closed. */
async function withClosedStore(body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const registry = await startRegistry();
  try {
    const root = join(dir.path, 'root');
    const images = [await image('x'), await image('y')];
    const refs = images.map((one, n) => registry.push(`t/recover${n}`, 'v1', one));
    const before = await inStore(root, async (store) => {
      for (const ref of refs) await pull(ref, { store });
      return await store.content.list();
    });
    await body({ root, registry, refs, images, before });
  } finally {
    await registry.close();
    dir[Symbol.dispose]();
  }
}

async function inStore<T>(root: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({ root });
  try {
    return await work(store);
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

const database = (root: string): string[] =>
  fs
    .readdirSync(root)
    .filter((name) => /^hawser\.db(-wal|-shm)?$/.test(name))
    .map((name) => join(root, name));

/** Labels of garbage collection for snapshots go with the snapshots. */
const brief = (infos: readonly Info[]) =>
  infos.map(({ digest, size, labels }) => {
    const kept = Object.entries(labels).filter(([key]) => !key.includes('gc.ref.snapshot'));
    return { digest, size, labels: Object.fromEntries(kept.sort()) };
  });

const LOSSES: Readonly<Record<string, (root: string) => void | Promise<void>>> = {
  'that is gone': (root) => {
    for (const path of database(root)) fs.rmSync(path);
  },
  'of zeros': (root) => {
    for (const path of database(root)) fs.writeFileSync(path, new Uint8Array(fs.statSync(path).size));
  },
  'that is cut off': (root) => {
    for (const path of database(root)) fs.truncateSync(path, fs.statSync(path).size >> 1);
  },
  'with a damaged page': (root) => {
    const path = join(root, 'hawser.db');
    const bytes = fs.readFileSync(path);
    bytes.fill(0xa5, 4096, 3 * 4096);
    fs.writeFileSync(path, bytes);
  },
  'whose record of an image names no digest': async (root) => {
    const db = new DatabaseSync(join(root, 'hawser.db'), { enableForeignKeyConstraints: false });
    db.exec("UPDATE images SET digest = 'sha256:x' WHERE name GLOB '*recover0*'");
    db.close();
    await inStore(root, async (store) => {
      const { damage } = await verify({ store });
      assert.deepEqual(
        damage.map(({ type }) => type),
        ['records'],
      );
      await rejectsWith('DataLoss', /recover0:v1 is damaged/, store.images.list());
      await rejectsWith('DataLoss', /recover0:v1 is damaged/, store.collect());
    });
  },
  'that is empty': (root) => {
    for (const path of database(root)) fs.truncateSync(path, 0);
  },
};

for (const [title, lose] of Object.entries(LOSSES)) {
  const keeps = !['that is gone', 'that is empty'].includes(title);
  test(`a database ${title}: images, blobs and labels come back, and nothing is fetched`, ROOT, async () => {
    await withClosedStore(async ({ root, registry, refs, before }) => {
      await lose(root);
      registry.requests.length = 0;
      const report = await recover({ root });
      assert.deepEqual(
        report.images,
        [...refs].sort().map((name) => ({ name, complete: true })),
      );
      assert.deepEqual(report.skipped, []);
      assert.equal(registry.requests.length, 0);
      const aside = fs.readdirSync(root).filter((name) => /^hawser\.db\.damaged-\w+$/.test(name));
      assert.equal(aside.length, keeps ? 1 : 0, 'a damaged one is renamed, not removed');
      await inStore(root, async (store) => {
        assert.deepEqual(brief(await store.content.list()), brief(before));
        const { damage } = await verify({ store });
        assert.deepEqual(damage, []);
        assert.equal((await store.collect()).blobs, 0, 'every blob is referenced again');
        for (const ref of refs) await unpack(ref, { store });
        assert.deepEqual((await verify({ store })).unchecked, []);
      });
      assert.deepEqual((await recover({ root })).images, [], 'once is enough');
    });
  });
}

test('what was pulled into a new database meanwhile stays, and the lost images come back', ROOT, async () => {
  await withClosedStore(async ({ root, registry, refs }) => {
    for (const path of database(root)) fs.rmSync(path);
    const other = registry.push('t/other', 'v1', await image('z'));
    await inStore(root, async (store) => {
      await pull(other, { store });
      assert.deepEqual(
        (await store.images.list()).map(({ name }) => name),
        [other],
        'nothing came back in silence',
      );
      assert.equal((await collectionPlan(store)).bytes, 0);
      await store.images.delete(other);
      assert.equal(
        (await store.collect()).blobs,
        0,
        'also a blob of the new image may be one of a lost image',
      );
      assert.equal((await usage(store)).reclaimable, 0);
      await pull(other, { store });
    });
    const report = await recover({ root });
    assert.deepEqual(
      report.images,
      [...refs].sort().map((name) => ({ name, complete: true })),
    );
    await inStore(root, async (store) => {
      assert.deepEqual(
        (await store.images.list()).map(({ name }) => name),
        [other, ...refs].sort(),
      );
    });
  });
});

test(
  'a second loss before the first was recovered: all come back, each name as the last loss had it',
  ROOT,
  async () => {
    await withClosedStore(async ({ root, registry, refs }) => {
      for (const path of database(root)) fs.rmSync(path);
      const newer = await image('z');
      const [moved = ''] = refs;
      registry.push('t/recover0', 'v1', newer);
      await inStore(root, async (store) => void (await pull(moved, { store })));
      for (const path of database(root)) fs.rmSync(path);
      await inStore(root, (store) => store.collect());
      const kept = fs.readdirSync(root).filter((name) => name.includes('lost-index'));
      assert.deepEqual(kept.sort(), ['hawser.db.lost-index.2.json', 'hawser.db.lost-index.json']);
      const { images: recovered } = await recover({ root });
      assert.deepEqual(
        recovered,
        [...refs].sort().map((name) => ({ name, complete: true })),
      );
      await inStore(root, async (store) => {
        assert.equal((await store.images.get(moved)).target.digest, newer.root.digest);
      });
      assert.equal(fs.readdirSync(root).filter((name) => name.includes('lost-index')).length, 0);
    });
  },
);

test('a name pulled again meanwhile: its other platforms come back; one that has moved stays, and keeps no index', async () => {
  const dir = tempDir();
  const registry = await startRegistry();
  try {
    const root = join(dir.path, 'root');
    const amd = { ...(await image('amd')), platform: { os: 'linux', architecture: 'amd64' } };
    const arm = { ...(await image('arm')), platform: { os: 'linux', architecture: 'arm64' } };
    const all = registry.push('t/all', 'v1', buildIndex([amd, arm]));
    const moved = registry.push('t/moved', 'v1', await image('old'));
    await inStore(root, async (store) => {
      await fetch(all, { store, platforms: 'all' });
      await fetch(moved, { store });
    });
    for (const path of database(root)) fs.rmSync(path);
    const newer = await image('new');
    registry.push('t/moved', 'v1', newer);
    await inStore(root, async (store) => {
      await fetch(all, { store, platforms: ['linux/amd64'] });
      await fetch(moved, { store });
    });
    const { images: recovered, skipped, taken } = await recover({ root });
    assert.deepEqual([recovered.map(({ name }) => name), skipped], [[all], []]);
    assert.deepEqual(taken, [{ name: moved, why: `it names ${newer.root.digest} now` }]);
    assert.deepEqual(
      fs.readdirSync(root).filter((name) => name.includes('lost-index')),
      [],
    );
    await inStore(root, async (store) => {
      await store.collect();
      const held = new Set<string>((await store.content.list()).map(({ digest }) => digest));
      for (const { digest } of [arm.root, ...arm.layers]) assert.ok(held.has(digest), digest);
      assert.equal((await store.images.get(moved)).target.digest, newer.root.digest);
    });
  } finally {
    await registry.close();
    dir[Symbol.dispose]();
  }
});

test('an index stays while an image of it is missing, and goes without the others', ROOT, async () => {
  await withClosedStore(async ({ root, registry, refs, images }) => {
    for (const path of database(root)) fs.rmSync(path);
    const blob = join(root, 'content/blobs', (images[0]?.root.digest ?? '').replace(':', '/'));
    fs.renameSync(blob, join(root, 'content', 'aside'));
    const other = registry.push('t/other', 'v1', await image('z'));
    await inStore(root, async (store) => void (await pull(other, { store })));
    for (const path of database(root)) fs.rmSync(path);
    const first = await recover({ root });
    assert.deepEqual(
      first.skipped.map(({ name }) => name),
      [refs[0]],
    );
    const kept = () => fs.readdirSync(root).filter((name) => name.includes('lost-index'));
    assert.deepEqual(kept(), ['hawser.db.lost-index.json']);
    await inStore(root, (store) => store.collect());
    fs.renameSync(join(root, 'content', 'aside'), blob);
    assert.deepEqual(
      (await recover({ root })).images,
      [...refs].sort().map((name) => ({ name, complete: true })),
      'also those of the index that were recorded before, for they may have lacked parts',
    );
    assert.deepEqual(kept(), []);
  });
});

for (const title of ['that is gone', 'with a damaged page']) {
  test(
    `a database ${title}: what a user wrote into snapshots stays until the user says so`,
    ROOT,
    async () => {
      await withClosedStore(async ({ root }) => {
        const files = await inStore(root, async (store) => {
          const snapshotter = store.snapshotter('native');
          await snapshotter.prepare('work', '');
          await snapshotter.prepare('layer', '');
          const paths = await Promise.all(
            ['work', 'layer'].map(async (key) => `${(await snapshotter.mounts(key))[0]?.source}/mine`),
          );
          for (const path of paths) fs.writeFileSync(path, 'the only copy');
          await snapshotter.commit('mine', 'layer', { labels: { 'containerd.io/gc.root': 'now' } });
          return paths;
        });
        LOSSES[title]?.(root);
        const { directories, keptBy } = await recover({ root });
        assert.ok(directories >= files.length, `${directories}`);
        await inStore(root, async (store) => {
          await store.collect();
          assert.ok((await usage(store)).strays.bytes > 0);
          assert.equal((await collectionPlan(store)).bytes, 0);
        });
        for (const path of files) assert.equal(fs.readFileSync(path, 'utf8'), 'the only copy');
        for (const path of keptBy) fs.rmSync(path);
        await inStore(root, (store) => store.collect());
        for (const path of files) assert.equal(fs.existsSync(path), false, path);
      });
    },
  );
}

test(
  'damaged blobs are not believed: the image says that parts are missing, or is not recorded',
  ROOT,
  async () => {
    await withClosedStore(async ({ root, refs, images }) => {
      for (const path of database(root)) fs.rmSync(path);
      const path = (digest: string) => join(root, 'content/blobs', digest.replace(':', '/'));
      flipBit({ path: path(images[0]?.layers[1]?.digest ?? ''), byte: 20, bit: 1 });
      flipBit({ path: path(images[1]?.root.digest ?? ''), byte: 20, bit: 1 });
      const report = await recover({ root });
      assert.deepEqual(report.images, [{ name: refs[0], complete: false }]);
      assert.deepEqual(
        report.skipped.map(({ name }) => name),
        [refs[1]],
      );
      await inStore(root, async (store) => {
        const lost = store.content.info(parseDigest(images[0]?.layers[1]?.digest ?? ''));
        await rejectsWith('NotFound', /not found/, lost);
        assert.deepEqual(await store.content.listStatuses(), []);
      });
    });
  },
);

test('an image whose config is no JSON is recorded, and not skipped: it was in the store', async () => {
  const dir = tempDir();
  try {
    const [root, layout] = [join(dir.path, 'root'), join(dir.path, 'layout')];
    const config = new TextEncoder().encode('no config');
    const desc = (mediaType: string, bytes: Uint8Array) => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
    });
    const manifest = new TextEncoder().encode(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: desc(OCI_CONFIG, config),
        layers: [],
      }),
    );
    const body = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [desc(OCI_MANIFEST, manifest)] };
    const inner = new TextEncoder().encode(JSON.stringify(body));
    const annotations = { 'io.containerd.image.name': 'example.test/odd:1' };
    const index = { schemaVersion: 2, manifests: [{ ...desc(OCI_INDEX, inner), annotations }] };
    fs.mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    fs.writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
    for (const bytes of [config, manifest, inner])
      fs.writeFileSync(join(layout, 'blobs', digestOf(bytes).replace(':', '/')), bytes);
    await inStore(root, (store) => fetch(`oci:${layout}`, { store, platforms: 'all' }));
    for (const path of database(root)) fs.rmSync(path);
    const report = await recover({ root });
    assert.deepEqual(
      [report.images, report.skipped],
      [[{ name: 'example.test/odd:1', complete: false }], []],
    );
  } finally {
    dir[Symbol.dispose]();
  }
});

test('a database that is whole, a store in use and no store at all are left alone', ROOT, async () => {
  await withClosedStore(async ({ root, before }) => {
    const report = await recover({ root });
    assert.deepEqual([report.images, report.skipped], [[], []]);
    await inStore(root, async (store) => {
      assert.deepEqual(brief(await store.content.list()), brief(before));
      const bytes = fs.readFileSync(join(root, 'hawser.db'));
      bytes.fill(0, 0, 100);
      fs.writeFileSync(join(root, 'hawser.db'), bytes);
      await rejectsWith(
        'Unavailable',
        /another process uses the store/,
        beginRecovery(runtimeOf(store), root),
      );
      await rejectsWith('NotFound', /no store/, beginRecovery(runtimeOf(store), `${root}-none`));
    });
  });
});
