/** The rows that say what is not durable yet: `snapshots.unsynced`, and `syncing` for syncs under way. */
import type { Database } from '../../core/ports/database.ts';
import { number, text } from './rows.ts';

export interface UnsyncedRow {
  readonly id: number;
  readonly committed: boolean;
  /** write-mark.ts */
  readonly mark: string;
  /** The process that made the snapshot. */
  readonly owner: string;
}

export function unsyncedRows(db: Database): UnsyncedRow[] {
  const rows = db.prepare('SELECT id, kind, unsynced, owner FROM snapshots WHERE unsynced IS NOT NULL');
  return rows.all().map((row) => ({
    id: number(row, 'id'),
    committed: text(row, 'kind') === 'Committed',
    mark: text(row, 'unsynced'),
    owner: text(row, 'owner'),
  }));
}

/** The owners of the syncs that are under way, or were when their process died. A store of an older hawser has none. */
export function syncOwners(db: Database): string[] {
  if (db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'syncing'").get() === undefined) return [];
  const rows = db.prepare('SELECT owner FROM syncing').all();
  return rows.map((row) => text(row, 'owner'));
}

/** These snapshots and all above them. */
export function withThoseAbove(db: Database, ids: readonly number[]): number[] {
  const rows = db.prepare(
    `WITH RECURSIVE lost (id) AS (SELECT value FROM json_each(?)
       UNION SELECT s.id FROM snapshots s JOIN lost ON s.parent = lost.id)
     SELECT s.id FROM snapshots s JOIN lost USING (id)`,
  );
  return rows.all(JSON.stringify(ids)).map((row) => number(row, 'id'));
}

/** Within a transaction: drops the records of these snapshots and of all above them. */
export function dropSnapshots(db: Database, ids: readonly number[]): void {
  db.exec('PRAGMA defer_foreign_keys = ON');
  const find = db.prepare('SELECT ns, snapshotter, name FROM snapshots WHERE id = ?');
  const unlabel = db.prepare('DELETE FROM labels WHERE ns = ? AND type = ? AND id = ?');
  const drop = db.prepare('DELETE FROM snapshots WHERE id = ?');
  for (const id of withThoseAbove(db, ids)) {
    const row = find.get(id);
    if (row === undefined) continue;
    unlabel.run(text(row, 'ns'), `snapshots/${text(row, 'snapshotter')}`, text(row, 'name'));
    drop.run(id);
  }
}
