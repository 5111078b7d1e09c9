/** Whether all that is wanted of an archived image can be had, before anything is recorded. */
import type { InfoProvider, Provider } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import { manifestFor } from '../images/find-manifest.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { mayBeImageConfig } from '../oci/media-types.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import { isWhole, type Leaf, leavesOf, Survey } from './survey.ts';

export interface ImportCheck {
  /** What is wanted has an image of this operating system, so that there is something to unpack. */
  readonly hasImage: boolean;
}

/**
 * NotFound that lists what is missing, or names the platforms that there are. An index may list what is not there, as long as nobody
 * wants it. `os`: of this machine. `base`: what the archive says that it builds upon; the error has reason `lacks` then.
 */
export async function checkImport(
  blobs: Provider & InfoProvider,
  target: Descriptor,
  wanted: readonly Platform[] | 'all',
  { os, base }: { readonly os: string; readonly base: readonly string[] },
  call: Call,
): Promise<ImportCheck> {
  const root = await new Survey(blobs, call).look(target);
  const leaves = leavesOf(root);
  const needed =
    root.type !== 'index' || wanted === 'all' ? leaves : await neededFor(blobs, target, leaves, wanted, call);
  if (!needed.every(isWhole)) throw missing(needed, base);
  const hasImage = needed.some(
    (leaf) =>
      leaf.type === 'manifest' &&
      mayBeImageConfig(leaf.manifest.config.mediaType) &&
      (leaf.desc.platform?.os ?? os) === os,
  );
  return { hasImage };
}

async function neededFor(
  blobs: Provider,
  target: Descriptor,
  leaves: readonly Leaf[],
  wanted: readonly Platform[],
  call: Call,
): Promise<Leaf[]> {
  const needed: Leaf[] = [];
  for (const platform of wanted) {
    const { desc } = await manifestFor(blobs, target, only(platform), call);
    needed.push(...leaves.filter((leaf) => leaf.desc.digest === desc.digest));
  }
  return needed;
}

const MOST_LISTED = 20;

function missing(needed: readonly Leaf[], base: readonly string[]): HawserError {
  const absent = needed.flatMap((leaf) => (leaf.type === 'absent' ? [leaf.desc] : leaf.missing));
  const all = needed.flatMap((leaf) => [leaf.desc, ...partsOf(leaf)]);
  const sizes = new Map(absent.map(({ digest, size }) => [digest, size]));
  const digests = [...sizes.keys()];
  const more = digests.length > MOST_LISTED ? ` and ${digests.length - MOST_LISTED} more` : '';
  const list = `${digests.slice(0, MOST_LISTED).join(', ')}${more}`;
  const total = new Set(all.map(({ digest }) => digest)).size;
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (base.length === 0)
    return new HawserError(
      'NotFound',
      `${digests.length} of ${total} blobs needed are neither in the archive nor in the store: ${list}`,
      {
        hint: 'The archive was made without them, or for other platforms (--platform); import or pull first what it builds upon',
      },
    );
  return new HawserError(
    'NotFound',
    `the store lacks ${digests.length} blobs (${bytes} bytes) that this archive takes for granted: ${list}`,
    {
      hint: `It builds upon ${base.join(', ')}: import that first, or export again with --lacks and what hawser inventory prints here`,
      reason: { type: 'lacks', digests },
    },
  );
}

function partsOf(leaf: Leaf): readonly Descriptor[] {
  if (leaf.type === 'manifest') return [leaf.manifest.config, ...leaf.manifest.layers];
  return leaf.type === 'other' ? leaf.blobs : [];
}
