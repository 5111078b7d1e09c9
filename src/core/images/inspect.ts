/** Facts of a recorded image, from the store alone: its manifest, size, platforms, completeness, chain ID. */
import type { InfoProvider, Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, ifFound, isKind } from '../errors.ts';
import { chainIds } from '../oci/chain-id.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import {
  childrenOf,
  type ImageConfig,
  MAX_CHILDREN,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseConfig,
  parseIndex,
  parseManifest,
} from '../oci/documents.ts';
import { isIndexType, isManifestType, mayBeImageConfig } from '../oci/media-types.ts';
import { formatPlatform } from '../platforms/format.ts';
import type { Matcher } from '../platforms/match.ts';
import { rank } from '../platforms/pick.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';

/** Deepest nesting of indexes that is read; real images have one level or two. */
const MAX_DEPTH = 8;

export interface FoundManifest {
  readonly desc: Descriptor;
  readonly manifest: Manifest;
  /** The indexes above it, the target first; empty when the target is the manifest. */
  readonly above: readonly Descriptor[];
}

/**
 * The manifest that `matcher` prefers, an artifact's only where there is no image; a target that is a manifest is the answer itself.
 * NotFound when no child matches, or when a document on the way is absent.
 */
export async function manifestFor(
  store: Provider,
  target: Descriptor,
  matcher: Matcher,
  call: Call = {},
): Promise<FoundManifest> {
  const found = await find({ store, matcher, call, seen: new Set() }, target, []);
  if (found) return found;
  const available = await imagePlatforms(store, target, call).catch(() => []);
  throw new HawserError('NotFound', `no match for platform in manifest ${target.digest}`, {
    hint:
      available.length > 0
        ? `The image has: ${available.join(', ')}. Choose with --platform`
        : 'The index lists no image for any platform',
  });
}

interface Search {
  readonly store: Provider;
  readonly matcher: Matcher;
  readonly call: Call;
  /** The indexes read so far; each is read once. */
  readonly seen: Set<string>;
}

async function find(
  search: Search,
  desc: Descriptor,
  above: readonly Descriptor[],
): Promise<FoundManifest | undefined> {
  const { store, call, seen } = search;
  if (isManifestType(desc.mediaType)) {
    return { desc, manifest: parseManifest(await readDocument(store, desc, call), desc), above };
  }
  if (!isIndexType(desc.mediaType)) {
    throw new HawserError('NotFound', `unexpected media type ${desc.mediaType} for ${desc.digest}`);
  }
  if (above.length >= MAX_DEPTH || seen.has(desc.digest)) return undefined;
  seen.add(desc.digest);
  const { manifests } = parseIndex(await readDocument(store, desc, call), desc);
  const known = manifests.filter(({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType));
  const withPlatform = known.filter(({ platform }) => platform !== undefined);
  const declared = await findBelow(search, withPlatform, [...above, desc]);
  if (declared !== undefined && isImage(declared)) return declared;
  const undeclared = await findBelow(search, await completePlatforms(search, known), [...above, desc]);
  return undeclared ?? declared;
}

async function findBelow(
  search: Search,
  children: readonly Descriptor[],
  above: readonly Descriptor[],
): Promise<FoundManifest | undefined> {
  let artifact: FoundManifest | undefined;
  for (const child of rank(children, search.matcher)) {
    const found = await find(search, child, above);
    if (found !== undefined && isImage(found)) return found;
    artifact ??= found;
  }
  return artifact;
}

function isImage({ manifest }: FoundManifest): boolean {
  return mayBeImageConfig(manifest.config.mediaType);
}

/**
 * The children without a platform, each with the platform of its config. Indexes stay without one; images without one, or
 * that are not in the store, are left out.
 */
async function completePlatforms(
  { store, call }: Search,
  children: readonly Descriptor[],
): Promise<Descriptor[]> {
  const completed: Descriptor[] = [];
  for (const child of children.filter((one) => one.platform === undefined)) {
    if (!isManifestType(child.mediaType)) completed.push(child);
    else {
      const platform = await ifFound(platformOfManifest(store, child, call));
      if (platform !== undefined) completed.push({ ...child, platform });
    }
  }
  return completed;
}

async function platformOfManifest(
  store: Provider,
  desc: Descriptor,
  call: Call,
): Promise<Platform | undefined> {
  const { config } = parseManifest(await readDocument(store, desc, call), desc);
  return await platformOfConfig(store, config, call);
}

async function readDocument(store: Provider, desc: Descriptor, call: Call): Promise<Uint8Array> {
  return await readBlob(store, desc, MAX_MANIFEST_BYTES, call);
}

/** An image's config. FailedPrecondition when the manifest is an artifact's. */
export async function configOf(store: Provider, manifest: Manifest, call: Call = {}): Promise<ImageConfig> {
  const { config } = manifest;
  if (!mayBeImageConfig(config.mediaType)) {
    throw new HawserError(
      'FailedPrecondition',
      `${config.digest} is no image config but ${config.mediaType}: this is an artifact, not an image`,
      { hint: 'It has nothing to unpack. hawser content get DIGEST writes a blob of it' },
    );
  }
  return parseConfig(await readBlob(store, config, MAX_CONFIG_BYTES, call), config);
}

async function platformOfConfig(
  store: Provider,
  config: Descriptor,
  call: Call,
): Promise<Platform | undefined> {
  if (!mayBeImageConfig(config.mediaType)) return undefined;
  return parseConfig(await readBlob(store, config, MAX_CONFIG_BYTES, call), config).platform;
}

/** Bytes of the documents and compressed layers of the preferred manifest. `missing`: the error that ended the count early. */
export async function imageSize(
  store: Provider,
  target: Descriptor,
  matcher: Matcher,
  call: Call = {},
): Promise<{ readonly size: number; readonly missing: unknown }> {
  try {
    const { desc, manifest, above } = await manifestFor(store, target, matcher, call);
    const parts = [...above, desc, manifest.config, ...manifest.layers];
    return { size: parts.reduce((sum, part) => sum + part.size, 0), missing: undefined };
  } catch (err) {
    if (isKind(err, 'Canceled', 'DeadlineExceeded')) throw err;
    return { size: target.size, missing: err };
  }
}

/** The platforms of an image, from its index or else its configs: formatted, sorted, each once, without `unknown`. */
export async function imagePlatforms(
  store: Provider,
  target: Descriptor,
  call: Call = {},
): Promise<string[]> {
  const found: Platform[] = [];
  const seen = new Set<string>();
  const collect = async (desc: Descriptor): Promise<void> => {
    if (desc.platform !== undefined) {
      found.push(desc.platform);
      return;
    }
    if (seen.has(desc.digest) || seen.size > MAX_CHILDREN) return;
    seen.add(desc.digest);
    if (isManifestType(desc.mediaType)) {
      const platform = await platformOfManifest(store, desc, call);
      if (platform) found.push(platform);
    } else if (isIndexType(desc.mediaType)) {
      const index = parseIndex(await readDocument(store, desc, call), desc);
      for (const child of index.manifests) await collect(child);
    }
  };
  await collect(target);
  const real = found.filter((p) => p.os !== 'unknown' && p.architecture !== 'unknown');
  return [...new Set(real.map(formatPlatform))].sort();
}

/** The config and layers that a platform needs, and those present. `available`: the manifest is present, so the needs are known. */
export interface ImageStatus {
  readonly available: boolean;
  readonly required: readonly Descriptor[];
  readonly present: readonly Descriptor[];
}

export function isComplete(status: ImageStatus | undefined): boolean {
  return status !== undefined && status.present.length === status.required.length;
}

/** containerd's images.Check. */
export async function imageStatus(
  store: Provider & InfoProvider,
  target: Descriptor,
  matcher: Matcher,
  call: Call = {},
): Promise<ImageStatus> {
  const found = await ifFound(manifestFor(store, target, matcher, call));
  if (found === undefined) return { available: false, required: [target], present: [] };
  const { manifest } = found;
  const required = [manifest.config, ...manifest.layers];
  const present: Descriptor[] = [];
  for (const desc of required) if (await isPresent(store, desc.digest, call)) present.push(desc);
  return { available: true, required, present };
}

export async function isPresent(store: InfoProvider, digest: Digest, call: Call = {}): Promise<boolean> {
  return (await ifFound(store.info(digest, call))) !== undefined;
}

/** The chain ID of the preferred manifest, which names its snapshot; '' for an image without layers. */
export async function chainIdOf(
  deps: { readonly store: Provider; readonly hashers: Hashers },
  target: Descriptor,
  matcher: Matcher,
  call: Call = {},
): Promise<Digest | ''> {
  const { manifest } = await manifestFor(deps.store, target, matcher, call);
  const config = await configOf(deps.store, manifest, call);
  return chainIds(config.diffIds, deps.hashers).at(-1) ?? '';
}

/** A descriptor and the nodes below it. `bytes`: of a document that is present, else undefined. */
export interface ImageNode {
  readonly desc: Descriptor;
  readonly present: boolean;
  readonly bytes: Uint8Array | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly children: readonly ImageNode[];
}

/** The whole tree, with the absent nodes. Never reads the bytes of layers. Stops at a depth that no real image has. */
export async function imageTree(
  store: Provider & InfoProvider,
  target: Descriptor,
  call: Call = {},
): Promise<ImageNode> {
  let nodes = 0;
  const visit = async (desc: Descriptor, depth: number): Promise<ImageNode> => {
    if (++nodes > 2 * MAX_CHILDREN) {
      throw new HawserError(
        'ResourceExhausted',
        `Cannot show ${target.digest}: it has more than ${nodes - 1} parts`,
      );
    }
    if (!(await isPresent(store, desc.digest, call))) {
      return { desc, present: false, bytes: undefined, labels: {}, children: [] };
    }
    const { labels } = await store.info(desc.digest, call);
    const bytes = isDocument(desc) ? await readBlob(store, desc, MAX_CONFIG_BYTES, call) : undefined;
    const children: ImageNode[] = [];
    if (bytes !== undefined && depth < MAX_DEPTH) {
      for (const child of childrenOf(bytes, desc)) children.push(await visit(child, depth + 1));
    }
    return { desc, present: true, bytes, labels, children };
  };
  return await visit(target, 0);
}

function isDocument(desc: Descriptor): boolean {
  return desc.mediaType.endsWith('json') && desc.size <= MAX_CONFIG_BYTES;
}
