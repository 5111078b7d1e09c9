/** What is known about a recorded image from the store alone: its manifest, size, platforms, completeness, chain ID. */

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

/** Indexes in indexes: real images have one level or two. */
const MAX_DEPTH = 8;

export interface FoundManifest {
  readonly desc: Descriptor;
  readonly manifest: Manifest;
  /** The indexes above it, the target first; empty when the target is the manifest. */
  readonly above: readonly Descriptor[];
}

/**
 * The manifest that `matcher` prefers (containerd's images.Manifest). A target that is itself a manifest is taken as it
 * is. NotFound when no child matches, or when a document on the way is absent.
 */
export async function manifestFor(
  store: Provider,
  target: Descriptor,
  matcher: Matcher,
  call: Call = {},
): Promise<FoundManifest> {
  const found = await find({ store, matcher, call, seen: new Set() }, target, []);
  if (found) return found;
  throw new HawserError('NotFound', `no match for platform in manifest ${target.digest}`, {
    hint: 'Pull the image for this platform (--platform), or for all of them (--all-platforms)',
  });
}

interface Search {
  readonly store: Provider;
  readonly matcher: Matcher;
  readonly call: Call;
  /** Indexes read: one that lists another many times is read once. */
  readonly seen: Set<string>;
}

async function find(
  search: Search,
  desc: Descriptor,
  above: readonly Descriptor[],
): Promise<FoundManifest | undefined> {
  const { store, matcher, call, seen } = search;
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
  for (const told of [true, false]) {
    const candidates = known.filter(({ platform }) => (platform !== undefined) === told);
    for (const child of rank(told ? candidates : await tellPlatforms(search, candidates), matcher)) {
      const found = await find(search, child, [...above, desc]);
      if (found) return found;
    }
  }
  return undefined;
}

/** With the platforms of their configs. Indexes have none; images without one, or that are not here, are left out. */
async function tellPlatforms(
  { store, call }: Search,
  candidates: readonly Descriptor[],
): Promise<Descriptor[]> {
  const told: Descriptor[] = [];
  for (const child of candidates) {
    if (!isManifestType(child.mediaType)) {
      told.push(child);
      continue;
    }
    try {
      const { config } = parseManifest(await readDocument(store, child, call), child);
      const platform = await platformOfConfig(store, config, call);
      if (platform !== undefined) told.push({ ...child, platform });
    } catch (err) {
      if (!isKind(err, 'NotFound')) throw err;
    }
  }
  return told;
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

/** Bytes of the documents and (compressed) layers from the target to the preferred manifest's; `missing` when it ends early. */
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

/** The platforms an image has, from its index or else its configs, formatted, sorted, each once; `unknown` ones left out. */
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
      const manifest = parseManifest(await readDocument(store, desc, call), desc);
      const platform = await platformOfConfig(store, manifest.config, call);
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

/** How much of what a platform needs (config and layers) is here. `available`: its manifest is, so the needs are known. */
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

/** The chain ID of the preferred manifest's root file system: the snapshot's name when it is unpacked. '' without layers. */
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

/** A descriptor with what is below it. `bytes` are the document's, undefined when absent or not a document. */
export interface ImageNode {
  readonly desc: Descriptor;
  readonly present: boolean;
  readonly bytes: Uint8Array | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly children: readonly ImageNode[];
}

/** The whole tree, what is absent included. Layers' bytes are never read. Deeper than any real image: cut off. */
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
