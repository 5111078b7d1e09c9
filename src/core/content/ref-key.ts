import type { Descriptor } from '../oci/descriptor.ts';
import { isConfigType, isIndexType, isLayerType, isManifestType } from '../oci/media-types.ts';

export type RefKind = 'manifest' | 'index' | 'layer' | 'config' | 'attestation' | 'unknown';

const REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * The ref under which a blob is ingested (containerd's remotes.MakeRefKey): `<prefix>-<digest>`, or
 * `<prefix>-<ref.name annotation>@<digest>`. Two media types of one digest give two refs.
 */
export function refKey(desc: Descriptor): string {
  return refKeyAs(refKind(desc.mediaType), desc);
}

/** With another kind for a prefix. */
export function refKeyAs(kind: string, desc: Descriptor): string {
  const name = desc.annotations?.[REF_NAME];
  return `${kind}-${name === undefined || name === '' ? desc.digest : `${name}@${desc.digest}`}`;
}

/** What a descriptor of this media type names. */
export function refKind(mediaType: string): RefKind {
  if (isManifestType(mediaType)) return 'manifest';
  if (isIndexType(mediaType)) return 'index';
  if (isLayerType(mediaType)) return 'layer';
  if (isConfigType(mediaType)) return 'config';
  if (mediaType === 'application/vnd.in-toto+json') return 'attestation';
  return 'unknown';
}
