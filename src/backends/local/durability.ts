/**
 * Which unpacked layers are on the disk. A layer is written through the page cache and made durable once a pull. Until then
 * its snapshot is marked (`snapshots.unsynced`) with the boot and the mount that it was written under, and is trusted only
 *
 * - under the same boot and mount, or while its maker lives: a power cut, or a disk that was taken away, leaves files that
 *   are there and empty (containerd#5854);
 * - while every sync succeeded: the kernel reports a failed write-back once, and takes the pages for written from then on. A
 *   sync is noted (`syncing`) while it runs, so that the death of its process counts as a failure.
 *
 * Snapshots that are not trusted are dropped with all above them, durably and for every process; their directories are
 * orphans. Blobs need no mark: an ingest is synced before it becomes one (ingest.ts).
 */
import { orAborted } from '../../core/async/abort.ts';
import { Rounds } from '../../core/async/rounds.ts';
import { HawserError, wrap } from '../../core/errors.ts';
import type { LeaseResource } from '../../core/leases/lease-store.ts';
import type { Call } from '../../core/ports/call.ts';
import { bootId } from '../../core/snapshots/boot-id.ts';
import { number } from './rows.ts';
import type { Store } from './store.ts';
import {
  dropSnapshots,
  syncOwners,
  type UnsyncedRow,
  unsyncedRows,
  withThoseAbove,
} from './unsynced-rows.ts';
import { isOtherBoot, isSameMount, openWriteMark, type WriteMark } from './write-mark.ts';

/** Milliseconds for which a sync waits for another process's, whose failure would concern snapshots of both; and between looks. */
const OTHERS_PATIENCE = 60_000;
const OTHERS_PAUSE = 50;

const HINT =
  'What was unpacked and was not on the disk yet is dropped. Check the disk and the kernel log, then pull again';

function reliance(type: string, name: string): string {
  return `${type}\0${name}`;
}

export class Durability {
  readonly #store: Store;
  #mark: Promise<WriteMark> | undefined;
  /** Committed snapshots that were not durable when this process made or found them, by id: what a lease calls each (`reliance`). */
  readonly #relied = new Map<number, string>();
  /** The marks of this process's snapshots that are neither committed nor removed. */
  readonly #marks = new Map<number, string>();
  /** Why this process can vouch for nothing any more. */
  #failure: { readonly reason: unknown } | undefined;
  #syncing = 0;
  readonly #rounds = new Rounds(() => this.#sync());
  /** Ends with the latest round; never rejects. */
  #latest: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  get #dir(): string {
    return this.#store.path('snapshots');
  }

  /** The mark of snapshots that are about to be written. Call it before their first byte. */
  async begin(call?: Call): Promise<string> {
    call?.signal?.throwIfAborted();
    this.#store.checkTakes();
    return (await this.#writeMark()).text;
  }

  /** Opened once, for all callers: without the signal of any. */
  async #writeMark(): Promise<WriteMark> {
    const { runtime, owner } = this.#store;
    const opening = this.#mark ?? openWriteMark(runtime, this.#dir, owner.id);
    this.#mark = opening;
    try {
      return await opening;
    } catch (err) {
      if (this.#mark === opening) this.#mark = undefined;
      throw err;
    }
  }

  /** This process has recorded a snapshot with this mark. */
  marked(id: number, mark: string): void {
    this.#marks.set(id, mark);
  }

  /** A layer is about to be applied to this snapshot. */
  async mark(id: number, call?: Call): Promise<void> {
    const mark = await this.begin(call);
    if (this.#marks.get(id) === mark) return;
    const { db } = this.#store;
    if (db.prepare('SELECT 1 FROM snapshots WHERE id = ? AND unsynced = ?').get(id, mark) !== undefined)
      return;
    const update = db.prepare('UPDATE snapshots SET unsynced = ?, owner = ? WHERE id = ?');
    await this.#store.write(() => update.run(mark, this.#store.owner.id, id), call);
  }

  /** Makes committed snapshots durable, which others may have made: DataLoss when they cannot be. */
  async settle(ids: readonly number[], call?: Call): Promise<void> {
    const open = new Set(unsyncedRows(this.#store.db).map(({ id }) => id));
    const wanted = ids.filter((id) => open.has(id) && !this.#relied.has(id));
    for (const id of wanted) this.#relied.set(id, '');
    try {
      if (ids.some((id) => open.has(id))) await this.sync(call);
    } finally {
      for (const id of wanted) if (this.#relied.get(id) === '') this.#relied.delete(id);
    }
  }

  /** A committed snapshot is used as it is: the next sync is to make it durable, or to fail. */
  rely(id: number, type: string, name: string): void {
    this.#relied.set(id, reliance(type, name));
    this.#marks.delete(id);
  }

  /** Nobody of this process is at work with these snapshots any more, so a collection may remove them: no sync asks for them. */
  unrely(resources: readonly LeaseResource[]): void {
    const ended = new Set(resources.map(({ type, id }) => reliance(type, id)));
    for (const [id, name] of this.#relied) if (ended.has(name)) this.#relied.delete(id);
  }

  /** A snapshot was removed on purpose. */
  release(id: number): void {
    this.#relied.delete(id);
    this.#marks.delete(id);
  }

  /**
   * Makes durable every snapshot that is committed when this is called. DataLoss, and nothing that was not durable is trusted any
   * more, when that fails now or has failed before in this process.
   */
  async sync(call?: Call): Promise<void> {
    call?.signal?.throwIfAborted();
    this.#check();
    const pending = unsyncedRows(this.#store.db).some(({ committed }) => committed);
    if (!pending && this.#relied.size === 0) return;
    const round = this.#rounds.join('');
    this.#latest = round.catch(() => {});
    await orAborted(round, call?.signal);
  }

  /** Has the kernel write out what is dirty, to leave less to `sync`. Fails as that does. */
  async writeOut(): Promise<void> {
    this.#check();
    await this.#syncfs();
  }

  /** Resolves when no sync is under way. */
  async settled(): Promise<void> {
    await this.#latest;
  }

  async close(): Promise<void> {
    await this.settled();
    const mark = await this.#mark?.catch(() => undefined);
    this.#mark = undefined;
    mark?.close();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  async #sync(): Promise<void> {
    this.#check();
    const rows = unsyncedRows(this.#store.db).filter(({ committed }) => committed);
    const relied = [...this.#relied.keys()];
    await this.#syncfs();
    const mark = await this.#writeMark();
    if (!isSameMount(await this.#store.runtime.syscalls(), mark)) {
      throw await this.#distrust(new HawserError('DataLoss', `${this.#dir} was mounted anew meanwhile`));
    }
    await this.#clear(rows, mark);
    // What was let go of meanwhile is nobody's any more.
    this.#requireAll(relied.filter((id) => this.#relied.has(id)));
    for (const id of relied) this.#relied.delete(id);
  }

  async #syncfs(): Promise<void> {
    const { db, owner, runtime } = this.#store;
    const { held } = await this.#writeMark();
    await this.#store.write(() => db.prepare('INSERT OR IGNORE INTO syncing VALUES (?)').run(owner.id));
    this.#syncing++;
    try {
      await runtime.workers.syncfs([held ?? this.#dir]);
    } catch (err) {
      throw await this.#distrust(err);
    } finally {
      this.#syncing--;
    }
    if (this.#syncing > 0) return;
    await this.#store.tidy(() => db.prepare('DELETE FROM syncing WHERE owner = ?').run(owner.id));
  }

  /** Drops everything that is not durable, before anything else happens. When that fails, the note of the sync stays. */
  async #distrust(reason: unknown): Promise<HawserError> {
    const failure = wrap('Cannot make the unpacked layers durable', reason, HINT);
    this.#failure ??= { reason: failure };
    const { db, owner } = this.#store;
    const drop = (): void => {
      dropSnapshots(
        db,
        unsyncedRows(db).map(({ id }) => id),
      );
      db.prepare('DELETE FROM syncing WHERE owner = ?').run(owner.id);
    };
    await this.#store.writeToFree(drop).catch(() => {});
    return failure;
  }

  /**
   * The held descriptor hears of every failure that concerns this process's own snapshots. What concerns another process's may
   * have been told to that process, which then drops them: they are durable only when no other sync is under way.
   */
  async #clear(rows: readonly UnsyncedRow[], mark: WriteMark): Promise<void> {
    const { db, owner, runtime } = this.#store;
    const own = rows.filter((row) => mark.held !== undefined && row.owner === owner.id);
    const end = runtime.clock.monotonic() + OTHERS_PATIENCE;
    const clear = db.prepare('UPDATE snapshots SET unsynced = NULL WHERE id = ?');
    for (;;) {
      await this.dropLost();
      const all = await this.#store.write(() => {
        const alone = syncOwners(db).every((other) => other === owner.id);
        for (const { id } of alone ? rows : own) clear.run(id);
        return alone;
      });
      if (all || !rows.some((row) => !own.includes(row) && this.#relied.has(row.id))) return;
      if (runtime.clock.monotonic() >= end) {
        const what = 'Cannot make the unpacked layers durable: the sync of another process does not end';
        throw new HawserError('Unavailable', what, { hint: 'Look for a stopped hawser, and try again' });
      }
      await runtime.clock.sleep(OTHERS_PAUSE);
    }
  }

  #requireAll(ids: readonly number[]): void {
    const find = this.#store.db.prepare(
      'SELECT count(*) AS n FROM snapshots s JOIN json_each(?) j ON s.id = j.value WHERE s.unsynced IS NULL',
    );
    const row = find.get(JSON.stringify(ids));
    if (row !== undefined && number(row, 'n') === ids.length) return;
    const lost = new HawserError('DataLoss', 'another process could not write them, or removed them');
    const failure = wrap('Cannot make the unpacked layers durable', lost, HINT);
    this.#failure ??= { reason: failure };
    throw failure;
  }

  /** Drops the snapshots that cannot be trusted. To be called when the store is opened to write, before anything else. */
  async dropLost(call?: Call): Promise<void> {
    const lost = await this.lost(call);
    const { db, owner } = this.#store;
    const dead = syncOwners(db).filter((id) => owner.isDead(id));
    if (lost.length === 0 && dead.length === 0) return;
    await this.#store.writeToFree(() => {
      dropSnapshots(db, lost);
      for (const id of dead) db.prepare('DELETE FROM syncing WHERE owner = ?').run(id);
    }, call);
  }

  /** The ids of the snapshots that cannot be trusted. A live process hears of its own failures, so a dead one's sync spares its. */
  async lost(call?: Call): Promise<number[]> {
    const { db, owner, runtime } = this.#store;
    const rows = unsyncedRows(db);
    const syncs = syncOwners(db);
    for (const id of new Set([...syncs, ...rows.map((row) => row.owner)])) await owner.look(id, call);
    const orphaned = rows.filter((row) => owner.isDead(row.owner));
    const doubtful = syncs.some((id) => owner.isDead(id));
    const boot = rows.length === 0 ? '' : await bootId(runtime.fs, call);
    const mark = orphaned.length === 0 || doubtful ? undefined : await this.#knownMark(call);
    const lost = rows.filter(
      (row) => isOtherBoot(row.mark, boot) || (orphaned.includes(row) && (doubtful || row.mark !== mark)),
    );
    return lost.length === 0
      ? []
      : withThoseAbove(
          db,
          lost.map(({ id }) => id),
        );
  }

  /** Undefined where directories cannot be opened: then nothing of the dead is trusted. */
  async #knownMark(call?: Call): Promise<string | undefined> {
    try {
      return (await this.#writeMark()).text;
    } catch {
      call?.signal?.throwIfAborted();
      return undefined;
    }
  }
}
