/** What the index.json of a layout lists: images, and what refers to them. */

import { HawserError, wrap } from '../errors.ts';
import { SUBJECT } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestBytes, isDigest } from '../oci/digest.ts';
import { parseIndex } from '../oci/documents.ts';
import { asObject, stringField } from '../oci/fields.ts';
import { parseJson } from '../oci/json.ts';
import { isIndexType, isManifestType, OCI_INDEX } from '../oci/media-types.ts';
import { parseAttachmentTag } from '../oci/signatures.ts';
import type { Hashers } from '../ports/hashers.ts';
import { IMAGE_NAME, REF_NAME } from './annotations.ts';
import { MAX_INDEX_JSON } from './directory-sink.ts';
import { type ArchivedImage, annotatedNames } from './import-names.ts';
import type { Referrer } from './referrers.ts';

const MAX_MARK = 4096;

type Read = (name: string, limit: number) => Promise<Uint8Array | undefined>;

/** What a layout has. */
export interface LayoutContent {
  readonly images: readonly ListedImage[];
  /** What refers to the images: they get no names. */
  readonly referrers: readonly Referrer[];
  /** Other things, which are no error in an index (image-spec image-layout.md). */
  readonly others: readonly Descriptor[];
  /** All of these, as index.json lists them. */
  readonly roots: readonly Descriptor[];
}

export interface ListedImage extends ArchivedImage {
  /** All that the layout calls the image by, be it a name or not. */
  readonly called: readonly string[];
}

/** `read`: a file of the layout; undefined when there is none. InvalidArgument for a layout of another version. */
export async function layoutContent(read: Read, hashers: Hashers): Promise<LayoutContent> {
  const images: ListedImage[] = [];
  const referrers: Referrer[] = [];
  const others: Descriptor[] = [];
  const roots = await ociRoots(read, hashers);
  const listed = new Set<string>(roots.map(({ digest }) => digest));
  for (const root of roots) {
    const { mediaType, digest, size, platform, annotations = {} } = root;
    const subject = annotations[SUBJECT] ?? attachedTo(root, listed);
    if (subject !== undefined) {
      if (isDigest(subject)) referrers.push({ desc: root, subject });
    } else if (isManifestType(mediaType) || isIndexType(mediaType)) {
      const called = [annotations[IMAGE_NAME], annotations[REF_NAME]].filter((one) => one !== undefined);
      images.push({ target: { mediaType, digest, size, platform }, names: annotatedNames(root), called });
    } else others.push(root);
  }
  return { images, referrers, others, roots };
}

/** Whose signatures an entry has by its name, which is cosign's tag (regctl). Undefined: those of nothing that is listed. */
function attachedTo({ annotations = {} }: Descriptor, listed: ReadonlySet<string>): string | undefined {
  const tag = (annotations[IMAGE_NAME] ?? annotations[REF_NAME] ?? '').split(':').at(-1) ?? '';
  const subject = parseAttachmentTag(tag)?.subject;
  return subject !== undefined && listed.has(subject) ? subject : undefined;
}

async function ociRoots(read: Read, hashers: Hashers): Promise<readonly Descriptor[]> {
  const mark = await read('oci-layout', MAX_MARK);
  if (mark !== undefined) checkVersion(mark);
  const bytes = await read('index.json', MAX_INDEX_JSON);
  if (bytes === undefined) throw new HawserError('InvalidArgument', 'the layout has no index.json');
  const desc = { mediaType: OCI_INDEX, digest: digestBytes(bytes, hashers), size: bytes.length };
  try {
    return parseIndex(bytes, desc).manifests;
  } catch (err) {
    throw wrap('index.json', err);
  }
}

function checkVersion(bytes: Uint8Array): void {
  const where = 'oci-layout:';
  const version =
    stringField(asObject(parseJson(bytes, 'oci-layout'), where), 'imageLayoutVersion', where) ?? '';
  if (/^1\.\d+\.\d+$/.test(version)) return;
  throw new HawserError(
    'InvalidArgument',
    `the layout is of version ${JSON.stringify(version)}, and hawser reads 1.0.0`,
  );
}
