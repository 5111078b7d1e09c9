/**
 * Garbage collection of the whole store, every namespace. Nothing but a call of `collect` collects.
 *
 * 1. Before the transaction: which processes live, and which files there are. Later files are not touched.
 * 2. One durable transaction marks, deletes unreachable records, and notes the files without a record as doomed.
 * 3. The files are removed. Writers that want such a path wait until then (Store.undoomed).
 *
 * Besides what images, root labels and leases reach, a collection keeps whatever a live process is writing (ingests, snapshots that
 * are not durable yet), and ingests younger than a day. A lease with a time protects until then even when its process has died. Of a lost
 * database, a collection keeps what may belong to its images and to users (lost.ts).
 */

import type { GcResult } from '../../core/backend.ts';
import { reasonOf } from '../../core/errors.ts';
import { mark } from '../../core/gc/mark.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Row } from '../../core/ports/database.ts';
import { COLLECTION_INTERVAL, setDue } from './due-time.ts';
import { type Files, listFiles } from './files.ts';
import { loadState, namespaces, sweepRecords } from './gc-state.ts';
import { type Loss, lossOf } from './lost.ts';
import { notMounted } from './mounted.ts';
import { OWNER_LABEL } from './owner.ts';
import { project, touchImages } from './projection.ts';
import { number, text } from './rows.ts';
import type { Store } from './store.ts';

/** Finds out which of the processes that rows name are dead, so that the transaction need not wait for that. */
export async function lookAtOwners(store: Store, call?: Call): Promise<void> {
  const rows = store.db.prepare(
    `SELECT owner FROM ingests WHERE owner IS NOT NULL UNION SELECT owner FROM leases WHERE owner IS NOT NULL
     UNION SELECT owner FROM staging UNION SELECT owner FROM doomed
     UNION SELECT owner FROM snapshots WHERE unsynced IS NOT NULL
     UNION SELECT value FROM labels WHERE type = 'leases' AND key = ?`,
  );
  for (const row of rows.all(OWNER_LABEL)) await store.owner.look(text(row, 'owner'), call);
}

/** Takes the time of an ingest's last byte from its data file: a process that died has not recorded that time. */
async function dateIngests(store: Store, call?: Call): Promise<void> {
  const rows = store.db.prepare('SELECT ns, ref, dir, updated_at FROM ingests').all();
  const late: { readonly row: Row; readonly at: number }[] = [];
  for (const row of rows) {
    const data = await store.runtime.fs.stat(`${store.path(text(row, 'dir'))}/data`, call);
    if (data === undefined || data.mtime <= number(row, 'updated_at')) continue;
    late.push({ row, at: Math.floor(data.mtime) });
  }
  if (late.length === 0) return;
  await store.writeToFree(() => {
    const update = 'UPDATE ingests SET updated_at = max(updated_at, ?) WHERE ns = ? AND ref = ?';
    for (const { row, at } of late) store.db.prepare(update).run(at, text(row, 'ns'), text(row, 'ref'));
  }, call);
}

interface Swept {
  readonly images: number;
  readonly snapshots: number;
  readonly doomed: readonly string[];
  readonly directories: readonly string[];
  /** Those of the directories that no record knew before. */
  readonly unrecorded: ReadonlySet<string>;
}

/** Within the transaction. */
function sweep(store: Store, files: Files, loss: Loss): Swept {
  const { db, owner } = store;
  const liveness = { now: store.now(), isDead: (id: string) => owner.isDead(id) };
  const unrecorded = new Set(orphans(store, files));
  setDue(store, liveness.now + COLLECTION_INTERVAL);
  let images = 0;
  let snapshots = 0;
  for (const ns of namespaces(db)) {
    const state = loadState(db, ns, liveness);
    const swept = sweepRecords(db, ns, state, mark(state, liveness.now));
    images += swept.images;
    snapshots += swept.snapshots;
  }
  if (images > 0) touchImages(store);
  // Files that a dead sweep has left are doomed again below.
  for (const table of ['staging', 'doomed']) {
    for (const row of db.prepare(`SELECT DISTINCT owner FROM ${table}`).all()) {
      const id = text(row, 'owner');
      if (owner.isDead(id)) db.prepare(`DELETE FROM ${table} WHERE owner = ?`).run(id);
    }
  }
  const keepsOld = loss.files.length > 0;
  const directories = orphans(store, files).filter((path) => !keepsOld || !unrecorded.has(path));
  return { images, snapshots, doomed: doom(store, files, loss), directories, unrecorded };
}

function doom(store: Store, files: Files, loss: Loss): string[] {
  const { db, owner } = store;
  const known = db.prepare(
    'SELECT 1 FROM blobs WHERE digest = ?1 UNION ALL SELECT 1 FROM ingests WHERE expected = ?1 LIMIT 1',
  );
  const written = db.prepare('SELECT 1 FROM ingests WHERE dir = ?');
  const paths = [...(loss.indexes.length > 0 ? [] : files.blobs)]
    .filter(([, { digest }]) => known.get(digest) === undefined)
    .map(([path]) => path);
  paths.push(...files.ingests.filter((dir) => written.get(dir) === undefined));
  const sweeper = db.prepare('SELECT owner FROM doomed WHERE path = ?');
  const put = db.prepare('INSERT OR REPLACE INTO doomed (path, owner) VALUES (?, ?)');
  return paths.filter((path) => {
    const row = sweeper.get(path);
    if (row !== undefined && !owner.isDead(text(row, 'owner'))) return false;
    put.run(path, owner.id);
    return true;
  });
}

/** Snapshot directories that belong to no record and to no live process. Ids are never used twice, so none comes back. */
function orphans(store: Store, files: Files): string[] {
  const known = store.db.prepare(
    'SELECT 1 FROM snapshots WHERE id = ?1 UNION ALL SELECT 1 FROM staging WHERE id = ?1',
  );
  return files.snapshots.filter(({ id }) => known.get(id) === undefined).map(({ path }) => path);
}

async function removeFiles(store: Store, files: Files, swept: Swept, call?: Call): Promise<number> {
  let bytes = 0;
  const done = store.db.prepare('DELETE FROM doomed WHERE path = ? AND owner = ?');
  let isNoted = true;
  try {
    for (const path of swept.doomed) {
      call?.signal?.throwIfAborted();
      await store.removeAny(store.path(path), call);
      bytes += files.blobs.get(path)?.size ?? 0;
      // At once, unless the database is busy: who wants the path waits no longer than for this file.
      if (isNoted) isNoted = await store.tidy(() => done.run(path, store.owner.id));
    }
  } finally {
    await store.tidy(() => {
      for (const path of swept.doomed) done.run(path, store.owner.id);
    });
  }
  const { directories, unrecorded } = swept;
  const free = await notMounted(store.runtime, store.root, directories, unrecorded, call);
  await removeDirectories(store, free, call);
  return bytes;
}

/** One in which something is mounted stays, to be removed by a later collection; the error says so when the others are gone. */
async function removeDirectories(store: Store, paths: readonly string[], call?: Call): Promise<void> {
  let mounted: unknown;
  for (const path of paths) {
    try {
      await store.runtime.workers.removeTree(store.path(path), call);
    } catch (err) {
      if (reasonOf(err, 'mounted') === undefined) throw err;
      mounted ??= err;
    }
  }
  if (mounted !== undefined) throw mounted;
}

function limited(call: { removalTime?: number } & Call = {}): Call {
  const { removalTime, signal } = call;
  if (removalTime === undefined) return call;
  const end = AbortSignal.timeout(removalTime);
  return { signal: signal === undefined ? end : AbortSignal.any([signal, end]) };
}

/** `removalTime`: milliseconds for the removal of files. What is left then makes a collection due. */
export async function collect(store: Store, call?: { removalTime?: number } & Call): Promise<GcResult> {
  call?.signal?.throwIfAborted();
  store.checkWritable();
  if (store.isVacant) return { blobs: 0, snapshots: 0, bytes: 0 };
  await lookAtOwners(store, call);
  await dateIngests(store, call);
  const files = await listFiles(store, call);
  const loss = await lossOf(store.runtime, store.root, call);
  const swept = await store.writeToFree(() => sweep(store, files, loss), call);
  if (swept.images > 0) await store.withSpare(() => project(store)).catch(() => {});
  const bytes = await removeFiles(store, files, swept, limited(call)).catch(async (err: unknown) => {
    await store.tidy(() => setDue(store, store.now()));
    throw err;
  });
  await store.owner.tidy(call);
  const blobs = swept.doomed.filter((path) => files.blobs.has(path)).length;
  return { blobs, snapshots: swept.snapshots, bytes };
}
