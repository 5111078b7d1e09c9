import { cleanupSignal } from '../../core/async/abort.ts';
import { HawserError, isKind, messageOf } from '../../core/errors.ts';
import type { HeldDir, Workers } from '../../core/layers/workers.ts';
import type { WriteOut } from '../../core/layers/write-out.ts';
import type { Call } from '../../core/ports/call.ts';
import type { SnapshotTrees, Snapshotter } from '../../core/snapshots/snapshotter.ts';

interface Committed {
  readonly snapshotter: Pick<Snapshotter, 'remove'>;
  readonly name: string;
}

/**
 * containerd before 2.0 records what it unpacks before the disk has it. Where its directories are on this machine and
 * this process may open them, we sync the file system that holds them; elsewhere nobody does.
 *
 * The kernel tells a failed write-back once, and a later sync succeeds over lost files. So when a sync fails, the snapshots that
 * were committed here since the last one are removed: the next pull unpacks those layers again.
 */
export class Durable {
  readonly #workers: Pick<Workers, 'syncfs'>;
  readonly #writeOut: Pick<WriteOut, 'settled'>;
  /** A directory of the snapshot written last. The snapshots of one pull are in one file system. */
  #written: string | HeldDir | undefined;
  /** Committed here and not synced yet; parents first. */
  #committed: Committed[] = [];

  constructor(workers: Pick<Workers, 'syncfs'>, writeOut: Pick<WriteOut, 'settled'>) {
    this.#workers = workers;
    this.#writeOut = writeOut;
  }

  /** containerd writes into the directories of a snapshot. */
  wrote(trees: SnapshotTrees | undefined): void {
    if (typeof this.#written !== 'object') this.#written = trees?.upper ?? this.#written;
  }

  /** Our workers write below a directory that is held open: its descriptor hears of every failed write-back. */
  holds(dir: HeldDir): void {
    this.#written = dir;
  }

  committed(snapshotter: Pick<Snapshotter, 'remove'>, name: string): void {
    this.#committed.push({ snapshotter, name });
  }

  async sync(call: Call = {}): Promise<void> {
    try {
      await this.#writeOut.settled();
      await this.#syncWritten(call);
    } catch (err) {
      call.signal?.throwIfAborted();
      throw await this.#drop(err);
    }
    this.#written = undefined;
    this.#committed = [];
  }

  async #syncWritten(call: Call): Promise<void> {
    if (this.#written === undefined) return;
    try {
      await this.#workers.syncfs([this.#written], call);
    } catch (err) {
      // Not a directory of this machine, or not one that this process may open.
      if (!isKind(err, 'NotFound', 'PermissionDenied', 'FailedPrecondition')) throw err;
    }
  }

  /** Removes what may lack files. Returns the error to throw. */
  async #drop(reason: unknown): Promise<unknown> {
    const kept: string[] = [];
    for (const { snapshotter, name } of this.#committed.splice(0).reverse()) {
      try {
        await snapshotter.remove(name, { signal: cleanupSignal() });
      } catch (err) {
        if (!isKind(err, 'NotFound')) kept.push(name);
      }
    }
    if (kept.length === 0) return reason;
    return new HawserError('DataLoss', messageOf(reason), {
      cause: reason,
      hint: `These snapshots may lack files and are in use: remove them, and what uses them: ${kept.join(', ')}`,
    });
  }
}
