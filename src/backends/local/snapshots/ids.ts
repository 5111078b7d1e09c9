/** The ids of snapshots, which name their directories: reserved in the table `staging` until the snapshot has a record. */
import { cleanedUp } from '../../../core/async/cleanup.ts';
import type { Call, WriteCall } from '../../../core/ports/call.ts';
import { addToLease, requireLease } from '../leases.ts';
import { number } from '../rows.ts';
import type { Store } from '../store.ts';
import type { SnapshotRecords } from './records.ts';

/** Milliseconds for undoing, which runs on a signal of its own. */
const UNDO_TIMEOUT = 60_000;

export class SnapshotIds {
  readonly #store: Store;
  readonly #snapshotter: string;
  readonly #records: SnapshotRecords;

  constructor(store: Store, snapshotter: string, records: SnapshotRecords) {
    this.#store = store;
    this.#snapshotter = snapshotter;
    this.#records = records;
  }

  /** Relative to the store's root. */
  path(id: number): string {
    return `snapshots/${this.#snapshotter}/${id}`;
  }

  dir(id: number): string {
    return this.#store.path(this.path(id));
  }

  /** Makes every check and reserves an id. An existing key is leased before AlreadyExists, so that the caller can use it. */
  async reserve(key: string, parent: string, call: WriteCall): Promise<{ id: number; parents: number[] }> {
    const { lease } = call;
    const reserved = await this.#store.write(() => {
      requireLease(this.#store, lease);
      if (this.#records.find(key) !== undefined) {
        addToLease(this.#store, lease, this.#records.labelType, key);
        return undefined;
      }
      const below = this.#records.parentFor(parent);
      const { db, owner } = this.#store;
      const row = db.prepare('INSERT INTO staging (owner) VALUES (?) RETURNING id').get(owner.id);
      const parents = below === undefined ? [] : this.#records.chain(below.id);
      return { id: row === undefined ? 0 : number(row, 'id'), parents };
    }, call);
    if (reserved === undefined) this.#records.requireFree(key);
    else if (await this.#isFree(reserved.id, call)) return reserved;
    return await this.reserve(key, parent, call);
  }

  /** Whether nothing is at the directory of a reserved id. Otherwise, and after a failure, the id is given back. */
  async #isFree(id: number, call: Call): Promise<boolean> {
    try {
      if ((await this.#store.runtime.fs.stat(this.dir(id), call)) === undefined) return true;
      await this.#skipTaken(id, call);
      return false;
    } catch (err) {
      throw await cleanedUp(err, () => this.#store.tidy(() => this.unstage(id)));
    }
  }

  /**
   * A directory without a record is there when the database was moved away, or a power cut undid its last transactions. It may be
   * mounted, or hold what a user wrote, so ids go on after it; a collection removes it.
   */
  async #skipTaken(id: number, call: Call): Promise<void> {
    const { db, runtime } = this.#store;
    const entries = await runtime.fs.list(this.#store.path(`snapshots/${this.#snapshotter}`), call);
    const taken = entries.map(({ name }) => Number(name)).filter(Number.isSafeInteger);
    await this.#store.write(() => {
      this.unstage(id);
      const raise = db.prepare("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'staging'");
      raise.run(Math.max(id, ...taken));
    }, call);
  }

  /** Within a transaction: gives up the reservation. */
  unstage(id: number): void {
    this.#store.db.prepare('DELETE FROM staging WHERE id = ?').run(id);
  }

  /** Removes the directory, then gives the id back. */
  async discard(id: number): Promise<void> {
    await this.#store.runtime.workers.removeTree(this.dir(id), {
      signal: AbortSignal.timeout(UNDO_TIMEOUT),
    });
    await this.#store.tidy(() => this.unstage(id));
  }
}
