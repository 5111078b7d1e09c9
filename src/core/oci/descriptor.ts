import type { Digest } from './digest.ts';

/** An image-spec platform. `osFeatures` is sorted. An absent part is undefined; only `os` and `architecture` may be ''. */
export interface Platform {
  /** Go's word (GOOS): `linux`. */
  readonly os: string;
  /** Go's word (GOARCH): `amd64`, `arm64`. */
  readonly architecture: string;
  /** Of the processor: `v7`, `v8`. */
  readonly variant?: string | undefined;
  /** `os.version` of the image-spec: the build of Windows. */
  readonly osVersion?: string | undefined;
  /** `os.features` of the image-spec: `win32k`. */
  readonly osFeatures?: readonly string[] | undefined;
}

/** image-spec descriptor, parsed: the digest is checked and the size is an integer from 0 to 2^53-1. */
export interface Descriptor {
  /** What the content is: `application/vnd.oci.image.manifest.v1+json`. */
  readonly mediaType: string;
  /** Of the content. */
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Of a manifest in an index. */
  readonly platform?: Platform | undefined;
  /** Keys to values, as the image has them. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** Where else the content may be downloaded. */
  readonly urls?: readonly string[] | undefined;
  /** Inline content, decoded. Not verified. */
  readonly data?: Uint8Array | undefined;
  /** What an artifact manifest is for. */
  readonly artifactType?: string | undefined;
}
