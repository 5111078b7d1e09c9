/** The directories of the layers below, as they show through one another. */
import type { ByteString } from '../bytes.ts';
import { type Dir, isDirectory, type Syscalls } from '../ports/syscalls.ts';

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
  /** Of each, its handle while that is open. */
  readonly dirs: (Dir | undefined)[] = [];
  /** How many of the chain above were looked into. */
  searched = 0;
  /** There are no more than `from` has. */
  complete = false;
}

/** Opens the directories of the layers below one after another: most often nobody asks for all, and there may be hundreds. */
export class LowerLayers {
  readonly #sys: Syscalls;
  readonly #roots: readonly string[];
  /** What was opened, in order; some of it may be closed by now. */
  #opened: { readonly chain: LowerChain; readonly index: number; readonly dir: Dir }[] = [];
  #open = 0;
  /** Places with a chain. */
  readonly #places = new Set<ChainPlace>();
  #known = 0;

  /** `roots`: absolute paths, nearest first. */
  constructor(sys: Syscalls, roots: readonly string[]) {
    this.#sys = sys;
    this.#roots = roots;
  }

  /** The handle at `index` of a place's chain, `undefined` beyond its end. Valid until the next call. */
  at(place: ChainPlace, index: number): Dir | undefined {
    const chain = place.lowers ?? this.#begin(place);
    while (chain.from.length <= index && !chain.complete) chain.complete = !this.#extend(place, chain);
    if (index >= chain.from.length) return undefined;
    return chain.dirs[index] ?? this.#openAt(place, chain, index);
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
    const chain = new LowerChain();
    place.lowers = chain;
    this.#places.add(place);
    return chain;
  }

  /** Finds the next directory that shows. False: there is none. */
  #extend(place: ChainPlace, chain: LowerChain): boolean {
    const position = place.parent === undefined ? this.#nextRoot(chain) : this.#nextBelow(place, chain);
    if (position === undefined) return false;
    chain.from.push(position);
    this.#known++;
    this.#openAt(place, chain, chain.from.length - 1);
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
      const above = this.at(parent, position);
      const stat = above && this.#sys.lstat(above, name);
      if (above === undefined || (stat !== undefined && !isDirectory(stat))) return undefined;
      if (stat === undefined) continue;
      return this.#endsOpaque(place, chain) ? undefined : position;
    }
  }

  /** Whether the last directory hides those below it. Asked only when there is another: some providers take long for this. */
  #endsOpaque(place: ChainPlace, chain: LowerChain): boolean {
    const last = chain.from.length - 1;
    const dir = last < 0 ? undefined : (chain.dirs[last] ?? this.#openAt(place, chain, last));
    return dir !== undefined && this.#isOpaque(dir);
  }

  #openAt(place: ChainPlace, chain: LowerChain, index: number): Dir | undefined {
    const position = chain.from[index] ?? 0;
    let dir: Dir | undefined;
    if (place.parent === undefined) dir = this.#sys.openRoot(this.#roots[position] ?? '');
    else {
      const above = this.at(place.parent, position);
      dir = above && this.#sys.openDir(above, place.name);
    }
    if (dir === undefined) return undefined;
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
