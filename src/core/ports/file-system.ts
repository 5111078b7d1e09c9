import type { Call } from './call.ts';

/** Times are milliseconds since the epoch. */
export interface FileInfo {
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly size: number;
  /** The twelve permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly mtime: number;
}

export interface DirEntry {
  readonly name: string;
  readonly type: FileInfo['type'];
}

/** An open regular file. Reads and writes are positional; `write` writes all bytes or throws. */
export interface FileHandle extends AsyncDisposable {
  /** Returns the number of bytes read: 0 at the end, and perhaps fewer than `into` holds. */
  read(into: Uint8Array, at: number): Promise<number>;
  /** Writes the pieces one after another. The bytes must not change until then, as another thread may write them. */
  write(bytes: Uint8Array | readonly Uint8Array[], at: number): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Makes content and size durable (fsync). */
  sync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/**
 * `read`: an existing regular file, never through a symlink in the last component (NotFound, FailedPrecondition).
 * `follow`: an existing regular file that the user named, through symlinks.
 * `write`: for reading and writing, made if absent, never truncated. `exclusive`: made, or AlreadyExists.
 */
export type OpenMode = 'read' | 'follow' | 'write' | 'exclusive';

/**
 * The store's own files, by absolute path (our own names, always UTF-8). Trees of images go through Syscalls.
 * Errors are HawserErrors: ENOENT NotFound, EEXIST AlreadyExists, EACCES/EPERM/EROFS PermissionDenied,
 * ENOSPC/EDQUOT/EMFILE ResourceExhausted, ENOTDIR/EISDIR/ENOTEMPTY/ELOOP FailedPrecondition, else Internal; each message
 * names the operation and the path, and the reason the errno.
 */
export interface FileSystem {
  open(path: string, mode: OpenMode, perm?: number, call?: Call): Promise<FileHandle>;
  /** The whole file. Longer than `limit` bytes: ResourceExhausted. */
  readFile(path: string, limit: number, call?: Call): Promise<Uint8Array>;
  /** Exactly `perm` whatever the umask. With `parents`, missing ancestors are made too and an existing directory is fine. */
  mkdir(path: string, perm: number, opts?: { parents?: boolean } & Call): Promise<void>;
  rename(from: string, to: string, call?: Call): Promise<void>;
  /**
   * With `tree`, everything below too (never following symlinks), and absence is fine; something mounted there is
   * FailedPrecondition (reason `mounted`), and nothing is removed.
   */
  remove(path: string, opts?: { tree?: boolean } & Call): Promise<void>;
  /** Does not follow a symlink, unless `follow`. `undefined` when absent. */
  stat(path: string, opts?: { follow?: boolean } & Call): Promise<FileInfo | undefined>;
  /** Sorted by name. */
  list(path: string, call?: Call): Promise<DirEntry[]>;
  chmod(path: string, perm: number, call?: Call): Promise<void>;
  /** fsync of a directory: makes renames and creations in it durable. */
  syncDir(path: string, call?: Call): Promise<void>;
  /** Bytes of the file system that holds `path`: those that this process may still take, and all. */
  space(path: string, call?: Call): Promise<{ readonly free: number; readonly total: number }>;
  /** Whether the file system that holds `path` is in memory only (tmpfs, ramfs): nothing in it can be made durable. */
  isVolatile(path: string, call?: Call): Promise<boolean>;
}
