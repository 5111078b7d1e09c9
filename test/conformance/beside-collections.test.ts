/**
 * Nothing that a verb needs goes while the verb is at work: between all its steps the store is collected, by the process of the verb
 * and by another one. What a verb has brought is fetched once and unpacked once, and what a failed one has left is found by the next.
 */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { join } from 'node:path';
import { test } from 'node:test';
import { fetch, openStore, type ProgressEvent, pull, type Store, unpack } from '../../src/mod.ts';
import { buildImage, type TestImage, type TestLayer } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { runtimeOf } from '../support/bench.ts';
import { needs } from '../support/needs.ts';
import { noise } from '../support/small-image.ts';
import { openStepped } from '../support/stepped-store.ts';
import { tempDir } from '../support/tmp.ts';

const ROOT = { skip: needs({ root: true }) };
const NO_RETRY = { tries: 0 };
/** A layer that is not small is unpacked while it arrives. */
const BIG = 300_000;

interface Place {
  readonly registry: TestRegistry;
  /** Collections happen between all steps of its verbs. */
  readonly store: Store;
  /** Another process's. */
  readonly other: Store;
  readonly events: ProgressEvent[];
  /** How many collections there were. */
  readonly collections: () => number;
  /** Runs `work` once before the collection of that number. */
  readonly before: (collection: number, work: () => Promise<unknown>) => void;
}

async function withPlace(body: (place: Place) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const root = join(dir.path, 'root');
  const registry = await startRegistry();
  const other = await openStore({ root });
  let collections = 0;
  let turn: Promise<unknown> = Promise.resolve();
  const inCollection = new AsyncLocalStorage<true>();
  let planned: { readonly at: number; readonly work: () => Promise<unknown> } | undefined;
  const collectOnce = async (): Promise<void> => {
    if (collections === planned?.at) await planned.work();
    const by = collections++ % 2 === 0 ? other : stepped;
    await inCollection.run(true, async () => await by?.collect());
  };
  const step = async (): Promise<void> => {
    // A collection's own steps are none of a verb's.
    if (inCollection.getStore() === true || stepped === undefined) return;
    turn = turn.then(collectOnce);
    await turn;
  };
  let stepped: Store | undefined;
  const store = await openStepped(runtimeOf(other), root, step);
  stepped = store;
  try {
    const before: Place['before'] = (at, work) => {
      planned = { at, work };
    };
    await body({ registry, store, other, events: [], collections: () => collections, before });
  } finally {
    stepped = undefined;
    await store[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    await registry.close();
    dir[Symbol.dispose]();
  }
}

const base: TestLayer = {
  entries: [
    { name: 'etc/', type: 'directory' },
    { name: 'etc/gone', data: 'x' },
  ],
};
const big: TestLayer = { entries: [{ name: 'big', data: noise(1, BIG) }], compression: 'none' };
const top = (name: string): TestLayer => ({
  entries: [
    { name: 'etc/.wh.gone', data: '' },
    { name: `only-${name}`, data: 'y' },
  ],
});
const imageOf = (name: string, ...layers: readonly TestLayer[]): Promise<TestImage> =>
  buildImage({ layers: [...layers, top(name)] });

/** The image is whole, also after a last collection; nothing of it came or was unpacked twice. */
async function isWhole(
  place: Place,
  ref: string,
  image: TestImage,
  { snapshotter, interrupted = false }: { snapshotter?: string; interrupted?: boolean } = {},
): Promise<void> {
  const { registry, store, events } = place;
  const blobs = [image.root.digest, ...image.blobs.keys()];
  for (const digest of interrupted ? [] : image.blobs.keys()) {
    const asked = registry.log().filter((line) => line.startsWith('GET ') && line.includes(digest));
    assert.equal(asked.length, 1, `${digest} came once`);
  }
  await store.collect();
  assert.ok((await store.images.list()).some(({ name }) => name === ref));
  const there = new Set((await store.content.list()).map(({ digest }) => String(digest)));
  for (const digest of blobs) assert.ok(there.has(digest), `${digest} is there`);
  if (snapshotter === undefined) return;
  const extracted = events.filter((event) => event.type === 'layer' && event.status === 'extracted');
  const chains = extracted.map((event) => (event.type === 'layer' ? event.chainId : ''));
  assert.equal(new Set(chains).size, chains.length, 'each layer was unpacked once');
  const committed = (await store.snapshotter(snapshotter).list()).map(({ name }) => name);
  for (const chain of chains) assert.ok(committed.includes(chain), `${chain} is there`);
}

for (const snapshotter of ['overlayfs', 'native']) {
  test(`a pull beside collections: ${snapshotter}`, ROOT, async () => {
    await withPlace(async (place) => {
      const { registry, store, events } = place;
      const image = await imageOf('one', base, big);
      const ref = registry.push('a/i', 'v1', image);
      const onProgress = (event: ProgressEvent) => events.push(event);
      await pull(ref, { store, snapshotter, onProgress });
      assert.ok(place.collections() > 200, `${place.collections()} collections`);
      await isWhole(place, ref, image, { snapshotter });
      // A second image over the same layers, and the name moves to it.
      const next = await imageOf('two', base, big);
      registry.push('a/i', 'v1', next);
      events.length = 0;
      await pull(ref, { store, snapshotter, onProgress });
      await isWhole(place, ref, next, { snapshotter });
      assert.equal((await store.content.list()).length, 5);
    });
  });
}

test('a fetch and an unpack beside collections', ROOT, async () => {
  await withPlace(async (place) => {
    const { registry, store, events } = place;
    const image = await imageOf('one', base, big);
    const ref = registry.push('a/i', 'v1', image);
    await fetch(ref, { store });
    await isWhole(place, ref, image);
    await unpack(ref, { store, onProgress: (event) => events.push(event) });
    await isWhole(place, ref, image, { snapshotter: 'overlayfs' });
  });
});

test('two pulls at once beside collections, of images that share layers', ROOT, async () => {
  await withPlace(async (place) => {
    const { registry, store } = place;
    const [one, two] = [await imageOf('one', base, big), await imageOf('two', base, big)];
    const refs = [registry.push('a/i', 'v1', one), registry.push('a/j', 'v1', two)];
    await Promise.all(refs.map((ref) => pull(ref, { store })));
    for (const [n, image] of [one, two].entries()) await isWhole(place, refs[n] ?? '', image);
    assert.equal((await store.snapshotter().list()).length, 4);
  });
});

test('what a failed pull has left outlives collections, and serves the next', ROOT, async () => {
  await withPlace(async (place) => {
    const { registry, store } = place;
    const image = await imageOf('one', base, big);
    const ref = registry.push('a/i', 'v1', image);
    const layer = image.layers[1]?.digest ?? '';
    const cut = BIG >> 1;
    registry.faults.push({ match: `/blobs/${layer}`, cutAfter: cut, times: 1 });
    await assert.rejects(pull(ref, { store, retry: NO_RETRY }));
    for (let n = 0; n < 4; n++) await (n % 2 === 0 ? store : place.other).collect();
    const left = (await store.content.listStatuses()).find((one) => one.expected === layer);
    const got = left?.offset ?? 0;
    assert.ok(got > cut / 2, `${got} bytes`);
    await pull(ref, { store });
    const ranges = registry.requests.filter(({ path }) => path.includes(layer)).map(({ range }) => range);
    assert.deepEqual(ranges, [undefined, `bytes=${got}-`], 'nothing of the layer is asked for twice');
  });
});

test(
  'what failed pulls have unpacked and no sync has made durable is in no later pull’s way',
  ROOT,
  async () => {
    await withPlace(async (place) => {
      const { registry, store } = place;
      const image = await imageOf('one', base, big);
      const ref = registry.push('a/i', 'v1', image);
      const layer = image.layers[2]?.digest ?? '';
      registry.faults.push({ match: `/blobs/${layer}`, cutAfter: 1, times: 1 });
      await assert.rejects(pull(ref, { store, retry: NO_RETRY }));
      // The fetch succeeds, and ends the lease of the pull.
      await fetch(ref, { store });
      assert.deepEqual(await store.leases.list(), []);
      await pull(ref, { store });
      await isWhole(place, ref, image, { interrupted: true });
    });
  },
);

test('an image that goes while another one with its layers is pulled takes nothing along', ROOT, async () => {
  const [one, two] = [await imageOf('one', base), await imageOf('two', base)];
  let isGone = true;
  // Until the pull has fewer steps than that.
  for (let at = 3; isGone; at += 29) {
    isGone = false;
    await withPlace(async (place) => {
      const { registry, store, other } = place;
      const refs = [registry.push('a/i', 'v1', one), registry.push('a/j', 'v1', two)];
      await pull(refs[0] ?? '', { store: other });
      place.before(at, async () => {
        isGone = true;
        await other.images.delete(refs[0] ?? '');
      });
      await pull(refs[1] ?? '', { store });
      assert.ok(isGone || at > 50);
      await isWhole(place, refs[1] ?? '', two, { interrupted: true });
      assert.equal((await store.snapshotter().list()).length, isGone ? 2 : 3);
    });
  }
});
