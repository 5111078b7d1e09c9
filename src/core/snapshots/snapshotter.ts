import type { LayerRecord } from '../archive/layer-record.ts';
import type { Labels } from '../content/content-store.ts';
import type { Call, WriteCall } from '../ports/call.ts';
import type { Mount } from '../ports/mounter.ts';

export type SnapshotKind = 'View' | 'Active' | 'Committed';

export interface SnapshotInfo {
  readonly name: string;
  readonly kind: SnapshotKind;
  /** '' for none. */
  readonly parent: string;
  readonly labels: Labels;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Usage {
  readonly size: number;
  readonly inodes: number;
}

/**
 * containerd's Snapshotter (core/snapshots/snapshotter.go): one key space; Prepare and View make, Commit turns an active
 * key into a committed name, Remove needs no children. Existing key or name: AlreadyExists; missing key or
 * parent: NotFound; parent not committed: InvalidArgument; commit or mounts of the wrong kind, or removal with children:
 * FailedPrecondition.
 */
export interface Snapshotter {
  readonly name: string;
  stat(key: string, call?: Call): Promise<SnapshotInfo>;
  /** Sets and (value '') removes labels. */
  label(key: string, labels: Labels, call?: Call): Promise<SnapshotInfo>;
  /** Sorted by name. */
  list(call?: Call): Promise<SnapshotInfo[]>;
  usage(key: string, call?: Call): Promise<Usage>;
  mounts(key: string, call?: Call): Promise<Mount[]>;
  prepare(key: string, parent: string, opts?: { labels?: Labels } & WriteCall): Promise<Mount[]>;
  view(key: string, parent: string, opts?: { labels?: Labels } & WriteCall): Promise<Mount[]>;
  /** Whether layers may be applied ahead of their parents: `rebase` then puts them over those. */
  rebases?(call?: Call): Promise<boolean>;
  /**
   * Where there is one (containerd's capability of that name): puts an active snapshot that was prepared without a parent,
   * and took a layer blind, over the committed `parent`. Its mounts are then as if it had been prepared over it. Returns the
   * reason when the layer must be applied in order instead, to another snapshot: this one is then good for nothing. A
   * snapshot with a parent, or not active: FailedPrecondition.
   */
  rebase?(key: string, parent: string, record: LayerRecord, call?: Call): Promise<string | undefined>;
  commit(name: string, key: string, opts?: { labels?: Labels } & WriteCall): Promise<void>;
  remove(key: string, call?: Call): Promise<void>;
}
