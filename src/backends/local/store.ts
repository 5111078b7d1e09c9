import { Rounds } from '../../core/async/rounds.ts';
import { closedStore } from '../../core/backend.ts';
import type { Growing } from '../../core/content/growing.ts';
import { HawserError, isKind, reasonOf, wrap } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Database } from '../../core/ports/database.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { Owner } from './owner.ts';
import { number, text } from './rows.ts';
import { giveUpSpare } from './spare.ts';

/** Milliseconds between two looks at a sweep, and for which a sweep that removes nothing is waited for. */
const DOOMED_POLL = 20;
const DOOMED_PATIENCE = 60_000;
/** Milliseconds for which a transaction waits for other processes'. Ours last a few milliseconds. */
const LOCK_PATIENCE = 30_000;
const TIDY_PATIENCE = 1000;
/** Milliseconds between two tries. */
const LOCK_PAUSE = 20;

/** One opened namespace of a store, shared by all its roles. Paths are absolute. */
export class Store {
  readonly runtime: Runtime;
  readonly root: string;
  readonly namespace: string;
  readonly readOnly: boolean;
  /** Why a store that was to be written to can only be read. */
  readonly unwritable: unknown;
  /** There is no store: the database is in memory, and has no more than the namespace. */
  readonly isVacant: boolean;
  /** Of lost databases, when the store was opened (lost.ts): names in the root. */
  readonly lostIndexes: readonly string[];
  readonly #db: Database;
  #isClosed = false;
  readonly owner: Owner;
  /** Blobs that this process is fetching, by digest. */
  readonly growing: Map<string, Growing> = new Map();
  /** The open ingests of this process, by ref: their offsets are ahead of their files' sizes. */
  readonly writing: Map<string, { readonly offset: number }> = new Map();
  /** The refs that this process has taken, or is taking. */
  readonly taken: Set<string> = new Set();
  /** The ids of snapshots that a reader cannot trust, and may not drop (durability.ts). */
  readonly distrusted: Set<number> = new Set();
  /** This process has recorded an image under a new name, and nobody has asked since whether the store takes too much. */
  hasNewImage = false;
  /** Syncs of directories, by path: one sync serves all changes that were done before it began. */
  readonly dirSyncs: Rounds = new Rounds((path) => this.runtime.fs.syncDir(path));

  constructor(
    parts: Pick<Store, 'runtime' | 'root' | 'namespace' | 'readOnly' | 'lostIndexes' | 'db' | 'owner'> & {
      unwritable?: unknown;
      isVacant?: boolean;
    },
  ) {
    this.runtime = parts.runtime;
    this.root = parts.root;
    this.namespace = parts.namespace;
    this.readOnly = parts.readOnly;
    this.unwritable = parts.unwritable;
    this.isVacant = parts.isVacant ?? false;
    this.lostIndexes = parts.lostIndexes;
    this.#db = parts.db;
    this.owner = parts.owner;
  }

  /** FailedPrecondition once the store has been closed. */
  get db(): Database {
    if (this.#isClosed) throw closedStore();
    return this.#db;
  }

  /** Closes the database. Every change is committed by then: a failure says nothing. */
  close(): void {
    this.#isClosed = true;
    closeQuietly(this.#db);
  }

  now(): number {
    return this.runtime.clock.now();
  }

  path(relative: string): string {
    return `${this.root}/${relative}`;
  }

  /**
   * One transaction, which makes the namespace where it is missing. A power cut may undo a transaction, never tear it. `work` may run more than
   * once, for while another process has the database locked the transaction is tried again: Unavailable after 30 seconds.
   */
  write<T>(work: () => T, call?: Call): Promise<T> {
    return this.#retry(() => this.#transact(work), LOCK_PATIENCE, call);
  }

  /** A transaction that is on disk when this resolves, with all transactions before it. */
  writeDurably<T>(work: () => T, call?: Call): Promise<T> {
    const durably = (): T => {
      this.db.exec('PRAGMA synchronous=FULL');
      try {
        return this.#transact(work);
      } finally {
        this.db.exec('PRAGMA synchronous=NORMAL');
      }
    };
    return this.#retry(durably, LOCK_PATIENCE, call);
  }

  /** A transaction about namespaces, which makes none itself. */
  async writeWithoutNamespace<T>(work: () => T, call?: Call): Promise<T> {
    const transact = (): T => {
      this.checkWritable();
      return this.db.transaction(() => this.#change(work));
    };
    return await this.#retry(transact, LOCK_PATIENCE, call);
  }

  /** A durable transaction that removes something. On a full disk it gets the room that the store keeps for it (spare.ts). */
  async writeToFree<T>(work: () => T, call?: Call): Promise<T> {
    return await this.withSpare(() => this.writeDurably(work, call));
  }

  /** Runs `work`; once more with the spare room when the disk is full. A store that is only read keeps that room. */
  async withSpare<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (err) {
      if (this.readOnly || !isKind(err, 'ResourceExhausted') || !(await giveUpSpare(this.runtime, this.root)))
        throw err;
      return await work();
    }
  }

  /**
   * A transaction that lets go of something while cleaning up. Never rejects, and waits a second at most: whatever this process
   * still holds when it ends is nobody's. False when that failed.
   */
  async tidy(work: () => unknown): Promise<boolean> {
    const done = this.#retry(() => this.#transact(work), TIDY_PATIENCE);
    return await done.then(
      () => true,
      () => false,
    );
  }

  #transact<T>(work: () => T): T {
    this.checkWritable();
    return this.db.transaction(() => {
      this.db.prepare('INSERT OR IGNORE INTO namespaces VALUES (?)').run(this.namespace);
      return this.#change(work);
    });
  }

  /** Within a transaction. Where there is no store, work that changes a record is refused, and undone. */
  #change<T>(work: () => T): T {
    if (!this.isVacant) return work();
    const before = this.#changes();
    const result = work();
    if (this.#changes() !== before) throw noStore(this.root);
    return result;
  }

  /** How many rows this connection has changed. */
  #changes(): number {
    const row = this.db.prepare('SELECT total_changes() AS n').get();
    return row === undefined ? 0 : number(row, 'n');
  }

  /** SQLite's own wait for a lock blocks the thread, so it is short; between the tries signals are heard. */
  async #retry<T>(work: () => T, patience: number, call?: Call): Promise<T> {
    const { clock } = this.runtime;
    let end: number | undefined;
    for (;;) {
      call?.signal?.throwIfAborted();
      try {
        return work();
      } catch (err) {
        end ??= clock.monotonic() + patience;
        if (reasonOf(err, 'locked') === undefined || clock.monotonic() >= end) throw err;
      }
      await clock.sleep(LOCK_PAUSE, call?.signal);
    }
  }

  /** FailedPrecondition, or why the store can only be read. Where there is no store, what looks for something may go on. */
  checkWritable(): void {
    if (!this.readOnly || this.isVacant) return;
    if (this.unwritable !== undefined) throw wrap(`Cannot change the store ${this.root}`, this.unwritable);
    throw new HawserError(
      'FailedPrecondition',
      `Cannot change the store ${this.root}: it is open for reading only`,
    );
  }

  /** As `checkWritable`, before anything is brought, of which there may be files: FailedPrecondition also where there is no store. */
  checkTakes(): void {
    this.checkWritable();
    if (this.isVacant) throw noStore(this.root);
  }

  /** Removes whatever stands at an absolute path: a directory by a walk, which enters no mount even where mounts cannot be listed. */
  async removeAny(path: string, call?: Call): Promise<void> {
    const { fs, workers } = this.runtime;
    if ((await fs.stat(path, call))?.type === 'directory') await workers.removeTree(path, call);
    else await fs.remove(path, { tree: true, ...call });
  }

  /**
   * Waits until no sweep is about to remove these paths (relative to the root). Call it once a row with a live owner names
   * them: from then on no sweep chooses them. Unavailable when a sweep removes nothing for a minute.
   */
  async undoomed(paths: readonly string[], call?: Call): Promise<void> {
    for (const path of paths) await this.#undoomed(path, call);
  }

  async #undoomed(path: string, call?: Call): Promise<void> {
    const { clock } = this.runtime;
    const find = this.db.prepare(
      'SELECT owner, (SELECT count(*) FROM doomed o WHERE o.owner = d.owner) AS left FROM doomed d WHERE path = ?',
    );
    const forget = this.db.prepare('DELETE FROM doomed WHERE path = ? AND owner = ?');
    let left = -1;
    let since = clock.monotonic();
    for (;;) {
      const row = find.get(path);
      if (row === undefined) return;
      const sweeper = text(row, 'owner');
      if ((await this.owner.look(sweeper, call)) === 'dead') {
        await this.write(() => forget.run(path, sweeper), call);
        continue;
      }
      if (number(row, 'left') !== left) since = clock.monotonic();
      left = number(row, 'left');
      if (clock.monotonic() - since >= DOOMED_PATIENCE) throw stoppedSweep(this.path(path));
      await clock.sleep(DOOMED_POLL, call?.signal);
    }
  }
}

export function closeQuietly(db: Database): void {
  try {
    db.close();
  } catch {}
}

function noStore(root: string): HawserError {
  const what = `Cannot change the store ${root}: there is none, and it was opened to make none`;
  return new HawserError('FailedPrecondition', what, { hint: 'A pull or an import makes the store' });
}

function stoppedSweep(path: string): HawserError {
  const what = `Cannot write ${path}: another process is about to remove what was there, and does not go on`;
  return new HawserError('Unavailable', what, { hint: 'Look for a stopped hawser, and try again' });
}
