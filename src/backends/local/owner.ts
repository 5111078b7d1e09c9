/**
 * Tells which processes live. Each opened store has a file `run/<id>.lock`, an SQLite database that it keeps locked. The
 * kernel releases the lock when the process dies, however it dies; pids are never compared. A process that can take the
 * lock of another has proof of its death, and removes the file while it holds the lock.
 */
import { toHex } from '../../core/bytes.ts';
import { HawserError, isKind } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Database } from '../../core/ports/database.ts';
import type { Runtime } from '../../core/runtime.ts';

/** Label of a lease with the id of the process that is at work under the lease. */
export const OWNER_LABEL = 'hawser.owner';
const SUFFIX = '.lock';
/** Bytes of the random number that is a process's id. */
const ID_BYTES = 8;
const ID = new RegExp(`^[0-9a-f]{${2 * ID_BYTES}}$`);
const CREATE_TRIES = 10;
/** Milliseconds between two looks at a process that is watched. */
const WATCH = 1000;

export function randomHex(runtime: Runtime, bytes: number): string {
  return toHex(runtime.host.random(bytes));
}

export class Owner {
  /** Names this opened store in rows; '' when it was opened to read. */
  readonly id: string;
  readonly #runtime: Runtime;
  readonly #dir: string;
  readonly #lock: Database | undefined;
  readonly #dead = new Set<string>();
  /** When each process was last found alive. */
  readonly #alive = new Map<string, number>();

  private constructor(runtime: Runtime, dir: string, id: string, lock: Database | undefined) {
    this.#runtime = runtime;
    this.#dir = dir;
    this.id = id;
    this.#lock = lock;
  }

  /** An owner without a lock, which can only look at others. */
  static reader(runtime: Runtime, dir: string): Owner {
    return new Owner(runtime, dir, '', undefined);
  }

  /**
   * Another process may remove the file between its making and its locking, so it is looked for again under the lock. Rows
   * name the id only after that, so an absent file proves death.
   */
  static async create(runtime: Runtime, dir: string, call?: Call): Promise<Owner> {
    for (let attempt = 1; attempt <= CREATE_TRIES; attempt++) {
      const id = randomHex(runtime, ID_BYTES);
      const path = `${dir}/${id}${SUFFIX}`;
      const lock = runtime.databases.open(path, { busyTimeout: 5000, access: 'lock' });
      try {
        lock.exec('BEGIN EXCLUSIVE');
        if ((await runtime.fs.stat(path, call)) !== undefined) return new Owner(runtime, dir, id, lock);
      } catch (err) {
        lock.close();
        throw err;
      }
      lock.close();
    }
    throw new HawserError('Unavailable', `Cannot make a lock file in ${dir}: others keep removing it`);
  }

  /** True once `look` has found the process dead; it stays dead. */
  isDead(id: string): boolean {
    return this.#dead.has(id);
  }

  /** Finds out whether the process with this id lives. */
  async look(id: string, call?: Call): Promise<'alive' | 'dead'> {
    if (id === this.id) return 'alive';
    if (this.#dead.has(id)) return 'dead';
    if (!(await this.#proveDead(id, call))) return 'alive';
    this.#dead.add(id);
    return 'dead';
  }

  /** As `look`, which opens a database, for whoever asks ten times a second: a process that is killed may count as alive for a second. */
  async watch(id: string, call?: Call): Promise<'alive' | 'dead'> {
    const now = this.#runtime.clock.monotonic();
    const last = this.#alive.get(id);
    if (last !== undefined && now - last < WATCH && (await this.#hasFile(id, call))) return 'alive';
    const found = await this.look(id, call);
    if (found === 'alive') this.#alive.set(id, now);
    else this.#alive.delete(id);
    return found;
  }

  /** Removes what dead processes left in the directory: their lock files, and others that begin with their ids. Other names stay. */
  async tidy(call?: Call): Promise<void> {
    for (const { name } of await this.#runtime.fs.list(this.#dir, call)) {
      const [id = '', ...suffix] = name.split(/(?=\.)/);
      if (!ID.test(id) || (await this.look(id, call)) === 'alive' || suffix.join('') === SUFFIX) continue;
      await this.#runtime.fs.remove(`${this.#dir}/${name}`, { tree: true, ...call });
    }
  }

  /** Never rejects: a file that cannot be removed is unlocked, and whoever looks at it removes it. */
  async close(): Promise<void> {
    if (this.#lock === undefined) return;
    await this.#runtime.fs.remove(this.#path(this.id), { tree: true }).catch(() => {});
    this.#lock.close();
  }

  #path(id: string): string {
    return `${this.#dir}/${id}${SUFFIX}`;
  }

  async #hasFile(id: string, call?: Call): Promise<boolean> {
    return (await this.#runtime.fs.stat(this.#path(id), call)) !== undefined;
  }

  async #proveDead(id: string, call?: Call): Promise<boolean> {
    if (!ID.test(id)) return true;
    const path = this.#path(id);
    if (!(await this.#hasFile(id, call))) return true;
    let lock: Database | undefined;
    try {
      if (this.#lock === undefined) {
        lock = this.#runtime.databases.open(path, { busyTimeout: 0, access: 'look' });
        lock.prepare('SELECT count(*) FROM sqlite_master').get();
        return true;
      }
      lock = this.#runtime.databases.open(path, { busyTimeout: 0, access: 'lock' });
      lock.exec('BEGIN EXCLUSIVE');
      await this.#runtime.fs.remove(path, { tree: true, ...call });
      return true;
    } catch (err) {
      if (isKind(err, 'Unavailable')) return false;
      throw err;
    } finally {
      lock?.close();
    }
  }
}
