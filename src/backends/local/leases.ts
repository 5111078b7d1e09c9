import { HawserError } from '../../core/errors.ts';
import { expiry } from '../../core/leases/expiry.ts';
import { randomLeaseId } from '../../core/leases/ids.ts';
import {
  LEASE_EXPIRE_LABEL,
  LEASE_IMAGE_LABEL,
  type Lease,
  type LeaseOptions,
  type LeaseResource,
  type Leases,
} from '../../core/leases/lease-store.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Row } from '../../core/ports/database.ts';
import { setDue } from './due-time.ts';
import { labelRows } from './labels.ts';
import { OWNER_LABEL } from './owner.ts';
import { number, text } from './rows.ts';
import type { Store } from './store.ts';

const CREATE_TRIES = 10;
/** The id of a lease in a store that can only be read, or that is not there. */
const UNRECORDED = 'unrecorded';

/** Within a transaction: `lease` protects the resource from now on. NotFound when the lease is absent; no lease: does nothing. */
export function addToLease(store: Store, lease: string | undefined, type: string, id: string): void {
  if (lease === undefined || store.isVacant) return;
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
  if (lease === undefined || store.isVacant) return;
  const row = store.db.prepare('SELECT 1 FROM leases WHERE ns = ? AND id = ?').get(store.namespace, lease);
  if (row === undefined) throw new HawserError('NotFound', 'lease does not exist');
}

function notFound(id: string): HawserError {
  return new HawserError('NotFound', `lease "${id}": not found`);
}

function toResource(row: Row): LeaseResource {
  return { type: text(row, 'type'), id: text(row, 'id') };
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
  readonly #onEnd: (resources: readonly LeaseResource[]) => void;

  /** `onEnd`: with what this process is not at work with any more, for the last of its leases on the things has ended. */
  constructor(store: Store, onEnd: (resources: readonly LeaseResource[]) => void) {
    this.#store = store;
    this.#onEnd = onEnd;
  }

  async create(opts: LeaseOptions = {}): Promise<Lease> {
    opts.signal?.throwIfAborted();
    if (opts.id === '') throw new HawserError('InvalidArgument', 'Cannot create a lease with an empty id');
    const createdAt = this.#store.now();
    const labels: Record<string, string> = { ...opts.labels };
    if (opts.image !== undefined) labels[LEASE_IMAGE_LABEL] = opts.image;
    if (opts.atWork === true) labels[OWNER_LABEL] = this.#store.owner.id;
    const { id: wanted = UNRECORDED } = opts;
    if (this.#isUnrecorded(wanted)) return { id: wanted, createdAt, labels };
    if (opts.expiresIn !== undefined) {
      labels[LEASE_EXPIRE_LABEL] = expiry(createdAt, opts.expiresIn);
    }
    const bound = opts.id === undefined && labels[LEASE_EXPIRE_LABEL] === undefined;
    for (let attempt = 1; ; attempt++) {
      const id = opts.id ?? randomLeaseId(createdAt, (length) => this.#store.runtime.host.random(length));
      if (await this.#insert({ id, labels, createdAt }, bound, opts)) return this.#read(id, createdAt);
      if (opts.id === undefined && attempt < CREATE_TRIES) continue;
      throw new HawserError('AlreadyExists', `lease "${id}": already exists`);
    }
  }

  /** A store that can only be read (`if-need-be`) records no lease; where there is no store, that of a verb protects nothing. */
  #isUnrecorded(id: string): boolean {
    const { isVacant, unwritable } = this.#store;
    return unwritable !== undefined || (isVacant && id === UNRECORDED);
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
    if (this.#store.unwritable !== undefined) return;
    const { db, namespace, owner } = this.#store;
    const ended = await this.#store.writeToFree(() => {
      const labels = labelRows.get(db, namespace, 'leases', id);
      const resources = this.#endsWith(id, labels);
      const dropped = db.prepare('DELETE FROM leases WHERE ns = ? AND id = ?').run(namespace, id);
      if (dropped.changes === 0) throw notFound(id);
      labelRows.clear(db, namespace, 'leases', id);
      // Its own lease a verb drops when it has succeeded or brought nothing; another's held what may now be of no use.
      if (labels[LEASE_IMAGE_LABEL] !== undefined && labels[OWNER_LABEL] !== owner.id)
        setDue(this.#store, this.#store.now());
      return resources;
    }, call);
    this.#onEnd(ended);
  }

  async add(id: string, resource: LeaseResource, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    checkResource(resource);
    if (this.#isUnrecorded(id)) return;
    await this.#store.write(() => {
      this.#require(id);
      addToLease(this.#store, id, resource.type, resource.id);
    }, call);
  }

  async resources(id: string, call?: Call): Promise<LeaseResource[]> {
    call?.signal?.throwIfAborted();
    if (this.#isUnrecorded(id)) return [];
    const { db, namespace } = this.#store;
    this.#require(id);
    const rows = db.prepare(
      'SELECT type, id FROM lease_resources WHERE ns = ? AND lease = ? ORDER BY type, id',
    );
    return rows.all(namespace, id).map(toResource);
  }

  async release(id: string, expiresIn: number, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    if (this.#isUnrecorded(id)) return;
    const { db, namespace } = this.#store;
    const until = expiry(this.#store.now(), expiresIn);
    const ended = await this.#store.writeToFree(() => {
      this.#require(id);
      const resources = this.#endsWith(id, labelRows.get(db, namespace, 'leases', id));
      labelRows.set(db, namespace, 'leases', id, { [OWNER_LABEL]: '', [LEASE_EXPIRE_LABEL]: until });
      return resources;
    }, call);
    this.#onEnd(ended);
  }

  /** Within a transaction: what this process works with under this lease and under no other one. */
  #endsWith(lease: string, labels: Lease['labels']): LeaseResource[] {
    const { db, namespace, owner } = this.#store;
    if (labels[OWNER_LABEL] !== owner.id) return [];
    const rows = db.prepare(
      `SELECT type, id FROM lease_resources WHERE ns = ?1 AND lease = ?2
       EXCEPT SELECT r.type, r.id FROM lease_resources r
       JOIN labels l ON l.ns = r.ns AND l.type = 'leases' AND l.id = r.lease AND l.key = ?3 AND l.value = ?4
       WHERE r.ns = ?1 AND r.lease <> ?2`,
    );
    return rows.all(namespace, lease, OWNER_LABEL, owner.id).map(toResource);
  }

  async abandoned(image: string, call?: Call): Promise<string[]> {
    const ids: string[] = [];
    for (const { id, labels } of await this.list(call)) {
      const owner = labels[OWNER_LABEL];
      if (labels[LEASE_IMAGE_LABEL] !== image) continue;
      if (owner === undefined || (await this.#store.owner.look(owner, call)) === 'dead') ids.push(id);
    }
    return ids;
  }

  #require(id: string): void {
    const { db, namespace } = this.#store;
    if (db.prepare('SELECT 1 FROM leases WHERE ns = ? AND id = ?').get(namespace, id) === undefined)
      throw notFound(id);
  }
}
