import type { Slot } from './dir-node.ts';
import type { TarEntry } from './entry.ts';
import type { EntryInodes } from './entry-inodes.ts';
import { FileRun, type WaitingFile } from './file-run.ts';
import { FileWriter } from './file-writer.ts';
import { create, type LayerTree } from './layer-tree.ts';

interface OpenFile {
  readonly writer: FileWriter;
  readonly entry: TarEntry;
  readonly slot: Slot;
}

/** The regular files of a layer: one is open at a time, or some wait to be made by one call. */
export class LayerFiles {
  readonly #layer: LayerTree;
  readonly #inodes: EntryInodes;
  readonly #run: FileRun | undefined;
  #open: OpenFile | undefined;
  #privileged = false;

  /** `failure`: see RunEnds. */
  constructor(layer: LayerTree, inodes: EntryInodes, failure: (entry: TarEntry, err: unknown) => unknown) {
    const { sys } = layer.tree;
    this.#layer = layer;
    this.#inodes = inodes;
    this.#run =
      sys.makeFiles &&
      new FileRun((dir, files) => sys.makeFiles?.(dir, files) ?? { count: 0, failed: 'create' }, {
        made: (_, { node, name }) => layer.created(node, name),
        absent: (file, slot) => this.#makeSingly(file, slot),
        plain: ({ entry }, slot) => {
          layer.created(slot.node, slot.name);
          inodes.describe(entry, slot);
        },
        failure: ({ entry }, err) => failure(entry, err),
      });
  }

  /** There is a file with rights of its own (setuid, setgid, capabilities). */
  get privileged(): boolean {
    return this.#privileged;
  }

  /** The entry whose file is open. */
  get open(): TarEntry | undefined {
    return this.#open?.entry;
  }

  /** Creates a file; content and `end` follow. */
  create(entry: TarEntry, slot: Slot): void {
    const { node, name } = slot;
    const { sys } = this.#layer.tree;
    const fd = create(this.#layer, node, name, (dir, n) =>
      sys.createFile(dir, n, this.#inodes.permOf(entry, node)),
    );
    this.#open = { writer: new FileWriter(sys, fd), entry, slot };
    this.#note(entry);
  }

  write(bytes: Uint8Array): void {
    this.#open?.writer.write(bytes);
  }

  hole(length: number): void {
    this.#open?.writer.hole(length);
  }

  /** Closes the open file, and describes it. */
  end(): void {
    if (this.#open === undefined) return;
    const { writer, entry, slot } = this.#open;
    writer.finish();
    writer.close();
    this.#open = undefined;
    this.#inodes.describe(entry, slot);
  }

  /** Whether files like this one may wait. */
  canWait(entry: TarEntry): boolean {
    return this.#run !== undefined && this.#inodes.canWait(entry);
  }

  /** Makes a file, all of whose content is at hand, now or at `flush`. */
  make(entry: TarEntry, slot: Slot, content: Uint8Array): void {
    // First, for a directory that is made now may be plain.
    const dir = this.#layer.writable(slot.node);
    const file = this.#inodes.waiting(entry, slot, content);
    // A directory that is in the way is removed now, with all that is known of the directory.
    if (this.#run === undefined || slot.node.children.has(slot.name)) this.#makeSingly(file, slot);
    else this.#run.begin(file, slot.node, dir);
    this.#note(entry);
  }

  /** Where the entry goes, when a file there can wait with those that do. */
  slotOf(entry: TarEntry): Slot | undefined {
    return this.#run?.slotOf(entry);
  }

  /** Makes a file at `flush`. `slot`: as `slotOf` gave it. */
  add(entry: TarEntry, slot: Slot, content: Uint8Array): void {
    this.#run?.add(this.#inodes.waiting(entry, slot, content));
    this.#note(entry);
  }

  /** Makes the files that wait. */
  flush(): void {
    this.#run?.flush();
  }

  /** Files that wait are not made. */
  close(): void {
    const open = this.#open;
    this.#open = undefined;
    open?.writer.close();
  }

  #makeSingly({ entry, content }: WaitingFile, slot: Slot): void {
    this.create(entry, slot);
    if (content.length > 0) this.write(content);
    this.end();
  }

  #note(entry: TarEntry): void {
    if ((entry.mode & 0o6000) !== 0 || entry.xattrs.has('security.capability')) this.#privileged = true;
  }
}
