/** Reads a document of signatures that is to be kept beside an image: whole, and nothing that is, or could serve as, a part of an image. */
import type { ContentStore } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { HawserError, ifFound } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import {
  canBeDocument,
  documentType,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseIndex,
  parseManifest,
} from '../oci/documents.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import { holdsSignatures } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import { MAX_BUNDLE, MAX_MANIFEST, MAX_SIGNATURES } from '../trust/candidates.ts';
import type { Evidence } from '../trust/evidence.ts';

/** A manifest that holds signatures of `subject`. */
export interface Found {
  readonly subject: Digest;
  readonly desc: Descriptor;
}

export interface SignatureDocument {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  /** The bytes of config and layers; undefined where the store has the blob. */
  readonly children: readonly { readonly desc: Descriptor; readonly bytes: Uint8Array | undefined }[];
}

export interface DocumentSource {
  readonly content: ContentStore;
  readonly evidence: Evidence;
  /** Digests that the image lists. */
  readonly listed: ReadonlySet<string>;
}

/** InvalidArgument for what is no document of signatures; ResourceExhausted, and the errors of the evidence. */
export async function readSignatures(
  { content, evidence, listed }: DocumentSource,
  { subject, desc }: Found,
  call: Call,
): Promise<SignatureDocument> {
  if (!isManifestType(desc.mediaType)) throw refused('it is no manifest');
  const bytes = await evidence.read(desc, MAX_MANIFEST, call);
  const manifest = parseManifest(bytes, desc);
  if (!holdsSignatures(manifest, subject)) throw refused('it is of another form than signatures are');
  const { config, layers } = manifest;
  if (layers.length > MAX_SIGNATURES)
    throw new HawserError(
      'ResourceExhausted',
      `there are ${layers.length} signatures, more than ${MAX_SIGNATURES}`,
    );
  if ([desc, config, ...layers].some(({ digest }) => listed.has(digest)))
    throw refused('the image lists it, or a part of it, as an image');
  const children: SignatureDocument['children'][number][] = [];
  for (const child of [config, ...layers]) {
    // What the store has may be a part of an image that nobody vouches for, and that nobody has collected yet.
    const stored = await ifFound(readBlob(content, child, MAX_BUNDLE, call), 'DataLoss');
    const read = stored === undefined ? await blobOf(evidence, child, call) : undefined;
    if (!isPlain(stored ?? read ?? new Uint8Array()))
      throw refused(`${child.digest} is no part of a signature`);
    children.push({ desc: child, bytes: read });
  }
  return { manifest, bytes, children };
}

/** What the indexes of an image list, as far as the store has them: none of it may come in but as a part of the image. */
export async function listedBy(
  content: Pick<ContentStore, 'info' | 'open'>,
  root: Descriptor,
  call: Call,
): Promise<ReadonlySet<string>> {
  const listed = new Set<string>();
  const open = isIndexType(root.mediaType) ? [root] : [];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if ((await ifFound(content.info(index.digest, call))) === undefined) continue;
    for (const child of parseIndex(await readBlob(content, index, MAX_MANIFEST_BYTES, call), index)
      .manifests) {
      if (isIndexType(child.mediaType) && !listed.has(child.digest)) open.push(child);
      listed.add(child.digest);
    }
  }
  return listed;
}

/** The empty config of artifacts needs no request. */
async function blobOf(evidence: Evidence, desc: Descriptor, call: Call): Promise<Uint8Array> {
  const { data, digest, size } = desc;
  if (digest === EMPTY_OBJECT && size === 2) return new TextEncoder().encode('{}');
  return data !== undefined && data.length === size ? data : await evidence.read(desc, MAX_BUNDLE, call);
}

/** image-spec manifest.md, "Guidance for an Empty Descriptor". */
const EMPTY_OBJECT = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';

/** What says nothing of its type when asked as a document, and is a JSON object: no layer is one, and no manifest or index passes. */
function isPlain(bytes: Uint8Array): boolean {
  return documentType(bytes, JSON_OBJECT) !== undefined && !canBeDocument(bytes);
}

/** Given back by `documentType` for a JSON object that has no type of its own. */
const JSON_OBJECT = 'application/x-object';

function refused(why: string): HawserError {
  return new HawserError('InvalidArgument', why);
}
