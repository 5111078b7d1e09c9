/** Applies the entries of one layer to a tree, by the rules of the image-spec (layer.md). */
import { type ByteString, display } from '../bytes.ts';
import { HawserError, wrap } from '../errors.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import { dirInode, namedInode } from '../trees/inode.ts';
import type { OwnerPolicy } from '../users/owner-policy.ts';
import { Budget } from './budget.ts';
import type { DirNode, Slot } from './dir-node.ts';
import type { TarEntry, TarSink } from './entry.ts';
import { EntryInodes } from './entry-inodes.ts';
import { FlatLayer } from './flat-layer.ts';
import { makeHardLink } from './hard-link.ts';
import { LayerFiles } from './layer-files.ts';
import type { LayerRecord } from './layer-record.ts';
import { create, type LayerTree, makeDirectory, makePlace, ownerMayAll } from './layer-tree.ts';
import { MAX_DEPTH, MergedTree, tooDeep } from './merged-tree.ts';
import { atimeOf, Metadata } from './metadata.ts';
import { AUFS, entryComponents, OPAQUE, quoted, WHITEOUT } from './names.ts';
import { NewInodes } from './new-inodes.ts';
import { OverlayLayer } from './overlay-layer.ts';
import { checkOwner } from './ownership.ts';
import { makeSpecial } from './special-file.ts';
import { Warnings } from './warnings.ts';

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

/**
 * A TarReader feeds the applier; `finish` ends the layer; `close` follows in any case. After an error the tree is unusable.
 *
 * The merged view is the same in all modes: that of extracting over a copy of what is below. Names are cleaned lexically
 * (`..` does not leave the root); symlinked parents are followed inside the root; the last component never is. Each error names
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
  readonly #inodes: EntryInodes;
  readonly #files: LayerFiles;
  #devices = false;

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
    this.#inodes = new EntryInodes(this.#layer, this.#meta, this.#born, target.owner?.mode);
    this.#files = new LayerFiles(this.#layer, this.#inodes, applying);
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
    return this.#devices || this.#files.privileged;
  }

  entry(entry: TarEntry): void {
    this.#files.flush();
    this.#entry(entry);
  }

  data(bytes: Uint8Array): void {
    this.#content(bytes.length, () => this.#files.write(bytes));
  }

  hole(length: number): void {
    this.#content(length, () => this.#files.hole(length));
  }

  #content(length: number, put: () => void): void {
    this.#budget.content(length);
    this.#ofOpenFile(put);
  }

  entryEnd(): void {
    this.#ofOpenFile(() => this.#files.end());
  }

  #ofOpenFile(work: () => void): void {
    const { open } = this.#files;
    if (open === undefined) return;
    try {
      work();
    } catch (err) {
      throw applying(open, err);
    }
  }

  wholeFile(entry: TarEntry, content: Uint8Array): void {
    if (!this.#files.canWait(entry) || !this.#budget.fits(content.length)) {
      this.entry(entry);
      if (content.length > 0) this.data(content);
      this.entryEnd();
      return;
    }
    const slot = this.#files.slotOf(entry);
    if (slot === undefined) {
      this.#files.flush();
      this.#entry(entry, content);
    } else this.#add(entry, slot, content);
    this.#budget.content(content.length);
  }

  chunkEnd(): void {
    this.#files.flush();
  }

  /** As `#entry`, of a file that goes where those that wait go. */
  #add(entry: TarEntry, slot: Slot, content: Uint8Array): void {
    this.#budget.entry();
    try {
      checkOwner(this.#owner, entry);
    } catch (err) {
      throw applying(entry, err);
    }
    this.#files.add(entry, slot, content);
  }

  /** `content`: all of a file's. */
  #entry(entry: TarEntry, content?: Uint8Array): void {
    this.#tree.trim();
    this.#budget.entry();
    try {
      this.#apply(entry, content);
    } catch (err) {
      throw applying(entry, err);
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
      this.#files.close();
    } finally {
      this.#tree.close();
    }
  }

  #apply(entry: TarEntry, content: Uint8Array | undefined): void {
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
      this.#create(entry, { node, name }, content);
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

  #create(entry: TarEntry, slot: Slot, content: Uint8Array | undefined): void {
    const { node, name } = slot;
    if (entry.type === 'directory') this.#directory(entry, slot);
    else if (entry.type === 'hardlink') makeHardLink(this.#layer, entry, slot);
    else if (entry.type === 'file') {
      if (content === undefined) this.#files.create(entry, slot);
      else this.#files.make(entry, slot, content);
    } else if (entry.type === 'symlink') {
      if (entry.linkName === '') throw new HawserError('InvalidArgument', 'a symbolic link to nothing');
      create(this.#layer, node, name, (dir, n) => this.#sys.symlink(entry.linkName, dir, n));
      this.#inodes.describe(entry, slot);
    } else if (makeSpecial(this.#layer, entry, slot)) {
      this.#inodes.describe(entry, slot);
      if (entry.type !== 'fifo') this.#devices = true;
    } else
      this.#warnings.add(`left out the device ${quoted(entry.name)}: making devices is not permitted here`);
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
}

function applying(entry: TarEntry, err: unknown): HawserError {
  return wrap(`applying ${entry.type} ${quoted(entry.name)}`, err);
}
