/** Checks that all Syscalls providers share, and words for their messages. */
import { readlinkSync } from 'node:fs';
import { type ByteString, display, fromUtf8 } from '../../core/bytes.ts';
import { HawserError } from '../../core/errors.ts';
import type { Dir } from '../../core/ports/syscalls.ts';
import { mayDoAll } from './deno-permission.ts';

/** A directory handle that knows the path it was opened by, for messages only: it may have been renamed since. */
export interface NamedDir extends Dir {
  readonly path: ByteString;
}

/** The descriptor, to be closed. Whoever uses the handle after that gets EBADF, not what has the number next. */
export function takeFd(dir: Dir): number {
  const { fd } = dir;
  (dir as { fd: number }).fd = -1;
  return fd;
}

export function pathOf(dir: Dir, name?: ByteString): string {
  const base = (dir as Partial<NamedDir>).path ?? `(descriptor ${dir.fd})`;
  return JSON.stringify(display(name === undefined ? base : `${base}/${name}`));
}

/** The path of an open file, for messages only: it may have been renamed since. */
export function pathOfFile(fd: number): string {
  if (!mayDoAll()) return 'a file';
  try {
    return JSON.stringify(readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return 'a file';
  }
}

/** Whether `name` is one path component and a byte string. */
export function isName(name: ByteString): boolean {
  let good = name !== '' && name !== '.' && name !== '..';
  for (let i = 0; good && i < name.length; i++) {
    const byte = name.charCodeAt(i);
    if (byte === 0 || byte === 47 || byte > 255) good = false;
  }
  return good;
}

/** InvalidArgument unless `name` is one path component and a byte string. */
export function checkName(name: ByteString): void {
  if (!isName(name)) throw new HawserError('InvalidArgument', `${JSON.stringify(name)} is not a file name`);
}

/** An absolute path of ours as a byte string without trailing slashes (which would make the kernel follow a symlink). */
export function checkRoot(path: string): ByteString {
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new HawserError('InvalidArgument', `${JSON.stringify(path)} is not an absolute path`);
  }
  return fromUtf8(path.replace(/\/+$/, '') || '/');
}
