/** A damaged document of an image: nothing that hangs on the document is lost, whatever verb meets the damage, in every store. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Labels } from '../../src/core/content/content-store.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { type AnyStore, openContainerd, openStore, pull, repair, unpack, verify } from '../../src/mod.ts';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { installations, startContainerd } from '../support/containerd.ts';
import { flipBit } from '../support/damage.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';

const PARTS = ['index', 'manifest', 'config', 'layer'] as const;

interface World {
  readonly store: AnyStore;
  /** The same store under another namespace. */
  readonly other: AnyStore;
  /** Where its blobs are. */
  readonly blobs: string;
}

async function imageOf(name: string): Promise<TestImage> {
  const layers = [{ entries: [{ name, data: name }] }, { entries: [{ name: `${name}-2`, data: 'b' }] }];
  return buildIndex([await buildImage({ layers, config: { author: name } })]);
}

function digestOf(image: TestImage, part: (typeof PARTS)[number]): string {
  if (part === 'index') return image.root.digest;
  const [manifest] = image.manifests;
  assert.ok(manifest);
  if (part === 'manifest') return manifest.digest;
  const { config, layers } = JSON.parse(new TextDecoder().decode(manifest.bytes));
  return part === 'config' ? config.digest : layers[0].digest;
}

async function collect(store: AnyStore): Promise<void> {
  await partsOf(store).backend.collect?.({});
}

/** Names of all that the store has, with the labels of blobs. */
async function everything(store: AnyStore) {
  const { content, snapshotter } = partsOf(store).backend;
  const infos = (await content.records?.()) ?? (await content.list());
  const snapshots = await snapshotter().list();
  return {
    blobs: infos.map(({ digest, labels }) => ({ digest, labels: { ...labels } })),
    snapshots: snapshots.map(({ name }) => name).sort(),
  };
}

async function check(world: World, registry: TestRegistry, part: (typeof PARTS)[number]): Promise<void> {
  const { store, blobs } = world;
  const image = await imageOf(part);
  const ref = registry.push(`t/${part}`, '1', image);
  await pull(ref, { store });
  await collect(store);
  const before = await everything(store);
  const digest = digestOf(image, part);
  flipBit({ path: join(blobs, digest.replace(':', '/')), byte: 30, bit: 0 });
  registry.faults.push({ match: digest, status: 500 });
  const report = await repair(ref, { store, retry: { tries: 0 } });
  assert.deepEqual(report.repaired, []);
  assert.ok(report.left.length > 0);
  await collect(store);
  assert.deepEqual(await everything(store), before, 'a repair without a registry takes nothing away');
  if (part !== 'layer') await assert.rejects(unpack(ref, { store }), part);
  // It succeeds where the damaged blob is not read.
  await pull(ref, { store, retry: { tries: 0 } }).catch(() => {});
  await collect(store);
  assert.deepEqual(await everything(store), before, 'nor do verbs that meet the damage');
  registry.faults.length = 0;
  const { repaired, left } = await repair(ref, { store });
  assert.deepEqual([repaired.map(({ type }) => type), left], [['blob'], []]);
  await collect(store);
  assert.deepEqual(await everything(store), before, 'all is as it was');
  assert.deepEqual((await verify({ store, parts: ['content'] })).damage, []);
  assert.deepEqual(await store.leases.list(), []);
}

async function checkShared({ store, other, blobs }: World, registry: TestRegistry, mends: boolean) {
  const image = await imageOf('shared');
  const ref = registry.push('t/shared', '1', image);
  for (const one of [store, other]) await pull(ref, { store: one });
  const before = [await everything(store), await everything(other)];
  flipBit({ path: join(blobs, digestOf(image, 'manifest').replace(':', '/')), byte: 30, bit: 0 });
  registry.requests.length = 0;
  const { repaired, left } = await repair(ref, { store });
  if (mends) assert.deepEqual([repaired.length, left], [1, []]);
  else {
    assert.deepEqual([repaired, left.length, registry.requests.length], [[], 1, 0]);
    assert.match(left[0]?.why ?? '', /other namespaces of this containerd have the same bytes \(other\)/);
  }
  await collect(store);
  assert.deepEqual([await everything(store), await everything(other)], before);
}

/** What only the document keeps goes with the next collection, and comes back with the document. */
async function checkLost({ store }: World, registry: TestRegistry, part: (typeof PARTS)[number]) {
  const image = await imageOf(part);
  const ref = registry.push(`t/${part}`, '1', image);
  await pull(ref, { store });
  const before = withoutSnapshots(await everything(store));
  await store.content.delete(parseDigest(digestOf(image, part)));
  await collect(store);
  const lost = await verify({ store, parts: ['content'] });
  assert.ok(lost.damage.some((one) => one.type === 'blob' && one.digest === digestOf(image, part)));
  assert.deepEqual((await repair(ref, { store })).left, []);
  assert.deepEqual((await verify({ store, parts: ['content'] })).damage, []);
  await collect(store);
  assert.deepEqual(withoutSnapshots(await everything(store)), before, 'nothing is missing, and all is kept');
}

function withoutSnapshots({ blobs }: Awaited<ReturnType<typeof everything>>) {
  return blobs.map(({ digest, labels }) => {
    const kept = Object.entries(labels).filter(([key]) => !/gc\.ref\.snapshot|uncompressed/.test(key));
    return [digest, Object.fromEntries(kept)];
  });
}

/** Labels that say less than the document. */
async function checkLabels({ store }: World, registry: TestRegistry) {
  const image = await imageOf('labels');
  const ref = registry.push('t/labels', '1', image);
  await pull(ref, { store });
  const before = await everything(store);
  const manifest = parseDigest(digestOf(image, 'manifest'));
  const keys = (pattern: RegExp, labels: Labels) =>
    Object.fromEntries(Object.keys(labels).flatMap((key) => (pattern.test(key) ? [[key, '']] : [])));
  for (const [digest, pattern] of [
    [manifest, /gc\.ref\.content\.config/],
    [manifest, /gc\.ref\.content/],
    [parseDigest(image.root.digest), /gc\.ref\.content/],
  ] as const) {
    const { labels } = await store.content.info(digest);
    await store.content.label(digest, keys(pattern, labels));
    const { damage } = await verify({ store, parts: ['content'] });
    assert.deepEqual(
      damage.map((one) => one.type === 'labels' && one.digest),
      [digest],
    );
    assert.deepEqual((await repair(ref, { store })).left, []);
    await collect(store);
    assert.deepEqual(await everything(store), before);
  }
  // content prune references
  const { labels } = await store.content.info(manifest);
  await store.content.label(manifest, keys(/gc\.ref\.content\.l\./, labels));
  await collect(store);
  const { damage, blobs } = await verify({ store, parts: ['content'] });
  assert.deepEqual([damage, blobs], [[], 3], 'layers that were let go of are not missed');
  assert.deepEqual((await repair(ref, { store })).repaired, [], 'nor fetched');
}

/** `mends`: a blob that two namespaces have can be replaced. */
function suite(mends: boolean, open: () => Promise<World & AsyncDisposable>): void {
  const checked = (check: (world: World, registry: TestRegistry) => Promise<void>) => async () => {
    const registry = await startRegistry();
    const world = await open();
    try {
      await check(world, registry);
    } finally {
      await world[Symbol.asyncDispose]();
      await registry.close();
    }
  };
  test(
    'a blob that another namespace has, too',
    checked((world, registry) => checkShared(world, registry, mends)),
  );
  // Those of a containerd are of other clients, too, and are not judged.
  const skip = mends ? false : 'in hawser’s own store only';
  test('labels that are not there', { skip }, checked(checkLabels));
  for (const part of PARTS) {
    const lost = checked((world, registry) => checkLost(world, registry, part));
    test(`the record of one ${part} is gone`, lost);
    const flipped = checked((world, registry) => check(world, registry, part));
    test(`a flipped bit of one ${part}`, flipped);
  }
}

describe('hawser’s own store', { skip: needs({ root: true }) }, () => {
  suite(true, async () => {
    const dir = scratch();
    const [store, other] = [
      await openStore({ root: dir.path }),
      await openStore({ root: dir.path, namespace: 'other' }),
    ];
    return {
      store,
      other,
      blobs: join(dir.path, 'content/blobs'),
      [Symbol.asyncDispose]: async () => {
        for (const one of [store, other]) await one[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  });
});

for (const installation of installations) {
  const skip = needs({ root: true, tools: ['containerd', 'ctr'] });
  describe(installation.name, { skip }, () => {
    suite(false, async () => {
      const daemon = await startContainerd(undefined, '', installation);
      const [store, other] = [
        await openContainerd({ address: daemon.socket }),
        await openContainerd({ address: daemon.socket, namespace: 'other' }),
      ];
      return {
        store,
        other,
        blobs: join(daemon.root, 'io.containerd.content.v1.content/blobs'),
        [Symbol.asyncDispose]: async () => {
          for (const one of [store, other]) await one[Symbol.asyncDispose]();
          await daemon.close();
        },
      };
    });
  });
}
