import type { Digest } from './digest.ts';

/** An image-spec platform. `osFeatures` is sorted. An absent part is undefined; only `os` and `architecture` may be ''. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
  readonly osFeatures?: readonly string[] | undefined;
}

/** image-spec descriptor, parsed: the digest is checked and the size is an integer from 0 to 2^53-1. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly platform?: Platform | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly urls?: readonly string[] | undefined;
  /** Inline content, decoded. Not verified. */
  readonly data?: Uint8Array | undefined;
  readonly artifactType?: string | undefined;
}
