import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';

/** For each digest the name of the file that has the blob, or the bytes of a document that was made. */
export type BlobFiles = ReadonlyMap<Digest, string | Uint8Array>;

/** An image of a layout on this machine. */
export interface LayoutImage {
  /** Absolute, of a directory or an archive. */
  readonly path: string;
  /** Of the image in the layout. */
  readonly root: Descriptor;
  /** Where the blobs are; undefined: where an image layout has them. */
  readonly files?: ReadonlyMap<Digest, string | Uint8Array> | undefined;
}

/** A checked image reference. parse.ts has the grammar and completes short names. */
export interface Reference {
  /** As given by the user: the image record's name when it was fully qualified. */
  readonly raw: string;
  /** The image record's name: host/repository[:tag][@digest], with Docker's defaults filled in for short names. */
  readonly name: string;
  /** Registry host with port if any, as written: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly host: string;
  /** Path at the registry: `library/alpine`. */
  readonly repository: string;
  /** Without its colon; undefined: none (then there is a digest). */
  readonly tag: string | undefined;
  /** What the content must be, whatever the tag says by now. */
  readonly digest: Digest | undefined;
  /** Where the image is, in place of the registry. */
  readonly layout?: LayoutImage | undefined;
}
