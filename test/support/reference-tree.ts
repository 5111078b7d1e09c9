/** Entries of layers and file trees as plain data, for the reference model. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { Tree, TreeEntry } from './tree.ts';

export interface LayerEntry {
  readonly type: 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';
  /** As written in the archive. Names, links, contents and values of attributes are bytes as latin1. */
  readonly name: string;
  readonly link: string;
  readonly content: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly xattrs: Readonly<Record<string, string>>;
  readonly major: number;
  readonly minor: number;
}

export interface Inode {
  type: TreeEntry['type'];
  mode: number;
  uid: number;
  gid: number;
  mtime: bigint;
  xattrs: ReadonlyMap<string, string>;
  content: string;
  target: string;
  rdev: bigint;
  /** Of a directory. */
  names: Map<string, Name>;
}

export interface Name {
  inode: Inode;
  /** Who wrote it: an earlier layer; this one, without an entry of its own; an entry of this one. */
  by: 'below' | 'implied' | 'entry';
  /** Its inode is already apart from its other names below. */
  parted: boolean;
}

export function newDirectory(): Inode {
  const names = new Map<string, Name>();
  const rest = { content: '', target: '', rdev: 0n, xattrs: new Map<string, string>() };
  return { type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0n, names, ...rest };
}

/** A copy in which everything comes from below. Inodes stay shared by their names. */
export function settled(root: Name): Name {
  const copies = new Map<Inode, Inode>();
  const copy = ({ inode }: Name): Name => {
    let same = copies.get(inode);
    if (same === undefined) {
      same = { ...inode, names: new Map() };
      copies.set(inode, same);
      for (const [part, child] of inode.names) same.names.set(part, copy(child));
    }
    return { inode: same, by: 'below', parted: false };
  };
  return copy(root);
}

/** As a mount would show it. */
export function treeOf(root: Name): Tree {
  const out = new Map<string, TreeEntry>();
  const first = new Map<Inode, string>();
  const visit = (path: string, { inode }: Name): void => {
    const known = first.get(inode);
    if (known === undefined) first.set(inode, path);
    out.set(path, shown(inode, known ?? path, known === undefined));
    for (const name of [...inode.names.keys()].sort()) {
      const child = inode.names.get(name);
      if (child !== undefined) visit(path === '.' ? name : `${path}/${name}`, child);
    }
  };
  visit('.', root);
  return out;
}

function shown(inode: Inode, group: string, first: boolean): TreeEntry {
  const { type, uid, gid, target } = inode;
  const bytes = Buffer.from(inode.content, 'latin1');
  const xattrs = [...inode.xattrs].map(([key, value]) => [
    key,
    `0x${Buffer.from(value, 'latin1').toString('hex')}`,
  ]);
  return {
    type,
    mode: inode.mode.toString(8),
    uid,
    gid,
    mtime: inode.mtime.toString(),
    size: type === 'file' ? bytes.length : 0,
    rdev: type === 'char' || type === 'block' ? inode.rdev.toString(16) : '',
    target,
    xattrs: Object.fromEntries(xattrs),
    group: type === 'dir' ? '' : group,
    sha256: type === 'file' && first ? createHash('sha256').update(bytes).digest('hex') : '',
  };
}
