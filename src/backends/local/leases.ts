import type { Labels } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';
import { randomLeaseId } from '../../core/leases/ids.ts';
import {
  LEASE_EXPIRE_LABEL,
  type Lease,
  type LeaseResource,
  type Leases,
} from '../../core/leases/lease-store.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import { labelRows } from './labels.ts';
import { number, text } from './rows.ts';
import type { Store } from './store.ts';

const CREATE_TRIES = 10;
/** The id of a lease in a store that can only be read. */
const UNRECORDED = 'unrecorded';

/** Within a transaction: `lease` protects the resource from now on. NotFound when the lease is absent; no lease: does nothing. */
export function addToLease(store: Store, lease: string | undefined, type: string, id: string): void {
  if (lease === undefined) return;
  requireLease(store, lease);
  const add = store.db.prepare(
    'INSERT OR IGNORE INTO lease_resources (ns, lease, type, id) VALUES (?, ?, ?, ?)',
  );
  add.run(store.namespace, lease, type, id);
}

export function dropFromLease(store: Store, lease: string | undefined, type: string, id: string): void {
  if (lease === undefined) return;
  const drop = store.db.prepare(
    'DELETE FROM lease_resources WHERE ns = ? AND lease = ? AND type = ? AND id = ?',
  );
  drop.run(store.namespace, lease, type, id);
}

export function requireLease(store: Store, lease: string | undefined): void {
  if (lease === undefined) return;
  const row = store.db.prepare('SELECT 1 FROM leases WHERE ns = ? AND id = ?').get(store.namespace, lease);
  if (row === undefined) throw new HawserError('NotFound', 'lease does not exist');
}

function notFound(id: string): HawserError {
  return new HawserError('NotFound', `lease "${id}": not found`);
}

function checkResource(resource: LeaseResource): void {
  const [type, snapshotter, ...rest] = resource.type.split('/');
  if (resource.id === '') throw new HawserError('InvalidArgument', 'Cannot lease a resource without an id');
  if (type === 'snapshots') {
    if (snapshotter !== undefined && snapshotter !== '' && rest.length === 0) return;
    throw new HawserError('InvalidArgument', `invalid snapshot resource type ${resource.type}`);
  }
  if (resource.type === 'content') parseDigest(resource.id);
  else if (resource.type !== 'ingests' && resource.type !== 'images') {
    throw new HawserError('NotImplemented', `resource type ${resource.type} not supported yet`);
  }
}

/**
 * Leases in SQLite. A lease protects until it is deleted or its `containerd.io/gc.expire` time has passed, even when
 * the process that made it has died: the next pull finds what an interrupted one fetched. A lease without an id and
 * without a time ends with its process; a lease with an id and without a time stays until it is deleted.
 */
export class LocalLeases implements Leases {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async create(opts: { id?: string; labels?: Labels; expiresIn?: number } & Call = {}): Promise<Lease> {
    opts.signal?.throwIfAborted();
    if (opts.id === '') throw new HawserError('InvalidArgument', 'Cannot create a lease with an empty id');
    const createdAt = this.#store.now();
    const labels = { ...opts.labels };
    if (this.#isUnwritable) return { id: opts.id ?? UNRECORDED, createdAt, labels };
    if (opts.expiresIn !== undefined) {
      labels[LEASE_EXPIRE_LABEL] = new Date(createdAt + opts.expiresIn).toISOString();
    }
    const bound = opts.id === undefined && labels[LEASE_EXPIRE_LABEL] === undefined;
    for (let attempt = 1; ; attempt++) {
      const id = opts.id ?? randomLeaseId(createdAt, (length) => this.#store.runtime.host.random(length));
      if (await this.#insert({ id, labels, createdAt }, bound, opts)) return this.#read(id, createdAt);
      if (opts.id === undefined && attempt < CREATE_TRIES) continue;
      throw new HawserError('AlreadyExists', `lease "${id}": already exists`);
    }
  }

  /** A store that can only be read (`if-need-be`) records no lease. */
  get #isUnwritable(): boolean {
    return this.#store.unwritable !== undefined;
  }

  #insert({ id, labels, createdAt }: Lease, bound: boolean, call: Call): Promise<boolean> {
    const { db, namespace, owner } = this.#store;
    return this.#store.write(() => {
      const insert = db.prepare(
        'INSERT OR IGNORE INTO leases (ns, id, owner, created_at) VALUES (?, ?, ?, ?)',
      );
      if (insert.run(namespace, id, bound ? owner.id : null, createdAt).changes === 0) return false;
      labelRows.set(db, namespace, 'leases', id, labels);
      return true;
    }, call);
  }

  #read(id: string, createdAt: number): Lease {
    return { id, createdAt, labels: labelRows.get(this.#store.db, this.#store.namespace, 'leases', id) };
  }

  async list(call?: Call): Promise<Lease[]> {
    call?.signal?.throwIfAborted();
    const { db, namespace } = this.#store;
    const rows = db.prepare('SELECT id, created_at FROM leases WHERE ns = ? ORDER BY id').all(namespace);
    return rows.map((row) => this.#read(text(row, 'id'), number(row, 'created_at')));
  }

  async delete(id: string, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    if (this.#isUnwritable) return;
    const { db, namespace } = this.#store;
    await this.#store.writeToFree(() => {
      const dropped = db.prepare('DELETE FROM leases WHERE ns = ? AND id = ?').run(namespace, id);
      if (dropped.changes === 0) throw notFound(id);
      labelRows.clear(db, namespace, 'leases', id);
    }, call);
  }

  async add(id: string, resource: LeaseResource, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    checkResource(resource);
    if (this.#isUnwritable) return;
    await this.#store.write(() => {
      this.#require(id);
      addToLease(this.#store, id, resource.type, resource.id);
    }, call);
  }

  async resources(id: string, call?: Call): Promise<LeaseResource[]> {
    call?.signal?.throwIfAborted();
    if (this.#isUnwritable) return [];
    const { db, namespace } = this.#store;
    this.#require(id);
    const rows = db.prepare(
      'SELECT type, id FROM lease_resources WHERE ns = ? AND lease = ? ORDER BY type, id',
    );
    return rows.all(namespace, id).map((row) => ({ type: text(row, 'type'), id: text(row, 'id') }));
  }

  #require(id: string): void {
    const { db, namespace } = this.#store;
    if (db.prepare('SELECT 1 FROM leases WHERE ns = ? AND id = ?').get(namespace, id) === undefined)
      throw notFound(id);
  }
}
