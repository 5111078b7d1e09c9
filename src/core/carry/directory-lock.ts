/** One writer of a directory at a time, and what dead writers left. */
import { cleaningUp, closingAfter } from '../async/cleanup.ts';
import { HawserError, ifFound, wrap } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Database } from '../ports/database.ts';
import type { FileSystem } from '../ports/file-system.ts';
import type { BesideRuntime } from './beside.ts';
import { isOf } from './foreign-directory.ts';

const LOCK = '.hawser-lock';
const TRIES = 10;
const PART = /^\.hawser-[0-9a-f]{12}$/;

/** The lock, or a file that a writer has not named yet. */
export function isOurs(name: string): boolean {
  return name === LOCK || PART.test(name);
}

/** `work` alone writes into the layout `dir`; first, the unfinished files of dead writers go. Unavailable while another one writes. */
export async function lockedDirectory<T>(
  runtime: BesideRuntime,
  dir: string,
  work: () => Promise<T>,
  call: Call,
): Promise<T> {
  const path = `${dir}/${LOCK}`;
  const lock = await hold(runtime, path, dir, call);
  // Removed before it is closed: who opens the file until then cannot lock it, and finds another one or none under its name.
  const release = () =>
    closingAfter(
      async () => void (await ifFound(runtime.fs.remove(path))),
      async () => lock.close(),
    );
  return await cleaningUp(async () => {
    await removeLeftovers(runtime.fs, dir, call);
    return await work();
  }, release);
}

/** What was locked must still have the name: its last holder may have removed it meanwhile. */
async function hold(
  { databases, fs }: BesideRuntime,
  path: string,
  dir: string,
  call: Call,
): Promise<Database> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    await isOf(fs, path, 'file', call);
    let lock: Database | undefined;
    try {
      lock = databases.open(path, { busyTimeout: 0, access: 'lock' });
      const opened = await fs.stat(path, call);
      lock.exec('BEGIN EXCLUSIVE');
      const now = await fs.stat(path, call);
      if (now !== undefined && now.mtime === opened?.mtime) return lock;
      lock.close();
    } catch (err) {
      lock?.close();
      throw wrap(`Cannot export into ${dir}`, err, 'Another run may be writing it: wait for its end');
    }
  }
  throw new HawserError('Unavailable', `Cannot export into ${dir}: others keep removing ${LOCK}`);
}

/** Nobody else writes now. `levels`: of directories below, as the blobs of a layout have. */
async function removeLeftovers(fs: FileSystem, dir: string, call: Call, levels = 2): Promise<void> {
  for (const { name, type } of await fs.list(dir, call)) {
    const path = `${dir}/${name}`;
    if (type === 'file' && PART.test(name)) await ifFound(fs.remove(path));
    if (type === 'directory' && levels > 0) await removeLeftovers(fs, path, call, levels - 1);
  }
}
