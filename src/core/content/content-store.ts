/** The content store's roles, as in containerd (core/content/content.go). A function takes the smallest that serves. */

import type { Digest } from '../oci/digest.ts';
import type { Call, WriteCall } from '../ports/call.ts';
import type { Growing } from './growing.ts';

/** Keys to values. containerd's garbage collection reads those that begin with `containerd.io/gc.`. */
export type Labels = Readonly<Record<string, string>>;

/** The record of a blob. */
export interface Info {
  /** Of the bytes. */
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Milliseconds since the epoch: when a label last changed. */
  readonly updatedAt: number;
  /** Keys to values. */
  readonly labels: Labels;
}

/** How far an ingest has come. */
export interface IngestStatus {
  /** The name that the writer chose: `layer-sha256:...`. */
  readonly ref: string;
  /** Bytes taken so far. */
  readonly offset: number;
  /** Bytes; 0 when not known. */
  readonly total: number;
  /** The digest that the bytes must have; undefined when not known. */
  readonly expected: Digest | undefined;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Milliseconds since the epoch. */
  readonly updatedAt: number;
}

/** Says what is known about a blob. */
export interface InfoProvider {
  /** NotFound when absent in this namespace. */
  info(digest: Digest, call?: Call): Promise<Info>;
}

/** Gives the bytes of a blob. */
export interface Provider {
  /**
   * The bytes from `offset`. NotFound when absent. Read from the start, they are hashed on the way: the stream ends with
   * DataLoss (reason `mismatch`) when they have another digest. `chunk`: bytes of a chunk at most, where the store has a choice.
   */
  open(
    digest: Digest,
    opts?: { offset?: number; chunk?: number } & Call,
  ): Promise<ReadableStream<Uint8Array>>;
}

/** A blob being written. Disposing closes it and keeps its data for the next writer to resume. */
export interface Ingest extends AsyncDisposable {
  /** The name that the writer chose. */
  readonly ref: string;
  /** Bytes taken so far: the position of the next write. */
  readonly offset: number;
  /** True after a commit that made a new record, which has exactly the labels of the commit. Not given: not known. */
  readonly isNew?: boolean;
  /**
   * DataLoss when the blob would become longer than the expected size; no byte beyond that is kept. The bytes must not
   * change until commit, reset or disposal: they may be written later, and an error may come from a later call. `isGiven`: nobody
   * else uses the bytes again, and their memory may be freed once they are written.
   */
  write(bytes: Uint8Array, call?: Call & { readonly isGiven?: boolean | undefined }): Promise<void>;
  /** Drops all bytes; the offset is 0 again. */
  reset(call?: Call): Promise<void>;
  /**
   * Makes the bytes durable, checks them and records the blob. Size or digest not as expected: DataLoss that names both, and
   * the ingest stays until `reset` or `abort`. A blob that is known already keeps its labels. Returns the digest.
   */
  commit(opts?: { size?: number; digest?: Digest; labels?: Labels } & WriteCall): Promise<Digest>;
}

/** Takes the bytes of a new blob. */
export interface Ingester {
  /**
   * One writer for each ref over all processes: Unavailable while another live one has the ref. The data of a dead process
   * is hashed again and resumed. AlreadyExists when `want.digest` is in the namespace, or is shared from another namespace
   * after a check. With a lease the blob is leased in every case.
   * `anew`: for a blob whose bytes are damaged: the commit puts the new ones in their place, and the record keeps its labels.
   * FailedPrecondition where a containerd cannot do that.
   */
  ingest(
    ref: string,
    want: { digest?: Digest; size?: number },
    call?: WriteCall & { readonly anew?: boolean | undefined },
  ): Promise<Ingest>;
}

/** Lists and drops ingests. */
export interface IngestManager {
  /** NotFound when there is no such ingest. */
  status(ref: string, call?: Call): Promise<IngestStatus>;
  /**
   * The ingest that is in the way of one with this ref and digest: of this namespace, or of another one that shares its content.
   * NotFound when there is none. Not given: `status` tells.
   */
  inTheWay?(ref: string, digest: Digest, call?: Call): Promise<IngestStatus>;
  /** Every ingest of the namespace, its writer alive or not. */
  listStatuses(call?: Call): Promise<IngestStatus[]>;
  /**
   * Drops an ingest nobody is writing. NotFound, or Unavailable while a live process writes it. `unleased`, in hawser's own store:
   * Unavailable also while a lease lists the ingest.
   */
  abort(ref: string, call?: { unleased?: boolean } & Call): Promise<void>;
}

/** Lists, labels and deletes blobs. */
export interface Manager {
  /** Sorted by digest. */
  list(call?: Call): Promise<Info[]>;
  /** Sets and (value '') removes labels; others stay. Key and value together at most 4096 bytes (InvalidArgument). */
  label(digest: Digest, labels: Labels, call?: Call): Promise<Info>;
  /** Removes the record. The bytes go with a later collection, when no namespace has the blob. NotFound when absent. */
  delete(digest: Digest, call?: Call): Promise<void>;
}

/** Hashes what is stored. */
export interface Verifier {
  /** Every record of the namespace, be its bytes there or not, sorted by digest. Not given: `list` has them all. */
  records?(call?: Call): Promise<Info[]>;
  /**
   * Whether the stored bytes still have their digest. The record stays in any case, and all that its labels keep. hawser's own store drops
   * bytes that do not, leased or not; a containerd keeps them until an `ingest` with `anew`. NotFound when absent.
   */
  verify(digest: Digest, call?: Call): Promise<boolean>;
}

/** A blob on its way into the store. */
export interface Arriving {
  /** Bytes that the blob is to have. */
  readonly size: number;
  /** The bytes so far, and those to come. Nobody has verified them. */
  readonly body: ReadableStream<Uint8Array>;
}

/** Follows the writers of blobs, whatever process they are in. */
export interface Follower {
  /** Undefined: nobody is fetching the blob. The stream fails when its bytes are dropped, or stop to come. Not given: the store cannot tell. */
  arriving?(digest: Digest, call?: Call): Promise<Arriving | undefined>;
}

/** The blobs of a namespace, by digest. */
export interface ContentStore
  extends Follower,
    InfoProvider,
    Provider,
    Verifier,
    Ingester,
    IngestManager,
    Manager {}

/** A store whose blobs are files that can be opened by path. */
export interface LocalBlobs {
  /** The absolute path of the file, whether the blob is there or not. */
  blobPath(digest: Digest): string;
  /** The data of a blob that this process is fetching. */
  growing(digest: Digest): Growing | undefined;
}
