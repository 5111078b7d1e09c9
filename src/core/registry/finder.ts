/** Finds content by nothing but its digest (containerd's FetchByDigest). */
import { HawserError, isKind, wrap } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { OCTET_STREAM } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { acceptOf } from './accept.ts';
import { contentLength, isSuccess, singleHeader, typeOf } from './answer.ts';
import { discard, readCapped } from './body.ts';
import type { RemoteObject, RepositoryClient } from './client.ts';
import { decoded } from './encoding.ts';
import { isAbsent, isRetryable } from './failures.ts';
import { fetchObject, keyOf } from './fetcher.ts';
import type { Host } from './hosts.ts';
import { safeUrl } from './redact.ts';
import type { FindRequest, FoundContent } from './registry.ts';

const KINDS = ['blobs', 'manifests'] as const;

/**
 * Asks every host for a blob of the digest, then, unless the failure may pass or `kind` says which, every host for a manifest. The bytes are asked of the
 * first that has the content, before the others. NotFound names the digest and the hosts.
 */
export async function findObject(
  client: RepositoryClient,
  digest: Digest,
  request: FindRequest,
): Promise<FoundContent> {
  const { mediaType = '' } = request;
  const kinds = request.kind === undefined ? KINDS : [request.kind];
  let failure: unknown;
  for (const kind of kinds) {
    const lacking = new Set<string>();
    const ask = async (host: Host): Promise<Descriptor> => {
      lacking.add(keyOf(host));
      const desc = await describeObject(
        client,
        { host, kind, object: digest },
        acceptOf(kind, mediaType),
        request,
      );
      if (desc === undefined) throw absent(host);
      lacking.delete(keyOf(host));
      return { ...desc, digest };
    };
    try {
      const desc = await client.overHosts('fetch', request, ask, { object: digest });
      const fetcher: FoundContent['fetcher'] = {
        fetch: async (wanted, { avoid = [], ...part } = {}) => {
          const asked = { ...part, kind, avoid: new Set([...lacking, ...avoid]) };
          return await fetchObject(client, { ...wanted, mediaType }, asked);
        },
      };
      return { desc, fetcher };
    } catch (err) {
      request.signal?.throwIfAborted();
      if (failure === undefined || isKind(failure, 'NotFound')) failure = err;
      if (isRetryable(err) && !isAbsent(err)) break;
    }
  }
  const { host, repository } = client.reference;
  throw wrap(`Cannot find ${digest} in ${host}/${repository}`, failure);
}

function absent({ base }: Host): HawserError {
  return new HawserError('NotFound', `not found at ${safeUrl(base)}`, {
    hint: 'Check the digest and the repository: a registry gives content only by a repository that it belongs to',
    reason: { type: 'status', status: 404 },
  });
}

/**
 * Type and size, by HEAD; by GET where HEAD is refused or does not tell the size: up to 8 MiB are counted, and more without a
 * length is Unavailable. Undefined for 404.
 */
export async function describeObject(
  client: RepositoryClient,
  target: RemoteObject,
  headers: Readonly<Record<string, string>>,
  call: Call | undefined,
): Promise<Omit<Descriptor, 'digest'> | undefined> {
  const head = await client.send('HEAD', target, headers, call);
  await discard(head.body);
  const size = contentLength(head) ?? 0;
  if (isSuccess(head) && size > 0) return { mediaType: contentType(head), size };
  if (head.status === 404) return undefined;
  if (isSuccess(head) || mayTellMore(head)) return await describeByGet(client, target, headers, call);
  throw await client.refusal('HEAD', head, target.host);
}

/**
 * Whether GET is worth a request after HEAD was refused: some registries refuse nothing but HEAD, and the reason of others stands in
 * the body of their answer to GET. Not where the registry wants fewer requests.
 */
export function mayTellMore(head: HttpResponse): boolean {
  return head.status !== 429 && singleHeader(head, 'retry-after') === undefined;
}

async function describeByGet(
  client: RepositoryClient,
  target: RemoteObject,
  headers: Readonly<Record<string, string>>,
  call: Call | undefined,
): Promise<Omit<Descriptor, 'digest'> | undefined> {
  const response = await client.send('GET', target, headers, call);
  const { status } = response;
  if (status !== 404 && !isSuccess(response)) throw await client.refusal('GET', response, target.host);
  const size = contentLength(response);
  if (status === 404 || size !== undefined) await discard(response.body);
  if (status === 404) return undefined;
  const mediaType = contentType(response);
  if (size !== undefined) return { mediaType, size };
  const bytes = await readCapped(await decoded(response, MAX_MANIFEST_BYTES), MAX_MANIFEST_BYTES);
  if (bytes !== undefined) return { mediaType, size: bytes.length };
  throw new HawserError('Unavailable', `GET ${safeUrl(response.url)}: the answer does not say the size`, {
    hint: 'A proxy before the registry may take the length away',
  });
}

function contentType(response: HttpResponse): string {
  return typeOf(response) || OCTET_STREAM;
}
