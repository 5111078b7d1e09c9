/** Finds the manifest of a platform below an index: the one rule for a fetch and for the readers of a store. */
import { Limiter } from '../async/limiter.ts';
import { allOrAbort } from '../async/settle.ts';
import type { Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, ifFound } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import {
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseConfig,
  parseIndex,
  parseManifest,
} from '../oci/documents.ts';
import { isIndexType, isManifestType, mayBeImageConfig } from '../oci/media-types.ts';
import type { Matcher } from '../platforms/match.ts';
import { rank } from '../platforms/pick.ts';
import type { Call } from '../ports/call.ts';
import { MAX_DEPTH, tooDeep } from './dispatch.ts';
import { availableHint, isArtifactEntry, isListedImage, platformNames } from './select.ts';

/** Documents of a store that are read at once. */
const MAX_OPEN = 4;

export interface FoundManifest {
  readonly desc: Descriptor;
  readonly manifest: Manifest;
  /** The indexes above it, the target first; empty when the target is the manifest. */
  readonly above: readonly Descriptor[];
}

/** The bytes of a manifest, an index or a config. */
export type ReadDocument = (desc: Descriptor, call: Call) => Promise<Uint8Array>;

/** What a search has come to. */
export interface Outcome {
  readonly found: FoundManifest | undefined;
  /** The platforms of the images that were met, for messages. */
  readonly available: readonly string[];
  /** Something that was met is an image, for whatever platform. */
  readonly hasImages: boolean;
  /** Artifacts without a platform. */
  readonly untold: readonly Descriptor[];
  /** What the indexes list that is of no manifest's type. */
  readonly others: readonly Descriptor[];
  /** A manifest without a platform, or its config, is not in the store. */
  readonly hasAbsent: boolean;
}

/** `partial`: of what only may be wanted, what is not there is left out; a fetch wants all that decides. */
interface SearchOptions extends Call {
  readonly partial: boolean;
}

/**
 * Finds the manifest that `matcher` prefers, an artifact's only where there is no image for any platform; a target that is a manifest is
 * found whatever it is for. Reads no more than decides. A fetch and the readers of a store take what this finds. InvalidArgument for too
 * deep a nest, unless `partial`.
 */
export async function searchManifest(
  read: ReadDocument,
  target: Descriptor,
  matcher: Matcher,
  { partial, ...call }: SearchOptions,
): Promise<Outcome> {
  const search: Search = {
    read,
    matcher,
    call,
    partial,
    seen: new Set(),
    listed: [],
    said: [],
    unsaid: [],
    untold: [],
    others: [],
    hasAbsent: false,
  };
  const found = (await find(search, target, [])) ?? (await findArtifact(search));
  const artifacts = new Set(search.unsaid.map(({ desc }) => desc.digest));
  const images = search.listed.filter(({ digest }) => !artifacts.has(digest) && !search.seen.has(digest));
  const { untold, others, hasAbsent } = search;
  return {
    ...{ found, untold, others, hasAbsent },
    available: platformNames(images),
    hasImages: images.length > 0,
  };
}

/** What `searchManifest` finds in a store. NotFound when no child matches, or when a document on the way is absent. */
export async function manifestFor(
  store: Provider,
  target: Descriptor,
  matcher: Matcher,
  call: Call = {},
): Promise<FoundManifest> {
  const slots = new Limiter(MAX_OPEN);
  const read: ReadDocument = (desc, { signal }) =>
    slots.run(signal, () => readDocument(store, desc, { signal }));
  const outcome = await searchManifest(read, target, matcher, { ...call, partial: true });
  if (outcome.found) return outcome.found;
  throw new HawserError('NotFound', `no match for platform in manifest ${target.digest}`, {
    hint: hintOf(outcome),
  });
}

function hintOf({ available, hasAbsent }: Outcome): string {
  if (available.length > 0 || !hasAbsent) return availableHint(available);
  return 'Not all images that the index lists are in the store: pull the one for this platform';
}

interface Search {
  readonly read: ReadDocument;
  readonly matcher: Matcher;
  readonly call: Call;
  readonly partial: boolean;
  /** The indexes read so far; each is read once. */
  readonly seen: Set<string>;
  /** What the indexes list as images, for whatever platform, and what manifests without a platform show to be one. */
  readonly listed: Descriptor[];
  /** Matching artifacts, the best first: those that their entries call so, and those that turned out to be one. */
  readonly said: Pick<FoundManifest, 'desc' | 'above'>[];
  readonly unsaid: FoundManifest[];
  readonly untold: Descriptor[];
  readonly others: Descriptor[];
  hasAbsent: boolean;
}

/** The target, or an image below it. */
async function find(
  search: Search,
  desc: Descriptor,
  above: readonly Descriptor[],
): Promise<FoundManifest | undefined> {
  const { seen } = search;
  if (isManifestType(desc.mediaType)) return { desc, manifest: await manifestOf(search, desc), above };
  if (!isIndexType(desc.mediaType)) {
    throw new HawserError('NotFound', `unexpected media type ${desc.mediaType} for ${desc.digest}`);
  }
  if (above.length >= MAX_DEPTH && !search.partial) throw tooDeep(desc);
  if (above.length >= MAX_DEPTH || seen.has(desc.digest)) return undefined;
  seen.add(desc.digest);
  const { manifests } = parseIndex(await search.read(desc, search.call), desc);
  const known = manifests.filter(isDocument);
  search.others.push(...manifests.filter((child) => !isDocument(child)));
  const declared = known.filter(({ platform }) => platform !== undefined);
  const path = [...above, desc];
  search.listed.push(...known.filter(isListedImage));
  for (const child of rank(declared.filter(isArtifactEntry), search.matcher)) {
    search.said.push({ desc: child, above: path });
  }
  const images = declared.filter((child) => !isArtifactEntry(child));
  const found = await findBelow(search, images, path);
  return found ?? (await findBelow(search, await completePlatforms(search, known), path));
}

async function findBelow(
  search: Search,
  children: readonly Descriptor[],
  above: readonly Descriptor[],
): Promise<FoundManifest | undefined> {
  for (const child of rank(children, search.matcher)) {
    const found = await find(search, child, above);
    if (found === undefined) continue;
    if (isImage(found.manifest)) return found;
    search.unsaid.push(found);
  }
  return undefined;
}

/** An artifact, where nothing is an image. */
async function findArtifact(search: Search): Promise<FoundManifest | undefined> {
  const { said, unsaid, listed } = search;
  if (said.length + unsaid.length === 0) return undefined;
  for (const desc of listed) if (await isOrMayBeImage(search, desc)) return undefined;
  const [first] = said;
  if (first === undefined) return unsaid[0];
  return { ...first, manifest: await manifestOf(search, first.desc) };
}

/** An entry that cannot be read, or is an index for another platform, is what its index says. */
async function isOrMayBeImage(search: Search, desc: Descriptor): Promise<boolean> {
  if (search.seen.has(desc.digest)) return false;
  if (!isManifestType(desc.mediaType)) return true;
  const manifest = await ifThere(search, manifestOf(search, desc));
  if (manifest === undefined || isImage(manifest)) return true;
  search.unsaid.push({ desc, manifest, above: [] });
  return false;
}

function isImage({ config }: Manifest): boolean {
  return mayBeImageConfig(config.mediaType);
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}

/**
 * The children without a platform, each with the platform of its config. Indexes stay without one; artifacts, images without one, and
 * what is not there are left out.
 */
async function completePlatforms(search: Search, children: readonly Descriptor[]): Promise<Descriptor[]> {
  const undeclared = children.filter((one) => one.platform === undefined);
  const completed = await allOrAbort(undeclared, search.call.signal, (child) => complete(search, child));
  for (const [at, one] of completed.entries()) {
    const child = undeclared[at];
    if (child === undefined || isIndexType(child.mediaType)) continue;
    if (one === 'artifact') search.untold.push(child);
    else search.listed.push(one === 'absent' ? child : one);
    search.hasAbsent ||= one === 'absent';
  }
  return completed.flatMap((one) =>
    typeof one === 'string' || (one.platform === undefined && isManifestType(one.mediaType)) ? [] : [one],
  );
}

async function complete(search: Search, child: Descriptor): Promise<Descriptor | 'artifact' | 'absent'> {
  if (!isManifestType(child.mediaType)) return child;
  const manifest = await ifThere(search, manifestOf(search, child));
  if (manifest === undefined) return 'absent';
  if (!isImage(manifest)) return 'artifact';
  const { config } = manifest;
  const bytes = await ifThere(search, search.read(config, search.call));
  return bytes === undefined ? 'absent' : { ...child, platform: parseConfig(bytes, config).platform };
}

async function ifThere<T>({ partial }: Search, work: Promise<T>): Promise<T | undefined> {
  return partial ? await ifFound(work) : await work;
}

async function manifestOf({ read, call }: Search, desc: Descriptor): Promise<Manifest> {
  return parseManifest(await read(desc, call), desc);
}

export async function readManifest(store: Provider, desc: Descriptor, call: Call): Promise<Manifest> {
  return parseManifest(await readDocument(store, desc, call), desc);
}

/** The bytes of a manifest, an index or a config. */
export async function readDocument(store: Provider, desc: Descriptor, call: Call): Promise<Uint8Array> {
  return await readBlob(store, desc, isDocument(desc) ? MAX_MANIFEST_BYTES : MAX_CONFIG_BYTES, call);
}

/** The platform that an image's config tells; undefined for an artifact. */
export async function platformOf(
  store: Provider,
  manifest: Manifest,
  call: Call,
): Promise<Platform | undefined> {
  const { config } = manifest;
  return isImage(manifest)
    ? parseConfig(await readDocument(store, config, call), config).platform
    : undefined;
}
