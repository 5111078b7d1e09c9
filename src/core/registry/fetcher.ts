/** The bytes of a descriptor. They are not verified here; the ingest does that. */
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isIndexType, isManifestType, isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { bodyOf, discard } from './body.ts';
import type { RepositoryClient, Target } from './client.ts';
import { parseContentRange } from './content-range.ts';
import { checkIdentity } from './encoding.ts';
import type { Host } from './hosts.ts';
import { printable, safeUrl } from './redact.ts';
import type { Fetched } from './roles.ts';

/**
 * GET of the manifest or blob, from `offset` by Range. A server that ignores the range gives the whole (offset 0); one
 * that answers it wrongly, or refuses it, is asked once more without. `urls` of a descriptor are not followed: they are
 * whatever the image's author wrote.
 */
export async function fetchObject(
  client: RepositoryClient,
  desc: Descriptor,
  offset: number,
  call: Call | undefined,
): Promise<Fetched> {
  if (offset < 0 || offset > desc.size) {
    throw new HawserError(
      'OutOfRange',
      `Cannot fetch ${desc.digest} from ${offset}: it has ${desc.size} bytes`,
    );
  }
  if (offset === desc.size) return { body: bodyOf(new Uint8Array()), offset };
  const ask = async (host: Host): Promise<Fetched> => {
    if (offset > 0) {
      const part = await fetchPart(client, host, desc, offset, call);
      if (part !== undefined) return part;
    }
    return await fetchWhole(client, host, desc, call);
  };
  return await client.overHosts('fetch', call, ask, { object: desc.digest });
}

function targetOf(desc: Descriptor, host: Host): Target {
  const { mediaType, digest } = desc;
  const isDocument = isManifestType(mediaType) || isIndexType(mediaType) || isSchema1Type(mediaType);
  return { host, kind: isDocument ? 'manifests' : 'blobs', object: digest };
}

function acceptOf(desc: Descriptor): { accept: string } {
  return { accept: desc.mediaType === '' ? '*/*' : `${printable(desc.mediaType, 255)}, */*` };
}

async function fetchWhole(
  client: RepositoryClient,
  host: Host,
  desc: Descriptor,
  call: Call | undefined,
): Promise<Fetched> {
  const response = await client.send('GET', targetOf(desc, host), acceptOf(desc), call);
  if (response.status !== 200) throw await failed(client, desc, response);
  await checkIdentity(response);
  if (isMultipart(response)) throw await wrongRange(response);
  return { body: response.body, offset: 0 };
}

/** `undefined`: ask without the range. */
async function fetchPart(
  client: RepositoryClient,
  host: Host,
  desc: Descriptor,
  offset: number,
  call: Call | undefined,
): Promise<Fetched | undefined> {
  const headers = { ...acceptOf(desc), range: `bytes=${offset}-` };
  const response = await client.send('GET', targetOf(desc, host), headers, call);
  const { status } = response;
  const refused = status === 400 || status === 416;
  if (status !== 200 && status !== 206 && !refused) throw await failed(client, desc, response);
  const usable = !refused && !isMultipart(response) && (status === 200 || isPartFrom(response, desc, offset));
  if (!usable) {
    await discard(response.body);
    return undefined;
  }
  await checkIdentity(response);
  return { body: response.body, offset: status === 200 ? 0 : offset };
}

function isPartFrom(response: HttpResponse, desc: Descriptor, offset: number): boolean {
  const range = parseContentRange(response.headers.get('content-range'));
  if (range === undefined || range.start !== offset || range.end >= desc.size) return false;
  return range.total === undefined || range.total === desc.size;
}

function isMultipart(response: HttpResponse): boolean {
  return /^\s*multipart\//i.test(response.headers.get('content-type') ?? '');
}

async function wrongRange(response: HttpResponse): Promise<HawserError> {
  await discard(response.body);
  return new HawserError(
    'Unavailable',
    `GET ${safeUrl(response.url)}: the server sent parts, though the whole was asked for`,
    {
      data: { code: 'WRONG_RANGE' },
    },
  );
}

async function failed(
  client: RepositoryClient,
  desc: Descriptor,
  response: HttpResponse,
): Promise<HawserError> {
  if (response.status === 206) return await wrongRange(response);
  const err = await client.refusal('GET', response);
  if (err.kind !== 'NotFound') return err;
  const what = `${desc.digest} (${printable(desc.mediaType, 255)})`;
  return new HawserError('NotFound', `could not fetch content descriptor ${what} from remote: not found`, {
    hint: 'The registry knows the image but lacks a part of it: it must be pushed again',
    cause: err,
    data: err.data,
  });
}
