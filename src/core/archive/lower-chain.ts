/** The directories of the layers below, as they show through one another. */
import type { ByteString } from '../bytes.ts';
import type { Dir, Syscalls } from '../ports/syscalls.ts';
import { type Kind, type KnownLayers, kindOf } from './known-layers.ts';

/** Open directories of all chains of a tree, the one being asked for aside. */
const MAX_OPEN = 192;

/** Directories of all chains that are known, open or not. More are forgotten. */
const MAX_KNOWN = 1_000_000;

const Y = 0x79;

/** A directory of the merged tree, as far as a chain has to know it. */
export interface ChainPlace {
  readonly parent: ChainPlace | undefined;
  readonly name: ByteString;
  /** Whether the layer above hides what is below at `name` in this directory. */
  hides(name: ByteString): boolean;
  lowers: LowerChain | undefined;
}

/** The directories at one place in the layers below, nearest first, only those that show and only as far as somebody asked. */
export class LowerChain {
  /** Of each, its place in the chain above; of those of the root, the layer. */
  readonly from: number[] = [];
  /** Of each, its layer: the index of its root. */
  readonly layers: number[] = [];
  /** Of each, its handle while that is open. */
  readonly dirs: (Dir | undefined)[] = [];
  /** How many of the chain above were looked into. */
  searched = 0;
  /** There are no more than `from` has. */
  complete = false;
  /** The way to the place. */
  readonly path: ByteString;

  constructor(path: ByteString) {
    this.path = path;
  }
}

/** Opens the directories of the layers below one after another: most often nobody asks for all, and there may be hundreds. */
export class LowerLayers {
  readonly #sys: Syscalls;
  readonly #roots: readonly string[];
  readonly #memory: KnownLayers | undefined;
  /** What was opened, in order; some of it may be closed by now. */
  #opened: { readonly chain: LowerChain; readonly index: number; readonly dir: Dir }[] = [];
  #open = 0;
  /** Places with a chain. */
  readonly #places = new Set<ChainPlace>();
  #known = 0;

  /** `roots`: absolute paths, nearest first. `memory`: asked before the layers are. */
  constructor(sys: Syscalls, roots: readonly string[], memory: KnownLayers | undefined) {
    this.#sys = sys;
    this.#roots = roots;
    this.#memory = memory;
  }

  /** Whether a place's chain has a directory at `index`. */
  has(place: ChainPlace, index: number): boolean {
    return this.#upTo(place, index) !== undefined;
  }

  /** The handle at `index` of a place's chain, `undefined` beyond its end. Valid until the next call. */
  at(place: ChainPlace, index: number): Dir | undefined {
    const chain = this.#upTo(place, index);
    return chain && (chain.dirs[index] ?? this.#openAt(place, chain, index));
  }

  /** What shows at `name` of a place; `undefined`: nothing. */
  kind(place: ChainPlace, name: ByteString): Kind | undefined {
    for (let index = 0; ; index++) {
      const chain = this.#upTo(place, index);
      if (chain === undefined) return undefined;
      const kind = this.#kindAt(place, chain, index, name);
      if (kind !== undefined) return kind === 'whiteout' ? undefined : kind;
    }
  }

  /** The names of a place in each layer, whiteouts among them. */
  *names(place: ChainPlace): Generator<ByteString, void> {
    for (let index = 0; ; index++) {
      const chain = this.#upTo(place, index);
      if (chain === undefined) return;
      const open = (): Dir => chain.dirs[index] ?? this.#openAt(place, chain, index);
      yield* this.#memory?.names(this.#sys, this.#rootOf(chain, index), chain.path, open) ??
        this.#sys.list(open());
    }
  }

  #kindAt(place: ChainPlace, chain: LowerChain, index: number, name: ByteString): Kind | undefined {
    const open = (): Dir => chain.dirs[index] ?? this.#openAt(place, chain, index);
    if (this.#memory === undefined) return kindOf(this.#sys.lstat(open(), name));
    return this.#memory.kind(this.#sys, this.#rootOf(chain, index), chain.path, name, open);
  }

  #rootOf({ layers }: LowerChain, index: number): string {
    return this.#roots[layers[index] ?? 0] ?? '';
  }

  /** A place's chain, when it has a directory at `index`. */
  #upTo(place: ChainPlace, index: number): LowerChain | undefined {
    const chain = place.lowers ?? this.#begin(place);
    while (chain.from.length <= index && !chain.complete) chain.complete = !this.#extend(place, chain);
    return index < chain.from.length ? chain : undefined;
  }

  /** Drops all that is known of a place's chain: something about it has changed. */
  forget(place: ChainPlace): void {
    const chain = place.lowers;
    if (chain === undefined) return;
    for (const index of chain.dirs.keys()) this.#closeAt(chain, index);
    this.#known -= chain.from.length;
    this.#places.delete(place);
    place.lowers = undefined;
  }

  /** Forgets everything when it is much. */
  trim(): void {
    if (this.#known > MAX_KNOWN) this.close();
  }

  close(): void {
    for (const place of this.#places) this.forget(place);
  }

  #begin(place: ChainPlace): LowerChain {
    const { parent, name } = place;
    const chain = new LowerChain(parent === undefined ? '' : `${this.#pathOf(parent)}/${name}`);
    place.lowers = chain;
    this.#places.add(place);
    return chain;
  }

  #pathOf(place: ChainPlace): ByteString {
    return (place.lowers ?? this.#begin(place)).path;
  }

  /** Finds the next directory that shows. False: there is none. */
  #extend(place: ChainPlace, chain: LowerChain): boolean {
    const position = place.parent === undefined ? this.#nextRoot(chain) : this.#nextBelow(place, chain);
    if (position === undefined) return false;
    chain.from.push(position);
    chain.layers.push(place.parent?.lowers?.layers[position] ?? position);
    this.#known++;
    return true;
  }

  #nextRoot(chain: LowerChain): number | undefined {
    return chain.searched < this.#roots.length ? chain.searched++ : undefined;
  }

  #nextBelow(place: ChainPlace, chain: LowerChain): number | undefined {
    const { parent, name } = place;
    if (parent === undefined || parent.hides(name)) return undefined;
    for (;;) {
      const position = chain.searched++;
      const above = this.#upTo(parent, position);
      if (above === undefined) return undefined;
      const kind = this.#kindAt(parent, above, position, name);
      if (kind === undefined) continue;
      if (kind !== 'directory') return undefined;
      return this.#endsOpaque(place, chain) ? undefined : position;
    }
  }

  /** Whether the last directory hides those below it. Asked only when there is another: some providers take long for this. */
  #endsOpaque(place: ChainPlace, chain: LowerChain): boolean {
    const last = chain.from.length - 1;
    if (last < 0) return false;
    const ask = () => this.#isOpaque(chain.dirs[last] ?? this.#openAt(place, chain, last));
    return this.#memory?.isOpaque(this.#rootOf(chain, last), chain.path, ask) ?? ask();
  }

  /** Opens the directory at an index that the chain has. */
  #openAt(place: ChainPlace, chain: LowerChain, index: number): Dir {
    const position = chain.from[index] ?? 0;
    const above = place.parent && this.at(place.parent, position);
    const dir =
      above === undefined
        ? this.#sys.openRoot(this.#rootOf(chain, index))
        : this.#sys.openDir(above, place.name);
    chain.dirs[index] = dir;
    this.#open++;
    this.#opened.push({ chain, index, dir });
    if (this.#opened.length > 2 * MAX_OPEN) this.#opened = this.#opened.filter(isOpen);
    if (this.#open > MAX_OPEN) this.#evict();
    return dir;
  }

  /** Closes half of the handles, oldest first. */
  #evict(): void {
    const oldest = this.#opened.filter(isOpen);
    this.#opened = oldest.splice(oldest.length / 2);
    for (const { chain, index } of oldest) this.#closeAt(chain, index);
  }

  #closeAt(chain: LowerChain, index: number): void {
    const dir = chain.dirs[index];
    if (dir === undefined) return;
    chain.dirs[index] = undefined;
    this.#open--;
    this.#sys.closeDir(dir);
  }

  #isOpaque(dir: Dir): boolean {
    const value =
      this.#sys.getxattrDir(dir, 'trusted.overlay.opaque') ??
      this.#sys.getxattrDir(dir, 'user.overlay.opaque');
    return value?.length === 1 && value[0] === Y;
  }
}

function isOpen({ chain, index, dir }: { chain: LowerChain; index: number; dir: Dir }): boolean {
  return chain.dirs[index] === dir;
}
