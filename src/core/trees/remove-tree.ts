import type { ByteString } from '../bytes.ts';
import { isKind } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Dir, Syscalls } from '../ports/syscalls.ts';
import { DirStack, withParent } from './dir-stack.ts';
import { mountedAt, refuseMounts } from './mounts.ts';
import { type Visitor, walk } from './walk.ts';

/**
 * Removes what is at an absolute path, a directory with everything below it, however deep. Absence is fine. Something mounted
 * there is FailedPrecondition (reason `mounted`), and nothing is removed.
 */
export function removeTree(sys: Syscalls, path: string, call?: Call): void {
  const doing = `removing ${JSON.stringify(path)}`;
  withParent(sys, path, doing, (parent, name) => {
    refuseMounts(sys, parent, name, doing);
    removeEntry(sys, parent, name, call);
  });
}

/**
 * Removes what is at `name` in an open directory, a directory with everything below it, however deep. Symlinks are
 * removed, never followed. Absence is fine. A mount on the way is FailedPrecondition (reason `mounted`): nothing in the mount
 * is touched. Synchronous: for workers.
 */
export function removeEntry(sys: Syscalls, dir: Dir, name: ByteString, call?: Call): void {
  const stack = new DirStack(sys, dir, Number.POSITIVE_INFINITY);
  try {
    walk(sys, stack, [name], remover(sys, stack), call);
  } finally {
    stack.close();
  }
}

function remover(sys: Syscalls, stack: DirStack): Visitor {
  const refuse = (name: ByteString): never => {
    throw mountedAt('removing a tree', [...stack.names, name].join('/'));
  };
  return {
    mounted: (_dir, name) => refuse(name),
    enter(dir, name, stat) {
      // Images hold directories that even their owner may not enter.
      if ((stat.mode & 0o700) === 0o700) return;
      sys.chmod(dir, name, 0o700);
      // Without FFI and /proc a bind mount is seen only where its directory may be entered.
      if (!sys.isMountPoint(dir, name)) return;
      sys.chmod(dir, name, stat.mode & 0o7777);
      refuse(name);
    },
    entry: (dir, name) => ignoreAbsence(() => sys.unlink(dir, name)),
    leave: (dir, name) => ignoreAbsence(() => sys.rmdir(dir, name)),
  };
}

function ignoreAbsence(work: () => void): void {
  try {
    work();
  } catch (err) {
    if (!isKind(err, 'NotFound')) throw err;
  }
}
