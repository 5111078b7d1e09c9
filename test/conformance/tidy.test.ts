/** What verbs leave and clear away: leases of dead runs, collections that are due, what a failed run keeps and for how long. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Digest, fetch, openStore, type Store } from '../../src/mod.ts';
import { altered, image, rejectsWith, runtimeOf, withBench } from '../support/bench.ts';

const HOUR = 3_600_000;
const idsOf = async (store: Store): Promise<string[]> => (await store.leases.list()).map(({ id }) => id);

function inDatabase(store: Store, sql: string, ...values: readonly string[]): void {
  const db = new DatabaseSync(`${store.root}/hawser.db`);
  db.prepare(sql).run(...values);
  db.close();
}

/** As if its process had died: nobody has the lock of that id. */
const orphan = (store: Store, lease: string): void =>
  inDatabase(
    store,
    "UPDATE labels SET value = '0123456789abcdef' WHERE key = 'hawser.owner' AND id = ?",
    lease,
  );

test('a success ends the leases that dead runs left for the image, and theirs alone', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/i', 'v1', await image('one'));
    const name = `${ref}`;
    const leaseFor = async (image: string) =>
      (await store.leases.create({ image, atWork: true, expiresIn: HOUR })).id;
    const [dead, alive, other] = [await leaseFor(name), await leaseFor(name), await leaseFor('r.test/x:1')];
    const named = (await store.leases.create({ id: 'mine' })).id;
    orphan(store, dead);
    orphan(store, other);
    const part = await store.content.ingest('part', { size: 10 }, { lease: dead });
    await part.write(new Uint8Array(5));
    await part[Symbol.asyncDispose]();
    await fetch(ref, { store });
    assert.deepEqual((await idsOf(store)).sort(), [alive, other, named].sort());
    assert.deepEqual(await store.content.listStatuses(), [], 'the download went with its lease');
  });
});

test('a download that a living lease lists too stays when the lease of a dead run ends', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/i', 'v1', await image('one'));
    const dead = await store.leases.create({ image: ref, atWork: true, expiresIn: HOUR });
    orphan(store, dead.id);
    const part = await store.content.ingest('part', { size: 10 }, { lease: dead.id });
    await part.write(new Uint8Array(5));
    await part[Symbol.asyncDispose]();
    const { content, leases } = store;
    // Somebody takes the download up between the look at the leases and the end of the dead one.
    let other = '';
    const drop = async (id: string): Promise<void> => {
      if (id === dead.id) {
        other = (await leases.create({ id: 'other' })).id;
        await leases.add(other, { type: 'ingests', id: 'part' });
      }
      await leases.delete(id);
    };
    const taken = new Proxy(leases, {
      get: (target, key) => {
        if (key === 'delete') return drop;
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await fetch(ref, { store: altered(store, { leases: taken }) });
    assert.deepEqual(await idsOf(store), [other]);
    assert.equal((await content.status('part')).offset, 5);
    await assert.rejects(content.abort('part', { unleased: true }), /held by the lease other/);
    await leases.delete(other);
    await content.abort('part', { unleased: true });
    assert.deepEqual(await content.listStatuses(), []);
  });
});

/** Ten seconds last one, and this call of the store's file system takes longer for blobs, as on a slow disk. */
async function onSlowDisk(
  store: Store,
  call: 'list' | 'remove',
  ms: number,
  body: () => Promise<unknown>,
): Promise<void> {
  const { fs } = runtimeOf(store) as {
    fs: Record<'list' | 'remove', (path: string, ...more: unknown[]) => unknown>;
  };
  const [plain, timeout] = [fs[call], AbortSignal.timeout];
  fs[call] = async (path, ...more) => {
    if (path.includes('/content/blobs/')) await new Promise((resolve) => setTimeout(resolve, ms));
    return await plain.call(fs, path, ...more);
  };
  AbortSignal.timeout = (limit) => timeout.call(AbortSignal, limit === 10_000 ? 1000 : limit);
  try {
    await body();
  } finally {
    fs[call] = plain;
    AbortSignal.timeout = timeout;
  }
}

for (const [call, ms] of [
  ['list', 1500],
  ['remove', 600],
] as const) {
  test(`a collection by itself gets through on a slow disk (${call})`, async () => {
    await withBench(async ({ store, registry }) => {
      const ref = registry.push('a/i', 'v1', await image('one'));
      await fetch(ref, { store });
      const old = await store.content.list();
      await store.images.delete(ref);
      const other = registry.push('a/j', 'v1', await image('two'));
      await onSlowDisk(store, call, ms, () => fetch(other, { store }));
      const left = () => old.filter(({ digest }) => existsSync(store.content.blobPath(digest)));
      await rejectsWith('NotFound', /not found/, store.content.info(old[0]?.digest as Digest));
      assert.ok(left().length < old.length, 'some are gone');
      assert.equal(left().length > 0, call === 'remove');
      await fetch(other, { store });
      assert.deepEqual(left(), [], 'the next one went on');
    });
  });
}

test('what a tag pointed at before is collected after the fetch that moves the tag, unless another process is at work', async () => {
  await withBench(async ({ store, registry }) => {
    const first = await image('one');
    registry.push('a/i', 'v1', first);
    const ref = registry.push('a/i', 'v1', first);
    const { target } = await fetch(ref, { store });
    const path = store.content.blobPath(target.digest);
    const other = await openStore({ root: store.root, namespace: 'other' });
    registry.push('a/i', 'v1', await image('two'));
    await fetch(ref, { store });
    assert.ok(existsSync(path), 'another process has the store open');
    await other[Symbol.asyncDispose]();
    const { id } = await store.leases.create({ atWork: true, expiresIn: HOUR });
    await fetch(ref, { store });
    assert.ok(existsSync(path), 'another verb of this process is at work');
    await store.leases.delete(id);
    await fetch(ref, { store });
    assert.equal(existsSync(path), false);
  });
});

test('the lease of a verb does not run out while its process lives', async () => {
  await withBench(async ({ store }) => {
    const { id } = await store.leases.create({ image: 'r.test/x:1', atWork: true, expiresIn: 0 });
    const ingest = await store.content.ingest('held', { size: 3 }, { lease: id });
    await ingest.write(new Uint8Array(3));
    const digest = await ingest.commit();
    await ingest[Symbol.asyncDispose]();
    await store.collect();
    assert.ok(existsSync(store.content.blobPath(digest)));
    orphan(store, id);
    await store.collect();
    assert.equal(existsSync(store.content.blobPath(digest)), false, 'nor longer');
    assert.deepEqual(await idsOf(store), []);
  });
});

test('without anything useless a fetch collects once a day; a lease that has run out is a reason at once', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/i', 'v1', await image('one'));
    let collections = 0;
    const counting = altered(store, {
      collectWhenDue: async () => {
        collections++;
      },
    });
    await fetch(ref, { store: counting });
    assert.equal(collections, 1, 'it is asked for after each success');
    await fetch(ref, { store });
    await store.leases.create({ id: 'kept', expiresIn: HOUR });
    const bytes = new Uint8Array([1, 2, 3]);
    const ingest = await store.content.ingest('loose', { size: 3 }, { lease: 'kept' });
    await ingest.write(bytes);
    const digest = await ingest.commit();
    await ingest[Symbol.asyncDispose]();
    await fetch(ref, { store });
    assert.ok(existsSync(store.content.blobPath(digest)));
    inDatabase(
      store,
      "UPDATE labels SET value = '2020-01-01T00:00:00Z' WHERE key = 'containerd.io/gc.expire' AND id = ?",
      'kept',
    );
    await fetch(ref, { store });
    assert.equal(existsSync(store.content.blobPath(digest)), false);
    assert.deepEqual(await idsOf(store), []);
    const loose = await store.content.ingest('loose', { size: 3 });
    await loose.write(bytes);
    await loose.commit();
    await loose[Symbol.asyncDispose]();
    await fetch(ref, { store });
    assert.ok(existsSync(store.content.blobPath(digest)), 'not due');
    inDatabase(store, 'UPDATE due SET at = 1');
    await fetch(ref, { store });
    assert.equal(existsSync(store.content.blobPath(digest)), false, 'due');
  });
});

for (const [title, keepPartial, left, lifetime] of [
  ['by default a day', undefined, true, 24 * HOUR],
  ['an hour', HOUR, true, HOUR],
  ['two days', 48 * HOUR, true, 48 * HOUR],
  ['not at all', 0, false, 0],
] as const) {
  test(`what a failed fetch keeps: ${title}`, async () => {
    const made = await image('one');
    const faults = [{ match: `/blobs/${made.layers[1]?.digest}`, cutAfter: 20 }];
    await withBench(
      async ({ store, registry }) => {
        const ref = registry.push('a/i', 'v1', made);
        const retry = { tries: 0 };
        await assert.rejects(fetch(ref, { store, retry, keepPartial }));
        const [lease, ...more] = await store.leases.list();
        assert.deepEqual(more, []);
        assert.equal(lease !== undefined, left);
        await store.collect();
        assert.equal((await store.content.list()).length > 0, left);
        assert.equal((await store.content.listStatuses()).length > 0, left);
        if (lease === undefined) return;
        const expires = Date.parse(lease.labels['containerd.io/gc.expire'] ?? '');
        assert.ok(Math.abs(expires - Date.now() - lifetime) < 60_000);
        assert.equal(lease.labels['hawser.image'], ref);
        inDatabase(
          store,
          "UPDATE labels SET value = '2020-01-01T00:00:00Z' WHERE key = 'containerd.io/gc.expire'",
        );
        await store.collect();
        assert.deepEqual(await store.content.listStatuses(), []);
      },
      { faults },
    );
  });
}
