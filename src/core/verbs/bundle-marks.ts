/**
 * Labels that say which images came from which compressed archive, as k0s has them for its bundles: an archive that has not changed, and
 * whose images are all here, need not be read again from its begin to its end.
 */
import type { Image } from '../images/image-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
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

/** Of a name: the version of the archive, how many names it has, and what the name named in it. */
function markOf({ version }: MarkedArchive, count: number, { digest }: Pick<Descriptor, 'digest'>): string {
  return `${version}-${count}-${digest}`;
}

function keyOf({ path }: MarkedArchive, hashers: Hashers): string {
  return `${PREFIX}${hexOf(digestBytes(new TextEncoder().encode(path), hashers)).slice(0, DIGITS)}`;
}

/** The images of the archive out of `images`, where all are here, whole and unpacked; else undefined. */
export async function markedImages(
  deps: StoreDeps,
  archive: MarkedArchive,
  images: readonly Image[],
  call: { readonly snapshotter?: string | undefined } & Call,
): Promise<readonly Image[] | undefined> {
  const key = keyOf(archive, deps.hashers);
  const countOf = ({ labels }: Image): number => Number(/-(\d+)-[^-]*$/.exec(labels[key] ?? '')?.[1]);
  const marked = images.filter((one) => one.labels[key] === markOf(archive, countOf(one), one.target));
  if (marked.length === 0 || marked.some((one) => countOf(one) !== marked.length)) return undefined;
  for (const { name } of marked)
    if ((await readyImage(deps, parseReference(name), call)) === undefined) return undefined;
  return marked;
}

/** Notes that the archive has these images and no others. */
export async function markImages(
  { backend, hashers }: StoreDeps,
  archive: MarkedArchive,
  images: readonly Pick<Image, 'name' | 'target'>[],
  call: Call,
): Promise<void> {
  const key = keyOf(archive, hashers);
  for (const { name, target } of images)
    await backend.images.label(name, { [key]: markOf(archive, images.length, target) }, call);
}
