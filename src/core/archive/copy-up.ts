import type { ByteString } from '../bytes.ts';
import { type Dir, S_IFLNK, S_IFMT, S_IFREG, type Syscalls } from '../ports/syscalls.ts';
import { FileWriter } from './file-writer.ts';
import type { Found } from './merged-tree.ts';
import { type Metadata, namedInode } from './metadata.ts';

const CHUNK = 1 << 16;

/** Copies a non-directory with all its attributes to the same name in `to`. Zeros of a sparse file stay holes. */
export function copyUp(sys: Syscalls, meta: Metadata, found: Found, to: Dir, name: ByteString): void {
  const { stat, dir } = found;
  const type = stat.mode & S_IFMT;
  if (type === S_IFREG) copyContent(sys, found, to, name);
  else if (type === S_IFLNK) sys.symlink(sys.readlink(dir, name), to, name);
  else sys.mknod(to, name, type | 0o600, stat.rdevMajor, stat.rdevMinor);
  meta.copy(namedInode(sys, dir, name), stat, namedInode(sys, to, name), type === S_IFLNK);
}

function copyContent(sys: Syscalls, { stat, dir }: Found, to: Dir, name: ByteString): void {
  const sparse = stat.blocks * 512 < stat.size;
  const source = sys.openFile(dir, name);
  try {
    const file = new FileWriter(sys, sys.createFile(to, name, 0o600));
    try {
      const buffer = new Uint8Array(CHUNK);
      for (let got = sys.read(source, buffer); got > 0; got = sys.read(source, buffer)) {
        const bytes = buffer.subarray(0, got);
        if (sparse && bytes.every((byte) => byte === 0)) file.hole(got);
        else file.write(bytes);
      }
      file.finish();
    } finally {
      file.close();
    }
  } finally {
    sys.closeFile(source);
  }
}
