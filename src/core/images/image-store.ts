import type { Labels } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call, WriteCall } from '../ports/call.ts';

/** An image record: a name that points at content. */
export interface Image {
  /** `docker.io/library/alpine:3.20`. */
  readonly name: string;
  /** digest, mediaType, size and annotations only. */
  readonly target: Descriptor;
  /** Keys to values. */
  readonly labels: Labels;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Milliseconds since the epoch. */
  readonly updatedAt: number;
}

/** What `put` takes. */
export interface PutImageCall extends WriteCall {
  /** AlreadyExists where the name names another digest. Default: the name moves. */
  readonly keepsOther?: boolean | undefined;
}

/** The image records of a namespace. */
export interface ImageStore {
  /** NotFound when absent. */
  get(name: string, call?: Call): Promise<Image>;
  /** Sorted by name (bytes). */
  list(call?: Call): Promise<Image[]>;
  /** Makes or moves the record. Sets the labels given and keeps the others (ctr removes them). */
  put(name: string, target: Descriptor, labels: Labels, call?: PutImageCall): Promise<Image>;
  /** Sets and (value '') removes labels, and leaves what the record names. NotFound when absent. */
  label(name: string, labels: Labels, call?: Call): Promise<Image>;
  /** NotFound when absent. */
  delete(name: string, call?: Call): Promise<void>;
  /** Deletes the records that are there, at once where the store can. Returns their names. */
  deleteAll(names: readonly string[], call?: Call): Promise<string[]>;
  /**
   * Deletes the records that have not changed since they were read; where one transaction can tell, those without a lease that lists
   * them. Returns their names.
   */
  deleteUnchanged(images: readonly Image[], call?: Call): Promise<string[]>;
}

export function takenName(name: string, digest: string): HawserError {
  return new HawserError('AlreadyExists', `image "${name}": already exists, and names ${digest}`);
}

/** Whether nobody has changed the record meanwhile. */
export function isUnchanged(before: Image, now: Pick<Image, 'target' | 'updatedAt'>): boolean {
  return before.target.digest === now.target.digest && before.updatedAt === now.updatedAt;
}
