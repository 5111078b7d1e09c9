import { display, fromUtf8 } from '../bytes.ts';
import type { Stat, Syscalls } from '../ports/syscalls.ts';
import { MergedTree } from './merged-tree.ts';

export interface TreePath {
  /** Where the path leads with every symlink followed, from the root of the tree; the last names may be absent there. */
  readonly path: string;
  /** Of the directory there; undefined when there is none. */
  readonly stat: Stat | undefined;
}

/** Follows a path in an unpacked tree as a process would whose root the tree is. InvalidArgument for too many symlinks. */
export function findInTree(sys: Syscalls, root: string, path: string): TreePath {
  const tree = new MergedTree(sys, root, []);
  try {
    const { node, missing } = tree.resolve(fromUtf8(path).split('/'));
    const names = [...missing].reverse();
    for (let at = node; at.parent !== undefined; at = at.parent) names.push(at.name);
    const dir = missing.length === 0 ? tree.upper(node) : undefined;
    const stat = dir === undefined ? undefined : sys.fstat(dir);
    return { path: `/${names.reverse().map(display).join('/')}`, stat };
  } finally {
    tree.close();
  }
}
