/** How a blob is called where people see it: as its ref is, but for what containerd's refs call unknown. */
import type { Descriptor } from '../oci/descriptor.ts';
import { isBlobListType, isSchema1Type } from '../oci/media-types.ts';
import { isBundleType, SIMPLE_SIGNING } from '../oci/signatures.ts';
import { refKeyAs, refKind } from './ref-key.ts';

/** By media types without parameters and `+json` and the like. The order counts. */
const KINDS: readonly (readonly [kind: string, types: RegExp])[] = [
  ['attestation', /^application\/vnd\.(?:in-toto|dsse\.envelope)\b/],
  ['signature', /^application\/(?:jose|cose|pkcs7-signature|pgp-signature|vnd\.cncf\.notary\.\S+)$/],
  ['sbom', /^(?:application|text)\/(?:spdx|vnd\.cyclonedx|vnd\.syft)\b/],
  // An empty config (image-spec manifest.md), and those of artifacts.
  ['config', /^application\/vnd\.(?:oci\.empty\.v1|\S+\.config\.\S+)$/],
];

/** `manifest`, `index`, `layer`, `config`, `attestation`, `bundle`, `signature`, `sbom`, or `blob` for any other type. */
export function blobKind(mediaType: string): string {
  const kind = refKind(mediaType);
  if (kind !== 'unknown') return kind;
  if (isSchema1Type(mediaType) || isBlobListType(mediaType)) return 'manifest';
  if (mediaType === SIMPLE_SIGNING) return 'signature';
  if (isBundleType(mediaType)) return 'bundle';
  const bare = mediaType.replace(/[+;].*$/, '');
  return KINDS.find(([, types]) => types.test(bare))?.[0] ?? 'blob';
}

/** The key of a blob in events and messages: `layer-sha256:...`. */
export function blobKey(desc: Descriptor): string {
  return refKeyAs(blobKind(desc.mediaType), desc);
}
