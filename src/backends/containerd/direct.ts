import { toHex } from '../../core/bytes.ts';
import { isKind } from '../../core/errors.ts';
import type { Below } from '../../core/layers/applier.ts';
import { type ApplyTarget, applyTarget, type LayerSource } from '../../core/layers/apply-by-worker.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { algorithmOf, hexOf } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { PreparedSnapshot, SnapshotTrees } from '../../core/snapshots/snapshotter.ts';
import { readIdMaps } from '../../core/users/id-map.ts';
import type { Connection } from './connection.ts';

/** The one whose mounts are directories that a layer can be written to. */
const SNAPSHOTTER = 'overlayfs';

/** Snapshots that are remembered until a layer is applied to them. */
const MAX_FRESH = 256;

/** Of mounts that are no more than directories of this machine's own users. Others (`userxattr`, `uidmap`) are containerd's to fill. */
const PLAIN_OPTION = /^(?:rw|rbind|index=off|(?:workdir|upperdir|lowerdir)=\/.*)$/s;

export interface Direct {
  readonly source: LayerSource;
  readonly target: ApplyTarget;
}

/**
 * Which of containerd's directories are ours to use. That a path of its mounts is here too proves nothing: containerd may be in
 * another mount namespace, a container or a virtual machine. So it is asked: a directory that is made in a snapshot
 * which is new and empty must be one that containerd counts in it.
 */
export class DirectAccess {
  readonly #connection: Connection;
  readonly #runtime: Pick<Runtime, 'fs' | 'host'>;
  /** Where its content store has its files, as containerd sees it. */
  readonly #contentRoot: string | undefined;
  /** Active snapshots that were prepared and not written to yet, by the directory that takes their layer. */
  readonly #fresh = new Map<string, string>();
  /** Undefined until it was tried. */
  #same: boolean | undefined;

  constructor(
    connection: Connection,
    runtime: Pick<Runtime, 'fs' | 'host'>,
    contentRoot: string | undefined,
  ) {
    this.#connection = connection;
    this.#runtime = runtime;
    this.#contentRoot = contentRoot;
  }

  /** Takes note of a new active snapshot. */
  prepared(snapshotter: string, key: string, { trees, mounts = [] }: PreparedSnapshot): void {
    if (snapshotter !== SNAPSHOTTER || trees?.upper === undefined || !isPlain(mounts)) return;
    this.#fresh.set(trees.upper, key);
    const [oldest] = this.#fresh.keys();
    if (this.#fresh.size > MAX_FRESH && oldest !== undefined) this.#fresh.delete(oldest);
  }

  /** Whether it is worth to be ready. */
  get likely(): boolean {
    return this.#contentRoot !== undefined && this.#runtime.host.uid === 0;
  }

  /** The layer's blob and where it goes, when both are ours to use. */
  async find(
    layer: Descriptor,
    trees: SnapshotTrees,
    below: Below | undefined,
    call: Call,
  ): Promise<Direct | undefined> {
    const key = this.#fresh.get(trees.upper ?? '');
    if (key === undefined || !this.likely) return undefined;
    const target = applyTarget(trees, below);
    this.#fresh.delete(target.root);
    this.#same ??= await this.#isSame(target.root, key, call);
    if (!this.#same) return undefined;
    const { uids, gids, isNamespace } = await readIdMaps(this.#runtime.fs, call);
    const blob = `${this.#contentRoot}/blobs/${algorithmOf(layer.digest)}/${hexOf(layer.digest)}`;
    if (isNamespace || !(await this.#isBlob(blob, layer.size, call))) return undefined;
    return { target, source: { blob, blobSize: layer.size, growing: null, uids, gids } };
  }

  /** What is in it the diff ID will tell. */
  async #isBlob(path: string, size: number, call: Call): Promise<boolean> {
    try {
      const file = await this.#runtime.fs.stat(path, call);
      return file?.type === 'file' && file.size === size;
    } catch {
      call.signal?.throwIfAborted();
      return false;
    }
  }

  async #isSame(root: string, key: string, call: Call): Promise<boolean> {
    const { fs, host } = this.#runtime;
    const probe = `${root}/.hawser-${toHex(host.random(8))}`;
    let made = false;
    try {
      if ((await fs.list(root, call)).length > 0) return false;
      const before = await this.#inodes(key, call);
      await fs.mkdir(probe, 0o700, call);
      made = true;
      return (await this.#inodes(key, call)) === before + 1;
    } catch (err) {
      call.signal?.throwIfAborted();
      if (isKind(err, 'Unavailable')) throw err;
      return false;
    } finally {
      // One that stayed would become part of the image: then the layer must fail.
      if (made) await fs.remove(probe, { tree: true });
    }
  }

  async #inodes(key: string, call: Call): Promise<number> {
    const request = { snapshotter: SNAPSHOTTER, key };
    return (await this.#connection.call('snapshots.v1.Snapshots/Usage', request, call)).inodes;
  }
}

function isPlain([mount, ...more]: readonly Mount[]): boolean {
  if (mount === undefined || more.length > 0) return false;
  const { type, options } = mount;
  return (type === 'bind' || type === 'overlay') && options.every((option) => PLAIN_OPTION.test(option));
}
