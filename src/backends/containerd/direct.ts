import { cleanupSignal } from '../../core/async/abort.ts';
import { closingAfter } from '../../core/async/cleanup.ts';
import { Limiter } from '../../core/async/limiter.ts';
import { fromUtf8, toHex } from '../../core/bytes.ts';
import { HawserError, ifFound, isKind, messageOf } from '../../core/errors.ts';
import type { Below } from '../../core/layers/applier.ts';
import { applyTarget, type LayerSource, type LayerTarget } from '../../core/layers/apply-by-worker.ts';
import type { HeldDir } from '../../core/layers/workers.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { algorithmOf, hexOf } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Mount } from '../../core/ports/mounter.ts';
import { type Dir, S_IFMT, S_IFREG, type Syscalls } from '../../core/ports/syscalls.ts';
import type { Runtime } from '../../core/runtime.ts';
import type { PreparedSnapshot, SnapshotTrees, Snapshotter } from '../../core/snapshots/snapshotter.ts';
import { readIdMaps } from '../../core/users/id-map.ts';
import type { Connection } from './connection.ts';
import { checkDirectory, checkSocket, type Owners, openOwned } from './owned-path.ts';

/** The snapshotter whose mounts are directories that a layer can be written to. */
const SNAPSHOTTER = 'overlayfs';

const ROOT: Owners = [0];

/** The most snapshots that are remembered until a layer is applied to them. */
const MAX_FRESH = 256;

/** An option of a mount of plain directories. With others (`userxattr`, `uidmap`) containerd has to write. */
const PLAIN_OPTION = /^(?:rw|rbind|index=off|(?:workdir|upperdir|lowerdir)=\/.*)$/s;

/** The directory of a snapshot's files, as the overlayfs snapshotter names it: `<snapshots>/<id>/fs`. */
const TREE = /^(\/.*)\/(?!\.{1,2}\/)([^/]+)\/fs$/s;

/** A layer's blob and its target, by paths below open directories. */
export interface Direct {
  readonly source: LayerSource;
  readonly target: LayerTarget;
  /** A directory in the target's file system. */
  readonly fileSystem: string;
  /** The same directory, open since before anything is written; undefined where descriptors cannot be synced (no FFI). */
  readonly held: HeldDir | undefined;
}

/** containerd's directories, open since they proved to be containerd's. */
interface Places {
  readonly sys: Syscalls;
  /** The directory of all snapshots, and its path as containerd names it. */
  readonly snapshots: Dir;
  readonly path: string;
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
  /** The open directories of the content store by algorithm. */
  readonly #blobs = new Map<string, Dir>();
  /** Snapshots whose directories were checked, by id. */
  readonly #checked = new Set<string>();
  #refusal: string | undefined;

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

  /** Does `work`, or returns undefined when containerd has to apply the layer. */
  async use<T>(
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
      const blob = this.#blob(places.sys, layer);
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

  [Symbol.dispose](): void {
    const { sys, snapshots } = this.#places ?? {};
    for (const dir of [...this.#blobs.values(), ...(snapshots === undefined ? [] : [snapshots])]) {
      sys?.closeDir(dir);
    }
    this.#blobs.clear();
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
      upper = this.#openTree(places, id);
      const { sys } = places;
      sys.closeDir(sys.openRoot(`${pathOf(upper)}/.`));
      const lowers = trees.lowers.map((lower) => this.#lower(places, lower));
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
      places = { sys, path, snapshots: openOwned(sys, path, ROOT) };
    } catch (err) {
      if (isKind(err, 'PermissionDenied')) this.#refusal = messageOf(err);
      return null;
    }
    const { sys } = places;
    try {
      upper = this.#openTree(places, id);
    } catch {
      sys.closeDir(places.snapshots);
      return null;
    }
    let same = false;
    try {
      same = await this.#counts(sys, upper, key, call);
    } finally {
      sys.closeDir(upper);
      if (!same) sys.closeDir(places.snapshots);
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

  /** Opens `<id>/fs` below the snapshots. Only the directory of the image itself may belong to another user than root. */
  #openTree({ sys, snapshots, path }: Places, id: string): Dir {
    const dir = sys.openDir(snapshots, fromUtf8(id));
    try {
      checkDirectory(sys, dir, `${path}/${id}`, ROOT);
      return sys.openDir(dir, 'fs');
    } finally {
      sys.closeDir(dir);
    }
  }

  #lower(places: Places, lower: string): string {
    const [, path, id = ''] = TREE.exec(lower) ?? [];
    if (path !== places.path) throw new Error(`${lower} is elsewhere`);
    if (!this.#checked.has(id)) places.sys.closeDir(this.#openTree(places, id));
    this.#checked.add(id);
    return `${pathOf(places.snapshots)}/${id}/fs`;
  }

  /** The path of a blob of this size. The diff ID tells whether the content is right. */
  #blob(sys: Syscalls, { digest, size }: Descriptor): string | undefined {
    try {
      const algorithm = algorithmOf(digest);
      const dir =
        this.#blobs.get(algorithm) ?? openOwned(sys, `${this.#contentRoot}/blobs/${algorithm}`, ROOT);
      this.#blobs.set(algorithm, dir);
      const stat = sys.lstat(dir, hexOf(digest));
      const isBlob = stat !== undefined && (stat.mode & S_IFMT) === S_IFREG && stat.size === size;
      return isBlob ? `${pathOf(dir)}/${hexOf(digest)}` : undefined;
    } catch {
      return undefined;
    }
  }
}

/** By the descriptor, which is the same in all threads. */
function pathOf({ fd }: Dir): string {
  return `/proc/self/fd/${fd}`;
}

function isPlain([mount, ...more]: readonly Mount[]): boolean {
  if (mount === undefined || more.length > 0) return false;
  const { type, options } = mount;
  return (type === 'bind' || type === 'overlay') && options.every((option) => PLAIN_OPTION.test(option));
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
