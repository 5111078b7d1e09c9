/** What the library asks registries, on every runtime: with parts that are at hand, answered as data. */
import { streamOf } from '../core/async/byte-stream.ts';
import { verifiedStream } from '../core/download/stream-blob.ts';
import type { Descriptor, Platform } from '../core/oci/descriptor.ts';
import type { Digest } from '../core/oci/digest.ts';
import {
  type ImageConfig,
  type Index,
  type Manifest,
  parseConfig,
  parseIndex,
  parseManifest,
} from '../core/oci/documents.ts';
import { isIndexType, isManifestType, isSchema1Type } from '../core/oci/media-types.ts';
import { parsePlatform } from '../core/platforms/parse.ts';
import type { Call } from '../core/ports/call.ts';
import type { Reference } from '../core/reference/reference.ts';
import { type AskedPlatform, askConfig, askManifest, readDocument } from '../core/verbs/ask.ts';
import type { RemoteDeps } from '../core/verbs/files.ts';
import { resolvePlatforms } from '../core/verbs/resolve-platforms.ts';
import { spelledStream } from './called.ts';

/** What a question is asked with. */
export interface Asking extends RemoteDeps {
  readonly reference: Reference;
  /** Taken of an index where the caller names none. */
  readonly hostPlatform: Platform;
}

/** A document of an image. */
export interface RawDocument {
  /** Its digest has held. */
  readonly descriptor: Descriptor;
  /** The document, byte for byte. */
  readonly bytes: Uint8Array;
}

/** An image's manifest. */
export interface ManifestDocument extends RawDocument, Manifest {
  /** Tells the documents apart. */
  readonly type: 'manifest';
}

/** A list of manifests, mostly one for each platform. */
export interface IndexDocument extends RawDocument, Index {
  /** Tells the documents apart. */
  readonly type: 'index';
}

/** A manifest of schema 1, which is not parsed. */
export interface OtherDocument extends RawDocument {
  /** Tells the documents apart. */
  readonly type: 'other';
}

/** What a reference can name. */
export type ImageDocument = ManifestDocument | IndexDocument | OtherDocument;

/** An image's config. */
export interface ConfigDocument extends RawDocument, ImageConfig {}

export async function descriptorOf(
  asking: Asking,
  platform: string | undefined,
  call: Call,
): Promise<Descriptor> {
  const { registry, reference } = asking;
  if (platform === undefined) return (await registry.resolve(reference, call)).root;
  const { manifests, root } = await resolvePlatforms(
    asking,
    reference,
    [asked(asking, platform).platform],
    call,
  );
  return manifests[0]?.desc ?? root;
}

export async function documentOf(
  asking: Asking,
  platform: string | undefined,
  call: Call,
): Promise<ImageDocument> {
  const wanted = platform === undefined ? undefined : asked(asking, platform).platform;
  const { desc: descriptor, bytes } = await askManifest(asking, asking.reference, wanted, call);
  const raw = { descriptor, bytes };
  if (isIndexType(descriptor.mediaType)) return { ...parseIndex(bytes, descriptor), ...raw, type: 'index' };
  if (isManifestType(descriptor.mediaType))
    return { ...parseManifest(bytes, descriptor), ...raw, type: 'manifest' };
  return { ...raw, type: 'other' };
}

export async function configOf(
  asking: Asking,
  platform: string | undefined,
  call: Call,
): Promise<ConfigDocument> {
  const { desc: descriptor, bytes } = await askConfig(
    asking,
    asking.reference,
    asked(asking, platform),
    call,
  );
  return { ...parseConfig(bytes, descriptor), descriptor, bytes };
}

/** The bytes of a blob or a manifest of the reference's repository; the stream ends with DataLoss where they are others. */
export async function blobOf(
  asking: Asking,
  digest: Digest,
  call: Call,
): Promise<ReadableStream<Uint8Array>> {
  const { registry, reference } = asking;
  const { desc, fetcher } = await registry.find(reference, digest, call);
  if (isSchema1Type(desc.mediaType))
    return streamOf((await readDocument(asking, reference, desc, call)).bytes);
  return spelledStream(verifiedStream({ ...asking, fetcher }, desc, call));
}

/** InvalidArgument for a text that names no platform. */
export function asked({ hostPlatform }: Asking, platform: string | undefined): AskedPlatform {
  return platform === undefined
    ? { platform: hostPlatform, named: false }
    : { platform: parsePlatform(platform, hostPlatform), named: true };
}
