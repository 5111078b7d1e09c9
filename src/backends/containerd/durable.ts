import { isKind } from '../../core/errors.ts';
import type { Workers } from '../../core/layers/workers.ts';
import type { Call } from '../../core/ports/call.ts';
import type { SnapshotTrees } from '../../core/snapshots/snapshotter.ts';

/**
 * containerd before 2.0 records what it unpacks before the disk has it. Where its directories are on this machine and
 * this process may open them, we sync the file system that holds them; elsewhere nobody does.
 */
export class Durable {
  readonly #workers: Pick<Workers, 'syncfs'>;
  /** A directory of the snapshot written last. The snapshots of one pull are in one file system. */
  #written: string | undefined;

  constructor(workers: Pick<Workers, 'syncfs'>) {
    this.#workers = workers;
  }

  wrote(trees: SnapshotTrees | undefined): void {
    this.#written = trees?.upper ?? this.#written;
  }

  async sync(call: Call = {}): Promise<void> {
    if (this.#written === undefined) return;
    try {
      await this.#workers.syncfs([this.#written], call);
    } catch (err) {
      call.signal?.throwIfAborted();
      if (!isKind(err, 'NotFound', 'PermissionDenied', 'FailedPrecondition')) throw err;
    }
    this.#written = undefined;
  }
}
