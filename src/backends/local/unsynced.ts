/**
 * Layers that a power cut may have lost. An unpacked tree is written through the page cache and made durable once a
 * pull; until then its snapshot is marked with the boot during which it was written. After another boot such a snapshot
 * cannot be trusted (its files may be there and empty, containerd#5854), so it goes and the next pull unpacks it again.
 */
import type { Call } from '../../core/ports/call.ts';
import { number, text } from './rows.ts';
import type { Store } from './store.ts';

/** A layer is about to be applied to this snapshot. */
export async function markUnsynced(store: Store, id: number, call?: Call): Promise<void> {
  const row = store.db.prepare('SELECT unsynced FROM snapshots WHERE id = ?').get(id);
  if (row?.unsynced === store.boot) return;
  const mark = store.db.prepare('UPDATE snapshots SET unsynced = ? WHERE id = ?');
  await store.write(() => mark.run(store.boot, id), call);
}

/** Makes the trees durable, and with them every snapshot that was committed when this was called. */
export async function syncSnapshots(store: Store, call?: Call): Promise<void> {
  const pending = store.db.prepare(
    "SELECT id FROM snapshots WHERE unsynced IS NOT NULL AND kind = 'Committed'",
  );
  const ids = pending.all().map((row) => number(row, 'id'));
  if (ids.length === 0) return;
  await store.runtime.workers.syncfs([store.path('snapshots')], call);
  const done = store.db.prepare('UPDATE snapshots SET unsynced = NULL WHERE id = ?');
  await store.write(() => {
    for (const id of ids) done.run(id);
  }, call);
}

/** Forgets snapshots of an earlier boot that were never made durable, and all above them. Their directories are orphans then. */
export async function forgetUnsynced(store: Store, call?: Call): Promise<void> {
  const find = store.db.prepare(
    `WITH RECURSIVE lost (id) AS (
       SELECT id FROM snapshots WHERE unsynced IS NOT NULL AND unsynced <> ?
       UNION SELECT s.id FROM snapshots s JOIN lost ON s.parent = lost.id)
     SELECT s.id, s.ns, s.snapshotter, s.name FROM snapshots s JOIN lost USING (id)`,
  );
  if (store.boot === '' || find.get(store.boot) === undefined) return;
  await store.write(() => {
    store.db.exec('PRAGMA defer_foreign_keys = ON');
    const unlabel = store.db.prepare('DELETE FROM labels WHERE ns = ? AND type = ? AND id = ?');
    const drop = store.db.prepare('DELETE FROM snapshots WHERE id = ?');
    for (const row of find.all(store.boot)) {
      unlabel.run(text(row, 'ns'), `snapshots/${text(row, 'snapshotter')}`, text(row, 'name'));
      drop.run(number(row, 'id'));
    }
  }, call);
}
