import type { Call } from '../../../core/ports/call.ts';
import type { Mount } from '../../../core/ports/mounter.ts';
import type { SnapshotTrees } from '../../../core/snapshots/snapshotter.ts';

/** A snapshot's directory and those of the snapshots below it, nearest first. Absolute paths. */
export interface SnapshotDirs {
  readonly kind: 'View' | 'Active';
  readonly dir: string;
  readonly parents: readonly string[];
}

/** The part that differs between snapshotters: directories and mounts. It knows nothing of records. */
export interface SnapshotDriver {
  readonly name: string;
  /** Most trees that a mount can show over one another. Not given: any number. */
  readonly maxLayers?: number;
  /** FailedPrecondition that names what is missing when snapshots cannot be made here. */
  check(call?: Call): Promise<void>;
  /** Makes `dirs.dir`, which is absent. The caller removes what a failure leaves. */
  create(dirs: SnapshotDirs, call?: Call): Promise<void>;
  /** The directories of an active snapshot or a view. */
  trees(dirs: SnapshotDirs): SnapshotTrees;
  /** The mounts that show those directories. */
  mounts(dirs: SnapshotDirs, call?: Call): Promise<Mount[]>;
  /** The tree that takes the layer of the snapshot at `dir`: its own files only, or everything (`stacking`). */
  tree(dir: string): string;
  /** `overlay`: trees are laid over those below. `flat`: each tree is whole. */
  readonly stacking: 'overlay' | 'flat';
  /** Whether a rebase costs less than applying in order. */
  rebases(call?: Call): Promise<boolean>;
}
