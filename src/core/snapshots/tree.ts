/** Disk use and removal of whole trees. Synchronous: for workers. Symlinks are never followed. */
import { type ByteString, fromUtf8 } from '../bytes.ts';
import { HawserError, isKind } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import { type Dir, S_IFDIR, S_IFMT, type Stat, type Syscalls } from '../ports/syscalls.ts';
import { DirStack } from './dir-stack.ts';
import type { Usage } from './snapshotter.ts';

export { copyTree } from './tree-copy.ts';

export function isDirectory(stat: Stat): boolean {
  return (stat.mode & S_IFMT) === S_IFDIR;
}

/**
 * Bytes (blocks of 512) over unique inodes, the root's own included, and how many inodes (containerd's fs.DiskUsage).
 * NotFound when there is no such directory.
 */
export function treeUsage(sys: Syscalls, path: string, call?: Call): Usage {
  const stack = new DirStack(sys, sys.openRoot(path));
  try {
    const linked = new Set<string>();
    let size = sys.fstat(stack.current).blocks * 512;
    let inodes = 1;
    const frames: ByteString[][] = [sys.list(stack.current)];
    for (let names = frames.at(-1); names !== undefined; names = frames.at(-1)) {
      call?.signal?.throwIfAborted();
      const name = names.pop();
      if (name === undefined) {
        frames.pop();
        if (frames.length > 0) stack.pop();
        continue;
      }
      const stat = sys.lstat(stack.current, name);
      if (stat === undefined) continue;
      if (isDirectory(stat)) {
        stack.push(name);
        frames.push(sys.list(stack.current));
      } else if (stat.nlink > 1) {
        const key = `${stat.dev} ${stat.ino}`;
        if (linked.has(key)) continue;
        linked.add(key);
      }
      size += stat.blocks * 512;
      inodes++;
    }
    return { size, inodes };
  } finally {
    stack.close();
  }
}

/** Removes what is at an absolute path, a directory with everything below it, however deep. Absence is fine. */
export function removeTree(sys: Syscalls, path: string, call?: Call): void {
  const trimmed = path.replace(/\/+$/, '');
  const cut = trimmed.lastIndexOf('/');
  if (cut < 0)
    throw new HawserError(
      'InvalidArgument',
      `removing ${JSON.stringify(path)}: not an absolute path below /`,
    );
  let parent: Dir;
  try {
    parent = sys.openRoot(trimmed.slice(0, cut) || '/');
  } catch (err) {
    if (isKind(err, 'NotFound')) return;
    throw err;
  }
  const stack = new DirStack(sys, parent, Number.POSITIVE_INFINITY);
  try {
    removeBelow(sys, stack, fromUtf8(trimmed.slice(cut + 1)), call);
  } finally {
    stack.close();
  }
}

function removeBelow(sys: Syscalls, stack: DirStack, top: ByteString, call: Call | undefined): void {
  const frames: ByteString[][] = [[top]];
  for (let names = frames.at(-1); names !== undefined; names = frames.at(-1)) {
    call?.signal?.throwIfAborted();
    const name = names.pop();
    if (name === undefined) {
      frames.pop();
      const empty = stack.names.at(-1);
      if (empty === undefined) return;
      stack.pop();
      ignoreAbsence(() => sys.rmdir(stack.current, empty));
      continue;
    }
    const stat = sys.lstat(stack.current, name);
    if (stat === undefined) continue;
    if (isDirectory(stat)) {
      // Images hold directories that even their owner may not enter.
      if ((stat.mode & 0o700) !== 0o700) sys.chmod(stack.current, name, 0o700);
      stack.push(name);
      frames.push(sys.list(stack.current));
    } else {
      ignoreAbsence(() => sys.unlink(stack.current, name));
    }
  }
}

function ignoreAbsence(work: () => void): void {
  try {
    work();
  } catch (err) {
    if (!isKind(err, 'NotFound')) throw err;
  }
}
