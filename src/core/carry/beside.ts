/**
 * A file that is written beside its place, under a hidden name, and moved in whole. A lock file next to it tells a later run
 * whether its writer still lives: who gets the lock knows that the writer is dead, and removes both.
 */
import { cleanedUp, cleaningUp, closingAfter } from '../async/cleanup.ts';
import { toHex } from '../bytes.ts';
import { HawserError, ifFound, isKind } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Database } from '../ports/database.ts';
import type { FileHandle } from '../ports/file-system.ts';
import type { Runtime } from '../runtime.ts';

export type BesideRuntime = Pick<Runtime, 'fs' | 'databases' | 'host'>;

const LOCK = '.lock';
const TRIES = 10;
/** Of the name, in characters of up to four bytes: the whole has to stay below NAME_MAX. */
const MAX_NAME = 50;

interface Split {
  readonly parent: string;
  readonly name: string;
}

/** `path`: absolute. */
function split(path: string): Split {
  const at = path.lastIndexOf('/');
  const name = path.slice(at + 1);
  if (name === '' || name === '.' || name === '..')
    throw new HawserError('InvalidArgument', `Cannot write "${path}": it names no file`, {
      hint: 'Name the file that is to be written; a directory for one is DIR/NAME',
    });
  return { parent: at === 0 ? '/' : path.slice(0, at), name };
}

function prefixOf(name: string): string {
  return `.${[...name].slice(0, MAX_NAME).join('')}.hawser-`;
}

/**
 * Makes the file `path` (absolute) out of what `write` writes: durable and whole, or not there. A file that is there is replaced;
 * what is no file is FailedPrecondition. First, what dead runs left for the same path is removed.
 */
export async function writeBeside<T>(
  runtime: BesideRuntime,
  path: string,
  write: (file: FileHandle) => Promise<T>,
  call: Call,
): Promise<T> {
  const { fs } = runtime;
  const { parent, name } = split(path);
  await requireFile(runtime, path, call);
  await removeLeftovers(runtime, { parent, name }, call);
  const held = await hold(runtime, { parent, name }, call);
  const made = async (): Promise<T> => {
    const file = await fs.open(held.part, 'exclusive', 0o644, call);
    let result: T;
    try {
      result = await write(file);
      await file.sync();
    } catch (err) {
      throw await cleanedUp(err, () => file.close());
    }
    await file.close();
    call.signal?.throwIfAborted();
    await requireFile(runtime, path, call);
    await fs.rename(held.part, path);
    await fs.syncDir(parent);
    return result;
  };
  return await cleaningUp(made, () => release(runtime, held));
}

async function requireFile({ fs }: BesideRuntime, path: string, call: Call): Promise<void> {
  const found = await fs.stat(path, call);
  if (found === undefined || found.type === 'file') return;
  const what = found.type === 'other' ? 'a pipe, a socket or a device' : `a ${found.type}`;
  throw new HawserError('FailedPrecondition', `Cannot write "${path}": there is ${what}`, {
    hint: 'Name a file that can be replaced, or write to standard output: -',
  });
}

interface HeldPart {
  readonly part: string;
  readonly lock: Database;
  readonly lockPath: string;
}

/** Another run may take a lock file that is not locked yet for a dead run's, so it is looked for again under the lock. */
async function hold(runtime: BesideRuntime, { parent, name }: Split, call: Call): Promise<HeldPart> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const part = `${parent === '/' ? '' : parent}/${prefixOf(name)}${toHex(runtime.host.random(6))}`;
    const lockPath = `${part}${LOCK}`;
    const lock = lockOf(runtime, lockPath, 5000);
    try {
      if ((await runtime.fs.stat(lockPath, call)) !== undefined) return { part, lock, lockPath };
      lock.close();
    } catch (err) {
      throw await cleanedUp(err, () => release(runtime, { part, lock, lockPath }));
    }
  }
  throw new HawserError('Unavailable', `Cannot make a file in ${parent}: others keep removing it`);
}

function lockOf({ databases }: BesideRuntime, path: string, busyTimeout: number): Database {
  const lock = databases.open(path, { busyTimeout, access: 'lock' });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (err) {
    lock.close();
    throw err;
  }
}

/**
 * The lock is given up whatever fails: a later run then takes what is left. Its file is closed before it is removed, as a FUSE file
 * system keeps what is open under another name.
 */
async function release({ fs }: BesideRuntime, { part, lock, lockPath }: HeldPart): Promise<void> {
  await closingAfter(
    async () => void (await ifFound(fs.remove(part))),
    async () => lock.close(),
  );
  await ifFound(fs.remove(lockPath));
}

/** Files of dead runs for the same path. */
async function removeLeftovers(runtime: BesideRuntime, { parent, name }: Split, call: Call): Promise<void> {
  const { fs } = runtime;
  const prefix = prefixOf(name);
  // A directory that takes new files need not be one that can be listed.
  for (const entry of (await ifFound(fs.list(parent, call), 'PermissionDenied')) ?? []) {
    if (entry.type !== 'file' || !entry.name.startsWith(prefix) || !entry.name.endsWith(LOCK)) continue;
    const random = entry.name.slice(prefix.length, -LOCK.length);
    if (!/^[0-9a-f]{12}$/.test(random)) continue;
    const part = `${parent === '/' ? '' : parent}/${prefix}${random}`;
    try {
      await release(runtime, {
        part,
        lock: lockOf(runtime, `${part}${LOCK}`, 0),
        lockPath: `${part}${LOCK}`,
      });
    } catch (err) {
      // Its writer lives, or it is another user's.
      if (!isKind(err, 'Unavailable', 'PermissionDenied', 'NotFound', 'FailedPrecondition')) throw err;
    }
  }
}

/** Writes one piece after another. */
export class FileSink {
  readonly #file: FileHandle;
  #at = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(bytes: Uint8Array, call: Call): Promise<void> {
    call.signal?.throwIfAborted();
    await this.#file.write(bytes, this.#at);
    this.#at += bytes.length;
  }
}
