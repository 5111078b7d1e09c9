import { cleanupSignal } from '../../core/async/abort.ts';
import { closingAfter } from '../../core/async/cleanup.ts';
import { Limiter } from '../../core/async/limiter.ts';
import { fromUtf8, toHex } from '../../core/bytes.ts';
import { HawserError, ifFound, isKind, messageOf } from '../../core/errors.ts';
import type { Below } from '../../core/layers/applier.ts';
import { applyTarget, type LayerSource, type LayerTarget } from '../../core/layers/apply-by-worker.ts';
import type { HeldDir } from '../../core/layers/workers.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Dir, Syscalls } from '../../core/ports/syscalls.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { PreparedSnapshot, SnapshotTrees, Snapshotter } from '../../core/snapshots/snapshotter.ts';
import { readIdMaps } from '../../core/users/id-map.ts';
import { checkSocket, type Owners, openOwned } from '../../core/users/owned-path.ts';
import type { Connection } from './connection.ts';
import { isPlain } from './descriptors.ts';
import { Places, pathOf, TREE } from './places.ts';

/** The snapshotter whose mounts are directories that a layer can be written to. */
const SNAPSHOTTER = 'overlayfs';

const ROOT: Owners = [0];

/** The most snapshots that are remembered until a layer is applied to them. */
const MAX_FRESH = 256;

/** A layer's blob and its target, by paths below open directories. */
export interface Direct {
  readonly source: LayerSource;
  readonly target: LayerTarget;
  /** A directory in the target's file system. */
  readonly fileSystem: string;
  /** The same directory, open since before anything is written; undefined where descriptors cannot be synced (no FFI). */
  readonly held: HeldDir | undefined;
}

type Parts = Pick<Runtime, 'fs' | 'host' | 'syscalls'>;

/**
 * Finds out whether root may write a layer into containerd's directories by itself. Two things are proven for that, once:
 *
 * - Only root can change the path of the socket and the paths that containerd names (owned-path.ts): no other user can make root
 *   write to another place.
 * - containerd sees the same directory, not one of another mount namespace, container or machine: it counts a directory that is
 *   made here in a snapshot that is new and empty.
 *
 * The directory of all snapshots stays open, and each snapshot is opened below it and must be root's: so all that is
 * written goes below the directory that was proven.
 */
export class DirectAccess implements Disposable {
  readonly #connection: Connection;
  readonly #runtime: Parts;
  /** The path of the content store, as containerd names it. */
  readonly #contentRoot: string | undefined;
  /** Keys of active snapshots that were prepared and not written to yet, by the directory that takes their layer. */
  readonly #fresh = new Map<string, string>();
  /** Undefined until tried, null when the proof failed. */
  #places: Places | null | undefined;
  readonly #proofs = new Limiter(1);
  #refusal: string | undefined;
  /** A layer had to be left to containerd. */
  #declined = false;

  constructor(connection: Connection, runtime: Parts, contentRoot: string | undefined) {
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

  /** Whether a proof is worth trying. */
  get likely(): boolean {
    return this.#contentRoot !== undefined && this.#runtime.host.uid === 0;
  }

  /** Tries a proof with a snapshot of its own, unless there was one. */
  async isOurs(snapshotter: Pick<Snapshotter, 'name' | 'prepare' | 'remove'>, call: Call): Promise<boolean> {
    if (snapshotter.name !== SNAPSHOTTER || !this.likely) return false;
    if (this.#places !== undefined) return this.#places !== null;
    const key = `hawser-probe-${toHex(this.#runtime.host.random(8))}`;
    const { trees } = await snapshotter.prepare(key, '', call);
    const prove = async (): Promise<boolean> => {
      if (trees?.upper === undefined || this.#fresh.get(trees.upper) !== key) return false;
      this.#fresh.delete(trees.upper);
      const opened = await this.#open(key, trees, call);
      opened?.places.sys.closeDir(opened.upper);
      return opened !== undefined;
    };
    return await closingAfter(prove, () => ifFound(snapshotter.remove(key, { signal: cleanupSignal() })));
  }

  /** The reason why root does not trust this containerd's paths, for people; told once. */
  takeRefusal(): string | undefined {
    const refusal = this.#refusal;
    this.#refusal = undefined;
    return refusal;
  }

  /** Whether it is worth preparing a snapshot that only our workers can apply a layer to. */
  hopesFor(snapshotter: string): boolean {
    return snapshotter === SNAPSHOTTER && this.likely && !this.#declined && this.#places !== null;
  }

  /** Does `work`, or returns undefined when containerd has to apply the layer. */
  async use<T>(
    layer: Descriptor,
    trees: SnapshotTrees,
    below: Below | undefined,
    call: Call,
    work: (direct: Direct) => Promise<T>,
  ): Promise<T | undefined> {
    const used = await this.#use(layer, trees, below, call, work);
    this.#declined ||= used === undefined;
    return used;
  }

  async #use<T>(
    layer: Descriptor,
    trees: SnapshotTrees,
    below: Below | undefined,
    call: Call,
    work: (direct: Direct) => Promise<T>,
  ): Promise<T | undefined> {
    const key = this.#fresh.get(trees.upper ?? '');
    if (key === undefined || !this.likely) return undefined;
    this.#fresh.delete(trees.upper ?? '');
    const { uids, gids, isNamespace } = await readIdMaps(this.#runtime.fs, call);
    if (isNamespace) return undefined;
    const opened = await this.#open(key, trees, call);
    if (opened === undefined) return undefined;
    const { places, upper, lowers } = opened;
    try {
      const blob = places.blob(layer);
      if (blob === undefined) return undefined;
      const target = applyTarget({ upper: `${pathOf(upper)}/.`, lowers }, below);
      const source = { blob, blobSize: layer.size, growing: null, uids, gids };
      const { sys, snapshots, path } = places;
      const held = sys.provider === 'ffi' ? { path, fd: snapshots.fd } : undefined;
      return await work({ source, target, fileSystem: `${pathOf(snapshots)}/.`, held });
    } finally {
      places.sys.closeDir(upper);
    }
  }

  /**
   * Does `work` with paths of a snapshot's directory, which took a layer by `use`, and of committed layers, nearest first. Undefined,
   * and nothing is done, when they are not to be found below the directory that was proven.
   */
  async over<T>(
    { upper = '', lowers }: SnapshotTrees,
    work: (root: string, lowers: readonly string[]) => Promise<T>,
  ): Promise<T | undefined> {
    const places = this.#places ?? undefined;
    const [, path, id = ''] = TREE.exec(upper) ?? [];
    if (places === undefined || places.path !== path) return undefined;
    let tree: Dir | undefined;
    let below: readonly string[];
    try {
      tree = places.openTree(id);
      below = lowers.map((lower) => places.lower(lower));
    } catch {
      if (tree !== undefined) places.sys.closeDir(tree);
      return undefined;
    }
    try {
      return await work(`${pathOf(tree)}/.`, below);
    } finally {
      places.sys.closeDir(tree);
    }
  }

  [Symbol.dispose](): void {
    this.#places?.[Symbol.dispose]();
    this.#places = null;
  }

  /** The snapshot's directory, open and empty, and the paths of those below. */
  async #open(key: string, trees: SnapshotTrees, call: Call) {
    const [, path = '', id = ''] = TREE.exec(trees.upper ?? '') ?? [];
    if (id === '') return undefined;
    await this.#proofs.run(call.signal, async () => {
      if (this.#places === undefined) this.#places = await this.#prove(path, id, key, call);
    });
    const places = this.#places ?? null;
    if (places?.path !== path) return undefined;
    let upper: Dir | undefined;
    try {
      upper = places.openTree(id);
      const { sys } = places;
      sys.closeDir(sys.openRoot(`${pathOf(upper)}/.`));
      const lowers = trees.lowers.map((lower) => places.lower(lower));
      if (sys.list(upper).length === 0) return { places, upper, lowers };
    } catch {}
    if (upper !== undefined) places.sys.closeDir(upper);
    return undefined;
  }

  /** Null when it fails. Rejects when containerd is gone, or when the probe cannot be removed, as it would become part of the image. */
  async #prove(path: string, id: string, key: string, call: Call): Promise<Places | null> {
    let places: Places;
    let upper: Dir;
    try {
      const sys = await this.#runtime.syscalls();
      checkSocket(sys, this.#connection.address, ROOT);
      places = new Places(sys, openOwned(sys, path, ROOT), path, this.#contentRoot);
    } catch (err) {
      if (isKind(err, 'PermissionDenied')) this.#refusal = messageOf(err);
      return null;
    }
    const { sys } = places;
    try {
      upper = places.openTree(id);
    } catch {
      places[Symbol.dispose]();
      return null;
    }
    let same = false;
    try {
      same = await this.#counts(sys, upper, key, call);
    } finally {
      sys.closeDir(upper);
      if (!same) places[Symbol.dispose]();
    }
    return same ? places : null;
  }

  /** Whether containerd counts a directory that is made in the snapshot. */
  async #counts(sys: Syscalls, upper: Dir, key: string, call: Call): Promise<boolean> {
    const name = fromUtf8(`.hawser-${toHex(this.#runtime.host.random(8))}`);
    const before = sys.list(upper).length > 0 ? undefined : await this.#inodes(key, call);
    if (before === undefined) return false;
    sys.mkdir(upper, name, 0o700);
    try {
      return (await this.#inodes(key, call)) === before + 1;
    } finally {
      sys.rmdir(upper, name);
    }
  }

  async #inodes(key: string, call: Call): Promise<number | undefined> {
    try {
      const request = { snapshotter: SNAPSHOTTER, key };
      return (await this.#connection.call('snapshots.v1.Snapshots/Usage', request, call)).inodes;
    } catch (err) {
      call.signal?.throwIfAborted();
      if (isKind(err, 'Unavailable')) throw err;
      return undefined;
    }
  }
}

/** A wish of the user that containerd cannot follow. */
export function notOurs(what: string): HawserError {
  return new HawserError(
    'NotImplemented',
    `Cannot unpack with ${what}: containerd itself applies the layers`,
    {
      hint: 'hawser applies layers by itself as root, in overlayfs snapshots that containerd has on this machine and only root can change',
    },
  );
}
