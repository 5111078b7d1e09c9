import { HawserError } from '../errors.ts';
import type { Descriptor } from './descriptor.ts';
import { arrayField, asObject, at, defined, misfit, stringMapField, wordField } from './fields.ts';
import { type Json, type JsonObject, parseJson } from './json.ts';
import {
  DOCKER_CONFIG,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_UNSIGNED,
  isBlobListType,
  isIndexType,
  isManifestType,
  isSchema1Type,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-types.ts';
import { parseDescriptor } from './parse-descriptor.ts';

export {
  type HistoryEntry,
  type ImageConfig,
  MAX_CONFIG_BYTES,
  parseConfig,
  type RunConfig,
} from './config.ts';
export { parseDescriptor } from './parse-descriptor.ts';

/** Bytes. A larger manifest or index is refused. */
export const MAX_MANIFEST_BYTES: number = 8 * 1024 * 1024;
/** Most layers of a manifest, most entries of an index. */
export const MAX_CHILDREN = 10_000;

/** image-spec manifest.md, and Docker's manifest v2 schema 2. */
export interface Manifest {
  /** What the document says of itself. */
  readonly mediaType?: string | undefined;
  /** What an artifact is, that is no image. */
  readonly artifactType?: string | undefined;
  /** The config's blob. */
  readonly config: Descriptor;
  /** The layers' blobs, the lowest first. */
  readonly layers: readonly Descriptor[];
  /** The manifest that this one refers to, as a signature does. */
  readonly subject?: Descriptor | undefined;
  /** Without a prototype. Empty when there are none. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** image-spec image-index.md, and Docker's manifest list. */
export interface Index {
  /** What the document says of itself. */
  readonly mediaType?: string | undefined;
  /** What an artifact is, that is no image. */
  readonly artifactType?: string | undefined;
  /** Manifests, mostly with a platform, and other indexes. */
  readonly manifests: readonly Descriptor[];
  /** The manifest that this index refers to. */
  readonly subject?: Descriptor | undefined;
  /** Without a prototype. Empty when there are none. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** `bytes` are a verified blob, `desc` its descriptor. Refuses a document of another class (CVE-2021-41190). */
export function parseManifest(bytes: Uint8Array, desc: Descriptor): Manifest {
  const where = `manifest ${desc.digest}:`;
  const from = open(bytes, where);
  checkClass(from, desc, 'manifest', where);
  const config = parseDescriptor(from.config, at(where, 'config'));
  const layers = arrayField(from, 'layers', where, MAX_CHILDREN, parseDescriptor) ?? [];
  checkSizes([config, ...layers], where);
  return defined({ ...common(from, where), config, layers });
}

/** Like `parseManifest`. */
export function parseIndex(bytes: Uint8Array, desc: Descriptor): Index {
  const where = `index ${desc.digest}:`;
  const from = open(bytes, where);
  checkClass(from, desc, 'index', where);
  const manifests = arrayField(from, 'manifests', where, MAX_CHILDREN, parseDescriptor) ?? [];
  checkSizes(manifests, where);
  return defined({ ...common(from, where), manifests });
}

/** The descriptors in a document: a manifest's config and layers, an index's manifests, an artifact's blobs; none for other media types. */
export function childrenOf(bytes: Uint8Array, desc: Descriptor): readonly Descriptor[] {
  if (isManifestType(desc.mediaType)) {
    const { config, layers } = parseManifest(bytes, desc);
    return [config, ...layers];
  }
  if (isBlobListType(desc.mediaType)) return parseBlobList(bytes, desc);
  return isIndexType(desc.mediaType) ? parseIndex(bytes, desc).manifests : [];
}

function parseBlobList(bytes: Uint8Array, desc: Descriptor): readonly Descriptor[] {
  const where = `artifact ${desc.digest}:`;
  const blobs = arrayField(open(bytes, where), 'blobs', where, MAX_CHILDREN, parseDescriptor) ?? [];
  checkSizes(blobs, where);
  return blobs;
}

const MEDIA_TYPE = /^[a-z0-9][\w!#$&^.+-]{0,126}\/[a-z0-9][\w!#$&^.+-]{0,126}$/i;
/** Types that say no more than that the answer is a document. */
const GENERAL_TYPES: ReadonlySet<string> = new Set([
  ...['application/octet-stream', 'binary/octet-stream'],
  ...['application/json', 'text/json', 'text/plain', 'text/html'],
]);

/**
 * The media type of a document that a registry has at /manifests/, by its own word (`mediaType`), else by its members, else by the
 * header's word `said`, else by the type that a document of another kind gives itself. Undefined for bytes that are no JSON
 * object, or that nothing names.
 */
export function documentType(bytes: Uint8Array, said: string): string | undefined {
  let from: JsonObject;
  try {
    from = open(bytes, 'document:');
  } catch {
    return undefined;
  }
  const own = typeof from.mediaType === 'string' ? from.mediaType : '';
  if (isDocumentType(own)) return own;
  const byForm = typeByForm(from);
  if (byForm !== undefined) return byForm;
  if (isDocumentType(said)) return said;
  return [own, said].find((type) => MEDIA_TYPE.test(type) && !GENERAL_TYPES.has(type));
}

/** Whether the bytes are a manifest or an index for whoever reads them as one, whatever type they were listed with. */
export function canBeDocument(bytes: Uint8Array): boolean {
  const type = documentType(bytes, '');
  return type !== undefined && isDocumentType(type);
}

function isDocumentType(mediaType: string): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType) || isSchema1Type(mediaType);
}

function typeByForm(from: JsonObject): string | undefined {
  if ('fsLayers' in from) return 'signatures' in from ? DOCKER_SCHEMA1 : DOCKER_SCHEMA1_UNSIGNED;
  if ('manifests' in from) return OCI_INDEX;
  if (!('config' in from && 'layers' in from)) return undefined;
  const config = from.config as { mediaType?: Json } | null;
  return config?.mediaType === DOCKER_CONFIG ? DOCKER_MANIFEST : OCI_MANIFEST;
}

function open(bytes: Uint8Array, where: string): JsonObject {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw misfit(where, `it has ${bytes.length} bytes, more than ${MAX_MANIFEST_BYTES}`);
  }
  return asObject(parseJson(bytes, where.slice(0, -1)), where);
}

/**
 * Refuses a document that one tool would read as a manifest and another as an index. Compares members without case, as
 * Go's reader does. Wording as containerd's.
 */
function checkClass(from: JsonObject, desc: Descriptor, wanted: 'manifest' | 'index', where: string): void {
  const keys = new Set(Object.keys(from).map((key) => key.toLowerCase()));
  const said = wordField(from, 'mediaType', where) ?? '';
  if (keys.has('fslayers') || isSchema1Type(said)) {
    throw confused(desc, 'schema 1 not supported');
  }
  if (wanted === 'manifest' && (keys.has('manifests') || isIndexType(said))) {
    throw confused(desc, `expected manifest but found index (${desc.mediaType})`);
  }
  if (wanted === 'index' && (keys.has('config') || keys.has('layers') || isManifestType(said))) {
    throw confused(desc, `expected index but found manifest (${desc.mediaType})`);
  }
  const version = from.schemaVersion ?? 2;
  if (version !== 2) throw misfit(at(where, 'schemaVersion'), 'must be 2');
}

function confused(desc: Descriptor, why: string): HawserError {
  return new HawserError('InvalidArgument', `children: invalid desc ${desc.digest}: media-type: ${why}`, {
    hint: 'The document does not have the form that its media type promises; ask the publisher to build the image again',
  });
}

/** One digest has one size. It may have several media types, as the empty blob often has. */
function checkSizes(children: readonly Descriptor[], where: string): void {
  const sizes = new Map<string, number>();
  for (const child of children) {
    const size = sizes.get(child.digest);
    if (size !== undefined && size !== child.size) {
      throw misfit(where, `${child.digest} is listed with the sizes ${size} and ${child.size}`);
    }
    sizes.set(child.digest, child.size);
  }
}

function common(
  from: JsonObject,
  where: string,
): Pick<Manifest, 'mediaType' | 'artifactType' | 'subject' | 'annotations'> {
  const subject = from.subject ?? undefined;
  return {
    mediaType: wordField(from, 'mediaType', where),
    artifactType: wordField(from, 'artifactType', where),
    subject: subject === undefined ? undefined : parseDescriptor(subject, at(where, 'subject')),
    annotations: stringMapField(from, 'annotations', where) ?? Object.create(null),
  };
}
