/** Where one mount ends and another begins, by /proc: for both providers. */
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { type ByteString, fromUtf8 } from '../../core/bytes.ts';
import type { Dir } from '../../core/ports/syscalls.ts';
import { mayDoAll, mayRead } from './deno-permission.ts';
import { parseMountinfo, pointsBelow } from './mountinfo.ts';

const MOUNTINFO = '/proc/self/mountinfo';

/**
 * Whether two descriptors are in different mounts (proc_pid_fdinfo(5), Linux 3.15); `undefined` where /proc does not tell. The
 * device would not do: a bind mount has that of its source, and a subvolume of btrfs has one of its own.
 */
export function inDifferentMounts(a: number, b: number): boolean | undefined {
  const [first, second] = [mountIdOf(a), mountIdOf(b)];
  return first === undefined || second === undefined ? undefined : first !== second;
}

function mountIdOf(fd: number): string | undefined {
  const path = `/proc/self/fdinfo/${fd}`;
  if (!mayRead(path)) return undefined;
  try {
    return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(path, 'latin1'))?.[1];
  } catch {
    return undefined;
  }
}

/** Syscalls.mountsBelow. */
export function mountsBelow(dir: Dir, name?: ByteString): ByteString[] {
  const path = `/proc/self/fd/${dir.fd}`;
  if (!mayRead(path) || !mayRead(MOUNTINFO)) return [];
  try {
    const here = readlinkSync(path, 'latin1');
    if (name === undefined) return mountsIn(here).filter((point) => point !== here);
    return mountsIn(`${here === '/' ? '' : here}/${name}`);
  } catch {
    return [];
  }
}

/**
 * By a rename of a name that is not there: the kernel compares the two mounts (EXDEV) before it looks for the name. Nothing but
 * /proc tells a bind mount otherwise. A directory that this process may not enter (images have such) is judged by its
 * device, which does not tell a bind mount of the same file system.
 */
export function isAcrossMounts(dir: string, above: string): boolean {
  const name = `.hawser-absent-${process.pid}-${process.hrtime.bigint()}`;
  try {
    renameSync(`${dir}/${name}`, `${above}/${name}`);
    return false;
  } catch (err) {
    const { code } = err as { code?: unknown };
    if (code === 'EXDEV') return true;
    if (code === 'ENOENT' || code === 'EROFS') return false;
    if (code === 'EACCES') return areOnTwoDevices(dir, above || '/');
    throw err;
  }
}

/** False where this process may not look. */
function areOnTwoDevices(a: string, b: string): boolean {
  try {
    return lstatSync(a).dev !== lstatSync(b).dev;
  } catch (err) {
    if ((err as { code?: unknown }).code === 'EACCES') return false;
    throw err;
  }
}

/**
 * The mounts below a directory, or at and below `name` in it, by a look at every directory, for where /proc may not be read. A
 * directory that cannot be listed has none.
 */
export function mountsSeen(dir: string, name?: string): string[] {
  const found: string[] = [];
  const queue = [dir];
  const take = (above: string, one: string): void => {
    const at = join(above, one);
    if (isAcrossMounts(at, above)) found.push(at);
    else queue.push(at);
  };
  if (name !== undefined) {
    queue.pop();
    if (lstatSync(join(dir, name), { throwIfNoEntry: false })?.isDirectory() === true) take(dir, name);
  }
  for (let at = queue.pop(); at !== undefined; at = queue.pop())
    for (const one of directoriesIn(at)) take(at, one);
  return found.sort();
}

function directoriesIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}

/** The mounts at or below an absolute path, whose last component is not followed. None where /proc is not mounted. */
export function mountsAt(path: string): ByteString[] {
  try {
    const above = realpathSync(dirname(path));
    if (!mayDoAll()) return mountsSeen(above, basename(path)).map(fromUtf8);
    return mountsIn(fromUtf8(join(above, basename(path))));
  } catch {
    return [];
  }
}

function mountsIn(real: ByteString): ByteString[] {
  return pointsBelow(parseMountinfo(readFileSync(MOUNTINFO, 'latin1')), real, real);
}
