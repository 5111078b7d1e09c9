/** The verbs through the library, on this runtime: test registry -> store -> snapshots. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hintOf, kindOf } from '../../src/core/errors.ts';
import { fetch, pull, type Store, unpack } from '../../src/mod.ts';
import { buildImage, buildIndex } from '../registry/image.ts';
import { type Bench, image, rejectsWith, runtimeOf, withBench } from '../support/bench.ts';
import { failure } from '../support/failure.ts';
import { needs } from '../support/needs.ts';
import { viewMounts } from '../support/snapshot-mounts.ts';

const OVERLAY = { skip: needs({ root: true }) };

const platform = (architecture: string, variant?: string) => ({
  os: 'linux',
  architecture,
  ...(variant === undefined ? {} : { variant }),
});

/** Nothing was recorded, nothing is half done. */
async function assertClean({ store }: Bench): Promise<void> {
  assert.deepEqual(await store.images.list(), []);
  for (const name of store.snapshotterNames) {
    const kinds = (await store.snapshotter(name).list()).map((s) => s.kind);
    assert.deepEqual(
      kinds.filter((kind) => kind !== 'Committed'),
      [],
    );
  }
}

/** The top layer's own directory: what it holds, without a mount. */
async function topLayer(store: Store, chainId: string): Promise<string> {
  await store.snapshotter('overlayfs').view(`look ${chainId}`, chainId);
  const [mount] = await store.snapshotter('overlayfs').mounts(`look ${chainId}`);
  const lower = mount?.options.find((option) => option.startsWith('lowerdir='));
  await store.snapshotter('overlayfs').remove(`look ${chainId}`);
  return lower?.slice('lowerdir='.length).split(':')[0] ?? mount?.source ?? '';
}

test('an index is pulled for this platform: fetched, unpacked, recorded, leaseless', OVERLAY, async () => {
  await withBench(async ({ store, registry, events }) => {
    const amd = await image('amd64', { platform: platform(runtimeOf(store).host.arch) });
    const other = await image('other', { platform: platform('s390x') });
    const ref = registry.push('a/b', 'v1', buildIndex([other, amd]));
    const result = await pull(ref, { store, onProgress: (event) => events.push(event) });
    assert.equal(result.name, ref);
    assert.equal(result.unpacked.length, 1);
    assert.equal((await store.images.get(ref)).target.digest, result.target.digest);
    assert.deepEqual(await store.leases.list(), []);
    const held = (await store.content.list()).map((info) => info.digest as string);
    assert.ok(amd.layers.every((layer) => held.includes(layer.digest)));
    assert.ok(!held.includes(other.root.digest));
    const dir = await topLayer(store, result.unpacked[0]?.chainId ?? '');
    assert.deepEqual(readdirSync(dir).sort(), ['etc', 'only-amd64']);
    assert.equal(readFileSync(join(dir, 'only-amd64'), 'utf8'), 'y');
    assert.equal(events.at(0)?.type, 'resolving');
    assert.equal(events.at(-1)?.type, 'recorded');
  });
});

test('a second pull asks the registry once and fetches nothing', OVERLAY, async () => {
  await withBench(async ({ store, registry, events }) => {
    const ref = registry.push('a/b', 'v1', await image('one'));
    await pull(ref, { store });
    registry.requests.length = 0;
    await pull(ref, { store, onProgress: (event) => events.push(event) });
    assert.deepEqual(registry.log(), ['HEAD /a/b/manifests/v1']);
    assert.ok(events.every((e) => e.type !== 'blob' || e.status === 'exists' || e.status === 'waiting'));
    assert.equal(events.filter((e) => e.type === 'layer' && e.status === 'exists').length, 2);
  });
});

test('platforms: several, all, and the metadata of the rest', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const images = [
      await image('amd64', { platform: platform('amd64') }),
      await image('arm64', { platform: platform('arm64', 'v8') }),
      await image('riscv', { platform: platform('riscv64') }),
    ];
    const ref = registry.push('a/multi', 'v1', buildIndex(images));
    const two = await pull(ref, { store, platforms: ['linux/arm64', 'linux/amd64'] });
    assert.deepEqual(two.unpacked.map((u) => u.platform).sort(), ['linux/amd64', 'linux/arm64']);
    const has = async (digest: string | undefined) =>
      (await store.content.list()).some((info) => (info.digest as string) === digest);
    assert.equal(await has(images[2]?.root.digest), false);
    await fetch(ref, { store, platforms: ['linux/amd64'], allMetadata: true });
    assert.equal(await has(images[2]?.root.digest), true);
    assert.equal(await has(images[2]?.layers[1]?.digest), false);
    const all = await pull(ref, { store, platforms: 'all' });
    assert.equal(all.unpacked.length, 3);
    assert.equal(await has(images[2]?.layers[1]?.digest), true);
  });
});

test('a platform that is not there: NotFound that names those that are', OVERLAY, async () => {
  await withBench(async (bench) => {
    const { store, registry } = bench;
    const single = await image('amd64', { platform: platform('amd64') });
    const index = registry.push('a/i', 'v1', buildIndex([single]));
    await rejectsWith(
      'NotFound',
      /no match for platform linux\/s390x/,
      pull(index, { store, platforms: ['linux/s390x'] }),
    );
    await rejectsWith(
      'NotFound',
      /no match for platform/,
      fetch(index, { store, platforms: ['linux/s390x', 'linux/amd64'] }),
    );
    const plain = registry.push('a/m', 'v1', single);
    await rejectsWith(
      'NotFound',
      /no match for platform/,
      pull(plain, { store, platforms: ['linux/s390x'] }),
    );
    await assertClean(bench);
    assert.equal((await pull(plain, { store, platforms: ['linux/amd64'] })).unpacked.length, 1);
  });
});

test('a manifest of another platform, not asked for, is pulled with a warning', OVERLAY, async () => {
  await withBench(async ({ store, registry, events }) => {
    const ref = registry.push('a/m', 'v1', await image('s390x', { platform: platform('s390x') }));
    await pull(ref, { store, onProgress: (event) => events.push(event) });
    assert.ok(events.some((e) => e.type === 'warning' && /linux\/s390x/.test(e.message)));
  });
});

test(
  'a wrong diff ID, truncated and damaged layers leave no record and no active snapshot',
  OVERLAY,
  async () => {
    await withBench(async (bench) => {
      const { store, registry } = bench;
      const good = await image('good');
      const rootfs = { type: 'layers', diff_ids: [good.diffIds[1], good.diffIds[0]] };
      const swapped = registry.push('a/diff', 'v1', await image('good', { config: { rootfs } }));
      await rejectsWith('DataLoss', /wrong diff id/, pull(swapped, { store }));
      const tar = new Uint8Array(700).fill(0x41);
      const broken = registry.push('a/tar', 'v1', await buildImage({ layers: [{ tar }] }));
      await rejectsWith('InvalidArgument', /layer 1/, pull(broken, { store }));
      await assertClean(bench);
    });
  },
);

test('fewer diff IDs than layers are refused before anything is unpacked', OVERLAY, async () => {
  await withBench(async (bench) => {
    const { store, registry } = bench;
    const ref = registry.push(
      'a/h24',
      'v1',
      await image('x', { config: { rootfs: { type: 'layers', diff_ids: [] } } }),
    );
    await rejectsWith('InvalidArgument', /number of layers and diffIDs/, pull(ref, { store }));
    assert.deepEqual(await store.snapshotter('overlayfs').list(), []);
    await assertClean(bench);
  });
});

test('labels of a config become no labels of the store (H29)', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const labels = { 'containerd.io/gc.root': 'x', 'io.cri-containerd.pinned': 'pinned' };
    const ref = registry.push('a/l', 'v1', await image('x', { config: { config: { Labels: labels } } }));
    await pull(ref, { store });
    assert.deepEqual((await store.images.get(ref)).labels, {});
    for (const info of await store.content.list())
      assert.equal(info.labels['containerd.io/gc.root'], undefined);
  });
});

test(
  'interrupted: the record is not made, what was fetched is kept, the next pull goes on',
  OVERLAY,
  async () => {
    await withBench(async (bench) => {
      const { store, registry } = bench;
      const ref = registry.push('a/b', 'v1', await image('one'));
      registry.faults.push({ match: /blobs/, times: 1, hang: true });
      const stop = new AbortController();
      const work = pull(ref, {
        store,
        signal: stop.signal,
        onProgress: (e) =>
          e.type === 'blob' &&
          e.status === 'done' &&
          !e.key.startsWith('manifest-') &&
          stop.abort(new DOMException('stop', 'AbortError')),
      });
      await assert.rejects(work, (err) => kindOf(err) === 'Canceled');
      await assertClean(bench);
      registry.requests.length = 0;
      await pull(ref, { store });
      assert.ok(
        !registry.log().includes(`GET /a/b/manifests/${(await store.images.get(ref)).target.digest}`),
      );
    });
  },
);

test('two pulls of one image at once in one process fetch each blob once', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/b', 'v1', await image('one'));
    const results = await Promise.all([pull(ref, { store }), pull(ref, { store }), pull(ref, { store })]);
    assert.equal(new Set(results.map((r) => r.unpacked[0]?.chainId)).size, 1);
    const gets = registry.log().filter((line) => line.startsWith('GET'));
    assert.equal(new Set(gets).size, gets.length, gets.join('\n'));
    assert.deepEqual(await store.leases.list(), []);
  });
});

test('a tag that moved: what it named before goes, what others need stays', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const [one, two] = [await image('one'), await image('two')];
    const ref = registry.push('a/b', 'v1', one);
    const kept = registry.push('a/b', 'kept', one);
    await pull(ref, { store });
    await pull(kept, { store });
    const has = async (digest: string | undefined) =>
      (await store.content.list()).some((info) => (info.digest as string) === digest);
    registry.push('a/b', 'v1', two);
    await pull(ref, { store });
    assert.ok(
      (await has(one.layers[0]?.digest)) && (await has(two.layers[0]?.digest)),
      'kept still names it',
    );
    registry.push('a/b', 'kept', two);
    await pull(kept, { store });
    assert.equal(await has(one.layers[0]?.digest), false);
    assert.equal((await store.snapshotter('overlayfs').list()).length, 2);
  });
});

test('native snapshots hold the whole tree', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/b', 'v1', await image('one'));
    const { unpacked } = await pull(ref, { store, snapshotter: 'native' });
    const snapshotter = store.snapshotter('native');
    const [mount] = await viewMounts(snapshotter, 'look', unpacked[0]?.chainId ?? '');
    assert.deepEqual(readdirSync(mount?.source ?? '').sort(), ['etc', 'only-one']);
    assert.deepEqual(readdirSync(join(mount?.source ?? '', 'etc')), ['name']);
  });
});

test('fetch records without unpacking, and needs no root', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/b', 'v1', await image('one'));
    const result = await fetch(ref, { store, labels: { team: 'deck' } });
    assert.deepEqual((await store.images.get(ref)).labels, { team: 'deck' });
    const manifest = await store.content.info(result.target.digest);
    assert.deepEqual(Object.keys(manifest.labels).sort(), [
      'containerd.io/distribution.source.127.0.0.1',
      'containerd.io/gc.ref.content.config',
      'containerd.io/gc.ref.content.l.0',
      'containerd.io/gc.ref.content.l.1',
    ]);
  });
});

test('a tag that is not there, beside a digest that is: fetched by the digest, under the whole name', async () => {
  await withBench(async ({ store, registry }) => {
    const one = await image('one');
    registry.push('a/b', 'v1', one);
    const ref = `${registry.host}/a/b:nope@${one.root.digest}`;
    assert.equal((await fetch(ref, { store })).target.digest, one.root.digest);
    assert.deepEqual(
      (await store.images.list()).map(({ name }) => name),
      [ref],
    );
    assert.ok(registry.log().every((line) => !line.includes('nope')));
  });
});

test('maxConcurrentDownloads: 1 is one request at a time', async () => {
  const state = { open: 0, most: 0 };
  const when = (): boolean => {
    state.most = Math.max(state.most, ++state.open);
    return true;
  };
  const onAnswer = () => void state.open--;
  await withBench(
    async ({ store, registry }) => {
      const ref = registry.push('a/b', 'v1', buildIndex([await image('one'), await image('two')]));
      await fetch(ref, { store, platforms: 'all', maxConcurrentDownloads: 1 });
      assert.deepEqual([state.open, state.most], [0, 1]);
    },
    { faults: [{ when, delay: 2 }], onAnswer },
  );
});

test('the config comes first, then the layers, the largest first', async () => {
  await withBench(async ({ store, registry }) => {
    const files = (size: number) => ({ entries: [{ name: 'file', data: randomBytes(size) }] });
    const { layers, ...one } = await buildImage({ layers: [files(100), files(9000), files(4000)] });
    const ref = registry.push('a/b', 'v1', { layers, ...one });
    await fetch(ref, { store, maxConcurrentDownloads: 1 });
    const blobs = registry.log().flatMap((line) => /blobs\/(\S+)/.exec(line)?.[1] ?? []);
    const [small, large, middle] = layers.map(({ digest }) => digest);
    assert.equal(blobs.length, 4);
    assert.deepEqual(blobs.slice(1), [large, middle, small]);
  });
});

test('a store that this module did not open is refused with a hint', async () => {
  await withBench(async ({ store }) => {
    const err = await failure(unpack('a/b', { store: { ...store } }));
    assert.equal(kindOf(err), 'InvalidArgument');
    assert.match(hintOf(err) ?? '', /unchanged, what openStore or openContainerd returned/);
  });
});
