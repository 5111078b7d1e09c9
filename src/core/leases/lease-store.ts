import type { Labels } from '../content/content-store.ts';
import type { Call } from '../ports/call.ts';

/** Protects its resources from garbage collection until it is deleted, expires, or (local store) its process dies. */
export interface Lease {
  /** What `add`, `resources` and `delete` take. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Keys to values. */
  readonly labels: Labels;
}

/** A thing that a lease protects. */
export interface LeaseResource {
  /** `content`, `ingests`, `images` or `snapshots/<snapshotter>`. */
  readonly type: string;
  /** A digest, a ref, the name of an image, the key or name of a snapshot. */
  readonly id: string;
}

/** Label with the RFC 3339 time after which a lease no longer counts. */
export const LEASE_EXPIRE_LABEL = 'containerd.io/gc.expire';

/** The leases of a namespace. */
export interface Leases {
  /** `id`: a random one, `<nanosecond>-<4 base64url>`, when none is given. `expiresIn`: milliseconds. AlreadyExists. */
  create(opts?: { id?: string; labels?: Labels; expiresIn?: number } & Call): Promise<Lease>;
  /** Every lease, expired ones too. */
  list(call?: Call): Promise<Lease[]>;
  /** NotFound when absent. */
  delete(id: string, call?: Call): Promise<void>;
  /** Protects one more thing. NotFound when there is no such lease. */
  add(id: string, resource: LeaseResource, call?: Call): Promise<void>;
  /** What the lease protects. NotFound when there is no such lease. */
  resources(id: string, call?: Call): Promise<LeaseResource[]>;
}
