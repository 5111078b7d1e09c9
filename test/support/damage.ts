/** A store with images, and bits flipped in random places of its blobs and unpacked files. */
import fs from 'node:fs';
import { join } from 'node:path';
import type { Store } from '../../src/mod.ts';

export interface Flip {
  readonly path: string;
  readonly byte: number;
  readonly bit: number;
}

/** Flips one bit in place; mode and times stay. */
export function flipBit({ path, byte, bit }: Flip): void {
  const { atime, mtime } = fs.statSync(path);
  const { mode } = fs.statSync(path);
  fs.chmodSync(path, 0o600);
  const fd = fs.openSync(path, 'r+');
  const one = Buffer.alloc(1);
  fs.readSync(fd, one, 0, 1, byte);
  fs.writeSync(fd, Buffer.of(one.readUInt8() ^ (1 << bit)), 0, 1, byte);
  fs.closeSync(fd);
  fs.chmodSync(path, mode & 0o7777);
  fs.utimesSync(path, atime, mtime);
}

/** Regular files with content below a directory of the store. */
export function filesBelow(store: Store, dir: string): string[] {
  return filesIn(join(store.root, dir));
}

/** The same for any directory. */
export function filesIn(top: string): string[] {
  if (!fs.existsSync(top)) return [];
  return fs
    .readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => (fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0)
    .sort();
}

/** A bit of one of the files. */
export function randomFlip(paths: readonly string[], next: (n: number) => number): Flip {
  const path = paths[next(paths.length)] ?? '';
  return { path, byte: next(fs.statSync(path).size), bit: next(8) };
}
