/** The names in the directories of a packed tree: one table for all, found by hash, and a list for each directory. */
import type { ByteString } from '../bytes.ts';
import { Column, Names } from './columns.ts';
import type { Children, ModelNode } from './model-node.ts';

/** Of a row and its place in the table of hashes. */
const NAME_BYTES = 37;
const REMOVED = 0xffffffff;

export class PackedNames {
  readonly #node: (row: number) => ModelNode;
  readonly #text = new Names();
  /** By name, from 1. */
  readonly #at: Column<Uint32Array> = new Column(Uint32Array);
  readonly #length: Column<Uint8Array> = new Column(Uint8Array);
  readonly #inode: Column<Uint32Array> = new Column(Uint32Array);
  readonly #dir: Column<Uint32Array> = new Column(Uint32Array);
  readonly #next: Column<Uint32Array> = new Column(Uint32Array);
  readonly #before: Column<Uint32Array> = new Column(Uint32Array);
  /** By directory. */
  readonly #first: Column<Uint32Array> = new Column(Uint32Array);
  readonly #count: Column<Uint32Array> = new Column(Uint32Array);
  #rows = 0;
  #free = 0;
  /** Rows by hash of directory and name; 0 is free. */
  #table = new Uint32Array(1 << 10);
  #used = 0;

  /** `node`: the node of an inode. */
  constructor(node: (ino: number) => ModelNode) {
    this.#node = node;
  }

  get bytes(): number {
    return this.#rows * NAME_BYTES + this.#text.bytes;
  }

  of(dir: number): Children {
    return new PackedChildren(this, dir);
  }

  count(dir: number): number {
    return this.#count.get(dir);
  }

  has(dir: number, name: ByteString): boolean {
    return this.#slot(dir, name) !== undefined;
  }

  get(dir: number, name: ByteString): ModelNode | undefined {
    const slot = this.#slot(dir, name);
    return slot === undefined ? undefined : this.#node(this.#inode.get(this.#table[slot] ?? 0));
  }

  *keys(dir: number): Generator<ByteString> {
    for (let row = this.#first.get(dir); row !== 0; row = this.#next.get(row)) yield this.#name(row);
  }

  *entries(dir: number): Generator<[ByteString, ModelNode]> {
    for (let row = this.#first.get(dir); row !== 0; row = this.#next.get(row))
      yield [this.#name(row), this.#node(this.#inode.get(row))];
  }

  #name(row: number): ByteString {
    return this.#text.get(this.#at.get(row), this.#length.get(row));
  }

  set(dir: number, name: ByteString, ino: number): void {
    const known = this.#slot(dir, name);
    if (known !== undefined) {
      this.#inode.set(this.#table[known] ?? 0, ino);
      return;
    }
    const row = this.#free === 0 ? ++this.#rows : this.#free;
    if (row === this.#free) this.#free = this.#next.get(row);
    this.#at.set(row, this.#text.add(name));
    this.#length.set(row, name.length);
    this.#inode.set(row, ino);
    this.#dir.set(row, dir);
    const first = this.#first.get(dir);
    this.#next.set(row, first);
    this.#before.set(row, 0);
    if (first !== 0) this.#before.set(first, row);
    this.#first.set(dir, row);
    this.#count.set(dir, this.#count.get(dir) + 1);
    if (++this.#used > this.#table.length * 0.6) this.#rehash();
    else this.#enter(row, hash(dir, name));
  }

  delete(dir: number, name: ByteString): boolean {
    const slot = this.#slot(dir, name);
    if (slot === undefined) return false;
    const row = this.#table[slot] ?? 0;
    this.#table[slot] = REMOVED;
    const [next, before] = [this.#next.get(row), this.#before.get(row)];
    if (before === 0) this.#first.set(dir, next);
    else this.#next.set(before, next);
    if (next !== 0) this.#before.set(next, before);
    this.#count.set(dir, this.#count.get(dir) - 1);
    this.#dir.set(row, 0);
    this.#next.set(row, this.#free);
    this.#free = row;
    return true;
  }

  /** Where the table has the name. */
  #slot(dir: number, name: ByteString): number | undefined {
    const mask = this.#table.length - 1;
    for (let slot = hash(dir, name) & mask; ; slot = (slot + 1) & mask) {
      const row = this.#table[slot] ?? 0;
      if (row === 0) return undefined;
      if (row !== REMOVED && this.#dir.get(row) === dir && this.#isNamed(row, name)) return slot;
    }
  }

  #isNamed(row: number, name: ByteString): boolean {
    return this.#text.equals(this.#at.get(row), this.#length.get(row), name);
  }

  #enter(row: number, at: number): void {
    const mask = this.#table.length - 1;
    let slot = at & mask;
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
    this.#table[slot] = row;
  }

  /** Makes room, and drops what was removed. */
  #rehash(): void {
    let count = 0;
    for (let row = 1; row <= this.#rows; row++) if (this.#dir.get(row) !== 0) count++;
    let length = this.#table.length;
    while (count > length * 0.4) length *= 2;
    this.#table = new Uint32Array(length);
    this.#used = count;
    for (let row = 1; row <= this.#rows; row++) {
      const dir = this.#dir.get(row);
      if (dir !== 0) this.#enter(row, hash(dir, this.#name(row)));
    }
  }
}

/** What is in one directory. */
class PackedChildren implements Children {
  readonly #names: PackedNames;
  readonly #dir: number;

  constructor(names: PackedNames, dir: number) {
    this.#names = names;
    this.#dir = dir;
  }

  get size(): number {
    return this.#names.count(this.#dir);
  }

  get(name: ByteString): ModelNode | undefined {
    return this.#names.get(this.#dir, name);
  }

  has(name: ByteString): boolean {
    return this.#names.has(this.#dir, name);
  }

  set(name: ByteString, node: ModelNode): void {
    this.#names.set(this.#dir, name, node.ino);
  }

  delete(name: ByteString): boolean {
    return this.#names.delete(this.#dir, name);
  }

  keys(): Generator<ByteString> {
    return this.#names.keys(this.#dir);
  }

  [Symbol.iterator](): Generator<[ByteString, ModelNode]> {
    return this.#names.entries(this.#dir);
  }
}

/** Of a seed by chance: an image must not choose names that collide. */
const SEED = Math.floor(Math.random() * 0xffffffff);

function hash(dir: number, name: ByteString): number {
  let value = SEED ^ Math.imul(dir, 0x9e3779b1);
  for (let i = 0; i < name.length; i++) {
    value = Math.imul(value ^ name.charCodeAt(i), 0x01000193);
    value ^= value >>> 15;
  }
  return (value ^ (value >>> 13)) >>> 0;
}
