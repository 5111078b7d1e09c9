import { HawserError } from '../../../core/errors.ts';
import type { Call } from '../../../core/ports/call.ts';
import type { Mount } from '../../../core/ports/mounter.ts';
import type { Syscalls } from '../../../core/ports/syscalls.ts';
import type { Runtime } from '../../../core/runtime.ts';
import { OVERLAY_MAX_LAYERS, type SnapshotTrees } from '../../../core/snapshots/snapshotter.ts';
import { withRoot } from '../../../core/trees/dir-stack.ts';
import { copyAttributes, dirInode } from '../../../core/trees/inode.ts';
import { CAP_SYS_ADMIN } from '../../../core/users/capabilities.ts';
import { readIdMaps } from '../../../core/users/id-map.ts';
import type { SnapshotDirs, SnapshotDriver } from './driver.ts';
import { requireCapability } from './privileges.ts';
import { requireWhiteouts } from './whiteouts.ts';

const INDEX_PARAMETER = '/sys/module/overlay/parameters/index';
const RELEASE = '/proc/sys/kernel/osrelease';

/**
 * containerd's overlayfs snapshotter: `<dir>/fs` is the layer, `<dir>/work` overlay's own for active ones. Mount options
 * are in containerd 1.6's order. In a user namespace overlayfs keeps its own attributes in `user.*` (`userxattr`), as
 * layers do there (core/archive/overlay-layer.ts).
 */
export class OverlayDriver implements SnapshotDriver {
  readonly name = 'overlayfs';
  readonly maxLayers: number = OVERLAY_MAX_LAYERS;
  readonly stacking = 'overlay';
  readonly rebases = async (): Promise<boolean> => true;
  readonly #runtime: Runtime;
  readonly #root: string;
  #fixed: readonly string[] | undefined;
  #kernelChecked = false;
  #probed = false;
  #syscalls: Syscalls | undefined;

  constructor(runtime: Runtime, root: string) {
    this.#runtime = runtime;
    this.#root = root;
  }

  /** FailedPrecondition, also for paths with characters that overlay's mount options cannot carry on all kernels. */
  async check(call?: Call): Promise<void> {
    const bad = /[:,\\"\n]/.exec(this.#root)?.[0];
    if (bad !== undefined) {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot make overlayfs snapshots below ${JSON.stringify(this.#root)}: overlay mounts cannot take a path with ${JSON.stringify(bad)}`,
        { hint: 'Use a --root without : , \\ " and line breaks, or --snapshotter native' },
      );
    }
    await requireCapability(this.#runtime, this.name, CAP_SYS_ADMIN, call);
    await this.#checkKernel(call);
  }

  /** Linux 5.8 lets a user namespace make whiteouts (mknod 0:0), 5.11 lets it mount overlayfs, with `userxattr`. */
  async #checkKernel(call?: Call): Promise<void> {
    if (this.#kernelChecked || !(await readIdMaps(this.#runtime.fs, call)).isNamespace) return;
    const release = new TextDecoder().decode(await this.#runtime.fs.readFile(RELEASE, 4096, call)).trim();
    const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
    if (major < 5 || (major === 5 && minor < 11)) {
      throw new HawserError(
        'FailedPrecondition',
        `Cannot make overlayfs snapshots in a user namespace with Linux ${release}: it takes 5.11`,
        { hint: 'Use --snapshotter native, or unpack into a directory: hawser unpack REF --rootfs DIR' },
      );
    }
    this.#kernelChecked = true;
  }

  async create(dirs: SnapshotDirs, call?: Call): Promise<void> {
    const { fs } = this.#runtime;
    await fs.mkdir(dirs.dir, 0o700, call);
    await fs.mkdir(`${dirs.dir}/fs`, 0o755, call);
    if (dirs.kind === 'Active') {
      await this.#probe(dirs.dir);
      await fs.mkdir(`${dirs.dir}/work`, 0o711, call);
    }
    const below = dirs.parents[0];
    if (below === undefined) return;
    this.#syscalls ??= await this.#runtime.syscalls();
    copyRootAttributes(this.#syscalls, `${below}/fs`, `${dirs.dir}/fs`);
  }

  /** Once a process: before the first layer is unpacked. */
  async #probe(dir: string): Promise<void> {
    if (this.#probed) return;
    this.#syscalls ??= await this.#runtime.syscalls();
    requireWhiteouts(this.#syscalls, dir);
    this.#probed = true;
  }

  trees({ kind, dir, parents }: SnapshotDirs): SnapshotTrees {
    const lowers = parents.map((parent) => this.tree(parent));
    if (kind === 'Active') return { upper: this.tree(dir), lowers };
    return { lowers: lowers.length > 0 ? lowers : [this.tree(dir)] };
  }

  async mounts(dirs: SnapshotDirs, call?: Call): Promise<Mount[]> {
    const { upper, lowers } = this.trees(dirs);
    const [only, ...more] = upper === undefined ? lowers : [upper, ...lowers];
    if (only !== undefined && more.length === 0) {
      return [{ type: 'bind', source: only, options: [upper === undefined ? 'ro' : 'rw', 'rbind'] }];
    }
    const options = [...(await this.#fixedOptions(call))];
    if (upper !== undefined) options.push(`workdir=${dirs.dir}/work`, `upperdir=${upper}`);
    options.push(`lowerdir=${lowers.join(':')}`);
    return [{ type: 'overlay', source: 'overlay', options }];
  }

  tree(dir: string): string {
    return `${dir}/fs`;
  }

  async #fixedOptions(call?: Call): Promise<readonly string[]> {
    this.#fixed ??= [
      ...((await this.#hasIndex(call)) ? ['index=off'] : []),
      ...((await readIdMaps(this.#runtime.fs, call)).isNamespace ? ['userxattr'] : []),
    ];
    return this.#fixed;
  }

  async #hasIndex(call?: Call): Promise<boolean> {
    try {
      return (await this.#runtime.fs.stat(INDEX_PARAMETER, call)) !== undefined;
    } catch {
      call?.signal?.throwIfAborted();
      return false;
    }
  }
}

/**
 * Gives a new layer's root the attributes of the root below. The merged root shows those of the topmost layer, so a layer
 * that does not list its root would otherwise lose the image's (as containerd does).
 */
export function copyRootAttributes(syscalls: Syscalls, from: string, to: string): void {
  withRoot(syscalls, from, (source) =>
    withRoot(syscalls, to, (target) => {
      copyAttributes(dirInode(syscalls, source), syscalls.fstat(source), dirInode(syscalls, target));
      syscalls.flush();
    }),
  );
}
