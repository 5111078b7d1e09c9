/**
 * Labels that say which images came from which compressed archive, as k0s has them for its bundles: an archive that has not changed, and
 * whose images are all here, need not be read again from its begin to its end.
 */
import type { Image } from '../images/image-store.ts';
import { digestBytes, hexOf } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import { parseReference } from '../reference/parse.ts';
import type { StoreDeps } from './options.ts';
import { readyImage } from './ready.ts';

/** The key of a label, before digits of the path's digest. */
const PREFIX = 'hawser/bundle.';
const DIGITS = 16;

/** An archive, and the version of its file. */
export interface MarkedArchive {
  readonly path: string;
  readonly version: string;
}

/** A name, and what it names. */
type Named = Pick<Image, 'name' | 'target'>;

/**
 * The label's value: the version of the archive, how many names it has, the name, and what it named in the archive. The name, as tools
 * copy labels to other names of an image.
 */
function markOf(
  { version }: MarkedArchive,
  count: number,
  { name, target }: Named,
  hashers: Hashers,
): string {
  return `${version}-${count}-${short(name, hashers)}-${target.digest}`;
}

function keyOf({ path }: MarkedArchive, hashers: Hashers): string {
  return `${PREFIX}${short(path, hashers)}`;
}

function short(text: string, hashers: Hashers): string {
  return hexOf(digestBytes(new TextEncoder().encode(text), hashers)).slice(0, DIGITS);
}

/** The images of the archive out of `images`, where all are here still, whole and unpacked; else undefined. */
export async function markedImages(
  deps: StoreDeps,
  archive: MarkedArchive,
  images: readonly Image[],
  call: { readonly snapshotter?: string | undefined } & Call,
): Promise<readonly Image[] | undefined> {
  const key = keyOf(archive, deps.hashers);
  const countOf = ({ labels }: Image): number => Number(/-(\d+)-[^-]*-[^-]*$/.exec(labels[key] ?? '')?.[1]);
  const marked = images.filter((one) => one.labels[key] === markOf(archive, countOf(one), one, deps.hashers));
  if (marked.length === 0 || marked.some((one) => countOf(one) !== marked.length)) return undefined;
  for (const { name, target } of marked) {
    const ready = await readyImage(deps, parseReference(name), call);
    if (ready?.target.digest !== target.digest) return undefined;
  }
  return marked;
}

/** Notes that the archive has these images and no others. */
export async function markImages(
  { backend, hashers }: StoreDeps,
  archive: MarkedArchive,
  images: readonly Named[],
  call: Call,
): Promise<void> {
  const key = keyOf(archive, hashers);
  // CRI has one name for REPO:TAG and REPO:TAG@DIGEST.
  const byName = new Map(images.map((image) => [image.name, image]));
  for (const [name, image] of byName)
    await backend.images.label(name, { [key]: markOf(archive, byName.size, image, hashers) }, call);
}
