/**
 * Where a directory outside the store is made before it gets its place: `.<name>.hawser-<random>`, with mode 0700, so that
 * nobody sees a half-done tree. It holds `lock`, which its maker keeps locked for life: who gets the lock knows that the maker is
 * dead. Only `made` and `doomed` are removed with it. `trade` may be a directory of the user's: it stays, whatever happens.
 */
import { cleanedUp } from '../async/cleanup.ts';
import { toHex } from '../bytes.ts';
import { HawserError, ifFound, isKind } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Database } from '../ports/database.ts';
import type { Runtime } from '../runtime.ts';

const TRIES = 10;
/** Of the name, in characters of up to four bytes: the whole has to stay below NAME_MAX. */
const MAX_NAME = 55;
const LOCK = 'lock';
/** The tree while it is built. */
const MADE = 'made';
/** The new tree just before, or the old one just after, they change places. */
export const TRADE = 'trade';
/** An old tree whose replacement is there and durable. */
const DOOMED = 'doomed';

export type StagingRuntime = Pick<Runtime, 'fs' | 'workers' | 'databases' | 'host'>;

function prefixOf(name: string): string {
  return `.${[...name].slice(0, MAX_NAME).join('')}.hawser-`;
}

/** Whether a name is one that a staging directory for `target` may have. */
export function isStagingName(name: string, target: string): boolean {
  const prefix = prefixOf(target);
  return name.startsWith(prefix) && /^[0-9a-f]{12}$/.test(name.slice(prefix.length));
}

function freshPath({ host }: StagingRuntime, parent: string, name: string): string {
  return `${parent === '/' ? '' : parent}/${prefixOf(name)}${toHex(host.random(6))}`;
}

/** Fails as `Staging.create` would: makes a directory, and removes it (or leaves that to `removeLeftovers`). */
export async function probeStaging(
  runtime: StagingRuntime,
  parent: string,
  name: string,
  call?: Call,
): Promise<void> {
  const path = freshPath(runtime, parent, name);
  await runtime.fs.mkdir(path, 0o700, call);
  await runtime.fs.remove(path).catch(() => {});
}

export class Staging {
  readonly path: string;
  readonly #runtime: StagingRuntime;
  readonly #lock: Database;

  private constructor(runtime: StagingRuntime, path: string, lock: Database) {
    this.#runtime = runtime;
    this.path = path;
    this.#lock = lock;
  }

  get made(): string {
    return `${this.path}/${MADE}`;
  }

  get trade(): string {
    return `${this.path}/${TRADE}`;
  }

  get doomed(): string {
    return `${this.path}/${DOOMED}`;
  }

  /** Another process may take an unlocked lock file for a dead one's, so it is looked for again under the lock. */
  static async create(runtime: StagingRuntime, parent: string, name: string, call?: Call): Promise<Staging> {
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const path = freshPath(runtime, parent, name);
      await runtime.fs.mkdir(path, 0o700, call);
      try {
        const lock = lockOf(runtime, path, 5000);
        if ((await runtime.fs.stat(`${path}/${LOCK}`, call)) !== undefined)
          return new Staging(runtime, path, lock);
        lock.close();
      } catch (err) {
        throw await cleanedUp(err, async () => {
          await ifFound(runtime.fs.remove(`${path}/${LOCK}`));
          await ifFound(runtime.fs.remove(path));
        });
      }
    }
    throw new HawserError('Unavailable', `Cannot make a directory in ${parent}: others keep removing it`);
  }

  /** The old directory in `trade` has been replaced for good: from now on whoever cleans up removes it. */
  async giveUpOld(call?: Call): Promise<void> {
    try {
      await this.#runtime.fs.rename(this.trade, this.doomed, call);
    } catch {
      await this.#runtime.workers.removeTree(this.trade, call);
    }
  }

  /** Leaves the directory when there is `trade` in it. */
  async remove(call?: Call): Promise<void> {
    await removeHeld(this.#runtime, this.path, this.#lock, call);
  }
}

/** Unavailable when another process has the lock. Makes the lock file if there is none. */
function lockOf({ databases }: StagingRuntime, path: string, busyTimeout: number): Database {
  const lock = databases.open(`${path}/${LOCK}`, { busyTimeout, access: 'lock' });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (err) {
    lock.close();
    throw err;
  }
}

/** The lock file is closed before it is removed: a FUSE file system keeps what is open under another name. */
async function removeHeld(
  { fs, workers }: StagingRuntime,
  path: string,
  lock: Database,
  call?: Call,
): Promise<void> {
  try {
    for (const name of [MADE, DOOMED]) await workers.removeTree(`${path}/${name}`, call);
  } finally {
    lock.close();
  }
  if ((await fs.stat(`${path}/${TRADE}`, call)) !== undefined) return;
  await ifFound(fs.remove(`${path}/${LOCK}`, call));
  await ifFound(fs.remove(path, call));
}

/**
 * Removes what dead runs left for `name` in `parent`: directories of this user that hold what a staging directory holds, and
 * nothing else. Returns the paths of those that look like one and had to stay.
 */
export async function removeLeftovers(
  runtime: StagingRuntime,
  parent: string,
  name: string,
  call?: Call,
): Promise<string[]> {
  const kept: string[] = [];
  for (const entry of await runtime.fs.list(parent, call)) {
    if (!isStagingName(entry.name, name)) continue;
    const path = `${parent === '/' ? '' : parent}/${entry.name}`;
    const info = await runtime.fs.stat(path, call);
    if (info?.type !== 'directory' || info.uid !== runtime.host.uid) continue;
    if (!(await removeIfDead(runtime, path, call))) kept.push(path);
  }
  return kept;
}

/** False when it has to stay though nobody works in it. */
async function removeIfDead(runtime: StagingRuntime, path: string, call?: Call): Promise<boolean> {
  const names = (await ifFound(runtime.fs.list(path, call)))?.map((entry) => entry.name);
  if (names === undefined) return true;
  if (names.length === 0) {
    // A run that has just begun makes its lock now: then it is no longer empty.
    await ifFound(runtime.fs.remove(path, call), 'FailedPrecondition');
    return true;
  }
  if (!names.includes(LOCK) || names.some((one) => ![LOCK, MADE, TRADE, DOOMED].includes(one))) return false;
  try {
    await removeHeld(runtime, path, lockOf(runtime, path, 0), call);
    return !names.includes(TRADE);
  } catch (err) {
    if (isKind(err, 'Unavailable', 'NotFound')) return true;
    throw err;
  }
}
