/** Reference to descriptor: the registry's word for a tag (containerd's resolve, without trusting types and sizes). */
import { toHex } from '../bytes.ts';
import { HawserError, isKind } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, makeDigest } from '../oci/digest.ts';
import { documentType, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { isIndexType, isManifestType, isSchema1Type } from '../oci/media-types.ts';
import { schema1Payload } from '../oci/schema1.ts';
import type { Call } from '../ports/call.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { acceptOf } from './accept.ts';
import { contentLength, digestOf, isSuccess, typeOf } from './answer.ts';
import { discard, readCapped } from './body.ts';
import type { RemoteObject, RepositoryClient } from './client.ts';
import { decoded } from './encoding.ts';
import { NOT_A_REGISTRY } from './error-words.ts';
import { describeObject, mayTellMore } from './finder.ts';
import { safeUrl } from './redact.ts';
import type { ResolveRequest } from './registry.ts';
import { notFound } from './status.ts';

const ACCEPT = acceptOf('manifests', '');

export interface Root {
  readonly descriptor: Descriptor;
  /** Where the host has it. */
  readonly kind: RemoteObject['kind'];
  /** The document, when it had to be read. It has the descriptor's digest. */
  readonly bytes?: Uint8Array | undefined;
}

interface ReadRoot extends Root {
  readonly bytes: Uint8Array;
}

/**
 * HEAD of `manifests/<tag or digest>`. Where HEAD is refused or incomplete, and with `read`, the document is read, and its own bytes
 * decide digest, size and type. A digest that is no manifest is looked for among the blobs.
 */
export async function resolveRoot(client: RepositoryClient, request: ResolveRequest): Promise<Root> {
  const { digest, tag, name } = client.reference;
  const object = digest ?? tag;
  if (object === undefined)
    throw new HawserError('InvalidArgument', `${name}: a tag or a digest is needed`, {
      hint: 'Write NAME:TAG or NAME@DIGEST; hawser tags NAME lists the tags',
    });
  return await client.overHosts('resolve', request, async (host) => {
    try {
      return await resolveManifest(client, { host, kind: 'manifests', object }, request);
    } catch (err) {
      if (digest === undefined || !isKind(err, 'NotFound')) throw err;
      const blob = await resolveBlob(client, { host, kind: 'blobs', object: digest }, digest, request);
      if (blob === undefined) throw err;
      return blob;
    }
  });
}

async function resolveManifest(
  client: RepositoryClient,
  target: RemoteObject,
  request: ResolveRequest,
): Promise<Root> {
  const head = await client.send('HEAD', target, ACCEPT, request);
  await discard(head.body);
  if (!isSuccess(head) && !mayTellMore(head)) throw await client.refusal('HEAD', head, target.host);
  const described = isSuccess(head) && request.read !== true ? describe(client, head) : undefined;
  if (described !== undefined) return { descriptor: described, kind: target.kind };
  return await readDocument(client, target, request);
}

/** By the answer to HEAD; undefined where that is incomplete. */
function describe(client: RepositoryClient, head: HttpResponse): Descriptor | undefined {
  const size = contentLength(head);
  checkSize(client, size);
  const digest = client.reference.digest ?? digestOf(head);
  const mediaType = typeOf(head);
  if (digest === undefined || !isDocumentType(mediaType)) return undefined;
  return size === undefined || size === 0 ? undefined : { mediaType, digest, size };
}

function isDocumentType(mediaType: string): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType) || isSchema1Type(mediaType);
}

/** Among the blobs: a manifest where its bytes are one, else content of no type. */
async function resolveBlob(
  client: RepositoryClient,
  target: RemoteObject,
  digest: Digest,
  request: ResolveRequest,
): Promise<Root | undefined> {
  const blob = await describeObject(client, target, ACCEPT, request);
  if (blob === undefined) return undefined;
  const asBlob: Root = { descriptor: { ...blob, digest }, kind: 'blobs' };
  if (blob.size > MAX_MANIFEST_BYTES) return asBlob;
  try {
    const root = await readDocument(client, target, request);
    return isDocumentType(root.descriptor.mediaType) ? root : asBlob;
  } catch (err) {
    if (isKind(err, 'InvalidArgument')) return asBlob;
    throw err;
  }
}

/** Reads a document; once more when the bytes were damaged on their way. */
async function readDocument(
  client: RepositoryClient,
  target: RemoteObject,
  call: Call,
  limit: number = MAX_MANIFEST_BYTES,
): Promise<ReadRoot> {
  try {
    return await readOnce(client, target, call, limit);
  } catch (err) {
    if (!isKind(err, 'DataLoss')) throw err;
    return await readOnce(client, target, call, limit);
  }
}

/**
 * The document under a tag, asked for by GET alone. NotFound: no host has one. ResourceExhausted above `limit` bytes.
 */
export async function readTagged(
  client: RepositoryClient,
  tag: string,
  limit: number,
  call: Call,
): Promise<{ readonly desc: Descriptor; readonly bytes: Uint8Array }> {
  const root = await client.overHosts('resolve', call, (host) =>
    readDocument(client, { host, kind: 'manifests', object: tag }, call, limit),
  );
  return { desc: root.descriptor, bytes: root.bytes };
}

/** Undefined: more than `limit` bytes, or so its head says: then none is read. */
async function documentOf(
  response: HttpResponse,
  limit: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if ((contentLength(response) ?? 0) <= limit) return await readCapped(await decoded(response, limit), limit);
  await response.body.cancel();
  return undefined;
}

/**
 * GET: size and type are those of the bytes, and the digest is that of the reference or of the header, where there is one: other bytes
 * are DataLoss. NotFound has the registry's words.
 */
async function readOnce(
  client: RepositoryClient,
  target: RemoteObject,
  call: Call,
  limit: number,
): Promise<ReadRoot> {
  const response = await client.send('GET', target, ACCEPT, call);
  if (response.status === 404) throw await notFound(client.reference, response);
  if (!isSuccess(response)) throw await client.refusal('GET', response, target.host);
  const bytes = await documentOf(response, limit);
  if (bytes === undefined) throw tooLarge(client, `more than ${limit}`, limit);
  const wanted = client.reference.digest ?? digestOf(response);
  const mediaType = documentType(bytes, typeOf(response));
  if (mediaType === undefined && typeOf(response) === 'text/html') throw noManifest(response);
  // The digest of a signed document is of the part that is signed.
  const isSigned = mediaType !== undefined && isSchema1Type(mediaType);
  const digest = await subtleDigest(isSigned ? schema1Payload(bytes, mediaType) : bytes, wanted);
  if (wanted !== undefined && digest !== wanted) {
    throw new HawserError('DataLoss', `GET ${safeUrl(response.url)}: content is ${digest}, want ${wanted}`, {
      hint: 'The registry, or something before it, changes the manifest on its way',
    });
  }
  if (mediaType === undefined) throw noManifest(response);
  return { descriptor: { mediaType, digest, size: bytes.length }, kind: target.kind, bytes };
}

function noManifest(response: HttpResponse): HawserError {
  const said = typeOf(response) || 'without a media type';
  return new HawserError(
    'InvalidArgument',
    `GET ${safeUrl(response.url)}: the answer (${said}) is neither a manifest nor an index`,
    { hint: NOT_A_REGISTRY },
  );
}

function checkSize(client: RepositoryClient, size: number | undefined): void {
  if (size !== undefined && size > MAX_MANIFEST_BYTES) throw tooLarge(client, String(size));
}

function tooLarge(client: RepositoryClient, size: string, limit: number = MAX_MANIFEST_BYTES): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `rejecting ${size} byte manifest for ${client.reference.name}`,
    { hint: `Manifests of at most ${limit} bytes are read` },
  );
}

const SUBTLE_NAMES = { sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' } as const;

/** By the algorithm of `like`, else sha256. */
export async function subtleDigest(
  bytes: Uint8Array<ArrayBuffer>,
  like: Digest | undefined,
): Promise<Digest> {
  const algorithm = like === undefined ? 'sha256' : algorithmOf(like);
  const hash = new Uint8Array(await crypto.subtle.digest(SUBTLE_NAMES[algorithm], bytes));
  return makeDigest(algorithm, toHex(hash));
}
