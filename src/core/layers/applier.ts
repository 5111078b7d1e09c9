import type { LayerRecord } from '../archive/layer-record.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { StageTimes } from '../progress/events.ts';
import type { PreparedSnapshot } from '../snapshots/snapshotter.ts';
import type { LayerSettings } from './layer-settings.ts';

export interface Applied {
  /** The diff ID that the layer really has. */
  readonly digest: Digest;
  /** Decompressed bytes. */
  readonly size: number;
  readonly warnings: readonly string[];
  readonly entries?: number | undefined;
  /** Where the time went, when it was measured. */
  readonly times?: StageTimes | undefined;
  /** What a rebase needs, of a layer applied blind. */
  readonly record: LayerRecord | undefined;
}

/**
 * What is known of the layers below: the snapshot shows them (`mounts`); there are `none`; nothing, as they are not there yet
 * (`unknown`: applied blind, to be rebased; FailedPrecondition with `data.needsBelow` for a layer that cannot be).
 */
export type Below = 'mounts' | 'none' | 'unknown';

export interface ApplyOptions extends Call {
  readonly settings?: LayerSettings | undefined;
  readonly below?: Below;
  readonly onProgress?: (bytes: number) => void;
}

/** Applies a layer of the content store to an active snapshot (containerd's diff.Applier). */
export interface Applier {
  /** Applies only what is in the store; not given: also a blob that is still arriving. */
  readonly needsBlob?: boolean;
  /** Layers will come: what takes time to start may be started. */
  prepare?(): void;
  apply(layer: Descriptor, target: PreparedSnapshot, opts?: ApplyOptions): Promise<Applied>;
}
