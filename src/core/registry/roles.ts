import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';

/** A body that starts at `offset` of the blob (0 when the server ignored the range). */
export interface Fetched {
  readonly body: ReadableStream<Uint8Array>;
  readonly offset: number;
}

/** Gives the bytes of descriptors of one repository. Manifests and indexes are asked for as such, all else as blobs. */
export interface Fetcher {
  /** From `offset` if the server can. Bytes are not verified. 404: NotFound. */
  fetch(desc: Descriptor, opts?: { offset?: number } & Call): Promise<Fetched>;
}

export interface Resolved {
  readonly reference: Reference;
  /** mediaType, digest and size of the root. */
  readonly root: Descriptor;
}

export interface Registry extends AsyncDisposable {
  /** Tag to descriptor. tag@digest resolves by the digest. */
  resolve(reference: Reference, call?: Call): Promise<Resolved>;
  fetcher(reference: Reference): Fetcher;
}
