import type { ByteString } from '../bytes.ts';
import type { HawserError } from '../errors.ts';

/**
 * An open directory (O_DIRECTORY). Stays the same directory whatever is renamed or replaced above it; a provider that cannot keep
 * it so refuses every call with it from then on (FailedPrecondition).
 */
export interface Dir {
  readonly fd: number;
}

export interface TimeSpec {
  /** Seconds since the epoch, may be negative. */
  readonly sec: number;
  /** 0 to 999,999,999. */
  readonly nsec: number;
}

/** lstat. `mode` holds the type bits (S_IFMT) too. `ino` and `dev` identify the inode. */
export interface Stat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly dev: string;
  readonly ino: string;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly atime: TimeSpec;
  readonly mtime: TimeSpec;
  /** 512-byte units. */
  readonly blocks: number;
}

export const S_ISGID = 0o2000;
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

export function isDirectory(stat: Pick<Stat, 'mode'>): boolean {
  return (stat.mode & S_IFMT) === S_IFDIR;
}

export function isSymlink(stat: Pick<Stat, 'mode'>): boolean {
  return (stat.mode & S_IFMT) === S_IFLNK;
}

/** The owner and the umask of new inodes. */
export interface Creation {
  readonly uid: number;
  readonly gid: number;
  readonly umask: number;
}

/** A regular file to be made by `makeFiles`. */
export interface NewFile {
  readonly name: ByteString;
  /** All of the file. */
  readonly content: Uint8Array;
  /** As of `createFile`. */
  readonly perm: number;
  /** Not given: nothing sets the owner. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** All twelve permission bits. Not given: nothing sets them. */
  readonly mode: number | undefined;
  readonly atime: TimeSpec;
  readonly mtime: TimeSpec;
}

/** How far `makeFiles` came. */
export interface MadeFiles {
  /** So many are made whole. */
  readonly count: number;
  /**
   * Why the next is not, when there are more. `create`: it could not be created. `describe`: it is there, but its owner, mode or times
   * could not be set. In both cases the single calls tell why. An error: writing or closing the file failed, as `write` and `closeFile` tell.
   */
  readonly failed: 'create' | 'describe' | HawserError | undefined;
}

/**
 * `replace` (not given): as rename(2). `new`: nothing is replaced, AlreadyExists also for an empty directory. `exchange`: the
 * names are swapped in one step; NotImplemented where the provider, the kernel or the file system cannot do that.
 */
export type RenameMode = 'replace' | 'new' | 'exchange';

/**
 * The system calls that build and read an image's tree. Synchronous: for workers, or for short work. Each call takes one
 * path component below a directory handle and never follows a symlink in that component. Names are byte strings without
 * `/` and NUL, and not `.` or `..` (InvalidArgument). Errors as FileSystem maps them; also ENOTSUP NotImplemented, ENODATA
 * NotFound, EINVAL/ENAMETOOLONG/ERANGE/E2BIG InvalidArgument, EXDEV FailedPrecondition. Attribute keys are byte strings
 * too. New inodes are subject to the umask; `chmod` is not.
 *
 * A provider may delay calls, as the tools set times in groups: a delayed call is made before any call that could change
 * its meaning, and at `flush`.
 */
export interface Syscalls {
  readonly provider: 'ffi' | 'tools';
  /** `undefined`: not known. */
  readonly creation: Creation | undefined;
  /** Opens an absolute path of our own (not an image's) as a directory; the last component is not followed. */
  openRoot(path: string): Dir;
  openDir(dir: Dir, name: ByteString): Dir;
  /** Nothing can be lost by closing a directory: fails only for a handle that is closed (EBADF). */
  closeDir(dir: Dir): void;
  /** Names without `.` and `..`, in no special order. */
  list(dir: Dir): ByteString[];

  /** `undefined` when absent. */
  lstat(dir: Dir, name: ByteString): Stat | undefined;
  /** The directory's own stat. */
  fstat(dir: Dir): Stat;
  /** Identifies the mount that holds the directory; no later mount has the same. '' where that is not known (before Linux 6.8). */
  mountId(dir: Dir): string;
  /** Whether the directory `name` is in another mount than `dir`; where no id of mounts is known, on another device. */
  isMountPoint(dir: Dir, name: ByteString): boolean;
  /** Absolute paths of the mounts at or below `name`; not given, below the directory. None where nothing tells. */
  mountsBelow(dir: Dir, name?: ByteString): ByteString[];
  readlink(dir: Dir, name: ByteString): ByteString;

  /** Creates a regular file (O_CREAT|O_EXCL|O_NOFOLLOW) and returns its descriptor, for `write` and `closeFile`. */
  createFile(dir: Dir, name: ByteString, perm: number): number;
  /** Opens a regular file for reading (O_NOFOLLOW), for `read` and `closeFile`. */
  openFile(dir: Dir, name: ByteString): number;
  /** Reads at the descriptor's position; 0 at the end. */
  read(fd: number, into: Uint8Array): number;
  /** Writes all bytes. */
  write(fd: number, bytes: Uint8Array): void;
  /** Writes all bytes at `position` (a file that was created here), whatever the descriptor's own position is. */
  writeAt(fd: number, bytes: Uint8Array, position: number): void;
  /** Cuts a file, or extends it by a hole. */
  truncateFile(fd: number, size: number): void;
  closeFile(fd: number): void;

  /**
   * For one file after the other what createFile, write, chown, chmod, utimes and closeFile do, up to the first failure. Some files take
   * one call, where the provider has such a call: not given elsewhere.
   */
  readonly makeFiles?: ((dir: Dir, files: readonly NewFile[]) => MadeFiles) | undefined;

  mkdir(dir: Dir, name: ByteString, perm: number): void;
  symlink(target: ByteString, dir: Dir, name: ByteString): void;
  link(from: Dir, fromName: ByteString, to: Dir, toName: ByteString): void;
  /** `mode` with type bits (S_IFCHR, S_IFBLK, S_IFIFO). */
  mknod(dir: Dir, name: ByteString, mode: number, major: number, minor: number): void;
  rename(from: Dir, fromName: ByteString, to: Dir, toName: ByteString, mode?: RenameMode): void;
  unlink(dir: Dir, name: ByteString): void;
  rmdir(dir: Dir, name: ByteString): void;

  chown(dir: Dir, name: ByteString, uid: number, gid: number): void;
  /** Sets all twelve permission bits. Not for symlinks. */
  chmod(dir: Dir, name: ByteString, perm: number): void;
  utimes(dir: Dir, name: ByteString, atime: TimeSpec, mtime: TimeSpec): void;
  setxattr(dir: Dir, name: ByteString, key: string, value: Uint8Array): void;
  removexattr(dir: Dir, name: ByteString, key: string): void;
  /** `undefined` when there is none. */
  getxattr(dir: Dir, name: ByteString, key: string): Uint8Array | undefined;
  listxattr(dir: Dir, name: ByteString): string[];

  /** The same on the directory itself. */
  chownDir(dir: Dir, uid: number, gid: number): void;
  chmodDir(dir: Dir, perm: number): void;
  utimesDir(dir: Dir, atime: TimeSpec, mtime: TimeSpec): void;
  setxattrDir(dir: Dir, key: string, value: Uint8Array): void;
  removexattrDir(dir: Dir, key: string): void;
  getxattrDir(dir: Dir, key: string): Uint8Array | undefined;
  listxattrDir(dir: Dir): string[];

  /** Makes the delayed calls. */
  flush(): void;
  /** Flushes, then makes the whole file system that holds `dir` durable (syncfs). */
  syncfs(dir: Dir): void;
}
