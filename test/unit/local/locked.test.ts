/** Another process holds the database's write lock: every change waits without blocking the event loop, and hears its signal. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import { openLocalBackend } from '../../../src/backends/local/open.ts';
import { isKind, kindOf } from '../../../src/core/errors.ts';
import type { Call } from '../../../src/core/ports/call.ts';
import { addBlob, bytesOf, close, digestOf, withStore } from '../../support/stores.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** Longest that the event loop stood still while `work` ran, in milliseconds. */
async function longestStandstill(work: () => Promise<unknown>): Promise<number> {
  let latest = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - latest);
    latest = performance.now();
  }, 5);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return longest;
}

function lock(root: string): Disposable {
  const db = new DatabaseSync(`${root}/hawser.db`);
  db.exec('BEGIN IMMEDIATE');
  return {
    [Symbol.dispose]: () => {
      db.exec('ROLLBACK');
      db.close();
    },
  };
}

const OLD = bytesOf('old');
const target = { mediaType: MANIFEST, digest: digestOf(OLD), size: OLD.length };

/** Each changes the store. */
const CHANGES: Readonly<Record<string, (backend: LocalBackend, call: Call) => Promise<unknown>>> = {
  'images.put': ({ images }, call) => images.put('new', target, {}, call),
  'images.delete': ({ images }, call) => images.delete('old', call),
  'leases.create': ({ leases }, call) => leases.create(call),
  'leases.delete': ({ leases }, call) => leases.delete('held', call),
  'leases.add': ({ leases }, call) => leases.add('held', { type: 'images', id: 'old' }, call),
  'content.label': ({ content }, call) => content.label(target.digest, { a: 'b' }, call),
  'content.delete': ({ content }, call) => content.delete(target.digest, call),
  'content.ingest': async ({ content }, call) => await close(await content.ingest('ref', {}, call)),
  'content.ingest of what is known': ({ content }, call) => content.ingest('ref', target, call).catch(known),
  'content.abort': ({ content }, call) => content.abort('left', call),
  'snapshots.label': (backend, call) => backend.snapshotter().label('old', { a: 'b' }, call),
  'snapshots.remove': (backend, call) => backend.snapshotter().remove('old', call),
  collect: (backend, call) => backend.collect(call),
};

function known(err: unknown): void {
  if (!isKind(err, 'AlreadyExists')) throw err;
}

async function fill(backend: LocalBackend): Promise<void> {
  await addBlob(backend, OLD);
  await backend.images.put('old', target, {});
  await backend.leases.create({ id: 'held' });
  await close(await backend.content.ingest('left', {}));
}

/** A committed snapshot's record; this test may not be root. */
function addSnapshot(root: string, name: string): void {
  const db = new DatabaseSync(`${root}/hawser.db`);
  db.exec(`INSERT INTO snapshots (ns, snapshotter, name, kind, owner, created_at, updated_at)
    VALUES ('testing', 'overlayfs', '${name}', 'Committed', '', 0, 0)`);
  db.close();
}

for (const [name, change] of Object.entries(CHANGES)) {
  test(`locked: ${name} waits for the lock, ends at once when aborted, and succeeds once it is free`, async () => {
    await withStore(async ({ backend, root }) => {
      await fill(backend);
      addSnapshot(root, 'old');
      fs.mkdirSync(`${root}/snapshots/overlayfs`, { recursive: true });
      const held = lock(root);
      const stop = new AbortController();
      let took = Number.POSITIVE_INFINITY;
      try {
        const stood = await longestStandstill(async () => {
          const changing = change(backend, { signal: stop.signal });
          await pause(150);
          const began = performance.now();
          stop.abort(new DOMException('enough', 'AbortError'));
          const err = await changing.then(
            () => undefined,
            (one) => one,
          );
          took = performance.now() - began;
          assert.equal(kindOf(err), 'Canceled', String(err));
        });
        assert.ok(stood < 1000, `the event loop stood still for ${stood} ms`);
        assert.ok(took < 2500, `ended ${took} ms after the abort`);
      } finally {
        held[Symbol.dispose]();
      }
      await change(backend, {});
    });
  });
}

test('locked: what is changed while another holds the lock waits for the lock', async () => {
  await withStore(async ({ backend, root }) => {
    await fill(backend);
    const held = lock(root);
    const deleting = backend.images.delete('old');
    await pause(300);
    assert.equal((await backend.images.get('old')).name, 'old');
    held[Symbol.dispose]();
    await deleting;
    assert.deepEqual(await backend.images.list(), []);
  });
});

test('locked: disposing of what is open does not wait long', async () => {
  await withStore(async ({ backend, root, runtime, open }) => {
    await fill(backend);
    const other = await open();
    const ingest = await other.content.ingest('mine', {});
    const held = lock(root);
    try {
      const began = performance.now();
      await close(ingest);
      await other[Symbol.asyncDispose]();
      assert.ok(performance.now() - began < 4000);
      fs.rmSync(`${root}/content/index.json`);
      const opened = await openLocalBackend(runtime, { root, namespace: 'testing' });
      await opened[Symbol.asyncDispose]();
    } finally {
      held[Symbol.dispose]();
    }
    // The ref that could not be released is nobody's, for its process has ended.
    await close(await backend.content.ingest('mine', {}));
  });
});

test('locked: a reader waits for an exclusive lock, and hears its signal', async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await fill(backend);
    await backend[Symbol.asyncDispose]();
    const holder = new DatabaseSync(`${root}/hawser.db`);
    // A log is there, and nobody else may use it: as while it is recovered.
    holder.exec('PRAGMA locking_mode = EXCLUSIVE');
    holder.exec('UPDATE images SET updated_at = 1; CREATE TABLE extra (v)');
    fs.writeFileSync(`${root}/hawser.db-shm`, '');
    const opening = openLocalBackend(runtime, { root, namespace: 'testing', readOnly: true });
    const stop = AbortSignal.timeout(200);
    const aborted = openLocalBackend(runtime, { root, namespace: 'testing', readOnly: true, signal: stop });
    assert.equal(kindOf(await aborted.catch((err) => err)), 'DeadlineExceeded');
    holder.close();
    const reader = await opening;
    assert.equal((await reader.images.list()).length, 1);
    await reader[Symbol.asyncDispose]();
  });
});

test('locked: a ref that could not be released can be taken again by the same process', async () => {
  await withStore(async ({ backend, root }) => {
    await fill(backend);
    const ingest = await backend.content.ingest('mine', {});
    const held = lock(root);
    await close(ingest);
    held[Symbol.dispose]();
    await close(await backend.content.ingest('mine', {}));
  });
});
