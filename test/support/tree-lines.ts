/** Trees as text, read through system calls, to be compared. */
import { createHash } from 'node:crypto';
import type { ByteString } from '../../src/core/bytes.ts';
import {
  type Dir,
  isDirectory,
  isSymlink,
  S_IFMT,
  S_IFREG,
  type Syscalls,
} from '../../src/core/ports/syscalls.ts';

/** All that a tree holds, but for numbers of links and times that are now: a line for each path, content with it. */
export function treeLines(sys: Syscalls, path: string): string[] {
  const lines: string[] = [];
  const visit = (at: Dir, name: ByteString, shown: string): void => {
    const stat = sys.lstat(at, name);
    if (stat === undefined) return;
    const keys = sys.listxattr(at, name).sort();
    // Where trusted.* cannot be had (in a user namespace) user.* serves.
    const values = keys.map(
      (key) => `${key.replace(/^user\.overlay/, 'trusted.overlay')}=${sys.getxattr(at, name, key)}`,
    );
    const isFile = (stat.mode & S_IFMT) === S_IFREG;
    const target = isSymlink(stat) ? sys.readlink(at, name) : isFile ? contentOf(sys, at, name) : '';
    // Whiteouts, and what a rebase is to describe, are as old as they are.
    const mtime = stat.mtime.sec > 1_500_000_000 ? 'now' : `${stat.mtime.sec}.${stat.mtime.nsec}`;
    const size = isFile ? stat.size : 0;
    const { mode, uid, gid, rdevMajor, rdevMinor } = stat;
    lines.push(
      [shown, mode.toString(8), uid, gid, size, rdevMajor, rdevMinor, mtime, target, ...values].join(' '),
    );
    if (!isDirectory(stat)) return;
    const inner = sys.openDir(at, name);
    for (const child of sys.list(inner).sort()) visit(inner, child, `${shown}/${child}`);
    sys.closeDir(inner);
  };
  const root = sys.openRoot(path);
  for (const name of sys.list(root).sort()) visit(root, name, name);
  lines.push(`. ${sys.fstat(root).mode.toString(8)} ${sys.listxattrDir(root)}`);
  sys.closeDir(root);
  return lines;
}

/** The digest of a file's bytes. */
function contentOf(sys: Syscalls, at: Dir, name: ByteString): string {
  const hash = createHash('sha256');
  const fd = sys.openFile(at, name);
  const buffer = new Uint8Array(1 << 16);
  for (let length = sys.read(fd, buffer); length > 0; length = sys.read(fd, buffer))
    hash.update(buffer.subarray(0, length));
  sys.closeFile(fd);
  return hash.digest('hex').slice(0, 16);
}
