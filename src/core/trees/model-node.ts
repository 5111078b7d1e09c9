/** An inode of a tree that is only in memory, and the calls that change or show its attributes. */
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Hasher } from '../ports/hashers.ts';
import { S_IFDIR, S_IFMT, S_IFREG, type Stat, type TimeSpec } from '../ports/syscalls.ts';

const EPOCH: TimeSpec = { sec: 0, nsec: 0 };
const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

export interface Content {
  /** Bytes, holes included. */
  readonly size: number;
  /** What the tree's maker of names says: sha256, lower-case hex (holes are zeros), or where the bytes are. */
  readonly id: string;
}

/** Gives the name of each file's content, once all bytes of the file were seen: their digest (`Hashers`), or another. */
export interface ContentNames {
  create(name: 'sha256'): Hasher;
}

/** What is in a directory, by name. */
export interface Children extends Iterable<[ByteString, ModelNode]> {
  readonly size: number;
  get(name: ByteString): ModelNode | undefined;
  has(name: ByteString): boolean;
  set(name: ByteString, node: ModelNode): void;
  delete(name: ByteString): boolean;
  keys(): IterableIterator<ByteString>;
}

/** Makes a node with a number of its own, from 1. */
export type MakeNode = (
  ino: number,
  mode: number,
  of?: { readonly target?: ByteString; readonly major?: number; readonly minor?: number },
) => ModelNode;

export class ModelNode {
  readonly ino: number;
  mode: number;
  uid = 0;
  gid = 0;
  nlink = 1;
  atime: TimeSpec = EPOCH;
  mtime: TimeSpec = EPOCH;
  xattrs: Map<string, Uint8Array> | undefined;
  /** Of a directory. */
  readonly children: Children | undefined;
  /** Of a symlink. */
  readonly target: ByteString;
  readonly major: number;
  readonly minor: number;
  /** Of a regular file that is closed. */
  content: Content | undefined;

  constructor(ino: number, mode: number, of: { target?: ByteString; major?: number; minor?: number } = {}) {
    this.ino = ino;
    this.mode = mode;
    this.target = of.target ?? '';
    this.major = of.major ?? 0;
    this.minor = of.minor ?? 0;
    this.children = (mode & S_IFMT) === S_IFDIR ? new Map() : undefined;
  }
}

export function xattrsOf(node: ModelNode): ReadonlyMap<string, Uint8Array> {
  return node.xattrs ?? NO_XATTRS;
}

export function chown(node: ModelNode, uid: number, gid: number): void {
  node.uid = uid;
  node.gid = gid;
}

export function chmod(node: ModelNode, perm: number): void {
  node.mode = (node.mode & S_IFMT) | perm;
}

export function utimes(node: ModelNode, atime: TimeSpec, mtime: TimeSpec): void {
  node.atime = atime;
  node.mtime = mtime;
}

/** As the kernel: only files and directories have attributes of users (xattr(7)). */
export function setxattr(node: ModelNode, key: string, value: Uint8Array): void {
  const type = node.mode & S_IFMT;
  if (key.startsWith('user.') && type !== S_IFREG && type !== S_IFDIR)
    throw new HawserError('PermissionDenied', `${key}: operation not permitted`);
  node.xattrs ??= new Map();
  // The value may be a piece of a buffer that is used again.
  node.xattrs.set(key, new Uint8Array(value));
}

export function statOf(node: ModelNode): Stat {
  const size = node.content?.size ?? node.target.length;
  const { mode, uid, gid, nlink, atime, mtime, major, minor } = node;
  const blocks = Math.ceil(size / 512);
  const rdev = { rdevMajor: major, rdevMinor: minor };
  return { mode, uid, gid, size, nlink, dev: 'model', ino: String(node.ino), ...rdev, atime, mtime, blocks };
}

export const plainNode: MakeNode = (ino, mode, of) => new ModelNode(ino, mode, of);

/** NAME_MAX. */
export const MAX_NAME = 255;
/** PATH_MAX without its NUL. */
export const MAX_TARGET = 4095;

/** As the kernel (ENAMETOOLONG). */
export function checkLength(text: ByteString, most: number): void {
  if (text.length > most) throw new HawserError('InvalidArgument', 'file name too long');
}
