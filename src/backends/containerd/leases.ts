import { checkLabels } from '../../core/content/labels.ts';
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
import type { Clock } from '../../core/ports/clock.ts';
import type { HostSystem } from '../../core/ports/host.ts';
import type { Connection } from './connection.ts';
import { type Message, need, toMs } from './messages.ts';

/** Milliseconds that a lease lasts which is made only to be deleted, should this process die in between. */
const BRIEFLY = 60_000;

/** containerd does not check that the resource exists. */
export async function addToLease(
  connection: Connection,
  id: string,
  resource: LeaseResource,
  call?: Call,
): Promise<void> {
  if (resource.type === 'content') parseDigest(resource.id);
  await connection.call('leases.v1.Leases/AddResource', { id, resource }, call);
}

/** containerd's leases (services/leases/v1). They do not end with the process that made them. */
export class ContainerdLeases implements Leases {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #host: Pick<HostSystem, 'random'>;

  constructor(connection: Connection, clock: Clock, host: Pick<HostSystem, 'random'>) {
    this.#connection = connection;
    this.#clock = clock;
    this.#host = host;
  }

  async create(opts: LeaseOptions = {}): Promise<Lease> {
    if (opts.id === '') throw new HawserError('InvalidArgument', 'Cannot create a lease with an empty id');
    const now = this.#clock.now();
    const id = opts.id ?? randomLeaseId(now, (length) => this.#host.random(length));
    const labels: Record<string, string> = { ...opts.labels };
    if (opts.image !== undefined) labels[LEASE_IMAGE_LABEL] = opts.image;
    if (opts.expiresIn !== undefined) {
      labels[LEASE_EXPIRE_LABEL] = expiry(now, opts.expiresIn);
    }
    checkLabels(labels);
    const { lease } = await this.#connection.call('leases.v1.Leases/Create', { id, labels }, opts);
    return toLease(need(lease, 'the lease made'));
  }

  async list(call?: Call): Promise<Lease[]> {
    const { leases } = await this.#connection.call('leases.v1.Leases/List', {}, call);
    return leases.map(toLease).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async delete(id: string, call?: Call): Promise<void> {
    await this.#connection.call('leases.v1.Leases/Delete', { id, sync: false }, call);
  }

  /** Returns after a garbage collection: containerd collects before it answers a synchronous deletion. */
  async collect(call: Call = {}): Promise<void> {
    const { id } = await this.create({ expiresIn: BRIEFLY, ...call });
    await this.#connection.call('leases.v1.Leases/Delete', { id, sync: true }, { ...call, deadline: 0 });
  }

  async add(id: string, resource: LeaseResource, call?: Call): Promise<void> {
    await addToLease(this.#connection, id, resource, call);
  }

  async resources(id: string, call?: Call): Promise<LeaseResource[]> {
    const { resources } = await this.#connection.call('leases.v1.Leases/ListResources', { id }, call);
    const key = (one: LeaseResource) => `${one.type} ${one.id}`;
    return resources.map(({ type, id }) => ({ type, id })).sort((a, b) => (key(a) < key(b) ? -1 : 1));
  }
}

function toLease({ id, createdAt, labels }: Message<'Lease'>): Lease {
  return { id, createdAt: toMs(createdAt), labels };
}
