/**
 * A store that hawser 0.1.0 made before the tables `syncing`, `due` and `copies` (fixtures/store-v1/store.tar.gz: by the executable of commit
 * 115bf87; an image that was pulled, one whose fetch failed, a second namespace): it is read as it is, brought up to date by the first
 * opening to write, and nothing is lost. A newer store is refused.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type LocalBackend, openLocalBackend } from '../../../src/backends/local/open.ts';
import { hintOf, isKind, messageOf } from '../../../src/core/errors.ts';
import { planCollection } from '../../../src/core/gc/survey.ts';
import { usageOf } from '../../../src/core/gc/usage.ts';
import { imageStatus, isComplete } from '../../../src/core/images/inspect.ts';
import { only } from '../../../src/core/platforms/match.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { collectStream } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

const ARCHIVE = join(import.meta.dirname, '../../fixtures/store-v1/store.tar.gz');
const MANIFEST = 'sha256:d84a0f1bf9ebf8ad27577c9e77eae80e8039d1df18b4c8995f86cd4a11e803ba';
const PLATFORM = only({ os: 'linux', architecture: 'amd64' });

interface Old {
  readonly root: string;
  open(readOnly?: boolean, namespace?: string, runtime?: Runtime): Promise<LocalBackend>;
  /** With the database closed again. */
  query(sql: string): readonly unknown[];
}

async function withOldStore(body: (old: Old) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const opened: LocalBackend[] = [];
  const root = join(dir.path, 'store');
  // The files belong to whoever runs the test.
  execFileSync('tar', ['-xzf', ARCHIVE, '--no-same-owner', '-C', dir.path]);
  const open: Old['open'] = async (readOnly = false, namespace = 'default', runtime = bareRuntime()) => {
    const backend = await openLocalBackend(runtime, { root, namespace, readOnly });
    opened.push(backend);
    return backend;
  };
  const query = (sql: string): readonly unknown[] => {
    const db = new DatabaseSync(`${root}/hawser.db`);
    try {
      return db.prepare(sql).all();
    } finally {
      db.close();
    }
  };
  try {
    await body({ root, open, query });
  } finally {
    for (const backend of opened) await backend[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

/** What the store is known to have. */
async function check(backend: LocalBackend): Promise<void> {
  const [image, ...more] = await backend.images.list();
  assert.deepEqual([image?.target.digest, more.length], [MANIFEST, 0]);
  assert.deepEqual(image?.labels, { made: 'before' });
  assert.ok(image !== undefined && isComplete(await imageStatus(backend.content, image.target, PLATFORM)));
  for (const { digest, size } of await backend.content.list()) {
    assert.equal((await collectStream(await backend.content.open(digest))).length, size, 'hashed on the way');
  }
  const kinds = (await backend.snapshotter().list()).map(({ kind }) => kind);
  assert.deepEqual(kinds, ['Committed', 'Committed']);
  assert.deepEqual(await backend.namespaces(), ['default', 'other']);
}

const TABLES = "SELECT name FROM sqlite_master WHERE name IN ('syncing', 'due', 'copies') ORDER BY name";

test('an old store is read without being changed', async () => {
  await withOldStore(async ({ root, open, query }) => {
    const before = readFileSync(`${root}/hawser.db`);
    const reader = await open(true);
    await check(reader);
    const usage = usageOf(await reader.survey());
    assert.ok(usage.content.count >= 5 && usage.partial.count === 2);
    await reader[Symbol.asyncDispose]();
    assert.deepEqual(readFileSync(`${root}/hawser.db`), before);
    assert.deepEqual(query(TABLES), []);
  });
});

test('opened to write, an old store has all that a new one has, and loses nothing', async () => {
  await withOldStore(async ({ root, open, query }) => {
    const backend = await open();
    await check(backend);
    assert.equal((await backend.leases.list()).length, 1, 'the failed fetch has left its lease');
    assert.equal((await backend.content.listStatuses()).length, 2);
    await backend[Symbol.asyncDispose]();
    assert.deepEqual(
      query(TABLES).map((row) => (row as { name: string }).name),
      ['copies', 'due', 'syncing'],
    );
    assert.ok(existsSync(`${root}/spare`));
    const next = await open();
    await check(next);
    assert.equal(await next.checkRecords?.(), undefined);
  });
});

test('two days later a collection takes what the failed fetch left, and no more', async () => {
  await withOldStore(async ({ open, query }) => {
    const runtime = bareRuntime();
    const clock = { ...runtime.clock, now: () => Date.now() + 48 * 3_600_000 };
    const backend = await open(false, 'default', { ...runtime, clock });
    const plan = planCollection(await backend.survey());
    await backend.collect();
    await check(backend);
    assert.deepEqual(await backend.leases.list(), []);
    assert.deepEqual(await backend.content.listStatuses(), []);
    assert.ok(plan.goes.length >= 4, 'a lease, two downloads, documents');
    assert.deepEqual(planCollection(await backend.survey()).goes, []);
    assert.equal((await (await open(false, 'other')).images.list()).length, 1);
    assert.equal(query('SELECT * FROM due').length, 1);
  });
});

test('a store of a newer format is refused, to read and to write, with what to do', async () => {
  await withOldStore(async ({ root, open }) => {
    const db = new DatabaseSync(`${root}/hawser.db`);
    db.exec('PRAGMA user_version=2');
    db.close();
    for (const readOnly of [false, true]) {
      await assert.rejects(open(readOnly), (err) => {
        assert.ok(isKind(err, 'FailedPrecondition'));
        assert.match(messageOf(err), /it has format 2, this hawser knows formats up to 1/);
        assert.match(hintOf(err) ?? '', /newer hawser/);
        return true;
      });
    }
  });
});
