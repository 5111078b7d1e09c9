import type { ByteString } from '../bytes.ts';
import type { Call } from '../ports/call.ts';
import type { Dir, Stat, Syscalls } from '../ports/syscalls.ts';
import { withStack } from './dir-stack.ts';
import { type Visitor, walk } from './walk.ts';

export interface TreeUsage {
  /** Bytes: blocks of 512. */
  readonly size: number;
  readonly inodes: number;
}

/**
 * Disk use of a tree, each inode counted once, the root's own included (containerd's fs.DiskUsage). What is mounted in the tree
 * does not count. Synchronous: for workers. NotFound when there is no directory at `path`.
 */
export function treeUsage(sys: Syscalls, path: string, call?: Call): TreeUsage {
  return withStack(sys, path, (stack) => {
    const count = new UsageCount();
    count.add(sys.fstat(stack.root));
    walk(sys, stack, sys.list(stack.root), count, call);
    return { size: count.size, inodes: count.inodes };
  });
}

class UsageCount implements Visitor {
  size = 0;
  inodes = 0;
  /** Counted inodes that have several names. */
  readonly #linked = new Set<string>();

  add(stat: Stat): void {
    this.size += stat.blocks * 512;
    this.inodes++;
  }

  enter(_dir: Dir, _name: ByteString, stat: Stat): void {
    this.add(stat);
  }

  mounted(): void {}

  leave(): void {}

  entry(_dir: Dir, _name: ByteString, stat: Stat): void {
    if (stat.nlink > 1) {
      const key = `${stat.dev} ${stat.ino}`;
      if (this.#linked.has(key)) return;
      this.#linked.add(key);
    }
    this.add(stat);
  }
}
