/** The namespaces table, with labels of the type `namespaces`. */
import type { Labels } from '../../core/content/content-store.ts';
import type { Namespace, Namespaces } from '../../core/content/namespace-store.ts';
import { HawserError } from '../../core/errors.ts';
import type { Digest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import { lookAtOwners } from './collect.ts';
import { namespaces } from './gc-state.ts';
import { checkIdentifier } from './identifiers.ts';
import { labelRows } from './labels.ts';
import { OWNER_LABEL } from './owner.ts';
import { text } from './rows.ts';
import type { Store } from './store.ts';

const TYPE = 'namespaces';
/** Label of a namespace whose blobs every other one shares (containerd's labels.LabelSharedNamespace). */
const SHAREABLE_LABEL = 'containerd.io/namespace.shareable';

/** Whether a namespace that has the blob shares it with all, whatever their policy. */
export function isShareable({ db }: Store, digest: Digest): boolean {
  const find = db.prepare(
    `SELECT 1 FROM blobs b JOIN labels l ON l.ns = b.ns AND l.type = ? AND l.id = b.ns
     WHERE b.digest = ? AND l.key = ? AND l.value = 'true' LIMIT 1`,
  );
  return find.get(TYPE, digest, SHAREABLE_LABEL) !== undefined;
}

export class LocalNamespaces implements Namespaces {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async list(call?: Call): Promise<Namespace[]> {
    call?.signal?.throwIfAborted();
    const { db } = this.#store;
    return namespaces(db).map((name) => ({ name, labels: labelRows.get(db, name, TYPE, name) }));
  }

  async create(name: string, labels: Labels, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    checkIdentifier(name);
    const { db } = this.#store;
    await this.#store.writeWithoutNamespace(() => {
      const { changes } = db.prepare('INSERT OR IGNORE INTO namespaces VALUES (?)').run(name);
      if (changes === 0) throw new HawserError('AlreadyExists', `namespace "${name}": already exists`);
      labelRows.set(db, name, TYPE, name, labels);
    }, call);
  }

  async label(name: string, labels: Labels, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    const { db } = this.#store;
    await this.#store.writeWithoutNamespace(() => {
      this.#require(name);
      labelRows.set(db, name, TYPE, name, labels);
    }, call);
  }

  /** Leases and ingests go with the namespace, as in containerd; the files of the ingests with the next collection. */
  async delete(name: string, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    const { db } = this.#store;
    await lookAtOwners(this.#store, call);
    await this.#store.writeWithoutNamespace(() => {
      this.#require(name);
      const left = this.#left(name);
      if (left.length > 0) {
        const what = `namespace "${name}" must be empty, but it still has ${left.join(', ')}`;
        throw new HawserError('FailedPrecondition', what, {
          hint: `Remove them first: hawser -n ${name} images prune --all, hawser -n ${name} snapshots rm KEY`,
        });
      }
      this.#requireIdle(name);
      for (const table of ['leases', 'ingests', 'labels']) {
        db.prepare(`DELETE FROM ${table} WHERE ns = ?`).run(name);
      }
      db.prepare('DELETE FROM namespaces WHERE name = ?').run(name);
    }, call);
  }

  #require(name: string): void {
    if (this.#store.db.prepare('SELECT 1 FROM namespaces WHERE name = ?').get(name) === undefined)
      throw new HawserError('NotFound', `namespace "${name}": not found`);
  }

  /** What keeps a namespace from being deleted, in containerd's words. */
  #left(name: string): string[] {
    const { db } = this.#store;
    const has = (table: string): boolean =>
      db.prepare(`SELECT 1 FROM ${table} WHERE ns = ? LIMIT 1`).get(name) !== undefined;
    const snapshotters = db.prepare('SELECT DISTINCT snapshotter FROM snapshots WHERE ns = ?').all(name);
    return [
      ...(has('images') ? ['images'] : []),
      ...(has('blobs') ? ['blobs'] : []),
      ...snapshotters.map((row) => `snapshots on "${text(row, 'snapshotter')}" snapshotter`),
    ];
  }

  /** A verb that may be at work in the namespace is not to lose its lease or its downloads. */
  #requireIdle(name: string): void {
    const { db, owner } = this.#store;
    const rows = db.prepare(
      `SELECT owner FROM ingests WHERE ns = ?1 AND owner IS NOT NULL
       UNION SELECT owner FROM leases WHERE ns = ?1 AND owner IS NOT NULL
       UNION SELECT value FROM labels WHERE ns = ?1 AND type = 'leases' AND key = ?2`,
    );
    if (rows.all(name, OWNER_LABEL).every((row) => owner.isDead(text(row, 'owner')))) return;
    throw new HawserError(
      'FailedPrecondition',
      `namespace "${name}" must be idle, but somebody is at work in it`,
      {
        hint: `hawser -n ${name} leases ls and content active say on what`,
      },
    );
  }
}
