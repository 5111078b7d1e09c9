import { cleanupSignal, orAborted } from '../../core/async/abort.ts';
import { Rounds } from '../../core/async/rounds.ts';
import type { Labels } from '../../core/content/content-store.ts';
import { HawserError, isKind, messageOf } from '../../core/errors.ts';
import type { HeldDir, Workers } from '../../core/layers/workers.ts';
import type { WriteOut } from '../../core/layers/write-out.ts';
import type { Call } from '../../core/ports/call.ts';
import type { SnapshotInfo, SnapshotTrees } from '../../core/snapshots/snapshotter.ts';
import type { MarkedSnapshots, Unsynced } from './unsynced.ts';

interface Committed {
  readonly snapshotter: MarkedSnapshots;
  readonly name: string;
}

/**
 * containerd before 2.0 records what it unpacks before the disk has it. Where its directories are on this machine and
 * this process may open them, we sync the file system that holds them; elsewhere nobody does.
 *
 * The kernel tells a failed write-back once, and a later sync succeeds over lost files. So when a sync or a write-out fails, the
 * snapshots that were committed here and are not durable are removed, whatever else ends the pull: the next one unpacks those
 * layers again. They may be of several pulls, so every later sync fails, too. Until the sync they are marked in containerd
 * (unsynced.ts), so that a pull after a power cut does not take them.
 */
export class Durable {
  readonly #workers: Pick<Workers, 'syncfs'>;
  readonly #writeOut: Pick<WriteOut, 'settled'>;
  readonly #unsynced: Unsynced;
  /** A directory of the snapshot written last. The snapshots of one pull are in one file system. */
  #written: string | HeldDir | undefined;
  /** Whether anything was written or committed since the last sync began. */
  #isDirty = false;
  /** Committed here and not synced yet; parents first. */
  #committed: Committed[] = [];
  /** Why this process can vouch for nothing any more. */
  #failure: { readonly reason: unknown } | undefined;
  readonly #rounds = new Rounds(() => this.#sync());
  /** Ends with the latest round; never rejects. */
  #latest: Promise<void> = Promise.resolve();

  constructor(workers: Pick<Workers, 'syncfs'>, writeOut: Pick<WriteOut, 'settled'>, unsynced: Unsynced) {
    this.#workers = workers;
    this.#unsynced = unsynced;
    this.#writeOut = writeOut;
  }

  /** containerd writes into the directories of a snapshot. */
  wrote(trees: SnapshotTrees | undefined): void {
    if (trees?.upper === undefined) return;
    if (typeof this.#written !== 'object') this.#written = trees.upper;
    this.#isDirty = true;
  }

  /** Our workers write below a directory that is held open: its descriptor hears of every failed write-back. */
  holds(dir: HeldDir): void {
    this.#written = dir;
    this.#isDirty = true;
  }

  /** The labels of a snapshot that is committed now; `committed` must follow. */
  async mark(call: Call): Promise<Labels> {
    const dir = typeof this.#written === 'object' ? this.#written.path : this.#written;
    return await this.#unsynced.mark(dir, call);
  }

  committed(snapshotter: MarkedSnapshots, name: string): void {
    this.#committed.push({ snapshotter, name });
    this.#isDirty = true;
  }

  /** Whether the files of a committed snapshot can be relied on. One that is not durable yet is covered by the next sync. */
  async relies(snapshotter: MarkedSnapshots, info: SnapshotInfo, call: Call): Promise<boolean> {
    if (await this.#unsynced.isLost(snapshotter, info.name, call)) return false;
    const dir = this.#unsynced.directoryOf(info);
    if (dir === undefined || this.#committed.some(({ name }) => name === info.name)) return true;
    if (!this.#isDirty) this.#written = dir;
    this.committed(snapshotter, info.name);
    return true;
  }

  /** Makes way for a layer whose snapshot cannot be relied on. False when it can. */
  async makesWay(snapshotter: MarkedSnapshots, name: string, call: Call): Promise<boolean> {
    if (!(await this.#unsynced.isLost(snapshotter, name, call))) return false;
    await this.#unsynced.drop(snapshotter, name, call);
    return true;
  }

  /**
   * Makes durable what is committed by now. Fails when that fails now or has failed before. An abort does not stop the sync,
   * whose failure must be heard: `close` waits for its end.
   */
  async sync(call: Call = {}): Promise<void> {
    call.signal?.throwIfAborted();
    const round = this.#rounds.join('');
    this.#latest = round.catch(() => {});
    await orAborted(round, call.signal);
  }

  /** Resolves when no sync and no write-out is under way, and what they lost is removed. Never rejects. */
  async close(): Promise<void> {
    await this.#latest;
    try {
      await this.#writeOut.settled();
    } catch (err) {
      this.#failure ??= { reason: err };
    }
    if (this.#failure !== undefined) await this.#drop(this.#failure.reason);
  }

  async #sync(): Promise<void> {
    if (this.#failure !== undefined) throw await this.#drop(this.#failure.reason);
    const durable = [...this.#committed];
    try {
      await this.#syncWritten();
      // After the sync: a write-out that ran beside it may have been told instead.
      await this.#writeOut.settled();
    } catch (err) {
      const reason = await this.#drop(err);
      this.#failure = { reason };
      throw reason;
    }
    this.#committed = this.#committed.filter((one) => !durable.includes(one));
    await Promise.all(durable.map(({ snapshotter, name }) => this.#unsynced.clear(snapshotter, name, {})));
  }

  async #syncWritten(): Promise<void> {
    if (this.#written === undefined || !this.#isDirty) return;
    this.#isDirty = false;
    try {
      await this.#workers.syncfs([this.#written]);
    } catch (err) {
      // Not a directory of this machine, or not one that this process may open.
      if (!isKind(err, 'NotFound', 'PermissionDenied', 'FailedPrecondition')) throw err;
    }
  }

  /** Removes what may lack files. Returns the error to throw. */
  async #drop(reason: unknown): Promise<unknown> {
    let kept = this.#committed.splice(0).reverse();
    // In whatever order they were committed or found: one is refused until those above it are gone.
    for (let count = -1; kept.length > 0 && kept.length !== count; ) {
      count = kept.length;
      kept = await refusedOf(kept);
    }
    if (kept.length === 0) return reason;
    const names = kept.map(({ snapshotter, name }) => snapshotter.removalOf(name));
    return new HawserError('DataLoss', messageOf(reason), {
      cause: reason,
      hint: `These snapshots may lack files, and could not be removed. Remove each, and first what is over it: ${names.join('; ')}`,
    });
  }
}

/** Removes each. Returns those that are still there, as far as anybody knows. */
async function refusedOf(committed: readonly Committed[]): Promise<Committed[]> {
  const refused: Committed[] = [];
  for (const one of committed) {
    try {
      await one.snapshotter.remove(one.name, { signal: cleanupSignal() });
    } catch (err) {
      if (!isKind(err, 'NotFound')) refused.push(one);
    }
  }
  return refused;
}
