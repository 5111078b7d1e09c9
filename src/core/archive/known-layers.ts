/** What finished layers have at the paths that were asked about. Nobody changes such a layer, so each is asked once. */
import type { ByteString } from '../bytes.ts';
import {
  type Dir,
  isDirectory,
  isSymlink,
  S_IFCHR,
  S_IFMT,
  type Stat,
  type Syscalls,
} from '../ports/syscalls.ts';

/** Names, of all directories together, that are known at most: some 20 MB. More are forgotten. */
const MAX_NAMES = 100_000;

/** Bytes that a directory has at most whose names are listed: a larger one is asked name by name. */
const MAX_LISTED = 1 << 16;

export type Kind = 'directory' | 'symlink' | 'whiteout' | 'other';

/** overlayfs: a character device 0:0. */
export function isWhiteout(stat: Stat): boolean {
  return (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

export function kindOf(stat: Stat | undefined): Kind | undefined {
  if (stat === undefined) return undefined;
  if (isDirectory(stat)) return 'directory';
  if (isSymlink(stat)) return 'symlink';
  return isWhiteout(stat) ? 'whiteout' : 'other';
}

/** One directory of one layer. */
class KnownDirectory {
  /** `undefined`: there is nothing of that name. */
  readonly kinds: Map<ByteString, Kind | undefined> = new Map();
  /** All its names, once they were listed. */
  names: ReadonlySet<ByteString> | undefined;
  large = false;
  opaque: boolean | undefined;
}

export class KnownLayers {
  readonly #layers = new Map<string, Map<ByteString, KnownDirectory>>();
  #count = 0;

  /**
   * What `name` is in the directory `path` of the layer at `root`. `open` gives the directory's handle, for the answers that are
   * not known. Whoever asks for a second name is likely to ask for more: then the directory is listed.
   */
  kind(sys: Syscalls, root: string, path: ByteString, name: ByteString, open: () => Dir): Kind | undefined {
    const known = this.#directory(root, path);
    if (known.kinds.has(name)) return known.kinds.get(name);
    if (known.names === undefined && known.kinds.size > 0 && !known.large) this.#list(sys, known, open());
    if (known.names?.has(name) === false) return undefined;
    const kind = kindOf(sys.lstat(open(), name));
    known.kinds.set(name, kind);
    this.#added(1);
    return kind;
  }

  /** The names in the directory `path` of the layer at `root`. */
  names(sys: Syscalls, root: string, path: ByteString, open: () => Dir): Iterable<ByteString> {
    const known = this.#directory(root, path);
    if (known.names === undefined && !known.large) this.#list(sys, known, open());
    return known.names ?? sys.list(open());
  }

  /** Whether the directory `path` of the layer at `root` hides those of the layers below; `ask` is called once. */
  isOpaque(root: string, path: ByteString, ask: () => boolean): boolean {
    const known = this.#directory(root, path);
    known.opaque ??= ask();
    return known.opaque;
  }

  #directory(root: string, path: ByteString): KnownDirectory {
    const layer = this.#layers.get(root) ?? new Map<ByteString, KnownDirectory>();
    this.#layers.set(root, layer);
    const known = layer.get(path);
    if (known !== undefined) return known;
    const directory = new KnownDirectory();
    layer.set(path, directory);
    this.#added(1);
    return directory;
  }

  #list(sys: Syscalls, known: KnownDirectory, dir: Dir): void {
    known.large = sys.fstat(dir).size > MAX_LISTED;
    if (known.large) return;
    known.names = new Set(sys.list(dir));
    this.#added(known.names.size);
  }

  #added(count: number): void {
    this.#count += count;
    if (this.#count <= MAX_NAMES) return;
    this.#layers.clear();
    this.#count = 0;
  }
}

/** What is known of the layers of one store. */
export class KnownStore {
  #store: string | undefined;
  #layers = new KnownLayers();

  /** `undefined`: a store of which nothing is to be kept. */
  layers(store: string | undefined): KnownLayers {
    if (store === undefined) return new KnownLayers();
    if (store !== this.#store) this.#layers = new KnownLayers();
    this.#store = store;
    return this.#layers;
  }
}
