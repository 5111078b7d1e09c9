/** The snapshots table: containerd's state machine (core/snapshots/storage). All but `find` run within a transaction. */
import type { Labels } from '../../../core/content/content-store.ts';
import { HawserError } from '../../../core/errors.ts';
import type { Row } from '../../../core/ports/database.ts';
import type { SnapshotInfo, SnapshotKind, Usage } from '../../../core/snapshots/snapshotter.ts';
import { labelRows } from '../labels.ts';
import { number, optionalNumber, optionalText, text } from '../rows.ts';
import type { Store } from '../store.ts';

export interface SnapshotRecord {
  /** Names the directory; never used again after removal. */
  readonly id: number;
  readonly name: string;
  readonly kind: SnapshotKind;
  readonly parent: string;
  readonly parentId: number | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Whether its layer is durable. */
  readonly durable: boolean;
  /** Of a committed snapshot whose usage was worked out before. */
  readonly usage: Usage | undefined;
}

export function notFound(key: string): HawserError {
  return new HawserError('NotFound', `snapshot ${key} does not exist: not found`);
}

const SELECT =
  'SELECT s.*, p.name AS parent_name FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent WHERE s.ns = ? AND s.snapshotter = ?';

function toRecord(row: Row): SnapshotRecord {
  const size = optionalNumber(row, 'size');
  return {
    id: number(row, 'id'),
    name: text(row, 'name'),
    kind: text(row, 'kind') as SnapshotKind,
    parent: optionalText(row, 'parent_name') ?? '',
    parentId: optionalNumber(row, 'parent'),
    createdAt: number(row, 'created_at'),
    updatedAt: number(row, 'updated_at'),
    durable: row.unsynced === null,
    usage: size === undefined ? undefined : { size, inodes: number(row, 'inodes') },
  };
}

export interface NewSnapshot {
  readonly kind: 'View' | 'Active';
  /** '' for none. */
  readonly parent: string;
  /** The mark of a snapshot that is to take a layer (durability.ts). */
  readonly unsynced: string | null;
  readonly labels: Labels;
}

export class SnapshotRecords {
  readonly #store: Store;
  readonly #snapshotter: string;
  readonly labelType: string;

  constructor(store: Store, snapshotter: string) {
    this.#store = store;
    this.#snapshotter = snapshotter;
    this.labelType = `snapshots/${snapshotter}`;
  }

  find(key: string): SnapshotRecord | undefined {
    const { db, namespace } = this.#store;
    const row = db.prepare(`${SELECT} AND s.name = ?`).get(namespace, this.#snapshotter, key);
    const record = row === undefined ? undefined : toRecord(row);
    return record !== undefined && this.#store.distrusted.has(record.id) ? undefined : record;
  }

  get(key: string): SnapshotRecord {
    const record = this.find(key);
    if (record === undefined) throw notFound(key);
    return record;
  }

  /** How processes call a layer of this snapshotter among each other. */
  layerName(chainId: string): string {
    return `${this.#snapshotter} ${chainId}`;
  }

  /** The other processes that extract a layer of this chain ID: some may be dead. */
  extractors(chainId: string): string[] {
    const { db, namespace, owner } = this.#store;
    const rows = db.prepare(
      `SELECT owner FROM snapshots WHERE ns = ? AND snapshotter = ? AND name GLOB 'extract-*' AND kind = 'Active'
       AND owner <> ? AND substr(name, instr(name, ' ') + 1) = ?`,
    );
    return rows.all(namespace, this.#snapshotter, owner.id, chainId).map((row) => text(row, 'owner'));
  }

  list(): SnapshotRecord[] {
    const { db, namespace } = this.#store;
    const rows = db.prepare(`${SELECT} ORDER BY s.name`).all(namespace, this.#snapshotter);
    return rows.map(toRecord).filter(({ id }) => !this.#store.distrusted.has(id));
  }

  info(record: SnapshotRecord, labels?: Labels): SnapshotInfo {
    const { name, kind, parent, createdAt, updatedAt } = record;
    const { db, namespace } = this.#store;
    return {
      name,
      kind,
      parent,
      createdAt,
      updatedAt,
      labels: labels ?? labelRows.get(db, namespace, this.labelType, name),
    };
  }

  /** Ids of all the layers below, nearest first. */
  parents(record: SnapshotRecord): number[] {
    return record.parentId === undefined ? [] : this.chain(record.parentId);
  }

  /** The id and the ids of all layers below, nearest first. */
  chain(id: number): number[] {
    const rows = this.#store.db.prepare(
      `WITH RECURSIVE chain (id, parent, depth) AS (
         SELECT id, parent, 0 FROM snapshots WHERE id = ?
         UNION ALL SELECT s.id, s.parent, depth + 1 FROM snapshots s JOIN chain ON s.id = chain.parent)
       SELECT id FROM chain ORDER BY depth`,
    );
    return rows.all(id).map((row) => number(row, 'id'));
  }

  /** The parent that a new snapshot may have: undefined for ''. */
  parentFor(name: string): SnapshotRecord | undefined {
    if (name === '') return undefined;
    const parent = this.find(name);
    if (parent === undefined) {
      throw new HawserError('NotFound', `parent snapshot ${name} does not exist: not found`);
    }
    if (parent.kind !== 'Committed') {
      throw new HawserError('InvalidArgument', `parent "${name}" is not committed snapshot`);
    }
    return parent;
  }

  requireFree(name: string): void {
    if (name === '') throw new HawserError('InvalidArgument', 'Cannot make a snapshot with an empty name');
    if (this.find(name) !== undefined)
      throw new HawserError('AlreadyExists', `snapshot "${name}": already exists`);
  }

  insert(id: number, key: string, { kind, parent, unsynced, labels }: NewSnapshot): void {
    this.requireFree(key);
    const parentId = this.parentFor(parent)?.id ?? null;
    const { db, namespace, owner } = this.#store;
    const at = this.#store.now();
    const add = db.prepare(
      'INSERT INTO snapshots (id, ns, snapshotter, name, kind, parent, unsynced, owner, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    add.run(id, namespace, this.#snapshotter, key, kind, parentId, unsynced, owner.id, at, at);
    labelRows.set(db, namespace, this.labelType, key, labels);
  }

  /** Gives an active snapshot without a parent one. Returns the ids of the layers below, nearest first. */
  rebase(key: string, parent: string): { record: SnapshotRecord; parents: number[] } {
    const record = this.get(key);
    if (record.kind !== 'Active' || record.parentId !== undefined) {
      throw new HawserError('FailedPrecondition', `snapshot "${key}" is not active and without a parent`);
    }
    const below = this.parentFor(parent);
    if (below === undefined) return { record, parents: [] };
    this.#store.db.prepare('UPDATE snapshots SET parent = ? WHERE id = ?').run(below.id, record.id);
    return { record, parents: this.chain(below.id) };
  }

  /** Turns the active key into the committed name: same directory, fresh times, only the labels given. */
  commit(name: string, key: string, labels: Labels): SnapshotRecord {
    const record = this.get(key);
    if (record.kind !== 'Active') {
      throw new HawserError('FailedPrecondition', `snapshot "${key}" is not active`);
    }
    this.requireFree(name);
    const { db, namespace } = this.#store;
    const at = this.#store.now();
    const update =
      "UPDATE snapshots SET name = ?, kind = 'Committed', created_at = ?, updated_at = ? WHERE id = ?";
    db.prepare(update).run(name, at, at, record.id);
    labelRows.clear(db, namespace, this.labelType, key);
    labelRows.set(db, namespace, this.labelType, name, labels);
    return record;
  }

  /** A committed snapshot whose directory is lost makes way for the active `key`, which takes its name next. */
  giveWay(lost: SnapshotRecord, key: string): void {
    const { db, namespace } = this.#store;
    const { id } = this.get(key);
    db.exec('PRAGMA defer_foreign_keys = ON');
    db.prepare('UPDATE snapshots SET parent = ? WHERE parent = ?').run(id, lost.id);
    db.prepare('DELETE FROM snapshots WHERE id = ?').run(lost.id);
    labelRows.clear(db, namespace, this.labelType, lost.name);
  }

  /** The processes that made the active snapshots above a snapshot: some may be dead. */
  workersAbove(id: number): string[] {
    const rows = this.#store.db.prepare(
      `WITH RECURSIVE above (id) AS (SELECT id FROM snapshots WHERE parent = ?
         UNION SELECT s.id FROM snapshots s JOIN above ON s.parent = above.id)
       SELECT DISTINCT owner FROM snapshots JOIN above USING (id) WHERE kind = 'Active'`,
    );
    return rows.all(id).map((row) => text(row, 'owner'));
  }

  /** The committed snapshot `by` takes the name, the labels and the children of the committed `name`. Returns the record that is gone. */
  replace(name: string, by: string): SnapshotRecord {
    const [old, next] = [this.get(name), this.get(by)];
    for (const { kind, name: which } of [old, next]) {
      if (kind !== 'Committed')
        throw new HawserError('FailedPrecondition', `snapshot "${which}" is not committed`);
    }
    const { db, namespace } = this.#store;
    const labels = labelRows.get(db, namespace, this.labelType, name);
    this.giveWay(old, by);
    labelRows.clear(db, namespace, this.labelType, by);
    const update = 'UPDATE snapshots SET name = ?, updated_at = ? WHERE id = ?';
    db.prepare(update).run(name, this.#store.now(), next.id);
    labelRows.set(db, namespace, this.labelType, name, labels);
    return old;
  }

  remove(key: string): SnapshotRecord {
    const record = this.get(key);
    const { db, namespace } = this.#store;
    if (db.prepare('SELECT 1 FROM snapshots WHERE parent = ?').get(record.id) !== undefined) {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot remove snapshot "${key}": cannot remove snapshot with child`,
      );
    }
    db.prepare('DELETE FROM snapshots WHERE id = ?').run(record.id);
    labelRows.clear(db, namespace, this.labelType, key);
    return record;
  }

  label(key: string, labels: Labels): void {
    const { db, namespace } = this.#store;
    const record = this.get(key);
    db.prepare('UPDATE snapshots SET updated_at = ? WHERE id = ?').run(this.#store.now(), record.id);
    labelRows.set(db, namespace, this.labelType, key, labels);
  }

  storeUsage(id: number, usage: Usage): void {
    const update = "UPDATE snapshots SET size = ?, inodes = ? WHERE id = ? AND kind = 'Committed'";
    this.#store.db.prepare(update).run(usage.size, usage.inodes, id);
  }
}
