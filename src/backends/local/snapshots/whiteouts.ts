import { errnoOf, HawserError, isKind, messageOf } from '../../../core/errors.ts';
import { type Dir, S_IFCHR, type Syscalls } from '../../../core/ports/syscalls.ts';
import { withRoot } from '../../../core/trees/dir-stack.ts';

const YES = Uint8Array.of(0x79);
const PROBE = 'probe';

/**
 * FailedPrecondition when the file system of `dir` (an empty directory of ours) takes no overlayfs layer: overlayfs itself
 * refuses whiteouts in it, and so do file systems without devices or extended attributes.
 */
export function requireWhiteouts(sys: Syscalls, dir: string): void {
  withRoot(sys, dir, (root) => {
    attempt(dir, 'whiteouts (character devices 0:0)', () => sys.mknod(root, PROBE, S_IFCHR, 0, 0));
    sys.unlink(root, PROBE);
    // Without FFI this takes a tool that an image without such marks does not need.
    if (sys.provider !== 'ffi') return;
    sys.mkdir(root, PROBE, 0o700);
    try {
      attempt(dir, 'opaque marks (trusted.* or user.* attributes)', () => mark(sys, root));
    } finally {
      sys.rmdir(root, PROBE);
    }
  });
}

/** As core/archive/overlay-rebase.ts marks directories. */
function mark(sys: Syscalls, root: Dir): void {
  try {
    sys.setxattr(root, PROBE, 'trusted.overlay.opaque', YES);
  } catch (err) {
    if (!isKind(err, 'PermissionDenied')) throw err;
    sys.setxattr(root, PROBE, 'user.overlay.opaque', YES);
  }
}

function attempt(dir: string, what: string, work: () => void): void {
  try {
    work();
  } catch (err) {
    const refused = isKind(err, 'PermissionDenied', 'NotImplemented', 'InvalidArgument');
    if (!refused || errnoOf(err) === 'EROFS') throw err;
    throw new HawserError(
      'FailedPrecondition',
      `the file system of ${JSON.stringify(dir)} takes no ${what} from this process: ${messageOf(err)}`,
      {
        cause: err,
        hint: 'Use --snapshotter native, or a --root on another file system: overlayfs (the root of a container) and FUSE are no place for overlayfs snapshots',
      },
    );
  }
}
