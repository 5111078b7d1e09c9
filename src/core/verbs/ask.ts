/** Documents of an image straight from the registry; nothing is stored. */

import { fetchSchema1 } from '../download/schema1-manifest.ts';
import { readVerified } from '../download/stream-blob.ts';
import { HawserError, wrap } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../oci/documents.ts';
import { isIndexType, isSchema1Type, OCTET_STREAM } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import { type ResolveDeps, resolvePlatforms } from './resolve-platforms.ts';

/** A document, its bytes verified. */
export interface RemoteDocument {
  readonly desc: Descriptor;
  readonly bytes: Uint8Array;
}

/**
 * The manifest of a platform, as a pull would take it; without one the manifest or index that the reference names. A manifest of schema
 * 1 comes without its signature, as its digest is of that form. InvalidArgument for the digest of a blob.
 */
export async function askManifest(
  deps: ResolveDeps,
  reference: Reference,
  platform: Platform | undefined,
  call: Call,
): Promise<RemoteDocument> {
  if (platform !== undefined) {
    const { manifests } = await resolvePlatforms(deps, reference, [platform], call);
    const [found] = manifests;
    if (found !== undefined) return await readDocument(deps, reference, found.desc, call);
  }
  const { root } = await deps.registry.resolve(reference, { ...call, read: true });
  if (root.mediaType === OCTET_STREAM) {
    throw new HawserError('InvalidArgument', `${reference.name} is a blob, and no manifest`, {
      hint: `hawser content fetch-blob ${reference.host}/${reference.repository} ${root.digest} writes it`,
    });
  }
  return await readDocument(deps, reference, root, call);
}

/** Which image is asked for. */
export interface AskedPlatform {
  /** The one to take of an index. */
  readonly platform: Platform;
  /** Whether an image that is no index has to be for the platform, too. */
  readonly named: boolean;
}

/** The config of an image. */
export async function askConfig(
  deps: ResolveDeps,
  reference: Reference,
  asked: AskedPlatform,
  call: Call,
): Promise<RemoteDocument> {
  const { config } = await askImage(deps, reference, asked, call);
  return await readDocument(deps, reference, config, call);
}

/** The manifest of an image and what the manifest says. NotImplemented for schema 1. */
export async function askImage(
  deps: ResolveDeps,
  reference: Reference,
  { platform, named }: AskedPlatform,
  call: Call,
): Promise<Manifest & { readonly desc: Descriptor }> {
  const root = await askManifest(deps, reference, named ? platform : undefined, call);
  const isIndex = isIndexType(root.desc.mediaType);
  const { desc, bytes } = isIndex ? await askManifest(deps, reference, platform, call) : root;
  if (isSchema1Type(desc.mediaType)) {
    throw new HawserError('NotImplemented', `${reference.name} has no config: its manifest is of schema 1`, {
      hint: 'A pull makes a config from the manifest',
    });
  }
  return { ...parseManifest(bytes, desc), desc };
}

/** ResourceExhausted for more than a document may have. */
export async function readDocument(
  deps: ResolveDeps,
  reference: Reference,
  desc: Descriptor,
  call: Call,
): Promise<RemoteDocument> {
  const { digest, size } = desc;
  if (size > MAX_MANIFEST_BYTES) {
    throw new HawserError(
      'ResourceExhausted',
      `Cannot read ${digest}: ${size} bytes, more than the ${MAX_MANIFEST_BYTES} allowed`,
      { hint: 'An honest document has far less: ask its publisher' },
    );
  }
  const source = { ...deps, fetcher: deps.registry.fetcher(reference) };
  try {
    if (isSchema1Type(desc.mediaType)) return { desc, bytes: await fetchSchema1(source, desc, call) };
    const bytes = new Uint8Array(size);
    let filled = 0;
    const take = async (chunk: Uint8Array): Promise<void> => {
      bytes.set(chunk, filled);
      filled += chunk.length;
    };
    await readVerified(source, desc, take, call);
    return { desc, bytes };
  } catch (err) {
    throw wrap(`Cannot fetch ${digest}`, err);
  }
}
