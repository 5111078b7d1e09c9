import type { ByteString } from '../bytes.ts';
import type { TimeSpec } from '../ports/syscalls.ts';

export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

/** One member of a tar archive, with every extension header applied. Numbers are checked; names are as written. */
export interface TarEntry {
  readonly type: EntryType;
  readonly name: ByteString;
  /** Symlinks and hard links; else ''. */
  readonly linkName: ByteString;
  /** Bytes of a file's content, holes included; 0 for other types. */
  readonly size: number;
  /** The twelve permission bits. */
  readonly mode: number;
  /** 0 to 2^32-2: 2^32-1 means "leave alone" to chown(2), and is refused. */
  readonly uid: number;
  readonly gid: number;
  readonly mtime: TimeSpec;
  readonly atime: TimeSpec | undefined;
  /** Devices; else 0. 0 to 2^32-1. */
  readonly devMajor: number;
  readonly devMinor: number;
  /** From `SCHILY.xattr.*`, by name. Values are bytes. */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

/** What a TarReader feeds. A throw stops the reader and surfaces from `push`. */
export interface TarSink {
  entry(entry: TarEntry): void;
  /** The next bytes of a file's content: a view that is valid during the call only. */
  data(bytes: Uint8Array): void;
  /** The next `length` bytes of a file's content are zeros that the archive does not hold. */
  hole(length: number): void;
  entryEnd(): void;
  /**
   * In place of these calls, for a file without holes all of whose content is at hand: a view that is valid until `chunkEnd`. Without
   * this one, those are made.
   */
  wholeFile?(entry: TarEntry, content: Uint8Array): void;
  /** Comes before `push` returns or throws: the views that `wholeFile` was given end to be valid. A throw surfaces instead of any other. */
  chunkEnd?(): void;
}
