import type { LayerRecord } from '../archive/layer-record.ts';
import type { Growing } from '../content/growing.ts';
import type { ErrorRecord } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { TreeProblem } from '../trees/compare.ts';
import type { OwnerPolicy } from '../users/owner-policy.ts';
import type { ImageBudget } from './image-budget.ts';
import type { JobSettings } from './layer-settings.ts';

/** A layer to apply: plain data, as it crosses to a worker. The paths are the store's own, never an image's. */
export interface ApplyJob extends JobSettings {
  /** The path of the blob: complete and verified, unless `growing` is given. */
  readonly blob: string;
  /** The blob while it arrives: the result counts only once the blob is verified. Aborted when the download begins anew. */
  readonly growing: Growing | null;
  readonly blobSize: number;
  readonly mediaType: string;
  /** The directory that takes the layer: an upper directory, or (mode `flat`) a copy of the parent's tree. */
  readonly root: string;
  /** Overlay mode: the directories of the layers below, nearest first. */
  readonly lowers: readonly string[];
  /** `blind`: the layers below are unknown; a `rebase` must follow. */
  readonly mode: 'overlay' | 'flat' | 'blind';
  /** Shared by all layers of the image. Not given: only the layer itself is limited. */
  readonly image?: ImageBudget | undefined;
  /** Not given: files keep the layer's owners, and every id can be given. */
  readonly owner?: OwnerPolicy | undefined;
}

/**
 * Milliseconds of a worker's time. `wait`: for bytes of a blob that still arrives. `inflate`: reading and decompressing.
 * `verify`: hashing the expanded bytes. `apply`: the archive and its files.
 */
export interface ApplyTimes {
  readonly wait: number;
  readonly inflate: number;
  readonly verify: number;
  readonly apply: number;
}

export interface ApplyResult {
  /** sha256 over the whole decompressed stream. */
  readonly diffId: string;
  /** Length of the decompressed stream. */
  readonly size: number;
  readonly entries: number;
  readonly times: ApplyTimes;
  /** At most 100 sentences. */
  readonly warnings: readonly string[];
  /** The layer has a setuid or setgid program, one with file capabilities, or a device. */
  readonly privileged: boolean;
  /** Of a layer applied blind: the input of its rebase. */
  readonly record: LayerRecord | null;
}

/** A layer that was applied blind, to be put over the layers below. */
export interface RebaseJob {
  /** The directory that took the layer. */
  readonly root: string;
  /** `overlay`: the directories of the layers below, nearest first. `flat`: the one tree below. */
  readonly lowers: readonly string[];
  readonly mode: 'overlay' | 'flat';
  readonly record: LayerRecord;
  /** Names the open store: what was seen in the layers below is kept for the next job of that store. Not given: nothing is kept. */
  readonly store?: string | undefined;
}

/** Copies a tree with every attribute (native snapshotter). */
export interface CopyJob {
  readonly from: string;
  readonly to: string;
}

/**
 * A directory that has been open since before its file system was written to. A sync by that descriptor reports every failed
 * write-back since then; one that opens the path anew misses those that another process was told of.
 */
export interface HeldDir {
  readonly path: string;
  readonly fd: number;
}

/** An unpacked layer, to be compared with its blob: plain data. */
export interface LayerToCheck extends Pick<ApplyJob, 'blob' | 'blobSize' | 'mediaType'> {
  readonly diffId: string;
  /** The index of the layer below in the job; -1 for none. Layers follow those below them at once (depth first). */
  readonly parent: number;
  /** The directory that has the layer; null: the layer is only needed for those above. */
  readonly tree: string | null;
}

export interface CheckJob extends JobSettings {
  readonly layers: readonly LayerToCheck[];
  /** `flat`: each tree has all that shows of the layers below. */
  readonly stacking: 'overlay' | 'flat';
  /** Whether the images' devices were made. */
  readonly devices: boolean;
  /** Bytes a second read from the disk; 0: no limit. */
  readonly rate: number;
}

export interface LayerCheck {
  readonly problems: readonly TreeProblem[];
  /** How many problems are not among them. */
  readonly more: number;
  /** Why the tree could not be checked: its blob, or one below, is damaged. */
  readonly error: ErrorRecord | null;
}

/** Work that must not block the main thread. An aborted call ends its work before it rejects. */
export interface Workers extends AsyncDisposable {
  /** Starts a thread unless there is one, so that the next call need not wait for the start. */
  warm(): void;
  /** `onProgress` gets the compressed bytes consumed so far, at most ten times a second. */
  apply(job: ApplyJob, call?: Call & { onProgress?: (bytes: number) => void }): Promise<ApplyResult>;
  /** Resolves to the reason when the layer must be applied again in order instead (core/layers/rebase-layer.ts). */
  rebase(job: RebaseJob, call?: Call): Promise<string | null>;
  copyTree(job: CopyJob, call?: Call): Promise<void>;
  /**
   * Compares unpacked layers with what their blobs make, a result for each. Writes nothing. `onProgress` gets the bytes read from the
   * disk so far, at most ten times a second.
   */
  check(job: CheckJob, call?: Call & { onProgress?: (bytes: number) => void }): Promise<LayerCheck[]>;
  /** Disk use of a tree: bytes (blocks of 512) over unique inodes, the root's own included, and how many inodes. */
  usage(path: string, call?: Call): Promise<{ size: number; inodes: number }>;
  /** Removes a tree whatever its names are, never following symlinks; absence is fine. */
  removeTree(path: string, call?: Call): Promise<void>;
  /** Makes the file systems that hold these directories durable. */
  syncfs(dirs: readonly (string | HeldDir)[], call?: Call): Promise<void>;
}
