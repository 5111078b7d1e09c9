/** What is the same in two trees. */
import type { ByteString } from '../bytes.ts';
import { isDirectory, S_IFMT, S_IFREG, type Stat } from '../ports/syscalls.ts';
import { StackedDir, type StackedTree } from './stacked-tree.ts';

/** The names of files with several names, by path: two files are one where they have the same. */
export type LinkGroups = ReadonlyMap<ByteString, string>;

/** All names of each file that has several. Steps let others have a turn. */
export function* linkGroups(tree: StackedTree): Generator<undefined, LinkGroups> {
  const paths = new Map<string, ByteString[]>();
  const visit = function* (dir: StackedDir, path: ByteString): Generator<undefined> {
    yield;
    for (const [name, { stat }] of tree.list(dir)) {
      if (isDirectory(stat)) yield* visit(new StackedDir(dir, name), `${path}${name}/`);
      else if (stat.nlink > 1) {
        const key = `${stat.dev}:${stat.ino}`;
        paths.set(key, [...(paths.get(key) ?? []), `${path}${name}`]);
      }
    }
    tree.leave(dir);
  };
  if (!tree.isEmpty) yield* visit(tree.root, '');
  const groups = new Map<ByteString, string>();
  for (const names of paths.values()) {
    if (names.length < 2) continue;
    const group = names.sort().join('\0');
    for (const name of names) groups.set(name, group);
  }
  return groups;
}

export function isSameInode(one: Stat, other: Stat): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

export function isSameStat(one: Stat, other: Stat): boolean {
  const isFile = (one.mode & S_IFMT) === S_IFREG;
  return (
    one.mode === other.mode &&
    one.uid === other.uid &&
    one.gid === other.gid &&
    one.rdevMajor === other.rdevMajor &&
    one.rdevMinor === other.rdevMinor &&
    one.mtime.sec === other.mtime.sec &&
    one.mtime.nsec === other.mtime.nsec &&
    (!isFile || one.size === other.size)
  );
}

export function isSameMap(
  one: ReadonlyMap<string, Uint8Array>,
  other: ReadonlyMap<string, Uint8Array>,
): boolean {
  if (one.size !== other.size) return false;
  for (const [key, value] of one) {
    const same = other.get(key);
    if (same?.length !== value.length || value.some((byte, at) => byte !== same[at])) return false;
  }
  return true;
}
