/** Of an index that nobody vouches for, an entry that nobody vouches for comes in by no other way either: not as what refers to the image. */
import { ifFound } from '../errors.ts';
import { MAX_NODES } from '../images/dispatch.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { canBeDocument, childrenOf, MAX_MANIFEST_BYTES, parseManifest } from '../oci/documents.ts';
import {
  isDocumentType,
  isIndexType,
  isLayerType,
  isManifestType,
  isSchema1Type,
  mayBeImageConfig,
} from '../oci/media-types.ts';
import { attachmentKind } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { Acceptance } from '../trust/verdict.ts';
import { entriesOf } from './fetch.ts';

/** The verified bytes of a document, or of a blob no longer than one. NotFound. */
export type ReadDocument = (desc: Descriptor, call: Call) => Promise<Uint8Array>;

interface Judged {
  readonly target: Descriptor;
  readonly verified: readonly Acceptance[];
}

/**
 * Makes a check of what refers to the images: true for what is, or leads to, an image that nobody vouches for, or a part of one. Nothing
 * is refused where nobody was asked.
 */
export async function openStrangerCheck(
  read: ReadDocument,
  images: readonly Judged[],
  call: Call,
): Promise<(desc: Descriptor, call: Call) => Promise<boolean>> {
  const strangers = await strangersOf(read, images, call);
  const isGated = images.some(({ verified }) => verified.length > 0);
  return async (desc, call) =>
    (await leadsTo(strangers, read, desc, call)) || (isGated && (await holdsImage(read, desc, call)));
}

/** Digests that indexes of the images list, and that no acceptance of one of the images lets in. */
async function strangersOf(
  read: ReadDocument,
  images: readonly Judged[],
  call: Call,
): Promise<ReadonlySet<string>> {
  const strangers = new Set<string>();
  const vouched: Descriptor[] = [];
  for (const { target, verified } of images) {
    const entries = entriesOf(verified);
    const listed = entries === undefined ? [] : await below(read, [target], isIndexType, call);
    for (const { digest } of listed) strangers.add(digest);
    vouched.push(...(entries === undefined ? [target] : listed.filter(({ digest }) => entries.has(digest))));
  }
  if (strangers.size === 0) return strangers;
  for (const { digest } of [...vouched, ...(await below(read, vouched, isIndexType, call))])
    strangers.delete(digest);
  return strangers;
}

/** Whether a document is one of the strangers, or leads to one. */
async function leadsTo(
  strangers: ReadonlySet<string>,
  read: ReadDocument,
  desc: Descriptor,
  call: Call,
): Promise<boolean> {
  if (strangers.size === 0) return false;
  const all = [desc, ...(await below(read, [desc], isDocumentType, call))];
  return all.some(({ digest }) => strangers.has(digest));
}

/** Whether a document is an image, or leads to one: an index elsewhere may list the image, and then nobody asks who vouches. */
async function holdsImage(read: ReadDocument, desc: Descriptor, call: Call): Promise<boolean> {
  for (const one of [desc, ...(await below(read, [desc], isIndexType, call))]) {
    if (isIndexType(one.mediaType)) continue;
    const isImage = isManifestType(one.mediaType) ? isImageManifest : hidesDocument;
    if (isSchema1Type(one.mediaType) || (await isImage(read, one, call))) return true;
  }
  return false;
}

async function isImageManifest(read: ReadDocument, desc: Descriptor, call: Call): Promise<boolean> {
  const bytes = await ifFound(read(desc, call));
  if (bytes === undefined) return false;
  const manifest = parseManifest(bytes, desc);
  const { config, layers } = manifest;
  for (const part of [config, ...layers]) if (await hidesDocument(read, part, call)) return true;
  // Attachments of cosign have the config of an image.
  if (attachmentKind(manifest) !== undefined) return false;
  return mayBeImageConfig(config.mediaType) || layers.some(({ mediaType }) => isLayerType(mediaType));
}

/** Whether a blob of any name is a manifest or an index: an image elsewhere may be made whole by the blob. Longer ones are read by nobody. */
async function hidesDocument(read: ReadDocument, desc: Descriptor, call: Call): Promise<boolean> {
  const bytes = desc.size > MAX_MANIFEST_BYTES ? undefined : await ifFound(read(desc, call));
  return bytes !== undefined && canBeDocument(bytes);
}

/** What the documents list, and what is below that. Documents that are absent, and those after MAX_NODES, are not read: a walk brings no more. */
async function below(
  read: ReadDocument,
  roots: readonly Descriptor[],
  isRead: (mediaType: string) => boolean,
  call: Call,
): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  const seen = new Set<string>();
  for (const open = [...roots]; open.length > 0 && seen.size < MAX_NODES; ) {
    const desc = open.pop();
    // One digest may be listed by several types.
    const key = `${desc?.digest} ${desc?.mediaType}`;
    if (desc === undefined || seen.has(key) || !isRead(desc.mediaType)) continue;
    seen.add(key);
    const bytes = await ifFound(read(desc, call));
    const children = bytes === undefined ? [] : childrenOf(bytes, desc);
    found.push(...children);
    open.push(...children);
  }
  return found;
}
