/** The library's verbs that look after a store. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { partsOf } from '../../src/entry/stores.ts';
import {
  type ApiRegistryOptions,
  collectionPlan,
  copy,
  fetch,
  files,
  openStore,
  type ProgressEvent,
  prune,
  pull,
  push,
  recover,
  repair,
  type Store,
  tag,
  usage,
} from '../../src/mod.ts';
import { image, rejectsWith, withBench } from '../support/bench.ts';
import { ROOT } from '../support/golden-image.ts';
import { tempDir } from '../support/tmp.ts';

test('usage and collectionPlan say what is there and what would go', async () => {
  await withBench(async ({ store, registry }) => {
    const made = await image('one');
    const ref = registry.push('a/i', 'v1', made);
    await fetch(ref, { store });
    const { images, content, reclaimable } = await usage(store);
    assert.deepEqual(
      images.map(({ name, unique, shared }) => [name, unique, shared]),
      [[ref, content.bytes, 0]],
    );
    assert.equal(reclaimable, 0);
    await store.images.delete(ref);
    const { goes, bytes } = await collectionPlan(store);
    assert.deepEqual([goes.length, bytes], [content.count, content.bytes]);
    assert.deepEqual(await store.collect(), { blobs: content.count, snapshots: 0, bytes });
    await rejectsWith('Canceled', /stop/, usage(store, { signal: AbortSignal.abort(new Error('stop')) }));
  });
});

test('tag gives another name, which keeps the content; a taken name, a wrong digest and an absent image are errors', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/i', 'v1', await image('one'));
    const other = registry.push('a/j', 'v1', await image('two'));
    const { target } = await fetch(ref, { store });
    await fetch(other, { store });
    assert.deepEqual((await tag(ref, 'x.test/a:1', { store })).target, target);
    await rejectsWith('AlreadyExists', /names sha256/, tag(other, 'x.test/a:1', { store }));
    await rejectsWith('InvalidArgument', /its digest is/, tag(other, `x.test/a@${target.digest}`, { store }));
    await rejectsWith('NotFound', /not found/, tag('x.test/none:1', 'x.test/a:2', { store }));
    await tag(ref, 'x.test/a:1', { store });
    await tag(other, 'x.test/b:1', { store, force: true });
    await store.images.delete(ref);
    await store.collect();
    assert.equal((await store.content.info(target.digest)).digest, target.digest);
    assert.deepEqual(await store.leases.list(), []);
  });
});

test('prune takes what all rules allow, and collects; dryRun takes nothing', async () => {
  await withBench(async ({ store, registry }) => {
    const refs: string[] = [];
    for (const version of ['v1', 'v2']) {
      refs.push(registry.push('a/i', version, await image(version)));
      await fetch(refs.at(-1) ?? '', { store });
    }
    const would = await prune({ store, keep: 1, dryRun: true });
    assert.equal(would.goes.length, 1);
    assert.match(would.stays[0]?.why ?? '', /among the last 1/);
    assert.equal((await store.images.list()).length, 2);
    const done = await prune({ store, keep: 1 });
    assert.deepEqual(done.goes, would.goes);
    assert.equal((await collectionPlan(store)).goes.length, 0);
    assert.deepEqual((await prune({ store, olderThan: 3_600_000 })).goes, []);
    assert.equal((await prune({ store, filters: ['name~=a/i'] })).goes.length, 1);
    assert.deepEqual(await store.content.list(), []);
  });
});

test('a time that is none, and a number that is none, are refused before anything is done', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/i', 'v1', await image('one'));
    await fetch(ref, { store });
    registry.requests.length = 0;
    const rows: readonly [name: string, options: (bad: number) => ApiRegistryOptions][] = [
      ['retry.time', (bad) => ({ retry: { time: bad } })],
      ['timeouts.headers', (bad) => ({ timeouts: { headers: bad } })],
      ['limitRate', (bad) => ({ limitRate: bad })],
    ];
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const [name, options] of rows) {
        const refusal = new RegExp(`^Cannot use ${name}: `);
        await rejectsWith('InvalidArgument', refusal, files(ref, options(bad)).next());
        await rejectsWith('InvalidArgument', refusal, copy(ref, 'h.io/a:1', options(bad)));
        await rejectsWith('InvalidArgument', refusal, push(ref, { store, ...options(bad) }));
      }
      const work: Readonly<Record<string, () => Promise<unknown>>> = {
        olderThan: () => prune({ store, olderThan: bad }),
        keep: () => prune({ store, keep: bad }),
        keepPartial: () => fetch(ref, { store, keepPartial: bad }),
        'retry.time': () => fetch(ref, { store, retry: { time: bad } }),
        'retry.stall': () => pull(ref, { store, retry: { stall: bad } }),
        'timeouts.connect': () => fetch(ref, { store, timeouts: { connect: bad } }),
        'timeouts.headers': () => repair(ref, { store, timeouts: { headers: bad } }),
        'timeouts.stall': () => fetch(ref, { store, timeouts: { stall: bad } }),
        'timeouts.window': () => fetch(ref, { store, timeouts: { window: bad } }),
        expiresIn: () => store.leases.create({ expiresIn: bad }),
        limitRate: () => pull(ref, { store, limitRate: bad }),
      };
      for (const [name, refused] of Object.entries(work))
        await rejectsWith('InvalidArgument', new RegExp(`^Cannot use ${name}: `), refused());
    }
    for (const bad of [0, -1])
      await rejectsWith('InvalidArgument', /^Cannot use limitRate: /, fetch(ref, { store, limitRate: bad }));
    assert.deepEqual([registry.requests.length, (await store.images.list()).length], [0, 1]);
    assert.deepEqual(await store.leases.list(), []);
    assert.equal((await prune({ store, olderThan: 0 })).goes.length, 1);
  });
});

test('whoever opens a store whose database was lost is told, but by recover', async () => {
  const dir = tempDir();
  try {
    const root = join(dir.path, 'root');
    const warnings = async (): Promise<string[]> => {
      const told: string[] = [];
      const onProgress = (event: ProgressEvent) =>
        void (event.type === 'warning' && told.push(event.message));
      const store = await openStore({ root, onProgress });
      await store.images.put('example.test/a:1', ROOT, {});
      await store[Symbol.asyncDispose]();
      return told;
    };
    assert.deepEqual(await warnings(), []);
    for (const name of fs.readdirSync(root)) if (name.startsWith('hawser.db')) fs.rmSync(join(root, name));
    const told = await warnings();
    assert.equal(told.length, 1);
    assert.match(
      told[0] ?? '',
      /^the database of this store was lost.*hawser recover, or remove \S+lost-index\.json$/,
    );
    const again: string[] = [];
    await recover({ root, onProgress: (event) => void again.push(event.type) });
    assert.deepEqual(again, []);
  } finally {
    dir[Symbol.dispose]();
  }
});

/** Runs `meanwhile` once the images that go are chosen: before the leases are looked at, or after. */
function betweenChoiceAndRemoval(
  store: Store,
  at: 'leases' | 'images',
  meanwhile: () => Promise<unknown>,
): void {
  const { images, leases } = partsOf(store).backend;
  const list = leases.list.bind(leases);
  const remove = images.deleteUnchanged.bind(images);
  const once = async (): Promise<void> => {
    leases.list = list;
    await meanwhile();
  };
  if (at === 'leases') leases.list = (call) => once().then(() => list(call));
  else images.deleteUnchanged = (some, call) => meanwhile().then(() => remove(some, call));
}

for (const at of ['leases', 'images'] as const) {
  test(`prune leaves what was pulled, pinned or leased after the choice (before the look at the ${at})`, async () => {
    await withBench(async ({ store, registry }) => {
      const refs: string[] = [];
      for (const name of ['pulled', 'pinned', 'leased', 'free']) {
        refs.push(registry.push(`a/${name}`, 'v1', await image(name)));
        await fetch(refs.at(-1) ?? '', { store });
      }
      const [pulled = '', pinned = '', leased = '', free = ''] = refs;
      const lease = await store.leases.create({ expiresIn: 60_000 });
      betweenChoiceAndRemoval(store, at, async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        registry.push('a/pulled', 'v1', await image('newer'));
        await fetch(pulled, { store });
        await store.images.label(pinned, { 'io.cri-containerd.pinned': 'pinned' });
        await store.leases.add(lease.id, { type: 'images', id: leased });
      });
      const { goes, stays } = await prune({ store });
      assert.deepEqual(
        goes.map(({ name }) => name),
        [free],
      );
      assert.deepEqual(stays.map(({ image: { name } }) => name).sort(), [leased, pinned, pulled].sort());
      assert.deepEqual(
        (await store.images.list()).map(({ name }) => name),
        [leased, pinned, pulled],
      );
      const { digest } = (await store.images.get(pulled)).target;
      assert.equal((await store.content.info(digest)).digest, digest);
    });
  });
}

test('tag: a name that another process took meanwhile stays', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/i', 'v1', await image('one'));
    const other = registry.push('a/j', 'v1', await image('two'));
    const { target } = await fetch(other, { store });
    await fetch(ref, { store });
    const { images } = partsOf(store).backend;
    const put = images.put.bind(images);
    images.put = async (...given) => {
      images.put = put;
      await put('x.test/a:1', target, {});
      return await put(...given);
    };
    await rejectsWith('AlreadyExists', /names sha256/, tag(ref, 'x.test/a:1', { store }));
    assert.deepEqual((await store.images.get('x.test/a:1')).target, target);
  });
});

test('namespaces of a store', async () => {
  await withBench(async ({ store }) => {
    await store.namespaceStore.create('ci', { owner: 'me' });
    const other = await openStore({ root: store.root, namespace: 'ci' });
    try {
      const found = (await other.namespaceStore.list()).find(({ name }) => name === 'ci');
      assert.deepEqual(found?.labels, { owner: 'me' });
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });
});
