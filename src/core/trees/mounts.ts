/** Trees end where something is mounted: what is mounted there is not theirs, whatever device it is on. */
import { type ByteString, display } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Dir, Syscalls } from '../ports/syscalls.ts';
import { withParent, withRoot } from './dir-stack.ts';

/** FailedPrecondition, reason `mounted`. `doing` says what was being done to what. */
export function mountedAt(doing: string, at: ByteString): HawserError {
  const shown = display(at);
  return new HawserError('FailedPrecondition', `${doing}: something is mounted at ${JSON.stringify(shown)}`, {
    hint: `Unmount it first (umount ${shown}); what is mounted there was not touched`,
    reason: { type: 'mounted', at: shown },
  });
}

/** Throws `mountedAt` when something is mounted at or below `name`, as far as the kernel lists mounts. */
export function refuseMounts(sys: Syscalls, dir: Dir, name: ByteString, doing: string): void {
  const [first] = sys.mountsBelow(dir, name);
  if (first !== undefined) throw mountedAt(doing, first);
}

/** As `refuseMounts`, at or below an absolute path. */
export function refuseMountsAt(sys: Syscalls, path: string, doing: string): void {
  withParent(sys, path, doing, (parent, name) => refuseMounts(sys, parent, name, doing));
}

/** As `refuseMounts`, below the directory at an absolute path: a mount at the path itself is fine. */
export function refuseMountsIn(sys: Syscalls, path: string, doing: string): void {
  const [first] = withRoot(sys, path, (root) => sys.mountsBelow(root));
  if (first !== undefined) throw mountedAt(doing, first);
}
