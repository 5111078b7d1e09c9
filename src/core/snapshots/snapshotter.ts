import type { LayerRecord } from '../archive/layer-record.ts';
import type { Info, Labels } from '../content/content-store.ts';
import type { Call, WriteCall } from '../ports/call.ts';
import type { Mount } from '../ports/mounter.ts';

/** `Active` is written to, a `View` is only read, `Committed` is a parent for others and never changes. */
export type SnapshotKind = 'View' | 'Active' | 'Committed';

/** The record of a snapshot. */
export interface SnapshotInfo {
  /** The key of an active snapshot or a view; the name (of an image's layer: the chain ID) of a committed one. */
  readonly name: string;
  /** What may be done with the snapshot. */
  readonly kind: SnapshotKind;
  /** The name of a committed snapshot; '' for none. */
  readonly parent: string;
  /** Keys to values. */
  readonly labels: Labels;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Milliseconds since the epoch: when a label last changed, or the snapshot was committed. */
  readonly updatedAt: number;
}

/** What a snapshot takes on the disk, without its parents. */
export interface Usage {
  /** Bytes of the blocks that its files occupy. */
  readonly size: number;
  /** Files and directories; each hard link counts once. */
  readonly inodes: number;
}

/** Linux, fs/overlayfs/params.h: OVL_MAX_STACK. */
export const OVERLAY_MAX_LAYERS = 500;

/**
 * The directories that hold the files of an active snapshot or a view. A file shows from the first directory that has it,
 * or (native snapshots) `upper` is the whole tree and there are no `lowers`.
 */
export interface SnapshotTrees {
  /** Takes what is written. A view has none. */
  readonly upper?: string | undefined;
  /** Only read; the nearest layer first. */
  readonly lowers: readonly string[];
}

/** An active snapshot or a view that was just made. */
export interface PreparedSnapshot {
  /** Undefined where the directories are not known: the files are a daemon's. */
  readonly trees?: SnapshotTrees | undefined;
  /** Of a daemon's snapshot: the mounts to hand back to the daemon when it is to write there. */
  readonly mounts?: readonly Mount[] | undefined;
  /** In our own store: the number of the snapshot, by which the store knows when it is durable. */
  readonly id?: number | undefined;
}

/** The image that a layer is unpacked for. */
export interface ImageOfLayer {
  readonly name: string;
  /** The digest of the manifest. */
  readonly manifest: string;
  /** The digests of the layer's blob and of those above it. */
  readonly layers: readonly string[];
}

/** A layer whose files a snapshot gets. */
export interface SnapshotLayer {
  /** The digest of the uncompressed layer (image-spec config.md, rootfs.diff_ids). */
  readonly diffId: string;
  /** The chain ID of the layers below; '' for none. */
  readonly parent: string;
  /** Of the layer's descriptor. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly image: ImageOfLayer | undefined;
}

/** A layer that another live process extracts. */
export interface OtherExtraction {
  /** Changes while that process goes on. */
  readonly beat: string;
  /** Compressed bytes that the process has taken of the layer. */
  readonly offset: number;
}

/**
 * containerd's Snapshotter (core/snapshots/snapshotter.go): one key space; Prepare and View make, Commit turns an active
 * key into a committed name, Remove needs no children. Existing key or name: AlreadyExists; missing key or
 * parent: NotFound; parent not committed: InvalidArgument; commit or mounts of the wrong kind, or removal with children:
 * FailedPrecondition.
 */
export interface Snapshotter {
  /** `overlayfs`, `native`, or the name of a containerd's plugin. */
  readonly name: string;
  /** The record of a key or name. */
  stat(key: string, call?: Call): Promise<SnapshotInfo>;
  /** Sets and (value '') removes labels. */
  label(key: string, labels: Labels, call?: Call): Promise<SnapshotInfo>;
  /** Sorted by name. */
  list(call?: Call): Promise<SnapshotInfo[]>;
  /** What one snapshot takes on the disk, without its parents. */
  usage(key: string, call?: Call): Promise<Usage>;
  /** What to mount to see an active snapshot or a view. */
  mounts(key: string, call?: Call): Promise<Mount[]>;
  /** Makes an active snapshot. `parent`: the name of a committed snapshot, '' for none. */
  prepare(key: string, parent: string, opts?: { labels?: Labels } & WriteCall): Promise<PreparedSnapshot>;
  /** Makes a snapshot that is only read. `parent` as for `prepare`. */
  view(key: string, parent: string, opts?: { labels?: Labels } & WriteCall): Promise<PreparedSnapshot>;
  /** Turns the active snapshot `key` into the committed snapshot `name`; the key is free again. */
  commit(name: string, key: string, opts?: { labels?: Labels } & WriteCall): Promise<void>;
  /** Removes the snapshot and its files. FailedPrecondition while it has children or is mounted. */
  remove(key: string, call?: Call): Promise<void>;
}

/** A layer that was made: its bytes, to be read or cancelled; or a blob that a daemon has stored under the lease. */
export type SnapshotDiff =
  | { readonly stream: ReadableStream<Uint8Array> }
  | { readonly blob: Info['digest'] };

/** A snapshotter as the unpacking of layers uses it. */
export interface LayerSnapshotter extends Snapshotter {
  /** Most layers that a mount can show over one another. Not given: any number. */
  readonly maxLayers?: number | undefined;
  /**
   * FailedPrecondition, with what is missing, when no snapshot can be made here. `oursOnly`: the first of the user's wishes that only
   * workers of our own can follow; NotImplemented where they do not apply the layers.
   */
  check?(opts?: { oursOnly?: string | undefined } & Call): Promise<void>;
  /** Whether a layer may be applied before its parent is there: `rebase` puts it over the parent later. */
  rebases?(call?: Call): Promise<boolean>;
  /**
   * Where there is one (containerd's capability of that name): puts an active snapshot that was prepared without a parent,
   * and took a layer blind, over the committed `parent`. The snapshot's mounts are then (in a containerd once
   * it is committed) those of one prepared over the parent.
   * Returns the reason when the layer must be applied in order instead, to another snapshot; this one must be removed. A
   * snapshot with a parent, or not active: FailedPrecondition. A `commit` that follows may still refuse the parent
   * (FailedPrecondition with reason `needs-below`): then, too, the layer must be applied in order.
   */
  rebase?(key: string, parent: string, record: LayerRecord, call?: WriteCall): Promise<string | undefined>;
  /**
   * Which snapshots of a chain (names from the base up) are committed. The lease holds the highest before they are looked at for the last
   * time, so what is found stays. DataLoss for one that is not over the one before in the chain. `prepare` then says AlreadyExists of those that
   * others commit later. Not given: `stat` says it of each.
   */
  committedOf?(chain: readonly string[], call: WriteCall): Promise<ReadonlySet<string>>;
  /**
   * Who else extracts the layer of this chain ID. While somebody does, `prepare` with an extract key of the chain ID is Unavailable
   * (reason `busy`), unless `beside` is given. Not given: processes do not know of each other.
   */
  extraction?(chainId: string, call?: Call): Promise<OtherExtraction | undefined>;
  prepare(
    key: string,
    parent: string,
    opts?: { labels?: Labels; beside?: boolean } & WriteCall,
  ): Promise<PreparedSnapshot>;
  /**
   * Puts the committed snapshot `by`, which has no children and is durable, in the place of the committed snapshot `name`: `by` gets its
   * name, labels and children, and its files go. FailedPrecondition (reason `mounted`) while they are mounted;
   * Unavailable (reason `busy`) while a live process works above them. Not given: cannot be done.
   */
  replace?(name: string, by: string, call?: WriteCall): Promise<void>;
  /**
   * The layer that makes the snapshot `upper` of `lower` ('': of nothing), of any kinds. NotImplemented for a media type of which
   * no layer is made. An active snapshot must not be written to meanwhile.
   */
  diff(lower: string, upper: string, opts: { mediaType: string } & WriteCall): Promise<SnapshotDiff>;
  /** The labels of the snapshot of a layer, beside the chain ID. Not given: none. */
  layerLabels?(layer: SnapshotLayer): Labels;
}
