import type { Syscalls } from '../ports/syscalls.ts';
import { withRoot } from './dir-stack.ts';

const EPOCH = { sec: 0, nsec: 0 };

/** Gives the root of a new tree the time 1970, which stays when no layer describes the root: the same in every tree of an image. */
export function settleRoot(sys: Syscalls, path: string): void {
  withRoot(sys, path, (root) => {
    sys.utimesDir(root, EPOCH, EPOCH);
    sys.flush();
  });
}
