/** What is in a tree, as entries in order. */
import type { ByteString } from '../bytes.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT } from '../ports/syscalls.ts';
import type { ModelNode } from '../trees/model-node.ts';

/** What something in an image is. Each name of a hard link is a `file`. */
export type FileType = 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo';

const TYPES: ReadonlyMap<number, FileType> = new Map([
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'char'],
  [S_IFBLK, 'block'],
  [S_IFIFO, 'fifo'],
]);

export function typeOf({ mode }: Pick<ModelNode, 'mode'>): FileType {
  return TYPES.get(mode & S_IFMT) ?? 'file';
}

/** Something in a tree. */
export interface TreeEntry {
  /** From the root, without a slash at either end: '' is the root itself. */
  readonly path: ByteString;
  readonly node: ModelNode;
}

/** What is in a directory, sorted by the bytes of the names. `deep`: and in those below, each after its directory. */
export function* entriesOf(dir: TreeEntry, deep: boolean): Generator<TreeEntry> {
  const { path, node } = dir;
  const above = path === '' ? '' : `${path}/`;
  for (const name of [...(node.children?.keys() ?? [])].sort()) {
    const child = node.children?.get(name);
    if (child === undefined) continue;
    const entry = { path: `${above}${name}`, node: child };
    yield entry;
    if (deep && child.children !== undefined) yield* entriesOf(entry, deep);
  }
}
