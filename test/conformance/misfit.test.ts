/** Layers that prove unfit while they arrive: told at once, whatever is still to come; damage on the way is healed at once. */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { hintOf } from '../../src/core/errors.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { fetch, pull, type Store, unpackRootfs } from '../../src/mod.ts';
import { buildImage, type TestLayer } from '../registry/image.ts';
import { altered, withBench } from '../support/bench.ts';
import { failure } from '../support/failure.ts';
import { hasFfi } from '../support/ffi.ts';
import { needs } from '../support/needs.ts';
import { noise } from '../support/small-image.ts';

const ROOT = { skip: needs({ root: true }) };
const MORE = noise(7, 4 << 20);
/** Bytes of a body that come; the rest never does. */
const STALL = 1 << 20;

const good: TestLayer = { entries: [{ name: 'file', data: noise(1, 4 << 20) }], compression: 'none' };

const UNFIT: Readonly<Record<string, { readonly layer: TestLayer; readonly says: RegExp }>> = {
  'no archive': {
    layer: { tar: Buffer.concat([Buffer.alloc(512, 'A'), MORE]), compression: 'none' },
    says: /invalid tar/,
  },
  'a damaged gzip stream': {
    layer: {
      tar: Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), MORE]),
      compression: 'none',
    },
    says: /Cannot decompress gzip data/,
  },
};

for (const [title, { layer, says }] of Object.entries(UNFIT)) {
  // Two layers: a third would wait for a thread of the pool on a machine with two processors.
  for (const layers of [[layer], [good, layer]]) {
    test(
      `${title} as layer ${layers.length} is told though no layer ever comes to its end`,
      ROOT,
      async () => {
        const image = await buildImage({ layers });
        await withBench(async ({ store, registry }) => {
          const ref = registry.push('a/unfit', 'v1', image);
          registry.faults.push(...image.layers.map(({ digest }) => ({ match: digest, stall: STALL })));
          const err = await failure(pull(ref, { store, jobs: 3, timeouts: { stall: 60_000 } }));
          assert.match(err.message, says);
          assert.match(hintOf(err) ?? '', /came twice/);
          assert.equal(registry.traffic(image.layers.at(-1)?.digest).requests, 2);
          assert.deepEqual(await store.images.list(), []);
          const active = (await store.snapshotter().list()).filter(({ kind }) => kind !== 'Committed');
          assert.deepEqual(active, []);
        });
      },
    );
  }
}

test('a layer that was damaged on the way is fetched anew as soon as it proves unfit', ROOT, async () => {
  const image = await buildImage({ layers: [good, { ...good, entries: [{ name: 'other', data: MORE }] }] });
  await withBench(async ({ store, registry, events }) => {
    const ref = registry.push('a/damaged', 'v1', image);
    registry.faults.push(
      ...image.layers.map(({ digest }) => ({ match: digest, corrupt: 150, stall: STALL, times: 1 })),
    );
    const onProgress = (event: (typeof events)[number]) => events.push(event);
    const { unpacked } = await pull(ref, { store, timeouts: { stall: 60_000 }, onProgress });
    assert.equal(unpacked.length, 1);
    assert.equal(events.filter(({ type }) => type === 'retry').length, 2);
    for (const { digest } of image.layers) assert.equal(registry.traffic(digest).requests, 2);
  });
});

/** One of the layers takes long to end. */
function slowToRemove(store: Store): Store {
  const { backend } = partsOf(store);
  let removals = 0;
  const snapshotter: typeof backend.snapshotter = (name) => {
    const plain = backend.snapshotter(name);
    const remove: typeof plain.remove = async (...args) => {
      if (++removals === 2) await setTimeout(500);
      await plain.remove(...args);
    };
    const get = (_: object, key: keyof typeof plain) => {
      const part = key === 'remove' ? remove : plain[key];
      return typeof part === 'function' ? part.bind(plain) : part;
    };
    return new Proxy(plain, { get: get as never });
  };
  return altered(store, { snapshotter });
}

test('a bad layer costs the others nothing: what has come of them is kept', ROOT, async (t) => {
  // Without FFI the small layer, too, takes a thread of the pool.
  if (!hasFfi() && availableParallelism() < 3) return t.skip('needs FFI, or three processors');
  const layers = [
    good,
    { ...good, entries: [{ name: 'other', data: MORE }] },
    { entries: [{ name: 'small' }] },
  ];
  const { diffIds } = await buildImage({ layers });
  const rootfs = { type: 'layers', diff_ids: [...diffIds.slice(0, 2), `sha256:${'1'.repeat(64)}`] };
  const image = await buildImage({ layers, config: { rootfs } });
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/one-bad', 'v1', image);
    const digests = image.layers.map(({ digest }) => digest);
    const [bad = ''] = digests.splice(2);
    // By then the others are being unpacked.
    registry.faults.push(...digests.map((match) => ({ match, stall: STALL })), { match: bad, delay: 500 });
    const options = { store: slowToRemove(store), jobs: 3, timeouts: { stall: 60_000 } };
    const err = await failure(pull(ref, options));
    assert.match(err.message, /layer 3 .*wrong diff id/);
    const kept = await store.content.listStatuses();
    for (const digest of digests) {
      assert.equal(registry.traffic(digest).requests, 1);
      assert.ok((kept.find(({ ref }) => ref.includes(digest))?.offset ?? 0) > 0, 'its bytes are kept');
    }
  });
});

test(
  'a refusal that damage cannot cause ends the pull at once: nothing is fetched or extracted again',
  ROOT,
  async () => {
    const image = await buildImage({ layers: [good] });
    await withBench(async ({ store, registry, events }) => {
      const ref = registry.push('a/limit', 'v1', image);
      registry.faults.push({ match: image.layers[0]?.digest ?? '', stall: STALL });
      const onProgress = (event: (typeof events)[number]) => events.push(event);
      const limits = { maxBytes: 1000 };
      const err = await failure(pull(ref, { store, limits, timeouts: { stall: 60_000 }, onProgress }));
      assert.match(err.message, /expands to more than 1000 bytes/);
      assert.equal(registry.traffic(image.layers[0]?.digest).requests, 1);
      assert.equal(events.filter(({ type }) => type === 'retry').length, 0);
    });
  },
);

test(
  'a bomb of one small layer that is listed many times is refused, into snapshots and into a directory',
  ROOT,
  async () => {
    const zeros = { entries: [{ name: 'zeros', data: Buffer.alloc(96 << 20) }] };
    const image = await buildImage({ layers: Array.from({ length: 4 }, () => zeros) });
    await withBench(async ({ store, registry }) => {
      const ref = registry.push('a/bomb', 'v1', image);
      const limits = { maxImageBytes: 200 << 20 };
      for (const snapshotter of ['overlayfs', 'native']) {
        const err = await failure(pull(ref, { store, limits, snapshotter }));
        assert.match(err.message, /the layers of the image expand to more than 209715200 bytes together/);
        assert.match(hintOf(err) ?? '', /limits: \{ maxImageBytes: Infinity \}/);
        const infos = await store.snapshotter(snapshotter).list();
        assert.ok(infos.length <= 2, 'no more than two layers fit');
      }
      await fetch(ref, { store });
      const work = unpackRootfs(ref, join(store.root, '../tree'), { store, limits });
      assert.match((await failure(work)).message, /image expand to more than 209715200 bytes together/);
      assert.equal((await pull(ref, { store })).unpacked.length, 1);
    });
  },
);
