import type { Call } from '../../../core/ports/call.ts';
import type { Mount } from '../../../core/ports/mounter.ts';

/** A snapshot's directory and those of the layers below it, nearest first. Absolute paths. */
export interface Place {
  readonly kind: 'View' | 'Active';
  readonly dir: string;
  readonly parents: readonly string[];
}

/** What differs between snapshotters: the directories and the mounts. Records are not its business. */
export interface SnapshotDriver {
  readonly name: string;
  /** FailedPrecondition when snapshots cannot be made here, with what is missing. */
  check(call?: Call): Promise<void>;
  /** Makes `place.dir`, which is absent. What a failure leaves, the caller removes. */
  create(place: Place, call?: Call): Promise<void>;
  mounts(place: Place, call?: Call): Promise<Mount[]>;
  /** The tree of the snapshot at `dir`: what it has of its own, or everything; it takes a layer. */
  tree(dir: string): string;
  /** `overlay`: a tree shows what it lacks of those below. `flat`: a tree is whole. */
  readonly stacking: 'overlay' | 'flat';
  /** Whether a rebase costs less than applying in order. */
  rebases(call?: Call): Promise<boolean>;
}
