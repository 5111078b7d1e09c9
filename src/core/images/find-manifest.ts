/** Finds the manifest of a platform in a store, by the rule of a fetch (select.ts, verbs/manifest-choice.ts). */
import type { Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, ifFound } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import {
  type ImageConfig,
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
import { availableHint, isArtifactEntry, isListedImage, platformNames } from './select.ts';

/** Deepest nesting of indexes that is read; real images have one level or two. */
export const MAX_DEPTH = 8;

export interface FoundManifest {
  readonly desc: Descriptor;
  readonly manifest: Manifest;
  /** The indexes above it, the target first; empty when the target is the manifest. */
  readonly above: readonly Descriptor[];
}

/**
 * The manifest that `matcher` prefers, an artifact's only where there is no image for any platform, as in a fetch; a target that is a
 * manifest is the answer itself. NotFound when no child matches, or when a document on the way is absent.
 */
export async function manifestFor(
  store: Provider,
  target: Descriptor,
  matcher: Matcher,
  call: Call = {},
): Promise<FoundManifest> {
  const search: Search = {
    store,
    matcher,
    call,
    seen: new Set(),
    listed: [],
    said: [],
    unsaid: [],
    hasAbsent: false,
  };
  const found = (await find(search, target, [])) ?? (await findArtifact(search));
  if (found) return found;
  throw new HawserError('NotFound', `no match for platform in manifest ${target.digest}`, {
    hint: hintOf(search),
  });
}

function hintOf({ listed, unsaid, seen, hasAbsent }: Search): string {
  const artifacts = new Set(unsaid.map(({ desc }) => desc.digest));
  const names = platformNames(listed.filter(({ digest }) => !artifacts.has(digest) && !seen.has(digest)));
  if (names.length > 0 || !hasAbsent) return availableHint(names);
  return 'Not all images that the index lists are in the store: pull the one for this platform';
}

interface Search {
  readonly store: Provider;
  readonly matcher: Matcher;
  readonly call: Call;
  /** The indexes read so far; each is read once. */
  readonly seen: Set<string>;
  /** What the indexes list as images, for whatever platform, and what manifests without a platform show to be one. */
  readonly listed: Descriptor[];
  /** Matching artifacts, the best first: those that their entries call so, and those that turned out to be one. */
  readonly said: Pick<FoundManifest, 'desc' | 'above'>[];
  readonly unsaid: FoundManifest[];
  /** A manifest without a platform, or its config, is not in the store. */
  hasAbsent: boolean;
}

/** The target, or an image below it. */
async function find(
  search: Search,
  desc: Descriptor,
  above: readonly Descriptor[],
): Promise<FoundManifest | undefined> {
  const { store, call, seen } = search;
  if (isManifestType(desc.mediaType)) {
    return { desc, manifest: await readManifest(store, desc, call), above };
  }
  if (!isIndexType(desc.mediaType)) {
    throw new HawserError('NotFound', `unexpected media type ${desc.mediaType} for ${desc.digest}`);
  }
  if (above.length >= MAX_DEPTH || seen.has(desc.digest)) return undefined;
  seen.add(desc.digest);
  const { manifests } = parseIndex(await readDocument(store, desc, call), desc);
  const known = manifests.filter(({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType));
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

/** An artifact, where the indexes list no image. */
async function findArtifact(search: Search): Promise<FoundManifest | undefined> {
  const { store, call, said, unsaid } = search;
  if (said.length + unsaid.length === 0) return undefined;
  for (const desc of search.listed) if (await countsAsImage(search, desc)) return undefined;
  const [first] = said;
  if (first === undefined) return unsaid[0];
  return { ...first, manifest: await readManifest(store, first.desc, call) };
}

/** An entry that the search did not read is what the index says; a fetch that met an artifact not called so has read them all. */
async function countsAsImage({ store, call, seen, unsaid }: Search, desc: Descriptor): Promise<boolean> {
  if (seen.has(desc.digest)) return false;
  const manifest = isManifestType(desc.mediaType)
    ? await ifFound(readManifest(store, desc, call))
    : undefined;
  return manifest === undefined ? unsaid.length === 0 : isImage(manifest);
}

function isImage({ config }: Manifest): boolean {
  return mayBeImageConfig(config.mediaType);
}

/**
 * The children without a platform, each with the platform of its config. Indexes stay without one; artifacts, images without one, and
 * what is not in the store are left out.
 */
async function completePlatforms(search: Search, children: readonly Descriptor[]): Promise<Descriptor[]> {
  const { store, call, listed } = search;
  const completed: Descriptor[] = [];
  for (const child of children.filter((one) => one.platform === undefined)) {
    if (!isManifestType(child.mediaType)) {
      completed.push(child);
      continue;
    }
    const manifest = await ifFound(readManifest(store, child, call));
    if (manifest !== undefined && !isImage(manifest)) continue;
    const config = manifest && (await ifFound(configPlatform(store, manifest, call)));
    search.hasAbsent ||= config === undefined;
    const platform = config?.platform;
    listed.push({ ...child, platform });
    if (platform !== undefined) completed.push({ ...child, platform });
  }
  return completed;
}

export async function readManifest(store: Provider, desc: Descriptor, call: Call): Promise<Manifest> {
  return parseManifest(await readDocument(store, desc, call), desc);
}

/** The bytes of a manifest or an index. */
export async function readDocument(store: Provider, desc: Descriptor, call: Call): Promise<Uint8Array> {
  return await readBlob(store, desc, MAX_MANIFEST_BYTES, call);
}

/** What the config of an image tells of its platform. */
async function configPlatform(
  store: Provider,
  { config }: Manifest,
  call: Call,
): Promise<Pick<ImageConfig, 'platform'>> {
  return parseConfig(await readBlob(store, config, MAX_CONFIG_BYTES, call), config);
}

/** The platform that an image's config tells; undefined for an artifact. */
export async function platformOf(
  store: Provider,
  manifest: Manifest,
  call: Call,
): Promise<Platform | undefined> {
  return isImage(manifest) ? (await configPlatform(store, manifest, call)).platform : undefined;
}
