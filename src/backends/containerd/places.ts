import { fromUtf8 } from '../../core/bytes.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { algorithmOf, hexOf } from '../../core/oci/digest.ts';
import { type Dir, S_IFMT, S_IFREG, type Syscalls } from '../../core/ports/syscalls.ts';
import { checkDirectory, type Owners, openOwned } from '../../core/users/owned-path.ts';

/** The directory of a snapshot's files, as the overlayfs snapshotter names it: `<snapshots>/<id>/fs`. */
export const TREE: RegExp = /^(\/.*)\/(?!\.{1,2}\/)([^/]+)\/fs$/s;

const ROOT: Owners = [0];

/** containerd's directories, open since they proved to be containerd's (direct.ts). Disposing closes them. */
export class Places implements Disposable {
  readonly sys: Syscalls;
  /** The directory of all snapshots, and its path as containerd names it. */
  readonly snapshots: Dir;
  readonly path: string;
  /** The path of the content store, as containerd names it. */
  readonly #contentRoot: string | undefined;
  /** The open directories of the content store by algorithm. */
  readonly #blobs = new Map<string, Dir>();
  /** Snapshots whose directories were checked, by id. */
  readonly #checked = new Set<string>();

  constructor(sys: Syscalls, snapshots: Dir, path: string, contentRoot: string | undefined) {
    this.sys = sys;
    this.snapshots = snapshots;
    this.path = path;
    this.#contentRoot = contentRoot;
  }

  /** Opens `<id>/fs` below the snapshots. Only the directory of the image itself may belong to another user than root. */
  openTree(id: string): Dir {
    const dir = this.sys.openDir(this.snapshots, fromUtf8(id));
    try {
      checkDirectory(this.sys, dir, `${this.path}/${id}`, ROOT);
      return this.sys.openDir(dir, 'fs');
    } finally {
      this.sys.closeDir(dir);
    }
  }

  /** The path of a committed layer's directory, below the open directory of all snapshots. */
  lower(lower: string): string {
    const [, path, id = ''] = TREE.exec(lower) ?? [];
    if (path !== this.path) throw new Error(`${lower} is elsewhere`);
    if (!this.#checked.has(id)) this.sys.closeDir(this.openTree(id));
    this.#checked.add(id);
    return `${pathOf(this.snapshots)}/${id}/fs`;
  }

  /** The path of a blob of this size. The diff ID tells whether the content is right. */
  blob({ digest, size }: Descriptor): string | undefined {
    try {
      const algorithm = algorithmOf(digest);
      const path = `${this.#contentRoot}/blobs/${algorithm}`;
      const dir = this.#blobs.get(algorithm) ?? openOwned(this.sys, path, ROOT);
      this.#blobs.set(algorithm, dir);
      const stat = this.sys.lstat(dir, hexOf(digest));
      const isBlob = stat !== undefined && (stat.mode & S_IFMT) === S_IFREG && stat.size === size;
      return isBlob ? `${pathOf(dir)}/${hexOf(digest)}` : undefined;
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    for (const dir of [...this.#blobs.values(), this.snapshots]) this.sys.closeDir(dir);
    this.#blobs.clear();
  }
}

/** By the descriptor, which is the same in all threads. */
export function pathOf({ fd }: Dir): string {
  return `/proc/self/fd/${fd}`;
}
