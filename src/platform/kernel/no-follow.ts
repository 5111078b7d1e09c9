/** Opening without going through a symlink in the last component, on runtimes that do not keep O_NOFOLLOW. */
import fs from 'node:fs';

const { O_NOFOLLOW, O_DIRECTORY, O_EXCL } = fs.constants;

/**
 * As fs.openSync with O_NOFOLLOW. Deno without --allow-all (checked in 2.9.6) resolves a path before it opens the path, and so goes
 * through a symlink all the same: there the name must hold no symlink, and the file that was opened must be the name's.
 */
export function openNoFollow(path: string | Buffer, flags: number, perm?: number): number {
  const isLink = isDeno() && fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (isLink) throw failure(codeForLink(flags));
  const fd = fs.openSync(path, flags | O_NOFOLLOW, perm);
  try {
    checkNotFollowed(path, fd);
    return fd;
  } catch (err) {
    fs.closeSync(fd);
    throw err;
  }
}

/** As open(2) has it. */
function codeForLink(flags: number): string {
  if ((flags & O_EXCL) !== 0) return 'EEXIST';
  return (flags & O_DIRECTORY) === 0 ? 'ELOOP' : 'ENOTDIR';
}

/** Throws ELOOP when `fd`, opened by `path` with O_NOFOLLOW, is not what the path itself names. */
export function checkNotFollowed(path: string | Buffer, fd: number): void {
  if (!isDeno()) return;
  const opened = fs.fstatSync(fd, { bigint: true });
  const named = fs.lstatSync(path, { bigint: true });
  if (named.ino !== opened.ino || named.dev !== opened.dev) throw failure('ELOOP');
}

function isDeno(): boolean {
  return 'Deno' in globalThis;
}

/** As node:fs throws: `code` alone is read. */
function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
