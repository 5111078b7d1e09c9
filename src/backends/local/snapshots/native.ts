import type { Call } from '../../../core/ports/call.ts';
import type { Mount } from '../../../core/ports/mounter.ts';
import type { Runtime } from '../../../core/runtime.ts';
import type { SnapshotTrees } from '../../../core/snapshots/snapshotter.ts';
import { settleRoot } from '../../../core/trees/settle-root.ts';
import { CAP_CHOWN } from '../../../core/users/capabilities.ts';
import type { SnapshotDirs, SnapshotDriver } from './driver.ts';
import { requireCapability } from './privileges.ts';

/** containerd's native snapshotter: `<dir>` is the whole tree, copied from the parent's. Works on any file system. */
export class NativeDriver implements SnapshotDriver {
  readonly name = 'native';
  readonly stacking = 'flat';
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** A rebase copies file by file, which takes tools a hundred times as long as `cp` takes for a whole tree. */
  async rebases(): Promise<boolean> {
    return (await this.#runtime.syscalls()).provider === 'ffi';
  }

  async check(call?: Call): Promise<void> {
    await requireCapability(this.#runtime, this.name, CAP_CHOWN, call);
  }

  /** A view of a parent is the parent's own tree, bound read-only, and has no directory. */
  async create(dirs: SnapshotDirs, call?: Call): Promise<void> {
    const [nearest] = dirs.parents;
    if (nearest !== undefined && dirs.kind === 'View') return;
    await this.#runtime.fs.mkdir(dirs.dir, 0o755, call);
    if (nearest === undefined) settleRoot(await this.#runtime.syscalls(), dirs.dir);
    else await this.#runtime.workers.copyTree({ from: nearest, to: dirs.dir }, call);
  }

  trees({ kind, dir, parents }: SnapshotDirs): SnapshotTrees {
    return kind === 'View' ? { lowers: [parents[0] ?? dir] } : { upper: dir, lowers: [] };
  }

  async mounts(dirs: SnapshotDirs): Promise<Mount[]> {
    const { upper, lowers } = this.trees(dirs);
    const source = upper ?? lowers[0] ?? dirs.dir;
    return [{ type: 'bind', source, options: ['rbind', upper === undefined ? 'ro' : 'rw'] }];
  }

  tree(dir: string): string {
    return dir;
  }
}
