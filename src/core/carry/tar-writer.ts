/** Headers of the entries that an archive of images has. */
import { entryHeader } from '../archive/write-entry.ts';
import { fromUtf8 } from '../bytes.ts';

export interface TarHeader {
  readonly name: string;
  readonly type: 'file' | 'directory';
  /** Bytes of a file's content. */
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

/** The blocks before the content. Owner 0:0 without names; files 0444, directories 0755. */
export function tarHeader({ name, type, size, mtime }: TarHeader): Uint8Array {
  const [flag, mode] = type === 'file' ? (['0', 0o444] as const) : (['5', 0o755] as const);
  const time = { sec: Math.floor(mtime), nsec: 0 };
  return entryHeader({ path: fromUtf8(name), type: flag, mode, uid: 0, gid: 0, mtime: time, size });
}
