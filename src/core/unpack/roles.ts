import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { CodecChoice } from '../ports/codecs.ts';
import type { Mount } from '../ports/mounter.ts';

export interface Applied {
  /** The diff ID that the layer really has. */
  readonly digest: Digest;
  /** Decompressed bytes. */
  readonly size: number;
  readonly warnings: readonly string[];
}

/** Applies a layer of the content store to a snapshot's mounts (containerd's diff.Applier). */
export interface Applier {
  apply(
    layer: Descriptor,
    mounts: readonly Mount[],
    opts?: { codec?: CodecChoice; onProgress?: (bytes: number) => void } & Call,
  ): Promise<Applied>;
}
