/** Which parts of an image go into an archive. */

import type { Provider } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import { manifestFor } from '../images/find-manifest.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import { isWhole, type Leaf, leavesOf, type Part } from './survey.ts';

/** BuildKit: the manifest that an attestation is about. */
const ATTESTED = 'vnd.docker.reference.digest';

/** `present`: every platform all of which is here. */
export type WantedPlatforms = readonly Platform[] | 'all' | 'present';

/** What is done to which image, for messages. */
export interface Errand {
  readonly name: string;
  readonly verb: 'export' | 'push' | 'copy';
}

export interface ChosenParts {
  /** Digests of the manifests, and of what else indexes list, that are taken. */
  readonly taken: ReadonlySet<string>;
  /** Images that the index lists and that are not here, or not whole. */
  readonly absent: readonly Descriptor[];
  /** Those that are here, and that nobody wants. */
  readonly unwanted: readonly Descriptor[];
}

/**
 * What of an index is taken. NotFound when a platform that is wanted, or all that there is, is not here as a whole. A platform's
 * attestations go along where they are here, and are no reason to fail.
 */
export async function chooseParts(
  store: Provider,
  errand: Errand,
  root: Part,
  wanted: WantedPlatforms,
  call: Call,
): Promise<ChosenParts> {
  if (root.type !== 'index') {
    if (!isWhole(root)) throw incomplete(errand, root);
    return { taken: new Set([root.desc.digest]), absent: [], unwanted: [] };
  }
  const leaves = leavesOf(root);
  const images = leaves.filter(({ desc }) => !isAttestation(desc));
  const absent = images.filter((part) => !isWhole(part)).map(({ desc }) => desc);
  const taken = await manifestsOf(store, errand, root, { images, leaves, wanted }, call);
  const unwanted = images
    .filter((part) => isWhole(part) && !taken.has(part.desc.digest))
    .map(({ desc }) => desc);
  for (const { desc } of attestations(leaves, taken)) taken.add(desc.digest);
  return { taken, absent, unwanted };
}

interface Choice {
  readonly leaves: readonly Leaf[];
  readonly images: readonly Leaf[];
  readonly wanted: WantedPlatforms;
}

async function manifestsOf(
  store: Provider,
  errand: Errand,
  root: Part,
  { leaves, images, wanted }: Choice,
  call: Call,
): Promise<Set<string>> {
  if (wanted !== 'present' && wanted !== 'all') {
    const taken = new Set<string>();
    for (const platform of wanted) taken.add(await wholeFor(store, errand, root, leaves, platform, call));
    return taken;
  }
  const whole = images.filter(isWhole);
  const isEmpty = whole.length === 0 && images.length > 0;
  // A store may lack attestations, which a fetch does not bring; a source that lists them gives them.
  const parts = errand.verb === 'copy' ? leaves : images;
  const lacks = parts.filter((part) => !isWhole(part)).map(({ desc }) => desc);
  if (isEmpty || (wanted === 'all' && lacks.length > 0)) throw notHere(errand, lacks);
  return new Set(whole.map(({ desc }) => desc.digest));
}

/** Those that are here and about what is taken, or about nothing. */
function attestations(leaves: readonly Leaf[], taken: ReadonlySet<string>): Leaf[] {
  return leaves.filter((leaf) => {
    const about = leaf.desc.annotations?.[ATTESTED];
    return isAttestation(leaf.desc) && isWhole(leaf) && (about === undefined || taken.has(about));
  });
}

/** BuildKit lists attestations for no platform. */
function isAttestation({ platform }: Descriptor): boolean {
  return platform?.os === 'unknown' || platform?.architecture === 'unknown';
}

async function wholeFor(
  store: Provider,
  errand: Errand,
  root: Part,
  leaves: readonly Leaf[],
  platform: Platform,
  call: Call,
): Promise<string> {
  const matcher = only(platform);
  const isFor = ({ desc }: Leaf) => desc.platform !== undefined && matcher.match(desc.platform);
  const fitting = leaves.filter(isFor);
  if (fitting.length > 0 && fitting.every(({ type }) => type === 'absent'))
    throw notHere(
      errand,
      fitting.map(({ desc }) => desc),
    );
  const { desc } = await manifestFor(store, root.desc, matcher, call);
  const part = leaves.find((one) => one.desc.digest === desc.digest);
  if (part === undefined || !isWhole(part))
    throw notHere(errand, [{ ...desc, platform: desc.platform ?? platform }]);
  return desc.digest;
}

export function nameOf({ platform, digest }: Descriptor): string {
  return platform === undefined ? digest : platformText(platform);
}

const PULL = 'Bring it with hawser content fetch --platform OS/ARCH REF (or --all-platforms)';
const CHOOSE =
  'The source lists it, and does not give it: name those that it gives with --platform OS/ARCH (and --index keep, for the digest of the index)';

/** Where content is looked for. */
export function placeOf(verb: Errand['verb']): string {
  return verb === 'copy' ? 'at the source' : 'here';
}

export function notHere({ name, verb }: Errand, absent: readonly Descriptor[]): HawserError {
  const names = [...new Set(absent.map(nameOf))];
  const what = names.length === 1 ? 'is' : 'are';
  return new HawserError(
    'NotFound',
    `Cannot ${verb} ${name}: ${names.join(', ')} ${what} not ${placeOf(verb)}, or not whole`,
    { hint: verb === 'copy' ? CHOOSE : PULL },
  );
}

function incomplete({ name, verb }: Errand, part: Leaf): HawserError {
  const missing = part.type === 'absent' ? [part.desc] : part.missing;
  const list = missing.slice(0, 10).map(({ digest }) => digest);
  return new HawserError(
    'NotFound',
    `Cannot ${verb} ${name}: ${missing.length} of its blobs are not ${placeOf(verb)}: ${list.join(', ')}`,
    {
      hint:
        verb === 'copy'
          ? 'The source is damaged: whoever runs it can push the image again'
          : `Fetch it first: hawser content fetch ${name}`,
    },
  );
}
