/**
 * Where a directory outside the store is made before it gets its place: `.<name>.hawser-<random>`, with mode 0700, so that
 * nobody sees a half-done tree. It holds `lock`, which its maker keeps locked for life: who gets the lock knows that the maker is
 * dead. Only `made` and `doomed` are removed with it. `trade` may be a directory of the user's: it stays, whatever happens.
 */
import { cleanedUp } from '../async/cleanup.ts';
import { toHex } from '../bytes.ts';
import { HawserError, ifFound, isKind } from '../errors.ts';
import type { HeldDir } from '../layers/workers.ts';
import type { Call } from '../ports/call.ts';
import type { Database } from '../ports/database.ts';
import type { Runtime } from '../runtime.ts';
import { Held } from './held.ts';
import type { Spot } from './spot.ts';

const TRIES = 10;
/** Of the name, in characters of up to four bytes: the whole has to stay below NAME_MAX. */
const MAX_NAME = 55;
const LOCK = 'lock';
/** The tree while it is built. */
const MADE = 'made';
/** The new tree just before, or the old one just after, they change places. */
const TRADE = 'trade';
/** An old tree whose replacement is there and durable. */
const DOOMED = 'doomed';

export type StagingRuntime = Pick<Runtime, 'fs' | 'workers' | 'databases' | 'host' | 'syscalls'>;

function prefixOf(name: string): string {
  return `.${[...name].slice(0, MAX_NAME).join('')}.hawser-`;
}

/** Whether a name is one that a staging directory for `target` may have. */
export function isStagingName(name: string, target: string): boolean {
  const prefix = prefixOf(target);
  return name.startsWith(prefix) && /^[0-9a-f]{12}$/.test(name.slice(prefix.length));
}

function freshName({ host }: StagingRuntime, name: string): string {
  return `${prefixOf(name)}${toHex(host.random(6))}`;
}

function inside(parent: string, name: string): string {
  return `${parent === '/' ? '' : parent}/${name}`;
}

/** Makes an empty staging directory and opens it. What fails is undone. */
async function makeHeld(runtime: StagingRuntime, parent: string, name: string, call?: Call): Promise<Held> {
  const sys = await runtime.syscalls();
  const path = inside(parent, name);
  await runtime.fs.mkdir(path, 0o700, call);
  try {
    return Held.open(sys, parent, name);
  } catch (err) {
    throw await cleanedUp(err, () => ifFound(runtime.fs.remove(path)));
  }
}

/** Fails as `Staging.create` would: makes a directory, and removes it (or leaves that to `removeLeftovers`). */
export async function probeStaging(
  runtime: StagingRuntime,
  parent: string,
  name: string,
  call?: Call,
): Promise<void> {
  const held = await makeHeld(runtime, parent, freshName(runtime, name), call);
  try {
    await held.beside(held.name).removeDirectory();
  } catch {
    // An empty directory says nothing against the place.
  } finally {
    held.close();
  }
}

export class Staging {
  readonly path: string;
  readonly #runtime: StagingRuntime;
  readonly #held: Held;

  private constructor(runtime: StagingRuntime, path: string, held: Held) {
    this.#runtime = runtime;
    this.path = path;
    this.#held = held;
  }

  /** Where the tree is built. */
  get madePath(): string {
    return `${this.path}/${MADE}`;
  }

  get tradePath(): string {
    return `${this.path}/${TRADE}`;
  }

  get made(): Spot {
    return this.#held.spot(MADE);
  }

  get trade(): Spot {
    return this.#held.spot(TRADE);
  }

  /** Open since before anything was built: its sync hears of every write-back that failed since. */
  get toSync(): string | HeldDir {
    return this.#held.toSync(this.path);
  }

  /** A name beside the staging directory. */
  beside(name: string): Spot {
    return this.#held.beside(name);
  }

  /** Another process may take an unlocked lock file for a dead one's, so it is looked for again under the lock. */
  static async create(
    runtime: StagingRuntime,
    parent: string,
    target: string,
    call?: Call,
  ): Promise<Staging> {
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const held = await makeHeld(runtime, parent, freshName(runtime, target), call);
      const path = inside(parent, held.name);
      try {
        held.lock = lockOf(runtime, path, 5000);
        if (await held.spot(LOCK).exists()) return new Staging(runtime, path, held);
        held.close();
      } catch (err) {
        throw await cleanedUp(err, async () => {
          await ifFound(held.spot(LOCK).unlink());
          await ifFound(held.beside(held.name).removeDirectory());
          held.close();
        });
      }
    }
    throw new HawserError('Unavailable', `Cannot make a directory in ${parent}: others keep removing it`);
  }

  /** The old directory in `trade` has been replaced for good: from now on whoever cleans up removes it. */
  async giveUpOld(call?: Call): Promise<void> {
    try {
      await this.trade.move(this.#held.spot(DOOMED));
    } catch {
      await this.#runtime.workers.removeTree(this.tradePath, call);
    }
  }

  /** Leaves the directory when there is `trade` in it. To be called once: nothing else may be used after. */
  async remove(call?: Call): Promise<void> {
    await removeHeld(this.#runtime, this.path, this.#held, call);
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
async function removeHeld({ workers }: StagingRuntime, path: string, held: Held, call?: Call): Promise<void> {
  try {
    for (const name of [MADE, DOOMED]) {
      await workers.removeTree(`${path}/${name}`, call);
      await held.spot(name).requireGone(`${path}/${name}`);
    }
    held.unlock();
    if (await held.spot(TRADE).exists()) return;
    await ifFound(held.spot(LOCK).unlink());
    await ifFound(held.beside(held.name).removeDirectory());
  } finally {
    held.close();
  }
}

/**
 * Removes what dead runs left for `target` in `parent`: directories of this user that hold what a staging directory holds, and
 * nothing else. Returns the paths of those that look like one and had to stay.
 */
export async function removeLeftovers(
  runtime: StagingRuntime,
  parent: string,
  target: string,
  call?: Call,
): Promise<string[]> {
  const sys = await runtime.syscalls();
  const kept: string[] = [];
  for (const { name, type } of await runtime.fs.list(parent, call)) {
    if (type !== 'directory' || !isStagingName(name, target)) continue;
    const held = await ifFound((async () => Held.open(sys, parent, name))(), 'FailedPrecondition');
    if (held === undefined) continue;
    const path = inside(parent, name);
    if (!(await removeIfDead(runtime, path, held, call))) kept.push(path);
  }
  return kept;
}

/** False when it has to stay though nobody works in it. */
async function removeIfDead(
  runtime: StagingRuntime,
  path: string,
  held: Held,
  call?: Call,
): Promise<boolean> {
  try {
    if (held.uid() !== runtime.host.uid) return true;
    const names = held.names();
    // A run that has just begun makes its lock now: then the directory is no longer empty.
    if (names.length === 0) {
      await ifFound(held.beside(held.name).removeDirectory(), 'FailedPrecondition');
      return true;
    }
    if (!names.includes(LOCK) || names.some((one) => ![LOCK, MADE, TRADE, DOOMED].includes(one)))
      return false;
    held.lock = lockOf(runtime, path, 0);
    await removeHeld(runtime, path, held, call);
    return !names.includes(TRADE);
  } catch (err) {
    if (isKind(err, 'Unavailable', 'NotFound')) return true;
    throw err;
  } finally {
    held.close();
  }
}
