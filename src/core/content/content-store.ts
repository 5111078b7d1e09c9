/** The content store's roles, as containerd cuts them (core/content/content.go). A function asks for the smallest. */

import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call, WriteCall } from '../ports/call.ts';
import type { Growing } from './growing.ts';

export type Labels = Readonly<Record<string, string>>;

/** Times are milliseconds since the epoch. */
export interface Info {
  readonly digest: Digest;
  readonly size: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly labels: Labels;
}

export interface IngestStatus {
  readonly ref: string;
  readonly offset: number;
  /** 0 when not known. */
  readonly total: number;
  readonly expected: Digest | undefined;
  readonly startedAt: number;
  readonly updatedAt: number;
}

export interface InfoProvider {
  /** NotFound when absent in this namespace. */
  info(digest: Digest, call?: Call): Promise<Info>;
}

export interface Provider {
  /** The bytes from `offset`. NotFound when absent. Not hashed again. */
  open(digest: Digest, opts?: { offset?: number } & Call): Promise<ReadableStream<Uint8Array>>;
}

/** A blob being written; disposing closes it and keeps what was written, for the next to resume. */
export interface Ingest extends AsyncDisposable {
  readonly ref: string;
  /** Bytes written so far: where the next write goes. */
  readonly offset: number;
  /**
   * DataLoss when it would exceed the wanted size by a byte: nothing beyond it is ever kept. The bytes must not change
   * until the ingest is committed, reset or disposed of: they may be written later, and a failure be told then.
   */
  write(bytes: Uint8Array, call?: Call): Promise<void>;
  /** Back to nothing. */
  reset(call?: Call): Promise<void>;
  /**
   * Durable, checked, visible. Size or digest not as wanted: DataLoss naming both, and the ingest is kept until `reset`
   * or `abort`. Known already: the ingest is dropped, labels that the blob has stay, and all is well. Returns the digest.
   */
  commit(opts?: { size?: number; digest?: Digest; labels?: Labels } & WriteCall): Promise<Digest>;
}

export interface Ingester {
  /**
   * One writer a ref, over all processes: Unavailable while another live one has it. What a dead process left is
   * resumed (its bytes hashed again). AlreadyExists when `want.digest` is in the namespace;
   * content another namespace has is shared, after checking it, and is AlreadyExists too. With a lease the blob is
   * leased in every case.
   */
  ingest(ref: string, want: { digest?: Digest; size?: number }, call?: WriteCall): Promise<Ingest>;
}

export interface IngestManager {
  status(ref: string, call?: Call): Promise<IngestStatus>;
  listStatuses(call?: Call): Promise<IngestStatus[]>;
  /** Drops an ingest nobody is writing. NotFound, or Unavailable while a live process writes it. */
  abort(ref: string, call?: Call): Promise<void>;
}

export interface Manager {
  /** Sorted by digest. */
  list(call?: Call): Promise<Info[]>;
  /** Sets and (value '') removes labels; others stay. Key and value together at most 4096 bytes (InvalidArgument). */
  label(digest: Digest, labels: Labels, call?: Call): Promise<Info>;
  delete(digest: Digest, call?: Call): Promise<void>;
}

export interface ContentStore extends InfoProvider, Provider, Ingester, IngestManager, Manager {}

/** A store whose blobs are files that can be opened by path. */
export interface LocalBlobs {
  blobPath(digest: Digest): string;
  /** The ingest of a blob that this process is fetching. */
  growing(digest: Digest): Growing | undefined;
}

export function hasLocalBlobs(store: object): store is LocalBlobs {
  return 'blobPath' in store;
}

/** What a fetch wants of a blob. */
export type Wanted = Pick<Descriptor, 'digest' | 'size' | 'mediaType'>;
