/** Applies the entries of one layer to a tree, by the rules of the image-spec (layer.md). */
import { type ByteString, display } from '../bytes.ts';
import { HawserError, wrap } from '../errors.ts';
import { isDirectory, type Syscalls } from '../ports/syscalls.ts';
import { dirInode, namedInode } from '../trees/inode.ts';
import type { OwnerPolicy } from '../users/owner-policy.ts';
import { Budget } from './budget.ts';
import type { DirNode } from './dir-node.ts';
import type { TarEntry, TarSink } from './entry.ts';
import { FileWriter } from './file-writer.ts';
import { FlatLayer } from './flat-layer.ts';
import { needsBelow } from './guesses.ts';
import type { LayerRecord } from './layer-record.ts';
import { create, type LayerTree, makeDirectory, makePlace, ownerMayAll } from './layer-tree.ts';
import { MAX_DEPTH, MergedTree, type Place, tooDeep } from './merged-tree.ts';
import { atimeOf, Metadata } from './metadata.ts';
import { AUFS, entryComponents, OPAQUE, WHITEOUT } from './names.ts';
import { NewInodes } from './new-inodes.ts';
import { OverlayLayer } from './overlay-layer.ts';
import { checkOwner } from './ownership.ts';
import { makeSpecial } from './special-file.ts';
import { Warnings } from './warnings.ts';

const NO_SUCH_FILE = 'there is no such file';

export interface ApplyTarget {
  /** The directory that takes the layer. */
  readonly root: string;
  /** `overlay`: the directories of the layers below, nearest first. */
  readonly lowers: readonly string[];
  /**
   * `flat`: the root holds a full copy of the layers below. `blind`: as `overlay`, but the layers below are unknown (`lowers`
   * is empty); `finish` returns the record for a rebase.
   */
  readonly mode: 'overlay' | 'flat' | 'blind';
  /** See ApplyJob. */
  readonly owner?: OwnerPolicy | undefined;
  /** Content beyond this many bytes, holes included, is ResourceExhausted. */
  readonly maxBytes: number;
}

/** Where an entry goes. */
interface Slot {
  readonly node: DirNode;
  readonly name: ByteString;
}

/**
 * A TarReader feeds the applier; `finish` ends the layer; `close` follows in any case. After an error the tree is unusable.
 *
 * The merged view is the same in all modes: that of extracting over a copy of what is below. Names are cleaned lexically
 * (`..` does not leave the root); symlinked parents are followed inside the root; the last component never is. A hard link's
 * own metadata is not applied: an entry that only gives another name to a file must not change the file. Each error names
 * its entry.
 */
export class LayerApplier implements TarSink {
  readonly #sys: Syscalls;
  readonly #tree: MergedTree;
  readonly #layer: LayerTree;
  readonly #blind: OverlayLayer | undefined;
  readonly #warnings = new Warnings();
  readonly #meta: Metadata;
  readonly #owner: OwnerPolicy | undefined;
  readonly #budget: Budget;
  readonly #born: NewInodes;
  #file: { writer: FileWriter; entry: TarEntry; slot: Slot } | undefined;
  #privileged = false;

  constructor(sys: Syscalls, target: ApplyTarget) {
    this.#sys = sys;
    this.#budget = new Budget(target.maxBytes);
    this.#owner = target.owner;
    this.#born = new NewInodes(sys);
    this.#meta = new Metadata(this.#warnings, target.owner?.mode);
    const { mode, root, lowers } = target;
    const unlocks = mode === 'flat' && target.owner !== undefined && target.owner.mode !== 'keep';
    const below = mode === 'blind' ? 'unknown' : mode === 'flat' ? [] : lowers;
    this.#tree = new MergedTree(sys, root, below, { unlocks });
    if (mode === 'flat') this.#layer = new FlatLayer(this.#tree, this.#meta);
    else {
      const layer = new OverlayLayer(this.#tree, this.#meta);
      this.#layer = layer;
      this.#blind = mode === 'blind' ? layer : undefined;
    }
    try {
      this.#tree.root.plain = this.#born.isPlain(this.#tree.upper(this.#tree.root));
    } catch (err) {
      this.#tree.close();
      throw err;
    }
  }

  get entries(): number {
    return this.#budget.entries;
  }

  get warnings(): readonly string[] {
    return this.#warnings.list;
  }

  /** The layer has a program that runs with rights of its own (setuid, setgid, capabilities), or a device. */
  get privileged(): boolean {
    return this.#privileged;
  }

  entry(entry: TarEntry): void {
    this.#tree.trim();
    this.#budget.entry();
    try {
      this.#apply(entry);
    } catch (err) {
      throw applying(entry, err);
    }
  }

  data(bytes: Uint8Array): void {
    this.#content(bytes.length, (writer) => writer.write(bytes));
  }

  hole(length: number): void {
    this.#content(length, (writer) => writer.hole(length));
  }

  #content(length: number, put: (writer: FileWriter) => void): void {
    this.#budget.content(length);
    if (this.#file === undefined) return;
    try {
      put(this.#file.writer);
    } catch (err) {
      throw applying(this.#file.entry, err);
    }
  }

  entryEnd(): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      file.writer.finish();
      file.writer.close();
      this.#file = undefined;
      this.#describe(file.entry, file.slot);
    } catch (err) {
      throw applying(file.entry, err);
    }
  }

  /** After the last entry: makes whiteouts and sets directories' attributes. Of a blind layer: returns what is left to do. */
  finish(): LayerRecord | undefined {
    try {
      const record = this.#blind?.settleBlind();
      if (record === undefined) this.#layer.settle();
      this.#sys.flush();
      return record;
    } catch (err) {
      throw wrap('settling the layer', err);
    }
  }

  close(): void {
    try {
      this.#file?.writer.close();
    } finally {
      this.#file = undefined;
      this.#tree.close();
    }
  }

  #apply(entry: TarEntry): void {
    const parts = entryComponents(entry.name);
    const name = parts.pop();
    if (name === undefined) this.#root(entry);
    else if (name.startsWith(WHITEOUT)) this.#whiteout(parts, name);
    else {
      checkOwner(this.#owner, entry);
      const place = this.#tree.resolve(parts);
      this.#budget.directories(place.missing.length + (entry.type === 'directory' ? 1 : 0));
      const node = makePlace(this.#layer, place);
      if (node.depth >= MAX_DEPTH) throw tooDeep();
      this.#create(entry, { node, name });
    }
  }

  /** An entry may describe the root, but not replace it. A name that only leads to the root (`a/..`) describes nothing. */
  #root(entry: TarEntry): void {
    if (entry.type !== 'directory' || entry.name === '' || entry.name.split('/').includes('..')) {
      this.#warnings.add(`ignored ${entry.type} ${quoted(entry.name)}: it is the root itself`);
      return;
    }
    checkOwner(this.#owner, entry);
    const { root } = this.#tree;
    const inode = dirInode(this.#sys, this.#layer.writable(root));
    this.#meta.clearXattrs(inode, entry.xattrs);
    this.#meta.apply(inode, entry, { mode: entry.mode | 0o700 });
    root.plain &&= this.#born.staysPlain(entry);
    this.#remember(root, entry);
  }

  #remember(node: DirNode, entry: TarEntry): void {
    node.made = { by: 'explicit', mode: entry.mode, atime: atimeOf(entry), mtime: entry.mtime };
  }

  #whiteout(parts: readonly ByteString[], name: ByteString): void {
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..') {
      throw new HawserError('InvalidArgument', `invalid whiteout name: ${display(name)}`);
    }
    if (name !== OPAQUE && name.startsWith(AUFS)) return;
    const { node, missing } = this.#tree.resolve(parts);
    if (missing.length > 0) return;
    if (name === OPAQUE) this.#layer.hideAll(node);
    else this.#layer.hide(node, hidden);
  }

  #create(entry: TarEntry, slot: Slot): void {
    const { node, name } = slot;
    if (entry.type === 'directory') this.#directory(entry, slot);
    else if (entry.type === 'hardlink') this.#hardLink(entry, slot);
    else if (entry.type === 'file') {
      const fd = create(this.#layer, node, name, (dir, n) => {
        return this.#sys.createFile(dir, n, this.#bornRight(entry, node) ? entry.mode : 0o600);
      });
      this.#file = { writer: new FileWriter(this.#sys, fd), entry, slot };
      if ((entry.mode & 0o6000) !== 0 || entry.xattrs.has('security.capability')) this.#privileged = true;
    } else if (entry.type === 'symlink') {
      if (entry.linkName === '') throw new HawserError('InvalidArgument', 'a symbolic link to nothing');
      create(this.#layer, node, name, (dir, n) => this.#sys.symlink(entry.linkName, dir, n));
      this.#describe(entry, slot);
    } else if (makeSpecial(this.#layer, entry, slot)) {
      this.#describe(entry, slot);
      if (entry.type !== 'fifo') this.#privileged = true;
    } else
      this.#warnings.add(`left out the device ${quoted(entry.name)}: making devices is not permitted here`);
  }

  #describe(entry: TarEntry, { node, name }: Slot): void {
    const inode = namedInode(this.#sys, this.#layer.writable(node), name);
    const mode = entry.type === 'file' && this.#bornRight(entry, node);
    this.#meta.apply(inode, entry, { has: { owner: node.plain && this.#born.hasOwner(entry), mode } });
    inode.utimes(atimeOf(entry), entry.mtime);
  }

  /** Whether the file is created with its final mode: nothing remains to be set that takes the owner's write bit. */
  #bornRight(entry: TarEntry, node: DirNode): boolean {
    const bare = entry.xattrs.size === 0 && this.#owner?.mode !== 'record';
    return node.plain && bare && this.#born.hasMode(entry.mode);
  }

  #directory(entry: TarEntry, { node, name }: Slot): void {
    const { child, fresh } = makeDirectory(this.#layer, node, name);
    const inode = namedInode(this.#sys, this.#layer.writable(node), name);
    // Opened first: a process that may not enter the directory must not change its attributes either.
    if (!fresh) this.#tree.upper(child);
    if (!fresh) this.#meta.clearXattrs(inode, entry.xattrs);
    const mode = ownerMayAll(entry.mode) ? entry.mode : entry.mode | 0o700;
    const has = { owner: fresh && node.plain && this.#born.hasOwner(entry), mode: false };
    this.#meta.apply(inode, entry, { mode, has });
    child.plain &&= this.#born.staysPlain(entry);
    this.#remember(child, entry);
  }

  #hardLink(entry: TarEntry, { node, name }: Slot): void {
    const parts = entryComponents(entry.linkName);
    const target = parts.pop();
    const place = this.#tree.resolve(parts);
    const problem = this.#linkProblem(place, target, { node, name });
    const unknown =
      place.missing.length === 0 && target !== undefined && this.#tree.showsUnknown(place.node, target);
    if (problem === NO_SUCH_FILE && unknown) {
      throw needsBelow(`a hard link to ${quoted(entry.linkName)}, which is not in the layer`);
    }
    if (target === undefined || problem !== undefined) {
      throw new HawserError('InvalidArgument', `hard link to ${quoted(entry.linkName)}: ${problem}`);
    }
    this.#layer.writable(node); // Made now if need be: that may close other handles.
    const from = this.#layer.bringUp(place.node, target);
    create(this.#layer, node, name, (dir, n) => this.#sys.link(from, target, dir, n));
  }

  #linkProblem(place: Place, target: ByteString | undefined, slot: Slot): string | undefined {
    if (target === undefined) return 'the root is a directory';
    if (place.missing.length > 0) return NO_SUCH_FILE;
    if (place.node === slot.node && target === slot.name) return 'it is the link itself';
    // Removing what is in the link's way would remove the target.
    const inTheWay = slot.node.children.get(slot.name);
    for (let at: DirNode | undefined = place.node; at !== undefined; at = at.parent) {
      if (at === inTheWay) return 'it is in a directory that the link replaces';
    }
    const found = this.#tree.lookup(place.node, target);
    if (found === undefined) return NO_SUCH_FILE;
    return isDirectory(found.stat) ? 'it is a directory' : undefined;
  }
}

function quoted(name: ByteString): string {
  return JSON.stringify(display(name));
}

function applying(entry: TarEntry, err: unknown): HawserError {
  return wrap(`applying ${entry.type} ${quoted(entry.name)}`, err);
}
