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
  type Manifest,
  parseConfig,
  parseIndex,
} from '../oci/documents.ts';
import { isIndexType, isManifestType, mayBeImageConfig } from '../oci/media-types.ts';
import { formatPlatform } from '../platforms/format.ts';
import type { Matcher } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import { MAX_DEPTH } from './dispatch.ts';
import { manifestFor, platformOf, readDocument, readManifest } from './find-manifest.ts';

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
      const platform = await platformOf(store, await readManifest(store, desc, call), call);
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
