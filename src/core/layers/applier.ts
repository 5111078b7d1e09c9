import type { LayerRecord } from '../archive/layer-record.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { StageTimes } from '../progress/events.ts';
import type { PreparedSnapshot } from '../snapshots/snapshotter.ts';
import type { ImageBudget } from './image-budget.ts';
import type { LayerSettings } from './layer-settings.ts';

export interface Applied {
  /** The diff ID of the bytes that came out of the blob. */
  readonly digest: Digest;
  /** Decompressed bytes. */
  readonly size: number;
  readonly warnings: readonly string[];
  /** The layer has a setuid or setgid program, one with file capabilities, or a device. Not given: not known. */
  readonly privileged?: boolean | undefined;
  readonly entries?: number | undefined;
  /** The time by stage, where the applier measures it. */
  readonly times?: StageTimes | undefined;
  /** Of a layer applied blind: the input of its rebase. */
  readonly record: LayerRecord | undefined;
}

/**
 * What is known of the layers below. `mounts`: the snapshot shows them. `none`: there are none. `unknown`: they are not
 * committed yet; the layer is applied blind, to be rebased (FailedPrecondition with reason `needs-below` when that cannot be).
 */
export type Below = 'mounts' | 'none' | 'unknown';

export interface ApplyOptions extends Call {
  readonly settings?: LayerSettings | undefined;
  /** Counts the layer's expanded bytes with those of its image. */
  readonly image?: ImageBudget | undefined;
  readonly below?: Below;
  readonly onProgress?: (bytes: number) => void;
}

/** Applies a layer of the content store to an active snapshot (containerd's diff.Applier). */
export interface Applier {
  /** Applies only verified blobs of the store. Not given: also a blob that is still arriving. */
  readonly needsBlob?: boolean;
  /** NotImplemented for a media type that `apply` can never take. Not given: only trying tells. */
  checkType?(mediaType: string): void;
  /** Says that layers will follow, so that the applier can start its workers. */
  prepare?(): void;
  apply(layer: Descriptor, target: PreparedSnapshot, opts?: ApplyOptions): Promise<Applied>;
}
