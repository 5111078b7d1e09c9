import type { Call } from '../../../core/ports/call.ts';
import type { Mount } from '../../../core/ports/mounter.ts';
import type { Runtime } from '../../../core/runtime.ts';
import { withRoot } from '../../../core/trees/dir-stack.ts';
import { CAP_CHOWN } from '../../../core/users/capabilities.ts';
import type { Place, SnapshotDriver } from './driver.ts';
import { requireCapability } from './privileges.ts';

/** containerd's native snapshotter: `<dir>` is the whole tree, copied from the parent's. Works on any file system. */
export class NativeDriver implements SnapshotDriver {
  readonly name = 'native';
  readonly stacking = 'flat';
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** It copies file by file, which takes tools a hundred times as long as `cp` takes for a whole tree. */
  async rebases(): Promise<boolean> {
    return (await this.#runtime.syscalls()).provider === 'ffi';
  }

  async check(call?: Call): Promise<void> {
    await requireCapability(this.#runtime, this.name, CAP_CHOWN, call);
  }

  /** A view of a parent is the parent's own tree, bound read-only: there is nothing to make. */
  async create(place: Place, call?: Call): Promise<void> {
    const [nearest] = place.parents;
    if (nearest !== undefined && place.kind === 'View') return;
    await this.#runtime.fs.mkdir(place.dir, 0o755, call);
    if (nearest === undefined) await this.#settleRoot(place.dir);
    else await this.#runtime.workers.copyTree({ from: nearest, to: place.dir }, call);
  }

  /** A root that no layer describes has no time of its own: 1970, as overlayfs snapshots have it, not the time of unpacking. */
  async #settleRoot(dir: string): Promise<void> {
    const sys = await this.#runtime.syscalls();
    const epoch = { sec: 0, nsec: 0 };
    withRoot(sys, dir, (root) => sys.utimesDir(root, epoch, epoch));
  }

  async mounts(place: Place): Promise<Mount[]> {
    const source = place.kind === 'View' ? (place.parents[0] ?? place.dir) : place.dir;
    return [{ type: 'bind', source, options: ['rbind', place.kind === 'View' ? 'ro' : 'rw'] }];
  }

  tree(dir: string): string {
    return dir;
  }
}
