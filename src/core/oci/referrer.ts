import type { Descriptor } from './descriptor.ts';
import type { Digest } from './digest.ts';
import { parseIndex, parseManifest } from './documents.ts';
import { isIndexType, isManifestType } from './media-types.ts';

/** What a document that refers to another one (its subject) says of itself. */
interface Referring {
  readonly subject: Digest;
  /** Of an image without one: the type of its config (distribution-spec, Listing Referrers). */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Undefined for what refers to nothing, and for other media types. InvalidArgument for a document that is not in order. */
export function parseReferrer(bytes: Uint8Array, desc: Descriptor): Referring | undefined {
  const parsed = isManifestType(desc.mediaType)
    ? parseManifest(bytes, desc)
    : isIndexType(desc.mediaType)
      ? parseIndex(bytes, desc)
      : undefined;
  if (parsed?.subject === undefined) return undefined;
  const config = 'config' in parsed ? parsed.config.mediaType : undefined;
  const { subject, annotations } = parsed;
  return { subject: subject.digest, artifactType: parsed.artifactType ?? config, annotations };
}
