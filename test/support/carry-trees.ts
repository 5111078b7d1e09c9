/** Of tests of archives: an image with all that a layer can say, and its tree as hawser, umoci and containerd unpack it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildImage } from '../registry/image.ts';
import { execOk } from './exec.ts';
import { blobEntry, LAYOUT, tarOf } from './golden-image.ts';
import { type Hawser, hawser, quickest } from './hawser.ts';
import { dir, fifo, file, hard, layer, opq, sym, wh } from './layer-builder.ts';
import { scratch } from './scratch.ts';
import { type Allowed, diffTrees, readTree, type Tree } from './tree.ts';

export const TREE_NAME = 'registry.example/t/tree:1';

/** cap_net_raw+ep, as capabilities(7) stores it. */
const NET_RAW = new Uint8Array([1, 0, 0, 2, 0, 0x20, ...new Array<number>(14).fill(0)]);
/** A hard link says the same as its target: peer-defects.ts has what containerd makes of one that does not. */
const SU = { mode: 0o4755, mtime: '6' };

const LAYERS: readonly Uint8Array[] = [
  layer(
    dir('./'),
    dir('bin', { mtime: '5' }),
    file('bin/su', 'su', SU),
    hard('bin/su-too', 'bin/su', SU),
    file('bin/ping', 'ping', { mode: 0o755, xattrs: { 'security.capability': NET_RAW } }),
    sym('bin/sh', '../busybox'),
    dir('etc'),
    file('etc/old', 'old'),
    file('etc/shadow', 'secret', { mode: 0o640, gid: 42 }),
    dir('gone'),
    file('gone/f', 'f'),
    dir('full', { mode: 0o700, uid: 1000, gid: 1000 }),
    file('full/before', 'before'),
    fifo('run-fifo', { mode: 0o600 }),
  ),
  layer(
    dir('etc', { mtime: '7' }),
    wh('etc/old'),
    file('etc/shadow', 'another', { mode: 0o600, uid: 3, mtime: '8' }),
    wh('gone'),
    dir('full', { mode: 0o1777, mtime: '9' }),
    opq('full'),
    file('full/zoë', 'after', { uid: 70_000 }),
  ),
];

const ALLOWED: readonly Allowed[] = [
  { path: '.', attributes: ['mtime'], reason: 'containerd and umoci heed no entry for the root' },
];

export interface TreeWorld extends AsyncDisposable {
  /** A file in the scratch directory. */
  path(name: string): string;
  /** A store that has the image. */
  readonly full: Hawser;
  /** What hawser unpacks of the image as it was. */
  readonly original: Tree;
  /** The archive that hawser exports. */
  readonly exported: string;
}

export async function openTreeWorld(): Promise<TreeWorld> {
  const dir = scratch('hawser-carry-');
  const path = (name: string) => join(dir.path, name);
  writeFileSync(path('original.tar'), await treeArchive());
  const full = hawser(quickest, path('full'));
  await full.ok('import', path('original.tar'));
  await full.ok('export', path('exported.tar'), TREE_NAME);
  const original = await treeMounted((...args) => full.ok('images', ...args), path('original'));
  return {
    path,
    full,
    original,
    exported: path('exported.tar'),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function treeArchive(): Promise<Uint8Array> {
  const { root, blobs } = await buildImage({ layers: LAYERS.map((tar) => ({ tar })) });
  const { mediaType, digest, bytes } = root;
  const annotations = { 'io.containerd.image.name': TREE_NAME };
  const manifests = [{ mediaType, digest, size: bytes.length, annotations }];
  return tarOf([
    ['oci-layout', LAYOUT],
    ['index.json', JSON.stringify({ schemaVersion: 2, manifests })],
    ...[bytes, ...blobs.values()].map(blobEntry),
  ]);
}

/** Where `tree` is not that of the original. */
export function departures({ original }: TreeWorld, tree: Tree): string[] {
  return diffTrees(original, tree, ALLOWED);
}

/** What hawser unpacks of an archive or a layout, by an import into a store of its own. */
export async function importedTree(
  { path }: TreeWorld,
  name: string,
  flags: readonly string[] = [],
): Promise<Tree> {
  const store = hawser(quickest, path(`store-${name}`));
  await store.ok('import', ...flags, path(name));
  return await treeMounted((...args) => store.ok('images', ...args), path(`mounted-${name}`));
}

/** The image at `target`, where `ctr images` or `hawser images` mounts it; the scratch directory's end unmounts it. */
export async function treeMounted(
  images: (...args: readonly string[]) => Promise<unknown>,
  target: string,
): Promise<Tree> {
  mkdirSync(target);
  await images('mount', TREE_NAME, target);
  return await readTree(target);
}

/** What umoci unpacks of an image of a layout (`DIR:TAG`) into a bundle. */
export async function umociTree({ path }: TreeWorld, image: string, bundle: string): Promise<Tree> {
  await execOk('umoci', ['unpack', '--image', path(image), path(bundle)]);
  return await readTree(path(`${bundle}/rootfs`));
}
