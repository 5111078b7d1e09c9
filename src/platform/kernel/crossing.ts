/** Where one mount ends and another begins, by /proc: for both providers. */
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type ByteString, fromUtf8 } from '../../core/bytes.ts';
import type { Dir } from '../../core/ports/syscalls.ts';
import { mayRead } from './deno-permission.ts';
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

/** The mounts at or below an absolute path, whose last component is not followed. None where /proc does not tell. */
export function mountsAt(path: string): ByteString[] {
  if (!mayRead(MOUNTINFO)) return [];
  try {
    const above = realpathSync(dirname(path));
    return mountsIn(fromUtf8(join(above, basename(path))));
  } catch {
    return [];
  }
}

function mountsIn(real: ByteString): ByteString[] {
  return pointsBelow(parseMountinfo(readFileSync(MOUNTINFO, 'latin1')), real, real);
}
