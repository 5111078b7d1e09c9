/** The forms in which signatures lie beside an image, as far as types and tags tell; what is signed is not looked at. */
import type { Descriptor } from './descriptor.ts';
import { algorithmOf, type Digest, hexOf, isDigest } from './digest.ts';
import { type Manifest, parseManifest } from './documents.ts';
import { isManifestType } from './media-types.ts';

/** A layer of cosign's old form: the payload; the signature is in the annotations. */
export const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const ENVELOPE = 'application/vnd.dsse.envelope.v1+json';

export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const BUNDLE_TYPES = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.3\+json|\+json;version=0\.[123])$/;
const NOTATION_TYPE = 'application/vnd.cncf.notary.signature';

/** Annotation of a bundle's manifest: what the bundle says. A hint, which nobody has signed. */
const PREDICATE = 'dev.sigstore.bundle.predicateType';
const SIGNATURE = 'https://sigstore.dev/cosign/sign/v1';

/** What is at a tag of cosign's: signatures (`.sig`) or attestations (`.att`). */
export type AttachmentKind = 'sig' | 'att';

const LAYERS: Readonly<Record<AttachmentKind, string>> = { sig: SIMPLE_SIGNING, att: ENVELOPE };
/** By which cosign calls the same content where it lies among the referrers. */
const ARTIFACT = /^application\/vnd\.dev\.cosign\.artifact\.(sig|att)\.v1\+json$/;

export function isBundleType(artifactType: string | undefined): boolean {
  return BUNDLE_TYPES.test(artifactType ?? '');
}

/** The tag by which cosign finds what is about a digest. */
export function attachmentTag(subject: Digest, kind: AttachmentKind): string {
  return `${algorithmOf(subject)}-${hexOf(subject)}.${kind}`;
}

/** What a tag of cosign's is for; undefined for other tags. */
export function parseAttachmentTag(
  tag: string,
): { readonly subject: Digest; readonly kind: AttachmentKind } | undefined {
  const [, algorithm = '', hex = '', kind] = /^([a-z0-9]+)-([0-9a-f]+)\.(sig|att)$/.exec(tag) ?? [];
  const subject = `${algorithm}:${hex}`;
  return kind === undefined || !isDigest(subject) ? undefined : { subject, kind: kind as AttachmentKind };
}

/** The artifact type that tells a reader of a list what such a manifest is. */
export function attachmentType(kind: AttachmentKind): string {
  return `application/vnd.dev.cosign.artifact.${kind}.v1+json`;
}

/** By the artifact type of a descriptor. */
export function kindOfType(artifactType: string | undefined): AttachmentKind | undefined {
  return ARTIFACT.exec(artifactType ?? '')?.[1] as AttachmentKind | undefined;
}

/** Undefined for what is no manifest of cosign's old form: one that names no subject, and whose layers are all payloads or all envelopes. */
export function attachmentKind({ layers, subject }: Manifest): AttachmentKind | undefined {
  if (subject !== undefined || layers.length === 0) return undefined;
  const kinds = ['sig', 'att'] as const;
  return kinds.find((kind) => layers.every(({ mediaType }) => mediaType === LAYERS[kind]));
}

/** As `attachmentKind`, of the bytes of a document. InvalidArgument for one that is not in order. */
export function attachmentIn(bytes: Uint8Array, desc: Descriptor): AttachmentKind | undefined {
  return isManifestType(desc.mediaType) ? attachmentKind(parseManifest(bytes, desc)) : undefined;
}

/**
 * Whether a manifest has a form in which signatures of `subject` lie beside it: cosign's old one, where the payloads name what they are
 * about, or one bundle. An image has neither, whatever it says that it is.
 */
export function holdsSignatures(manifest: Manifest, subject: Digest): boolean {
  if (attachmentKind(manifest) === 'sig') return true;
  const [layer, ...others] = manifest.layers;
  return manifest.subject?.digest === subject && isBundleType(layer?.mediaType) && others.length === 0;
}

/** What a bundle says that it is, as nobody has signed. Undefined: its descriptor does not say. */
export function saidOf({
  annotations = {},
}: Pick<Descriptor, 'annotations'>): 'signature' | 'attestation' | undefined {
  const predicate = annotations[PREDICATE];
  if (predicate === undefined) return undefined;
  return predicate === SIGNATURE ? 'signature' : 'attestation';
}

/** Whether a document that is about an image is a signature: what says more (an SBOM) may be large, and vouches for nothing. */
export function isSignature(desc: Descriptor): boolean {
  const { artifactType } = desc;
  if (isBundleType(artifactType)) return saidOf(desc) !== 'attestation';
  return artifactType === NOTATION_TYPE || kindOfType(artifactType) === 'sig';
}
