/**
 * Where a directory outside the store is made before it is moved into place: `.<name>.hawser-<random>` beside it, so that
 * moving is a rename, with mode 0700, so that nobody sees it half done. Its maker holds a lock file in it for as long as it
 * lives; who can take the lock has proof that the maker is dead, and removes what it left.
 */
import { toHex } from '../bytes.ts';
import { HawserError, isKind } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Database } from '../ports/database.ts';
import type { Runtime } from '../runtime.ts';

const TRIES = 10;
/** Of the name, in characters: the whole has to stay below NAME_MAX. */
const MAX_NAME = 60;

export type StagingRuntime = Pick<Runtime, 'fs' | 'workers' | 'databases' | 'host'>;

function prefixOf(parent: string, name: string): string {
  return `${parent === '/' ? '' : parent}/.${name.slice(0, MAX_NAME)}.hawser-`;
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

  /** Another process may take an unlocked lock file for a dead one's, so it is looked for again under the lock. */
  static async create(runtime: StagingRuntime, parent: string, name: string, call?: Call): Promise<Staging> {
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const path = `${prefixOf(parent, name)}${toHex(runtime.host.random(6))}`;
      await runtime.fs.mkdir(path, 0o700, call);
      try {
        const lock = runtime.databases.open(`${path}/lock`, { busyTimeout: 5000, lockOnly: true });
        try {
          lock.exec('BEGIN EXCLUSIVE');
          const there = (await runtime.fs.stat(`${path}/lock`, call)) !== undefined;
          if (there) return new Staging(runtime, path, lock);
        } catch (err) {
          lock.close();
          throw err;
        }
        lock.close();
      } catch (err) {
        await runtime.fs.remove(path, { tree: true });
        throw err;
      }
    }
    throw new HawserError('Unavailable', `Cannot make a directory in ${parent}: others keep removing it`);
  }

  async remove(call?: Call): Promise<void> {
    try {
      await this.#runtime.workers.removeTree(this.path, call);
    } finally {
      this.#lock.close();
    }
  }
}

/** Removes what dead processes left beside `parent/name`: this user's directories only. */
export async function removeLeftovers(
  runtime: StagingRuntime,
  parent: string,
  name: string,
  call?: Call,
): Promise<void> {
  const prefix = prefixOf(parent, name);
  for (const entry of await runtime.fs.list(parent, call)) {
    const path = `${parent === '/' ? '' : parent}/${entry.name}`;
    if (!path.startsWith(prefix) || !/^[0-9a-f]{12}$/.test(path.slice(prefix.length))) continue;
    const info = await runtime.fs.stat(path, call);
    if (info?.type !== 'directory' || info.uid !== runtime.host.uid) continue;
    await removeIfDead(runtime, path, call);
  }
}

async function removeIfDead(runtime: StagingRuntime, path: string, call?: Call): Promise<void> {
  let lock: Database | undefined;
  try {
    lock = runtime.databases.open(`${path}/lock`, { busyTimeout: 0, lockOnly: true });
    lock.exec('BEGIN EXCLUSIVE');
    await runtime.workers.removeTree(path, call);
  } catch (err) {
    if (!isKind(err, 'Unavailable', 'NotFound')) throw err;
  } finally {
    lock?.close();
  }
}
