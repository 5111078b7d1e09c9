/** A tree of an image as the entries of one archive: what unpacking makes, without a layer and without a whiteout. */
import type { EntryType, TarEntry } from '../archive/entry.ts';
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { ModelNode } from '../trees/model-node.ts';
import { xattrsOf } from '../trees/model-node.ts';
import { entriesOf, type TreeEntry, typeOf } from './entries.ts';
import { parsePlace } from './entry-watch.ts';
import type { ImageFiles } from './image-files.ts';

/** `end` follows each file, and nothing else. */
export type FlatEvent =
  | { readonly type: 'entry'; readonly entry: TarEntry }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'hole'; readonly length: number }
  | { readonly type: 'end' };

/** A file by itself, under another name. */
export async function* flattenFile(
  files: ImageFiles,
  name: ByteString,
  node: ModelNode,
  call: Call,
): AsyncGenerator<FlatEvent> {
  yield { type: 'entry', entry: entryOf(name, node) };
  if (typeOf(node) !== 'file') return;
  yield* files.content(node, call);
  yield { type: 'end' };
}

/**
 * A directory and all below, under names that begin there. The same image gives the same entries: files with content in the order in which
 * the layers have them (each layer is read once more, unless nothing of it is left), then all else as `tar` would have it, each directory
 * before what is in it. A directory comes after its files, as what is made in a directory changes its time.
 */
export async function* flatten(files: ImageFiles, dir: TreeEntry, call: Call): AsyncGenerator<FlatEvent> {
  const tree = new FlatTree(dir);
  for (const layer of tree.layers()) yield* layerFiles(files, tree.wanted(layer), layer, call);
  yield { type: 'entry', entry: entryOf('./', dir.node) };
  for (const { path, node } of tree.entries()) {
    const first = tree.firstName(node) ?? path;
    if (node.children !== undefined) yield { type: 'entry', entry: entryOf(`${path}/`, node) };
    else if (first !== path) yield { type: 'entry', entry: linkOf(path, first, node) };
    else if (sizeOf(node) === 0) {
      yield { type: 'entry', entry: entryOf(path, node) };
      if (typeOf(node) === 'file') yield { type: 'end' };
    }
  }
}

async function* layerFiles(
  files: ImageFiles,
  wanted: ReadonlyMap<number, TreeEntry>,
  layer: number,
  call: Call,
): AsyncGenerator<FlatEvent> {
  let count = 0;
  for await (const event of files.contents(layer, new Set(wanted.keys()), call)) {
    if (event.type !== 'begin') {
      yield event;
      continue;
    }
    const found = wanted.get(event.entry);
    if (found === undefined) throw new HawserError('Internal', `entry ${event.entry} was not asked for`);
    count++;
    yield { type: 'entry', entry: entryOf(found.path, found.node) };
  }
  if (count !== wanted.size) throw new HawserError('Internal', `layer ${layer + 1} lacks entries`);
}

class FlatTree {
  readonly #dir: TreeEntry;
  /** Of files with several names, by inode. */
  readonly #first = new Map<number, ByteString>();

  constructor(dir: TreeEntry) {
    this.#dir = dir;
    for (const { path, node } of this.entries()) {
      if (node.children === undefined && node.nlink > 1 && !this.#first.has(node.ino))
        this.#first.set(node.ino, path);
    }
  }

  /** All below the directory, by names that begin there. */
  *entries(): Generator<TreeEntry> {
    const { path } = this.#dir;
    const length = path === '' ? 0 : path.length + 1;
    for (const entry of entriesOf(this.#dir, true))
      yield { path: entry.path.slice(length), node: entry.node };
  }

  /** Undefined for what has one name. */
  firstName(node: ModelNode): ByteString | undefined {
    return this.#first.get(node.ino);
  }

  /** Files with content, each by its first name. */
  *#contents(): Generator<TreeEntry> {
    for (const entry of this.entries()) {
      const first = this.#first.get(entry.node.ino) ?? entry.path;
      if (sizeOf(entry.node) > 0 && first === entry.path) yield entry;
    }
  }

  /** Those with content that shows, lowest first. */
  layers(): number[] {
    const layers = new Set<number>();
    for (const { node } of this.#contents()) layers.add(parsePlace(node.content?.id ?? '').layer);
    return [...layers].sort((a, b) => a - b);
  }

  /** Of one layer: by the number of the archive's entry. */
  wanted(layer: number): Map<number, TreeEntry> {
    const wanted = new Map<number, TreeEntry>();
    for (const entry of this.#contents()) {
      const place = parsePlace(entry.node.content?.id ?? '');
      if (place.layer === layer) wanted.set(place.entry, entry);
    }
    return wanted;
  }
}

function sizeOf({ content }: ModelNode): number {
  return content?.size ?? 0;
}

function entryOf(name: ByteString, node: ModelNode, type: EntryType = typeOf(node)): TarEntry {
  const { mode, uid, gid, mtime, atime, major, minor, target } = node;
  return {
    type,
    name,
    linkName: target,
    size: type === 'file' ? sizeOf(node) : 0,
    mode: mode & 0o7777,
    ...{ uid, gid, mtime, atime },
    ...{ devMajor: major, devMinor: minor },
    xattrs: xattrsOf(node),
  };
}

function linkOf(name: ByteString, first: ByteString, node: ModelNode): TarEntry {
  return { ...entryOf(name, node, 'hardlink'), linkName: first };
}
