/** Inodes of a tree in memory, packed: some hundred bytes each with their names, where objects take three times as much. */
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type TimeSpec } from '../ports/syscalls.ts';
import { Column, Names } from './columns.ts';
import type { Content, MakeNode, ModelNode } from './model-node.ts';
import { PackedNames } from './packed-names.ts';

/** Of a row; what a directory takes besides while layers are applied; what an attribute takes besides its bytes. */
const NODE_BYTES = 62;
const DIRECTORY_BYTES = 300;
const EXTRA_BYTES = 200;
/** What a flat layer notes of an entry besides its name, until the layer is over: measured. */
const NOTE_BYTES = 170;

/** The tables. Beyond `maxBytes` making a node is ResourceExhausted. */
export class PackedNodes {
  readonly names: PackedNames;
  readonly mode: Column<Uint32Array> = new Column(Uint32Array);
  readonly uid: Column<Uint32Array> = new Column(Uint32Array);
  readonly gid: Column<Uint32Array> = new Column(Uint32Array);
  readonly nlink: Column<Uint32Array> = new Column(Uint32Array);
  readonly mtimeSec: Column<Float64Array> = new Column(Float64Array);
  readonly mtimeNsec: Column<Uint32Array> = new Column(Uint32Array);
  readonly atimeSec: Column<Float64Array> = new Column(Float64Array);
  readonly atimeNsec: Column<Uint32Array> = new Column(Uint32Array);
  /** Of a file its size, of a symlink where its target is, of a device the major number. */
  readonly size: Column<Float64Array> = new Column(Float64Array);
  /** Of a file the entry that it is in, of a symlink the length of its target, of a device the minor number. */
  readonly entry: Column<Uint32Array> = new Column(Uint32Array);
  /** Of a file the layer that it is in, and one; 0: its content is not there yet. */
  readonly layer: Column<Uint16Array> = new Column(Uint16Array);
  readonly targets: Names = new Names();
  readonly xattrs: Map<number, Map<string, Uint8Array>> = new Map();
  readonly #maxBytes: number;
  #nodes = 0;
  #extra = 0;
  #notes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.names = new PackedNames((row) => new PackedNode(this, row));
  }

  readonly make: MakeNode = (ino, mode, { target = '', major = 0, minor = 0 } = {}) => {
    this.#nodes++;
    if ((mode & S_IFMT) === S_IFDIR) this.#extra += DIRECTORY_BYTES;
    this.#check();
    this.mode.set(ino, mode);
    this.nlink.set(ino, 1);
    this.size.set(ino, (mode & S_IFMT) === S_IFLNK ? this.targets.add(target) : major);
    this.entry.set(ino, (mode & S_IFMT) === S_IFLNK ? target.length : minor);
    return new PackedNode(this, ino);
  };

  /** Counts what a node takes besides its row. */
  take(bytes: number): void {
    this.#extra += bytes + EXTRA_BYTES;
    this.#check();
  }

  /** Counts what the layer that is applied notes of an entry. */
  note(name: ByteString): void {
    this.#notes += NOTE_BYTES + name.length;
    this.#check();
  }

  /** The layer is over. */
  forgetNotes(): void {
    this.#notes = 0;
  }

  #check(): void {
    const tree = this.#nodes * NODE_BYTES + this.names.bytes + this.targets.bytes;
    const bytes = tree + this.#extra + this.#notes;
    if (bytes <= this.#maxBytes) return;
    throw new HawserError(
      'ResourceExhausted',
      `the image has too many files to list: ${this.#nodes} take more than ${this.#maxBytes} bytes of memory`,
      { hint: 'Unpack it: hawser unpack REF --rootfs DIR' },
    );
  }
}

/** The attributes of a node. */
class CountedMap extends Map<string, Uint8Array> {
  readonly #in: PackedNodes;

  constructor(nodes: PackedNodes, from: Iterable<[string, Uint8Array]>) {
    super();
    this.#in = nodes;
    for (const [key, value] of from) this.set(key, value);
  }

  override set(key: string, value: Uint8Array): this {
    this.#in.take(key.length + value.length);
    return super.set(key, value);
  }
}

/** A row. Two objects of one row are the same node: compare `ino`. */
class PackedNode implements ModelNode {
  readonly #in: PackedNodes;
  readonly ino: number;

  constructor(nodes: PackedNodes, ino: number) {
    this.#in = nodes;
    this.ino = ino;
  }

  get mode(): number {
    return this.#in.mode.get(this.ino);
  }
  set mode(mode: number) {
    this.#in.mode.set(this.ino, mode);
  }

  get uid(): number {
    return this.#in.uid.get(this.ino);
  }
  set uid(uid: number) {
    this.#in.uid.set(this.ino, uid);
  }

  get gid(): number {
    return this.#in.gid.get(this.ino);
  }
  set gid(gid: number) {
    this.#in.gid.set(this.ino, gid);
  }

  get nlink(): number {
    return this.#in.nlink.get(this.ino);
  }
  set nlink(nlink: number) {
    this.#in.nlink.set(this.ino, nlink);
  }

  get mtime(): TimeSpec {
    return { sec: this.#in.mtimeSec.get(this.ino), nsec: this.#in.mtimeNsec.get(this.ino) };
  }
  set mtime({ sec, nsec }: TimeSpec) {
    this.#in.mtimeSec.set(this.ino, sec);
    this.#in.mtimeNsec.set(this.ino, nsec);
  }

  get atime(): TimeSpec {
    return { sec: this.#in.atimeSec.get(this.ino), nsec: this.#in.atimeNsec.get(this.ino) };
  }
  set atime({ sec, nsec }: TimeSpec) {
    this.#in.atimeSec.set(this.ino, sec);
    this.#in.atimeNsec.set(this.ino, nsec);
  }

  get xattrs(): Map<string, Uint8Array> | undefined {
    return this.#in.xattrs.get(this.ino);
  }
  set xattrs(xattrs: Map<string, Uint8Array> | undefined) {
    if (xattrs === undefined) this.#in.xattrs.delete(this.ino);
    else this.#in.xattrs.set(this.ino, new CountedMap(this.#in, xattrs));
  }

  get children(): ModelNode['children'] {
    return this.#is(S_IFDIR) ? this.#in.names.of(this.ino) : undefined;
  }

  get target(): ByteString {
    if (!this.#is(S_IFLNK)) return '';
    return this.#in.targets.get(this.#in.size.get(this.ino), this.#in.entry.get(this.ino));
  }

  get major(): number {
    return this.#isPlain() ? 0 : this.#in.size.get(this.ino);
  }

  get minor(): number {
    return this.#isPlain() ? 0 : this.#in.entry.get(this.ino);
  }

  get content(): Content | undefined {
    const layer = this.#is(S_IFREG) ? this.#in.layer.get(this.ino) : 0;
    if (layer === 0) return undefined;
    return { size: this.#in.size.get(this.ino), id: `${layer - 1}:${this.#in.entry.get(this.ino)}` };
  }
  set content(content: Content | undefined) {
    const [layer = 0, entry = 0] = content?.id.split(':').map(Number) ?? [];
    this.#in.layer.set(this.ino, content === undefined ? 0 : layer + 1);
    this.#in.entry.set(this.ino, entry);
    this.#in.size.set(this.ino, content?.size ?? 0);
  }

  #is(type: number): boolean {
    return (this.mode & S_IFMT) === type;
  }

  #isPlain(): boolean {
    return this.#is(S_IFREG) || this.#is(S_IFDIR) || this.#is(S_IFLNK);
  }
}
