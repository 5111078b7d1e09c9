import type { Syscalls } from '../ports/syscalls.ts';
import { withRoot } from '../trees/dir-stack.ts';
import type { HeldDir } from './workers.ts';

/** syncfs(2). Descriptors are the process's, so a held one serves in any thread; a tool can only open the path anew. */
export function syncFileSystem(sys: Syscalls, dir: string | HeldDir): void {
  if (typeof dir !== 'string' && sys.provider === 'ffi') sys.syncfs(dir);
  else withRoot(sys, typeof dir === 'string' ? dir : dir.path, (opened) => sys.syncfs(opened));
}
