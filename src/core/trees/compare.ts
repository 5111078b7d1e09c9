/** Compares a tree on the disk with what should be there. Nothing is written. */
import { type ByteString, display } from '../bytes.ts';
import { errnoOf, isKind, messageOf } from '../errors.ts';
import type { Hashers } from '../ports/hashers.ts';
import {
  type Dir,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Stat,
  type Syscalls,
  type TimeSpec,
} from '../ports/syscalls.ts';
import { DirStack } from './dir-stack.ts';
import { type Expected, entriesOf, isWhiteoutNode, OPAQUE } from './expected.ts';
import { dirInode, type Inode, isHostKey, isOverlayKey, namedInode } from './inode.ts';
import { type ModelNode, xattrsOf } from './model-node.ts';
import { contentText, octal, timeText, typeName, xattrText } from './problem-texts.ts';

/** Bytes read at once. */
const PIECE = 1 << 20;
const ACL = 'system.posix_acl_';
const DEFAULT_ACL = `${ACL}default`;
/** Seconds that every file system for images can keep (ext4 with 256-byte inodes). */
const FIRST_TIME: number = -(2 ** 31);
const LAST_TIME = 15_032_385_535;

/** What differs between an entry of a layer and the file that stands for it. */
export type Difference =
  | 'missing'
  | 'extra'
  | 'type'
  | 'content'
  | 'owner'
  | 'mode'
  | 'time'
  | 'target'
  | 'device'
  | 'xattr'
  | 'link'
  /** Of the snapshot's record, at `/`: what the layer lies on. */
  | 'parent';

/** Plain data: crosses from workers. The texts are safe to show. */
export interface TreeProblem {
  /** Absolute, as the tree's root is `/`. */
  readonly path: string;
  /** Which attribute. */
  readonly what: Difference;
  /** As the layer has it. */
  readonly want: string;
  /** As the file has it. */
  readonly got: string;
}

export interface Comparison {
  readonly sys: Syscalls;
  readonly hashers: Hashers;
  /** The tree is whole (native): what shows of the layers below is in it. */
  readonly merged: boolean;
  readonly found: (problem: TreeProblem) => void;
}

/** Yields the number of bytes read since the last time: a pause may follow, and the comparison may be dropped there. */
export function* compareTree(of: Comparison, path: string, expected: Expected): Generator<number, void> {
  let root: Dir;
  try {
    root = of.sys.openRoot(path);
  } catch (err) {
    if (!isTreeDamage(err)) throw err;
    of.found({ path: '/', what: 'missing', want: 'a directory', got: messageOf(err) });
    return;
  }
  const stack = new DirStack(of.sys, root);
  try {
    yield* new Walk(of, stack).run(expected);
  } finally {
    stack.close();
    of.sys.closeDir(root);
  }
}

/** Whether the system says so of the tree itself, and not of what this process may do or lacks. */
export function isTreeDamage(err: unknown): boolean {
  return (
    errnoOf(err) !== undefined && !isKind(err, 'PermissionDenied') && !NOT_OF_THE_TREE.has(errnoOf(err) ?? '')
  );
}

const NOT_OF_THE_TREE: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

class Walk {
  readonly #of: Comparison;
  readonly #stack: DirStack;
  readonly #buffer = new Uint8Array(PIECE);
  /** The inode on the disk of each expected inode with several names. */
  readonly #linked = new Map<number, string>();
  /** The store's directory has a default access list, which every file inherited: such a list may be the image's or the directory's. */
  #inherits = false;

  constructor(of: Comparison, stack: DirStack) {
    this.#of = of;
    this.#stack = stack;
  }

  *run(expected: Expected): Generator<number, void> {
    const { sys } = this.#of;
    const [top] = expected;
    if (top === undefined) return;
    const root = this.#stack.current;
    const inherited = readXattrs(dirInode(sys, root))?.has(DEFAULT_ACL) === true;
    this.#inherits = inherited && !xattrsOf(top).has(DEFAULT_ACL);
    this.#attributes('', top, sys.fstat(root), dirInode(sys, root));
    yield* this.#directory(expected);
  }

  *#directory(expected: Expected): Generator<number, void> {
    const { sys, merged } = this.#of;
    const entries = entriesOf(expected, merged);
    for (const name of sys.list(this.#stack.current)) {
      if (!entries.has(name)) this.#tell(name, 'extra', 'nothing', 'a file that the layer does not have');
    }
    yield 0;
    for (const [name, entry] of entries) {
      if (!this.#entry(name, entry.node)) continue;
      const type = entry.node.mode & S_IFMT;
      if (type === S_IFREG) yield* this.#content(name, entry.node);
      if (type !== S_IFDIR) continue;
      this.#stack.push(name);
      yield* this.#directory(entry.stack);
      this.#stack.pop();
    }
  }

  /** False when nothing of this type is there. */
  #entry(name: ByteString, node: ModelNode): boolean {
    const { sys } = this.#of;
    const dir = this.#stack.current;
    const stat = sys.lstat(dir, name);
    if (stat === undefined) {
      this.#tell(name, 'missing', typeName(node.mode), 'nothing');
      return false;
    }
    if ((stat.mode & S_IFMT) !== (node.mode & S_IFMT)) {
      this.#tell(name, 'type', typeName(node.mode), typeName(stat.mode));
      return false;
    }
    if (isWhiteoutNode(node)) {
      this.#device(name, node, stat);
      return true;
    }
    this.#attributes(name, node, stat, namedInode(sys, dir, name));
    this.#device(name, node, stat);
    this.#links(name, node, stat);
    if ((node.mode & S_IFMT) === S_IFLNK) {
      const target = sys.readlink(dir, name);
      if (target !== node.target) this.#tell(name, 'target', display(node.target), display(target));
    }
    return true;
  }

  #attributes(name: ByteString, node: ModelNode, stat: Stat, inode: Inode): void {
    if (stat.uid !== node.uid || stat.gid !== node.gid)
      this.#tell(name, 'owner', `${node.uid}:${node.gid}`, `${stat.uid}:${stat.gid}`);
    if ((node.mode & S_IFMT) !== S_IFLNK && (stat.mode & 0o7777) !== (node.mode & 0o7777))
      this.#tell(name, 'mode', octal(node.mode), octal(stat.mode));
    if (!isSameTime(node.mtime, stat.mtime))
      this.#tell(name, 'time', timeText(node.mtime), timeText(stat.mtime));
    this.#xattrs(name, node, inode);
  }

  #device(name: ByteString, node: ModelNode, stat: Stat): void {
    const [want, got] = [`${node.major}:${node.minor}`, `${stat.rdevMajor}:${stat.rdevMinor}`];
    const isDevice = [S_IFCHR, S_IFBLK].includes(node.mode & S_IFMT);
    if (isDevice && want !== got) this.#tell(name, 'device', want, got);
  }

  #links(name: ByteString, node: ModelNode, stat: Stat): void {
    if (node.nlink < 2 || node.children !== undefined) return;
    const ino = `${stat.dev} ${stat.ino}`;
    const known = this.#linked.get(node.ino);
    if (known === undefined) this.#linked.set(node.ino, ino);
    else if (known !== ino) this.#tell(name, 'link', 'one file with several names', 'a file of its own');
  }

  /** Of access lists only the presence is compared: the kernel changes them with the mode. */
  #xattrs(name: ByteString, node: ModelNode, inode: Inode): void {
    const got = readXattrs(inode);
    if (got === undefined) return;
    const merged = this.#of.merged;
    const keys = new Set([...xattrsOf(node).keys(), ...got.keys()].map((key) => oneOpaque(key)));
    for (const key of keys) {
      if (!isImages(key, merged) || (this.#inherits && key.startsWith(ACL))) continue;
      const want = xattrOf(xattrsOf(node), key);
      const has = xattrOf(got, key);
      const same = key.startsWith(ACL) ? (want === undefined) === (has === undefined) : isSame(want, has);
      if (!same) this.#tell(name, 'xattr', xattrText(key, want), xattrText(key, has));
    }
  }

  *#content(name: ByteString, node: ModelNode): Generator<number, void> {
    const { sys, hashers } = this.#of;
    if (node.content === undefined) return;
    const hasher = hashers.create('sha256');
    let size = 0;
    let fd: number | undefined;
    try {
      fd = sys.openFile(this.#stack.current, name);
      for (let got = sys.read(fd, this.#buffer); got > 0; got = sys.read(fd, this.#buffer)) {
        hasher.update(this.#buffer.subarray(0, got));
        size += got;
        yield got;
      }
    } catch (err) {
      // A bad sector.
      if (!isTreeDamage(err)) throw err;
      this.#tell(name, 'content', contentText(node.content), messageOf(err));
      return;
    } finally {
      if (fd !== undefined) sys.closeFile(fd);
    }
    const content = { size, id: hasher.digest() };
    if (content.id !== node.content.id)
      this.#tell(name, 'content', contentText(node.content), contentText(content));
  }

  #tell(name: ByteString, what: Difference, want: string, got: string): void {
    const path = display([...this.#stack.names, ...(name === '' ? [] : [name])].join('/'));
    this.#of.found({ path: `/${path}`, what, want, got });
  }
}

/** Whether an image has a say in the attribute: security modules, file systems and overlayfs keep others beside those. */
function isImages(key: string, merged: boolean): boolean {
  if (isOverlayKey(key)) return !merged && OPAQUE.includes(key);
  if (isHostKey(key)) return false;
  return key.startsWith(ACL) || ['user.', 'trusted.', 'security.'].some((prefix) => key.startsWith(prefix));
}

/** Both keys of the opaque mark are one: which is used depends on the user namespace. */
function oneOpaque(key: string): string {
  return OPAQUE.includes(key) ? (OPAQUE[0] ?? key) : key;
}

function xattrOf(xattrs: ReadonlyMap<string, Uint8Array>, key: string): Uint8Array | undefined {
  return xattrs.get(key) ?? (key === OPAQUE[0] ? xattrs.get(OPAQUE[1] ?? key) : undefined);
}

/** Undefined where the file system has none, or does not tell. */
function readXattrs(inode: Inode): Map<string, Uint8Array> | undefined {
  try {
    const found = new Map<string, Uint8Array>();
    for (const key of inode.listxattr()) {
      const value = inode.getxattr(key);
      if (value !== undefined) found.set(key, value);
    }
    return found;
  } catch (err) {
    if (isKind(err, 'NotImplemented', 'PermissionDenied')) return undefined;
    throw err;
  }
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

/** A file system may keep whole seconds only. */
function isSameTime(want: TimeSpec, got: TimeSpec): boolean {
  if (want.sec < FIRST_TIME || want.sec > LAST_TIME) return true;
  return want.sec === got.sec && (want.nsec === got.nsec || got.nsec === 0);
}
