import type { Labels } from '../content/content-store.ts';
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

/** The image records of a namespace. */
export interface ImageStore {
  /** NotFound when absent. */
  get(name: string, call?: Call): Promise<Image>;
  /** Sorted by name (bytes). */
  list(call?: Call): Promise<Image[]>;
  /** Makes or moves the record. Sets the labels given and keeps the others (ctr removes them). */
  put(name: string, target: Descriptor, labels: Labels, call?: WriteCall): Promise<Image>;
  /** Sets and (value '') removes labels, and leaves what the record names. NotFound when absent. */
  label(name: string, labels: Labels, call?: Call): Promise<Image>;
  /** NotFound when absent. */
  delete(name: string, call?: Call): Promise<void>;
  /** Deletes the records that are there, at once where the store can. Returns their names. */
  deleteAll(names: readonly string[], call?: Call): Promise<string[]>;
}
