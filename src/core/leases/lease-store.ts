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

/** Label with the name of the image that the lease's verb was to bring. */
export const LEASE_IMAGE_LABEL = 'hawser.image';

/** What `Leases.create` takes. */
export interface LeaseOptions extends Call {
  /** A random one, `<nanosecond>-<4 base64url>`, when none is given. */
  readonly id?: string | undefined;
  /** Keys to values. */
  readonly labels?: Labels | undefined;
  /** Milliseconds; not given: see `Lease`. */
  readonly expiresIn?: number | undefined;
  /** The name of the image that is to be brought under the lease. */
  readonly image?: string | undefined;
  /** This process is at work under the lease: in hawser's own store the lease lasts while the process does, and ends with `expiresIn` after. */
  readonly atWork?: boolean | undefined;
}

/** The leases of a namespace. */
export interface Leases {
  /** AlreadyExists. */
  create(opts?: LeaseOptions): Promise<Lease>;
  /** Every lease, expired ones too. */
  list(call?: Call): Promise<Lease[]>;
  /** NotFound when absent. */
  delete(id: string, call?: Call): Promise<void>;
  /** Protects one more thing. NotFound when there is no such lease. */
  add(id: string, resource: LeaseResource, call?: Call): Promise<void>;
  /** What the lease protects. NotFound when there is no such lease. */
  resources(id: string, call?: Call): Promise<LeaseResource[]>;
  /**
   * Whoever was at work under the lease has ended: it lasts so many milliseconds from now on. Not given where a lease cannot be
   * changed.
   */
  release?(id: string, expiresIn: number, call?: Call): Promise<void>;
  /** The ids of the leases for an image under which nobody is at work any more. Not given where nobody can know. */
  abandoned?(image: string, call?: Call): Promise<string[]>;
}
