import type { Labels } from '../content/content-store.ts';
import type { Call } from '../ports/call.ts';

/** Protects its resources from garbage collection until it is deleted, expires, or (local store) its process dies. */
export interface Lease {
  readonly id: string;
  readonly createdAt: number;
  readonly labels: Labels;
}

/** `type`: `content`, `ingests`, `images` or `snapshots/<snapshotter>`. */
export interface LeaseResource {
  readonly type: string;
  readonly id: string;
}

/** Label with the RFC 3339 time after which a lease no longer counts. */
export const LEASE_EXPIRE_LABEL = 'containerd.io/gc.expire';

export interface Leases {
  /** A random id `<nanosecond>-<4 base64url>` when none is given. AlreadyExists. */
  create(opts?: { id?: string; labels?: Labels; expiresIn?: number } & Call): Promise<Lease>;
  list(call?: Call): Promise<Lease[]>;
  /** NotFound when absent. */
  delete(id: string, call?: Call): Promise<void>;
  add(id: string, resource: LeaseResource, call?: Call): Promise<void>;
  resources(id: string, call?: Call): Promise<LeaseResource[]>;
}
