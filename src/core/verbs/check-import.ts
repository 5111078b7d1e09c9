/** Whether all that is wanted of an archived image can be had, before anything is recorded. */
import { isWhole, type Leaf, leavesOf, Survey } from '../carry/survey.ts';
import type { InfoProvider, Provider } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import { readDocument } from '../images/find-manifest.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { isIndexType, mayBeImageConfig } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import { parseReference } from '../reference/parse.ts';
import { chooseManifests } from './choose-manifests.ts';

type Blobs = Provider & InfoProvider;

type Wanted = readonly Platform[] | 'all';

interface Named {
  readonly name: string;
  readonly target: Descriptor;
}

/**
 * NotFound that lists what is missing (reason `lacks` where the archive builds upon something: `base`), or names the platforms that there are.
 * Reads what a fetch of the image would read: an index may list what is not there, or is malformed, as long as nobody wants it.
 */
export async function checkImport(
  blobs: Blobs,
  image: Named,
  { wanted, base }: { readonly wanted: Wanted; readonly base: () => Promise<readonly string[]> },
  call: Call,
): Promise<void> {
  const needed = await leavesOfAll(blobs, image, wanted, call);
  if (!needed.every(isWhole)) throw missing(needed, await base());
}

/**
 * Whether what is wanted has an image of the operating system `os`, so that there is something to unpack. Looks at no more than the
 * documents that tell.
 */
export async function hasImageFor(
  os: string,
  blobs: Blobs,
  image: Named,
  wanted: Wanted,
  call: Call,
): Promise<boolean> {
  const leaves = await leavesOfAll(blobs, image, wanted, { ...call, documentsOnly: true });
  return leaves.some(
    (leaf) =>
      leaf.type === 'manifest' &&
      mayBeImageConfig(leaf.manifest.config.mediaType) &&
      (leaf.desc.platform?.os ?? os) === os,
  );
}

async function leavesOfAll(
  blobs: Blobs,
  { name, target }: Named,
  wanted: Wanted,
  { documentsOnly = false, signal }: Call & { readonly documentsOnly?: boolean },
): Promise<Leaf[]> {
  const roots =
    wanted === 'all' || !isIndexType(target.mediaType)
      ? [target]
      : await chosenOf(blobs, name, target, wanted, { signal });
  const survey = new Survey(blobs, { documentsOnly, signal });
  const leaves: Leaf[] = [];
  for (const root of roots) leaves.push(...leavesOf(await survey.look(root)));
  return leaves;
}

async function chosenOf(
  blobs: Blobs,
  name: string,
  target: Descriptor,
  platforms: readonly Platform[],
  call: Call,
): Promise<Descriptor[]> {
  const read = (desc: Descriptor, own: Call) => readDocument(blobs, desc, own);
  const options = { reference: parseReference(name), platforms, unpacks: false, leaveOut: () => {} };
  const { chosen, artifacts, others } = await chooseManifests(read, target, options, call);
  return [...chosen.map(({ found }) => found.desc), ...artifacts, ...others];
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
