/**
 * What a stack of layers is, by the image-spec's wording (layer.md), in memory: the oracle that every way of unpacking is
 * held to. It knows nothing of overlayfs, of directories on disk, or of tar. Simple rather than fast.
 *
 * The rules, in the order in which a layer's entries are read:
 *
 * 1. A layer is extracted over the tree below, entry by entry. A directory entry on a directory replaces its attributes (all
 *    of them, extended ones too) and keeps its content; in all other cases what is at the path goes first.
 * 2. A whiteout removes what comes from below at its path, an opaque mark all that comes from below in its directory; what
 *    the layer itself writes stays, wherever in the archive it stands. A directory that goes although the layer wrote in it
 *    stays as one that the layer made.
 * 3. A whiteout counts from where it stands. Layers whose whiteouts come before their siblings, as the specification asks,
 *    cannot tell this from "first all whiteouts, then the rest"; others can, but only by reading what they hide later: as
 *    the target of a hard link, or as a symbolic link in the path of an entry.
 * 4. Names are cleaned lexically (`..` does not leave the root). Symbolic links among the parents are followed inside the
 *    root, the last component never is. Parents that are missing are made, 0755 root:root of 1970; one that is no directory is
 *    replaced. A directory keeps its attributes until an entry says otherwise: no write in it changes them.
 * 5. A hard link is one more name for what its target is then; its own metadata does not count.
 * 6. Names that come out as the root describe it, if they are a directory's and have no `..`; else they say nothing.
 * 7. Extended attributes are kept in the namespaces `security.` and, of files and directories, `user.`; overlayfs's own are not.
 */
import { type Inode, type LayerEntry, type Name, newDirectory, settled, treeOf } from './reference-tree.ts';
import type { Tree } from './tree.ts';

/** Applying such a layer must fail. */
export class InvalidLayer extends Error {
  override readonly name = 'InvalidLayer';
  /** Which entry it is. */
  entry = -1;
}

const MAX_COMPONENT = 255;
const MAX_TARGET = 4095;
const MAX_DEPTH = 1024;
const MAX_LINKS = 255;
const MAX_ID = 2 ** 32 - 2;

/**
 * Hard links to files of lower layers: by POSIX one inode with all its names. overlayfs cannot keep that: the link and the
 * name that it is made to are one inode from then on, the other names below stay another.
 */
export type LinkRule = 'posix' | 'overlay';

export class ReferenceImage {
  readonly #links: LinkRule;
  #root: Name = { inode: newDirectory(), by: 'below', parted: false };

  constructor(links: LinkRule = 'posix') {
    this.#links = links;
  }

  /** Throws InvalidLayer, and then is as it was. */
  apply(layer: readonly LayerEntry[]): void {
    const before = this.#root;
    this.#root = settled(before);
    for (const [i, entry] of layer.entries()) {
      try {
        this.#entry(entry);
      } catch (err) {
        this.#root = before;
        if (!(err instanceof InvalidLayer)) throw err;
        err.entry = i;
        throw err;
      }
    }
  }

  tree(): Tree {
    return treeOf(this.#root);
  }

  #entry(entry: LayerEntry): void {
    for (const id of [entry.uid, entry.gid])
      if (id < 0 || id > MAX_ID) throw new InvalidLayer('an id out of range');
    const path = cleaned(entry.name);
    const name = path.at(-1);
    if (name === undefined) this.#describeRoot(entry);
    else if (name.startsWith('.wh.')) this.#whiteout(path.slice(0, -1), name);
    else this.#write(path.slice(0, -1), name, entry);
  }

  #describeRoot(entry: LayerEntry): void {
    if (entry.type !== 'dir' || entry.name === '' || entry.name.split('/').includes('..')) return;
    describe(this.#root.inode, entry);
    this.#root.by = 'entry';
  }

  #whiteout(parents: readonly string[], name: string): void {
    const hidden = name.slice('.wh.'.length);
    if (hidden === '' || hidden === '.' || hidden === '..') throw new InvalidLayer('a whiteout of no name');
    if (name.startsWith('.wh..wh.') && name !== '.wh..wh..opq') return;
    const dir = this.#at(this.#resolve(parents));
    if (dir?.inode.type !== 'dir') return;
    if (name === '.wh..wh..opq') hideAll(dir.inode);
    else hide(dir.inode, hidden);
  }

  #write(parents: readonly string[], name: string, entry: LayerEntry): void {
    const place = this.#resolve(parents);
    if (place.length >= MAX_DEPTH) throw new InvalidLayer('too deep');
    const dir = this.#make(place);
    if (entry.type === 'dir') {
      describe(makeDirectory(dir, name, 'entry').inode, entry);
    } else {
      const inode = entry.type === 'hardlink' ? this.#linked(entry.link, [...place, name]) : made(entry);
      dir.names.set(name, { inode, by: 'entry', parted: false });
    }
  }

  #linked(link: string, self: readonly string[]): Inode {
    const path = cleaned(link);
    const last = path.pop();
    if (last === undefined) throw new InvalidLayer('a link to the root');
    const target = [...this.#resolve(path), last];
    const name = this.#at(target);
    if (name === undefined) throw new InvalidLayer('a link to nothing');
    if (name.inode.type === 'dir') throw new InvalidLayer('a link to a directory');
    if (self.every((part, i) => target[i] === part)) throw new InvalidLayer('a link in place of its target');
    if (this.#links === 'overlay' && name.by === 'below' && !name.parted) {
      name.inode = { ...name.inode };
      name.parted = true;
    }
    return name.inode;
  }

  #at(path: readonly string[]): Name | undefined {
    let at: Name | undefined = this.#root;
    for (const part of path) at = at?.inode.names.get(part);
    return at;
  }

  /** The real path: what is missing, or no directory, is where it would be. */
  #resolve(parts: readonly string[]): string[] {
    const left = [...parts];
    let done: string[] = [];
    let links = 0;
    for (let part = left.shift(); part !== undefined; part = left.shift()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        done.pop();
        continue;
      }
      if (done.length >= MAX_DEPTH) throw new InvalidLayer('too deep');
      if (part.length > MAX_COMPONENT && this.#at(done)?.inode.type === 'dir')
        throw new InvalidLayer('a name too long');
      const found = this.#at([...done, part])?.inode;
      if (found?.type !== 'symlink') {
        done.push(part);
        continue;
      }
      links++;
      if (links > MAX_LINKS) throw new InvalidLayer('too many symbolic links');
      if (found.target.startsWith('/')) done = [];
      left.unshift(...found.target.split('/'));
    }
    return done;
  }

  /** The directory at a real path; this layer writes in it. */
  #make(path: readonly string[]): Inode {
    let at = this.#root;
    if (at.by === 'below') at.by = 'implied';
    for (const part of path) at = makeDirectory(at.inode, part, 'implied');
    return at.inode;
  }
}

function makeDirectory(parent: Inode, part: string, by: 'implied' | 'entry'): Name {
  if (part.length > MAX_COMPONENT) throw new InvalidLayer('a name too long');
  const there = parent.names.get(part);
  if (there?.inode.type === 'dir') {
    if (there.by !== 'entry') there.by = by;
    return there;
  }
  const made: Name = { inode: newDirectory(), by, parted: false };
  parent.names.set(part, made);
  return made;
}

/** Removes what comes from below. */
function hide(dir: Inode, part: string): void {
  const name = dir.names.get(part);
  if (name === undefined) return;
  if (name.by === 'below') dir.names.delete(part);
  else if (name.inode.type === 'dir') {
    hideAll(name.inode);
    if (name.by === 'implied') Object.assign(name.inode, newDirectory(), { names: name.inode.names });
  }
}

function hideAll(dir: Inode): void {
  for (const part of [...dir.names.keys()]) hide(dir, part);
}

/** The components, without those that mean nothing. Names that no file can have are refused. */
function cleaned(name: string): string[] {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
    if (parts.length > MAX_DEPTH) throw new InvalidLayer('too deep');
  }
  for (const [i, part] of parts.entries()) {
    const hidden = i === parts.length - 1 && part.startsWith('.wh.') ? part.slice('.wh.'.length) : part;
    if (hidden.length > MAX_COMPONENT) throw new InvalidLayer('a name too long');
  }
  return parts;
}

function keeps(inode: Inode, key: string): boolean {
  if (key.startsWith('security.')) return true;
  if (!key.startsWith('user.') || key.startsWith('user.overlay.')) return false;
  return inode.type === 'dir' || inode.type === 'file';
}

function describe(inode: Inode, entry: LayerEntry): void {
  const { mode, uid, gid, mtime } = entry;
  const own = Object.entries(entry.xattrs).filter(([key]) => keeps(inode, key));
  Object.assign(inode, { mode, uid, gid, mtime, xattrs: new Map(own) });
  if (inode.type === 'symlink') inode.mode = 0o777;
}

/** What an entry that is neither a directory nor a hard link makes. */
function made(entry: LayerEntry): Inode {
  const { type, major, minor } = entry;
  if (type === 'dir' || type === 'hardlink') throw new Error('not here');
  if (type === 'symlink' && entry.link === '') throw new InvalidLayer('a symbolic link to nothing');
  if (entry.link.length > MAX_TARGET) throw new InvalidLayer('a target too long');
  const device = type === 'char' || type === 'block';
  if (device && (major > 0xfff || minor > 0xfffff)) throw new InvalidLayer('a device number out of range');
  if (type === 'char' && major === 0 && minor === 0)
    throw new InvalidLayer('the device that overlayfs takes for a whiteout');
  const inode: Inode = { ...newDirectory(), type };
  if (type === 'file') inode.content = entry.content;
  if (type === 'symlink') inode.target = entry.link;
  if (device) inode.rdev = BigInt(((minor & ~0xff) << 12) | (major << 8) | (minor & 0xff)) & 0xffffffffn;
  describe(inode, entry);
  return inode;
}
