/** Loads the records of a namespace for the mark phase, and removes those that are not reachable. Within one transaction. */
import type { GcState } from '../../core/gc/graph.ts';
import type { Reachable } from '../../core/gc/mark.ts';
import { isExpired } from '../../core/gc/references.ts';
import { LEASE_EXPIRE_LABEL, LEASE_IMAGE_LABEL } from '../../core/leases/lease-store.ts';
import type { Database } from '../../core/ports/database.ts';
import { labelRows } from './labels.ts';
import { OWNER_LABEL } from './owner.ts';
import { digestIn, number, optionalText, text } from './rows.ts';

/** Milliseconds after its last byte for which an ingest that nobody writes is kept, to be resumed (containerd: 24 h). */
const INGEST_GRACE = 24 * 60 * 60 * 1000;

export interface Liveness {
  readonly now: number;
  isDead(owner: string): boolean;
  /** Milliseconds since the epoch; not given: the records have it. */
  lastByte?(dir: string): number;
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
  const leases = loadLeases(db, ns, liveness);
  const ended = endedDownloads(leases, liveness.now);
  return {
    leases,
    images: rows(db, ns, 'images', 'SELECT name AS id, digest FROM images WHERE ns = ?', (row, labels) => ({
      name: text(row, 'id'),
      digest: digestIn(row, `the image ${text(row, 'id')}`),
      labels,
    })),
    content: rows(db, ns, 'content', 'SELECT digest AS id FROM blobs WHERE ns = ?', (row, labels) => ({
      digest: text(row, 'id'),
      labels,
    })),
    snapshots: loadSnapshots(db, ns, liveness),
    ingests: db
      .prepare('SELECT * FROM ingests WHERE ns = ?')
      .all(ns)
      .map((row) => ({
        ref: text(row, 'ref'),
        expected: optionalText(row, 'expected'),
        live:
          lives(optionalText(row, 'owner'), liveness) ||
          (!ended.has(text(row, 'ref')) &&
            liveness.now - Math.max(number(row, 'updated_at'), liveness.lastByte?.(text(row, 'dir')) ?? 0) <
              INGEST_GRACE),
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
    // However long a verb takes, its lease protects.
    const atWork = lives(labels[OWNER_LABEL], liveness);
    const resources = held.all(ns, id).map((one) => ({ type: text(one, 'type'), id: text(one, 'id') }));
    const { [LEASE_EXPIRE_LABEL]: _, ...lasting } = labels;
    return {
      id,
      labels: atWork ? lasting : labels,
      live: owner === undefined || lives(owner, liveness),
      resources,
    };
  });
}

/** The downloads of verbs whose leases have expired: those that no other lease protects. */
function endedDownloads(leases: GcState['leases'], now: number): ReadonlySet<string> {
  const ended = new Set<string>();
  const isEnded = ({ labels }: GcState['leases'][number]) => isExpired(labels, now);
  const refsOf = ({ resources }: GcState['leases'][number]) =>
    resources.filter(({ type }) => type === 'ingests').map(({ id }) => id);
  for (const lease of leases.filter(isEnded)) {
    if (lease.labels[LEASE_IMAGE_LABEL] !== undefined) for (const ref of refsOf(lease)) ended.add(ref);
  }
  for (const lease of leases) if (!isEnded(lease)) for (const ref of refsOf(lease)) ended.delete(ref);
  return ended;
}

function loadSnapshots(db: Database, ns: string, liveness: Liveness): GcState['snapshots'] {
  const names = db.prepare('SELECT DISTINCT snapshotter FROM snapshots WHERE ns = ?').all(ns);
  return names.flatMap((named) => {
    const snapshotter = text(named, 'snapshotter');
    const labels = labelRows.all(db, ns, `snapshots/${snapshotter}`);
    const found = db.prepare(
      `SELECT s.name, s.unsynced, s.owner, p.name AS parent FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent
       WHERE s.ns = ? AND s.snapshotter = ? ORDER BY s.id`,
    );
    return found.all(ns, snapshotter).map((row) => ({
      snapshotter,
      name: text(row, 'name'),
      parent: optionalText(row, 'parent') ?? '',
      labels: labels.get(text(row, 'name')) ?? {},
      live: row.unsynced !== null && lives(optionalText(row, 'owner'), liveness),
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
