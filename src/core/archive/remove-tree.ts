import type { ByteString } from '../bytes.ts';
import type { Dir, Syscalls } from '../ports/syscalls.ts';
import { isDirectory } from './merged-tree.ts';

/** Removes a directory and everything in it, one component at a time, never following a symlink. */
export function removeTree(sys: Syscalls, dir: Dir, name: ByteString): void {
  const mode = sys.lstat(dir, name)?.mode ?? 0;
  // Images hold directories that even their owner may not enter.
  if ((mode & 0o700) !== 0o700) sys.chmod(dir, name, 0o700);
  const inner = sys.openDir(dir, name);
  try {
    for (const child of sys.list(inner)) {
      const stat = sys.lstat(inner, child);
      if (stat === undefined) continue;
      if (isDirectory(stat)) removeTree(sys, inner, child);
      else sys.unlink(inner, child);
    }
  } finally {
    sys.closeDir(inner);
  }
  sys.rmdir(dir, name);
}
