/** Where signatures are found: in a repository of a registry, in an archive, or in a store. Types only. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';

/** A document, whose bytes have the digest of the descriptor. */
export interface TaggedDocument {
  /** Media type, digest and size. */
  readonly desc: Descriptor;
  /** All of the document. */
  readonly bytes: Uint8Array;
}

/** What was asked of a registry. */
export interface Cost {
  /** Without those to token servers, and hops of redirects. */
  readonly requests: number;
  /** Of the answers. */
  readonly bytes: number;
}

/** Errors other than those named are failures to look: nobody may take them for "there is none". */
export interface Evidence {
  /**
   * The documents under a tag of the image's repository: one at a registry; an archive or a store may have those of several repositories.
   * Empty: there are none, for certain. ResourceExhausted above `limit` bytes.
   */
  tagged(tag: string, limit: number, call: Call): Promise<readonly TaggedDocument[]>;
  /** What refers to a manifest, by types that nobody has checked. Empty: nothing does, for certain. */
  referrers(subject: Digest, artifactType: string, call: Call): Promise<readonly Descriptor[]>;
  /** Bytes that have the descriptor's size and digest: else DataLoss. ResourceExhausted above `limit` bytes. */
  read(desc: Descriptor, limit: number, call: Call): Promise<Uint8Array>;
  /** What the user can do where signatures are missing here. Not given: a registry is asked. */
  readonly hint?: string | undefined;
  /** What all questions so far have cost. Not given: no registry is asked. */
  cost?(): Cost;
}
