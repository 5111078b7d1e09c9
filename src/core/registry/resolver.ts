/** Reference to descriptor: what the registry says that a tag is (containerd's resolve, without trusting its types). */
import { toHex } from '../bytes.ts';
import { HawserError, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, makeDigest, parseDigest } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES, sniffMediaType } from '../oci/documents.ts';
import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  isSchema1Type,
  OCI_INDEX,
  OCI_MANIFEST,
  OCTET_STREAM,
} from '../oci/media-types.ts';
import { schema1Payload } from '../oci/schema1.ts';
import type { Call } from '../ports/call.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { isSuccess, lengthOf, typeOf } from './answer.ts';
import { discard, readCapped } from './body.ts';
import type { RemoteObject, RepositoryClient } from './client.ts';
import { decoded } from './encoding.ts';
import { describeObject } from './finder.ts';
import { safeUrl } from './redact.ts';
import { isDenied } from './status.ts';

const ACCEPT = { accept: [DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX, '*/*'].join(', ') };
/** Types that servers give when they do not know: the document is looked at instead. */
const UNUSABLE: ReadonlySet<string> = new Set([
  '',
  OCTET_STREAM,
  'application/json',
  'text/plain',
  'text/html',
]);

export interface Root {
  readonly descriptor: Descriptor;
  /** The document, when it had to be read. It has the descriptor's digest. */
  readonly bytes?: Uint8Array | undefined;
}

/**
 * HEAD `manifests/<tag or digest>`; with GET where the answer lacks what is needed. A digest that is no manifest is
 * looked for among the blobs. The digest of a tag is the server's word until the content is fetched by it.
 */
export async function resolveRoot(client: RepositoryClient, call: Call | undefined): Promise<Root> {
  const { digest, tag, name } = client.reference;
  const object = digest ?? tag;
  if (object === undefined) throw new HawserError('InvalidArgument', `${name}: a tag or a digest is needed`);
  return await client.overHosts('resolve', call, async (host) => {
    const root = await resolveManifest(client, { host, kind: 'manifests', object }, call);
    if (root !== undefined) return root;
    if (digest !== undefined) {
      const blob = await describeObject(client, { host, kind: 'blobs', object: digest }, ACCEPT, call);
      if (blob !== undefined) return { descriptor: { ...blob, digest } };
    }
    throw new HawserError('NotFound', `${name}: not found`, {
      hint: 'Check the tag; `latest` is taken when none is given, and not every repository has it',
      reason: { type: 'status', status: 404 },
    });
  });
}

async function resolveManifest(
  client: RepositoryClient,
  target: RemoteObject,
  call: Call | undefined,
): Promise<Root | undefined> {
  const response = await client.send('HEAD', target, ACCEPT, call);
  await discard(response.body);
  if (response.status === 404) return undefined;
  // What cannot be asked by HEAD, and why access is denied (an answer to HEAD has no body), GET tells.
  if (response.status === 405 || isDenied(response.status)) return await readManifest(client, target, call);
  if (!isSuccess(response)) throw await client.refusal('HEAD', response);
  const size = lengthOf(response);
  const mediaType = typeOf(response);
  const digest = client.reference.digest ?? digestHeader(response);
  checkSize(client, size);
  if (digest === undefined || size === undefined || size === 0 || UNUSABLE.has(mediaType)) {
    return await readManifest(client, target, call);
  }
  return { descriptor: { mediaType, digest, size } };
}

/** By its document; `undefined` for 404. */
async function readManifest(
  client: RepositoryClient,
  target: RemoteObject,
  call: Call | undefined,
): Promise<Root | undefined> {
  const response = await client.send('GET', target, ACCEPT, call);
  if (response.status === 404) {
    await discard(response.body);
    return undefined;
  }
  if (!isSuccess(response)) throw await client.refusal('GET', response);
  const bytes = await readCapped(await decoded(response, MAX_MANIFEST_BYTES), MAX_MANIFEST_BYTES);
  if (bytes === undefined) throw tooLarge(client, `more than ${MAX_MANIFEST_BYTES}`);
  const said = typeOf(response);
  const mediaType = UNUSABLE.has(said) ? (sniffMediaType(bytes) ?? '') : said;
  if (mediaType === '') {
    throw new HawserError(
      'InvalidArgument',
      `GET ${safeUrl(response.url)}: the answer (${said || 'without a media type'}) is neither a manifest nor an index`,
      { hint: 'Is this really a registry? A proxy or a login page may have answered' },
    );
  }
  const wanted = client.reference.digest;
  // What is signed within the document is its digest's subject.
  const subject = isSchema1Type(mediaType) ? schema1Payload(bytes, mediaType) : bytes;
  const digest = await subtleDigest(subject, wanted);
  if (wanted !== undefined && digest !== wanted) {
    throw new HawserError('DataLoss', `GET ${safeUrl(response.url)}: content is ${digest}, want ${wanted}`);
  }
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
}

function digestHeader(response: HttpResponse): Digest | undefined {
  const text = response.headers.get('docker-content-digest');
  if (text === null) return undefined;
  try {
    return parseDigest(text);
  } catch (err) {
    throw wrap(`HEAD ${safeUrl(response.url)}: Docker-Content-Digest`, err);
  }
}

function checkSize(client: RepositoryClient, size: number | undefined): void {
  if (size !== undefined && size > MAX_MANIFEST_BYTES) throw tooLarge(client, String(size));
}

function tooLarge(client: RepositoryClient, size: string): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `rejecting ${size} byte manifest for ${client.reference.name}`,
    {
      hint: `Manifests of at most ${MAX_MANIFEST_BYTES} bytes are read`,
    },
  );
}

const SUBTLE_NAMES = { sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' } as const;

/** By the algorithm of `like`, else sha256. */
async function subtleDigest(bytes: Uint8Array<ArrayBuffer>, like: Digest | undefined): Promise<Digest> {
  const algorithm = like === undefined ? 'sha256' : algorithmOf(like);
  const hash = new Uint8Array(await crypto.subtle.digest(SUBTLE_NAMES[algorithm], bytes));
  return makeDigest(algorithm, toHex(hash));
}
