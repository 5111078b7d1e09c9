import type { ByteString } from '../bytes.ts';
import type { Dir, Syscalls } from '../ports/syscalls.ts';
import { copyBuffer, copyEntry } from '../trees/copy-entry.ts';
import { namedInode } from '../trees/inode.ts';
import type { Found } from './merged-tree.ts';
import type { Metadata } from './metadata.ts';

const PIECE = 1 << 16;

/** Copies a non-directory with all its attributes to the same name in `to`. Zeros of a sparse file stay holes. */
export function copyUp(sys: Syscalls, meta: Metadata, found: Found, to: Dir, name: ByteString): void {
  const { stat, dir: from } = found;
  copyEntry(sys, name, { from, stat, to, buffer: copyBuffer(PIECE) });
  meta.copy(namedInode(sys, from, name), stat, namedInode(sys, to, name));
}
