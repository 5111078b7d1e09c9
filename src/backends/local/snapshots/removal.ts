/** Removes and replaces snapshots: neither while a mount shows the directory. */
import { HawserError, isKind } from '../../../core/errors.ts';
import { isExtractKey } from '../../../core/layers/extract-key.ts';
import type { Call, WriteCall } from '../../../core/ports/call.ts';
import { mountedAt, refuseMountsAt } from '../../../core/trees/mounts.ts';
import type { Durability } from '../durability.ts';
import { addToLease, dropFromLease, requireLease } from '../leases.ts';
import { shownAt } from '../mounted.ts';
import type { Store } from '../store.ts';
import type { Extractions } from './extractions.ts';
import type { SnapshotIds } from './ids.ts';
import type { SnapshotRecords } from './records.ts';

export class SnapshotRemoval {
  readonly #store: Store;
  readonly #ids: SnapshotIds;
  readonly #records: SnapshotRecords;
  readonly #durability: Durability;
  readonly #extractions: Extractions;

  constructor(
    store: Store,
    ids: SnapshotIds,
    records: SnapshotRecords,
    { durability, extractions }: { durability: Durability; extractions: Extractions },
  ) {
    this.#store = store;
    this.#ids = ids;
    this.#records = records;
    this.#durability = durability;
    this.#extractions = extractions;
  }

  /**
   * Unavailable (reason `busy`) while a live process works above the snapshot, and so may read the old files. A mount that came at the
   * last moment keeps them: a collection removes them later.
   */
  async replace(name: string, by: string, call?: WriteCall): Promise<void> {
    call?.signal?.throwIfAborted();
    const { labelType } = this.#records;
    const { id } = this.#records.get(name);
    await this.#requireUnmounted(name, id, call);
    const { owner } = this.#store;
    for (const worker of this.#records.workersAbove(id)) await owner.look(worker, call);
    const old = await this.#store.writeToFree(() => {
      if (!this.#records.workersAbove(id).every((worker) => owner.isDead(worker))) throw busy(name);
      requireLease(this.#store, call?.lease);
      addToLease(this.#store, call?.lease, labelType, name);
      dropFromLease(this.#store, call?.lease, labelType, by);
      return this.#records.replace(name, by);
    }, call);
    this.#durability.release(old.id);
    const { root, runtime } = this.#store;
    const path = this.#ids.path(old.id);
    const looking = { doing: `repairing the snapshot "${name}"`, mayBeMounted: true, ...call };
    if ((await shownAt(runtime, root, path, looking)) === undefined)
      await runtime.workers.removeTree(this.#ids.dir(old.id), call);
  }

  /**
   * Removes the record first, durably: a crash leaves a directory without a record, never a record without a directory. While
   * something is mounted in the snapshot, or a mount shows the snapshot (or could, unseen), both stay.
   */
  async remove(key: string, call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    const { workers } = this.#store.runtime;
    const found = this.#records.find(key);
    if (found !== undefined) await this.#requireUnmounted(key, found.id, call);
    if (found !== undefined) this.#extractions.end(found.id);
    try {
      const record = await this.#store.writeToFree(() => this.#records.remove(key), call);
      this.#durability.release(record.id);
      await workers.removeTree(this.#ids.dir(record.id), call);
    } catch (err) {
      const record = this.#records.find(key);
      if (!isKind(err, 'ResourceExhausted') || record === undefined || record.kind === 'Committed') throw err;
      // A full disk has no room for the durable removal of a record. Nobody trusts an uncommitted snapshot: its files go first.
      await workers.removeTree(this.#ids.dir(record.id), call);
      await this.#store.writeDurably(() => this.#records.remove(key), call);
    }
  }

  async #requireUnmounted(key: string, id: number, call?: Call): Promise<void> {
    const { runtime, root } = this.#store;
    const doing = `removing the snapshot "${key}"`;
    refuseMountsAt(await runtime.syscalls(), this.#ids.dir(id), doing);
    // A layer that is being extracted is no user's mount, and is undone in a root without /proc, too.
    const mayBeMounted = !isExtractKey(key);
    const at = await shownAt(runtime, root, this.#ids.path(id), { doing, mayBeMounted, ...call });
    if (at !== undefined) throw mountedAt(doing, at);
  }
}

function busy(name: string): HawserError {
  return new HawserError('Unavailable', `Cannot replace the snapshot "${name}": a process works above it`, {
    hint: 'Try again once that process has ended',
    reason: { type: 'busy' },
  });
}
