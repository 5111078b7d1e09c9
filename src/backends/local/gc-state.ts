/** Loads the records of a namespace for the mark phase, and removes those that are not reachable. Within one transaction. */
import type { GcState, Reachable } from '../../core/gc/mark.ts';
import type { Database } from '../../core/ports/database.ts';
import { labelRows } from './labels.ts';
import { number, optionalText, text } from './rows.ts';

/** Milliseconds after its last byte for which an ingest that nobody writes is kept, to be resumed (containerd: 24 h). */
const INGEST_GRACE = 24 * 60 * 60 * 1000;

export interface Liveness {
  readonly now: number;
  isDead(owner: string): boolean;
}

export function namespaces(db: Database): string[] {
  return db
    .prepare('SELECT name FROM namespaces ORDER BY name')
    .all()
    .map((row) => text(row, 'name'));
}

function lives(owner: string | undefined, liveness: Liveness): boolean {
  return owner !== undefined && !liveness.isDead(owner);
}

export function loadState(db: Database, ns: string, liveness: Liveness): GcState {
  return {
    leases: loadLeases(db, ns, liveness),
    images: rows(db, ns, 'images', 'SELECT name AS id, digest FROM images WHERE ns = ?', (row, labels) => ({
      name: text(row, 'id'),
      digest: text(row, 'digest'),
      labels,
    })),
    content: rows(db, ns, 'content', 'SELECT digest AS id FROM blobs WHERE ns = ?', (row, labels) => ({
      digest: text(row, 'id'),
      labels,
    })),
    snapshots: loadSnapshots(db, ns),
    ingests: db
      .prepare('SELECT * FROM ingests WHERE ns = ?')
      .all(ns)
      .map((row) => ({
        ref: text(row, 'ref'),
        expected: optionalText(row, 'expected'),
        live:
          lives(optionalText(row, 'owner'), liveness) ||
          liveness.now - number(row, 'updated_at') < INGEST_GRACE,
      })),
  };
}

type Labels = Readonly<Record<string, string>>;

function rows<T>(
  db: Database,
  ns: string,
  type: string,
  sql: string,
  make: (row: ReturnType<ReturnType<Database['prepare']>['all']>[number], labels: Labels) => T,
): T[] {
  const labels = labelRows.all(db, ns, type);
  return db
    .prepare(sql)
    .all(ns)
    .map((row) => make(row, labels.get(text(row, 'id')) ?? {}));
}

function loadLeases(db: Database, ns: string, liveness: Liveness): GcState['leases'] {
  const held = db.prepare('SELECT type, id FROM lease_resources WHERE ns = ? AND lease = ?');
  return rows(db, ns, 'leases', 'SELECT id, owner FROM leases WHERE ns = ?', (row, labels) => {
    const id = text(row, 'id');
    const owner = optionalText(row, 'owner');
    const resources = held.all(ns, id).map((one) => ({ type: text(one, 'type'), id: text(one, 'id') }));
    return { id, labels, live: owner === undefined || lives(owner, liveness), resources };
  });
}

function loadSnapshots(db: Database, ns: string): GcState['snapshots'] {
  const names = db.prepare('SELECT DISTINCT snapshotter FROM snapshots WHERE ns = ?').all(ns);
  return names.flatMap((named) => {
    const snapshotter = text(named, 'snapshotter');
    const labels = labelRows.all(db, ns, `snapshots/${snapshotter}`);
    const found = db.prepare(
      `SELECT s.name, p.name AS parent FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent
       WHERE s.ns = ? AND s.snapshotter = ? ORDER BY s.id`,
    );
    return found.all(ns, snapshotter).map((row) => ({
      snapshotter,
      name: text(row, 'name'),
      parent: optionalText(row, 'parent') ?? '',
      labels: labels.get(text(row, 'name')) ?? {},
    }));
  });
}

/** Deletes the records that are not reachable. */
export function sweepRecords(
  db: Database,
  ns: string,
  state: GcState,
  keep: Reachable,
): { images: number; snapshots: number } {
  const drop = (table: string, column: string, type: string, id: string): void => {
    db.prepare(`DELETE FROM ${table} WHERE ns = ? AND ${column} = ?`).run(ns, id);
    labelRows.clear(db, ns, type, id);
  };
  for (const { id } of state.leases) if (!keep.lease(id)) drop('leases', 'id', 'leases', id);
  for (const { digest } of state.content) {
    if (!keep.has('content', digest)) drop('blobs', 'digest', 'content', digest);
  }
  for (const { ref } of state.ingests) if (!keep.has('ingests', ref)) drop('ingests', 'ref', 'ingests', ref);
  const images = state.images.filter(({ name }) => !keep.has('images', name));
  for (const { name } of images) drop('images', 'name', 'images', name);
  const snapshots = state.snapshots.filter((one) => !keep.has(`snapshots/${one.snapshotter}`, one.name));
  // A rebased snapshot may be older than its parent: no order by id puts children first.
  db.exec('PRAGMA defer_foreign_keys = ON');
  for (const { snapshotter, name } of snapshots) {
    db.prepare('DELETE FROM snapshots WHERE ns = ? AND snapshotter = ? AND name = ?').run(
      ns,
      snapshotter,
      name,
    );
    labelRows.clear(db, ns, `snapshots/${snapshotter}`, name);
  }
  return { images: images.length, snapshots: snapshots.length };
}
