import type { Labels } from '../content/content-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call, WriteCall } from '../ports/call.ts';

/** An image record: a name that points at content. Times are milliseconds since the epoch. */
export interface Image {
  readonly name: string;
  /** digest, mediaType, size and annotations only. */
  readonly target: Descriptor;
  readonly labels: Labels;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface ImageStore {
  get(name: string, call?: Call): Promise<Image>;
  /** Sorted by name (bytes). */
  list(call?: Call): Promise<Image[]>;
  /** Makes or moves the record. Sets the labels given and keeps the others (ctr removes them). */
  put(name: string, target: Descriptor, labels: Labels, call?: WriteCall): Promise<Image>;
  /** NotFound when absent. */
  delete(name: string, call?: Call): Promise<void>;
  /** Deletes the records that are there, at once where the store can. Returns their names. */
  deleteAll(names: readonly string[], call?: Call): Promise<string[]>;
}
