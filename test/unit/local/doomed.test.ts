/** A writer that wants what a collection is about to remove waits for that, and not for ever. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import { hintOf, kindOf } from '../../../src/core/errors.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { addBlob, bytesOf, close, digestOf, someBytes, withStore } from '../../support/stores.ts';

const BYTES = bytesOf('wanted');
const DIGEST = digestOf(BYTES);
const PATH = `content/blobs/sha256/${DIGEST.slice('sha256:'.length)}`;

/** A runtime whose time passes by its sleeps alone; `onSleep` sees each. */
function hurried(onSleep: (time: number) => void): Runtime {
  const base = bareRuntime();
  let time = 0;
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    time += ms;
    onSleep(time);
  };
  return { ...base, clock: { ...base.clock, monotonic: () => time, sleep } };
}

async function take(backend: LocalBackend): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  await close(await backend.content.ingest('ref', { digest: DIGEST, size: BYTES.length }, { signal }));
}

/** Notes of a collection by a live process: of the path, and of `more` others. */
function doom(root: string, more: number): DatabaseSync {
  const [owner = ''] = fs.readdirSync(`${root}/run`).map((name) => name.replace('.lock', ''));
  const db = new DatabaseSync(`${root}/hawser.db`);
  const insert = db.prepare('INSERT INTO doomed VALUES (?, ?)');
  insert.run(PATH, owner);
  for (let n = 0; n < more; n++) insert.run(`content/blobs/sha256/${n}`, owner);
  return db;
}

test('a collection that is stopped is waited for a minute, then named as a stopped hawser', async () => {
  await withStore(async ({ root, open }) => {
    doom(root, 0).close();
    let waited = 0;
    const writer = await open(
      'testing',
      false,
      hurried((time) => {
        waited = time;
      }),
    );
    const err = await failure(take(writer));
    assert.equal(kindOf(err), 'Unavailable');
    assert.match(`${err.message} ${hintOf(err)}`, /is about to remove .* stopped hawser/);
    assert.ok(waited >= 60_000 && waited < 61_000, `${waited}`);
  });
});

test('a collection that goes on is waited for as long as it takes', async () => {
  await withStore(async ({ root, open }) => {
    const db = doom(root, 4);
    let waited = 0;
    let removed = 0;
    const writer = await open(
      'testing',
      false,
      hurried((time) => {
        waited = time;
        if (time < (removed + 1) * 50_000) return;
        const path = removed < 4 ? `content/blobs/sha256/${removed}` : PATH;
        db.prepare('DELETE FROM doomed WHERE path = ?').run(path);
        removed++;
      }),
    );
    await take(writer);
    assert.ok(waited >= 250_000 && waited < 251_000, `${waited}`);
    db.close();
  });
});

test('of a collection that stops at a file, what is gone already can be written', async () => {
  const base = bareRuntime();
  const stopped = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let removed = 0;
  const remove: typeof base.fs.remove = async (path, opts) => {
    if (path.includes('/content/blobs/') && removed++ === 1) {
      stopped.resolve();
      await goOn.promise;
    }
    await base.fs.remove(path, opts);
  };
  const stopping = { ...base, fs: { ...base.fs, remove } };
  await withStore(async ({ backend, root, open }) => {
    const blobs = [await addBlob(backend, BYTES), await addBlob(backend, someBytes(100))];
    await backend.content.delete(DIGEST);
    for (const digest of blobs.slice(1)) await backend.content.delete(digest);
    const sweeper = await open('testing', false, stopping);
    const collecting = sweeper.collect();
    await stopped.promise;
    const db = new DatabaseSync(`${root}/hawser.db`);
    const there = blobs.map((digest) => fs.existsSync(`${root}/content/blobs/sha256/${digest.slice(7)}`));
    assert.equal(there.filter((one) => one).length, 1);
    const noted = db.prepare('SELECT path FROM doomed').all();
    assert.deepEqual(
      noted.map(({ path }) => String(path).slice('content/blobs/sha256/'.length)),
      blobs.filter((_, at) => there[at]).map((digest) => digest.slice(7)),
    );
    db.close();
    goOn.resolve();
    await collecting;
  });
});
