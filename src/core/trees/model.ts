/**
 * System calls on trees that are only in memory: what a layer makes, without writing it. A file's content is a digest. The memory
 * taken is that of names and attributes: some 400 bytes an entry.
 */
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
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
import {
  type Children,
  type ContentNames,
  checkLength,
  chmod,
  chown,
  MAX_NAME,
  MAX_TARGET,
  type MakeNode,
  type ModelNode,
  plainNode,
  setxattr,
  statOf,
  utimes,
  xattrsOf,
} from './model-node.ts';
import { WrittenFile } from './written-file.ts';

/**
 * Content cannot be read back. Whoever reads a file here does so to copy it into the file created last, which therefore gets the
 * same content (core/trees/copy-entry.ts).
 */
export class ModelSyscalls implements Syscalls {
  readonly provider = 'ffi';
  /** Not known: every attribute is set by a call. */
  readonly creation: undefined;
  readonly #contents: ContentNames;
  readonly #devices: boolean;
  readonly #make: MakeNode;
  readonly #roots = new Map<string, ModelNode>();
  readonly #dirs = new Map<number, ModelNode>();
  readonly #reading = new Map<number, ModelNode>();
  readonly #writing = new Map<number, WrittenFile>();
  #fd = 0;
  #ino = 0;

  /** `contents` names what is in each file. `devices`: whether devices can be made (not in a user namespace, but for overlayfs's whiteouts). */
  constructor(
    contents: ContentNames,
    { devices = true, make = plainNode }: { readonly devices?: boolean; readonly make?: MakeNode } = {},
  ) {
    this.#contents = contents;
    this.#devices = devices;
    this.#make = make;
  }

  /** Makes an empty tree, as a snapshotter makes the directory that takes a layer. */
  addRoot(path: string): ModelNode {
    const root = this.#make(++this.#ino, S_IFDIR | 0o755);
    this.#roots.set(path, root);
    return root;
  }

  dropRoot(path: string): void {
    this.#roots.delete(path);
  }

  openRoot(path: string): Dir {
    return this.#open(this.#roots.get(path), path);
  }

  openDir(dir: Dir, name: ByteString): Dir {
    return this.#open(this.#childrenOf(dir).get(name), name);
  }

  #open(node: ModelNode | undefined, name: string): Dir {
    if (node === undefined) throw new HawserError('NotFound', `${name}: no such file or directory`);
    if (node.children === undefined) throw new HawserError('FailedPrecondition', `${name}: not a directory`);
    this.#dirs.set(++this.#fd, node);
    return { fd: this.#fd };
  }

  closeDir({ fd }: Dir): void {
    if (!this.#dirs.delete(fd)) throw new HawserError('Internal', 'bad file descriptor');
  }

  #node({ fd }: Dir): ModelNode {
    const node = this.#dirs.get(fd);
    if (node === undefined) throw new HawserError('Internal', 'bad file descriptor');
    return node;
  }

  #childrenOf(dir: Dir): Children {
    return this.#node(dir).children ?? new Map();
  }

  #at(dir: Dir, name: ByteString): ModelNode {
    const node = this.#childrenOf(dir).get(name);
    if (node === undefined) throw new HawserError('NotFound', `${name}: no such file or directory`);
    return node;
  }

  list(dir: Dir): ByteString[] {
    return [...this.#childrenOf(dir).keys()];
  }

  lstat(dir: Dir, name: ByteString): Stat | undefined {
    checkLength(name, MAX_NAME);
    const node = this.#childrenOf(dir).get(name);
    return node && statOf(node);
  }

  fstat(dir: Dir): Stat {
    return statOf(this.#node(dir));
  }

  mountId(): string {
    return '';
  }

  isMountPoint(): boolean {
    return false;
  }

  mountsBelow(): ByteString[] {
    return [];
  }

  readlink(dir: Dir, name: ByteString): ByteString {
    return this.#at(dir, name).target;
  }

  #add(dir: Dir, name: ByteString, node: ModelNode): ModelNode {
    checkLength(name, MAX_NAME);
    const children = this.#childrenOf(dir);
    if (children.has(name)) throw new HawserError('AlreadyExists', `${name}: file exists`);
    children.set(name, node);
    return node;
  }

  createFile(dir: Dir, name: ByteString, perm: number): number {
    const node = this.#add(dir, name, this.#make(++this.#ino, S_IFREG | perm));
    this.#writing.set(++this.#fd, new WrittenFile(node, this.#contents.create('sha256')));
    return this.#fd;
  }

  openFile(dir: Dir, name: ByteString): number {
    this.#reading.set(++this.#fd, this.#at(dir, name));
    return this.#fd;
  }

  read(fd: number): number {
    const last = [...this.#writing.values()].at(-1);
    if (last !== undefined) last.copied = this.#reading.get(fd)?.content;
    return 0;
  }

  write(fd: number, bytes: Uint8Array): void {
    this.#written(fd).write(bytes);
  }

  writeAt(fd: number, bytes: Uint8Array, position: number): void {
    const file = this.#written(fd);
    file.extend(position);
    file.write(bytes);
  }

  truncateFile(fd: number, size: number): void {
    this.#written(fd).extend(size);
  }

  #written(fd: number): WrittenFile {
    const file = this.#writing.get(fd);
    if (file === undefined) throw new HawserError('Internal', 'bad file descriptor');
    return file;
  }

  closeFile(fd: number): void {
    const file = this.#writing.get(fd);
    this.#reading.delete(fd);
    if (file === undefined) return;
    this.#writing.delete(fd);
    file.close();
  }

  mkdir(dir: Dir, name: ByteString, perm: number): void {
    this.#add(dir, name, this.#make(++this.#ino, S_IFDIR | perm));
  }

  symlink(target: ByteString, dir: Dir, name: ByteString): void {
    checkLength(target, MAX_TARGET);
    this.#add(dir, name, this.#make(++this.#ino, S_IFLNK | 0o777, { target }));
  }

  link(from: Dir, fromName: ByteString, to: Dir, toName: ByteString): void {
    this.#add(to, toName, this.#at(from, fromName)).nlink++;
  }

  mknod(dir: Dir, name: ByteString, mode: number, major: number, minor: number): void {
    const type = mode & S_IFMT;
    const isWhiteout = type === S_IFCHR && major === 0 && minor === 0;
    if (!this.#devices && !isWhiteout && (type === S_IFCHR || type === S_IFBLK))
      throw new HawserError('PermissionDenied', `${name}: operation not permitted`);
    this.#add(dir, name, this.#make(++this.#ino, mode, { major, minor }));
  }

  rename(from: Dir, fromName: ByteString, to: Dir, toName: ByteString): void {
    const node = this.#at(from, fromName);
    this.#childrenOf(from).delete(fromName);
    this.#childrenOf(to).set(toName, node);
  }

  unlink(dir: Dir, name: ByteString): void {
    this.#at(dir, name).nlink--;
    this.#childrenOf(dir).delete(name);
  }

  rmdir(dir: Dir, name: ByteString): void {
    if ((this.#at(dir, name).children?.size ?? 0) > 0)
      throw new HawserError('FailedPrecondition', `${name}: directory not empty`);
    this.#childrenOf(dir).delete(name);
  }

  chown(dir: Dir, name: ByteString, uid: number, gid: number): void {
    chown(this.#at(dir, name), uid, gid);
  }

  chmod(dir: Dir, name: ByteString, perm: number): void {
    chmod(this.#at(dir, name), perm);
  }

  utimes(dir: Dir, name: ByteString, atime: TimeSpec, mtime: TimeSpec): void {
    utimes(this.#at(dir, name), atime, mtime);
  }

  setxattr(dir: Dir, name: ByteString, key: string, value: Uint8Array): void {
    setxattr(this.#at(dir, name), key, value);
  }

  removexattr(dir: Dir, name: ByteString, key: string): void {
    this.#at(dir, name).xattrs?.delete(key);
  }

  getxattr(dir: Dir, name: ByteString, key: string): Uint8Array | undefined {
    return this.#at(dir, name).xattrs?.get(key);
  }

  listxattr(dir: Dir, name: ByteString): string[] {
    return [...xattrsOf(this.#at(dir, name)).keys()];
  }

  chownDir(dir: Dir, uid: number, gid: number): void {
    chown(this.#node(dir), uid, gid);
  }

  chmodDir(dir: Dir, perm: number): void {
    chmod(this.#node(dir), perm);
  }

  utimesDir(dir: Dir, atime: TimeSpec, mtime: TimeSpec): void {
    utimes(this.#node(dir), atime, mtime);
  }

  setxattrDir(dir: Dir, key: string, value: Uint8Array): void {
    setxattr(this.#node(dir), key, value);
  }

  removexattrDir(dir: Dir, key: string): void {
    this.#node(dir).xattrs?.delete(key);
  }

  getxattrDir(dir: Dir, key: string): Uint8Array | undefined {
    return this.#node(dir).xattrs?.get(key);
  }

  listxattrDir(dir: Dir): string[] {
    return [...xattrsOf(this.#node(dir)).keys()];
  }

  flush(): void {}

  syncfs(): void {}
}
