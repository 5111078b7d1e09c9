/** The bytes of a descriptor, not verified: the ingest verifies. */
import { streamOf } from '../async/byte-stream.ts';
import { HawserError, isKind } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isConfigType, isIndexType, isLayerType, isManifestType, isSchema1Type } from '../oci/media-types.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { acceptOf } from './accept.ts';
import { contentLength, singleHeader, typeOf } from './answer.ts';
import { discard } from './body.ts';
import type { RemoteObject, RepositoryClient } from './client.ts';
import { parseContentRange } from './content-range.ts';
import { decoded, encodingsOf } from './encoding.ts';
import { changed, missing, noPart, tooShort, wrongRange } from './fetch-errors.ts';
import type { Host } from './hosts.ts';
import type { Fetched, FetchRequest } from './registry.ts';

/**
 * GET of the manifest or blob, from `offset` by Range. A server that ignores the range gives the whole (offset 0). A
 * server that refuses the range, or answers with another one, is asked again without a range, unless only the part will do (`end`).
 */
export async function fetchObject(
  client: RepositoryClient,
  desc: Descriptor,
  request: FetchRequest,
): Promise<Fetched> {
  const { offset = 0, end = desc.size, avoid } = request;
  if (offset < 0 || offset > desc.size || end > desc.size) {
    throw new HawserError(
      'OutOfRange',
      `Cannot fetch ${desc.digest} from ${offset} to ${end}: it has ${desc.size} bytes`,
    );
  }
  if (offset >= end) return { body: streamOf(new Uint8Array()), offset };
  const foreign = await fetchForeign(client, desc, request);
  if (foreign !== undefined) return foreign;
  const ask = async (host: Host, isLast: boolean) =>
    await fetchFromHost(client, { host, isLast }, desc, request);
  return await client.overHosts('fetch', request, ask, {
    object: desc.digest,
    last: (host) => avoid?.has(keyOf(host)) === true,
  });
}

/** A place that may have the content. */
interface Source {
  /** Identifies the source in `Fetched` and `avoid`. */
  readonly key: string;
  /** Shown to people. */
  readonly url: URL;
  /** Undefined: a place that the image names. */
  readonly host?: Host;
  /** Part of the content will do: nobody else is left to ask. */
  readonly isLast: boolean;
  readonly client: RepositoryClient;
  readonly get: (headers: Readonly<Record<string, string>>) => Promise<HttpResponse>;
}

/** Content of a type that hawser does not know may be at either endpoint (an index names manifests of any type). */
async function fetchFromHost(
  client: RepositoryClient,
  { host, isLast }: { readonly host: Host; readonly isLast: boolean },
  desc: Descriptor,
  request: FetchRequest,
): Promise<Fetched> {
  const [first, second] = request.kind === undefined ? kindsOf(desc) : [request.kind];
  const from = async (kind: Kind): Promise<Fetched> => {
    const source = hostSource(client, { host, kind, object: desc.digest }, desc, request);
    return await fetchFrom({ ...source, isLast }, desc, request);
  };
  try {
    return await from(first);
  } catch (err) {
    if (second === undefined || !isKind(err, 'NotFound')) throw err;
    return await from(second);
  }
}

function hostSource(
  client: RepositoryClient,
  target: RemoteObject,
  desc: Descriptor,
  { signal }: FetchRequest,
): Omit<Source, 'isLast'> {
  const get = (headers: Readonly<Record<string, string>>) =>
    client.send('GET', target, { ...acceptOf(target.kind, desc.mediaType), ...headers }, { signal });
  const { host } = target;
  return { key: keyOf(host), url: host.base, host, client, get };
}

/**
 * From the URLs that the image's author wrote, where that is allowed: in order, before any registry, without headers or
 * credentials of a registry. Any failure leads to the next URL. Undefined: the registry has to have the content.
 */
async function fetchForeign(
  client: RepositoryClient,
  desc: Descriptor,
  request: FetchRequest,
): Promise<Fetched | undefined> {
  for (const text of client.foreign === undefined ? [] : (desc.urls ?? [])) {
    if (!URL.canParse(text)) continue;
    const url = new URL(text);
    const key = `${url.origin}${url.pathname}`;
    if (request.avoid?.has(key) === true) continue;
    const get = async (headers: Readonly<Record<string, string>>) =>
      await client.sendForeign(url, { accept: '*/*', ...headers }, request);
    try {
      return await fetchFrom({ key, url, client, get, isLast: false }, desc, request);
    } catch {
      request.signal?.throwIfAborted();
    }
  }
  return undefined;
}

async function fetchFrom(source: Source, desc: Descriptor, request: FetchRequest): Promise<Fetched> {
  const { offset = 0, end } = request;
  if (end !== undefined && source.client.partless.has(source.key)) throw noPart(desc, source.url);
  if (offset > 0 || end !== undefined) {
    const part = await fetchPart(source, desc, request);
    if (part !== undefined) return part;
  }
  return await fetchWhole(source, desc);
}

/** Identifies a host in `Fetched` and `avoid`. */
export function keyOf(host: Host): string {
  return host.base.href;
}

type Kind = RemoteObject['kind'];

/** The endpoints to ask, the likely one first. */
function kindsOf({ mediaType }: Descriptor): readonly [Kind, Kind?] {
  if (isManifestType(mediaType) || isIndexType(mediaType) || isSchema1Type(mediaType)) return ['manifests'];
  return isLayerType(mediaType) || isConfigType(mediaType) ? ['blobs'] : ['blobs', 'manifests'];
}

async function fetchWhole(source: Source, desc: Descriptor): Promise<Fetched> {
  const response = await source.get({});
  if (response.status !== 200) throw await failed(source, desc, response);
  if (isMultipart(response)) throw await partsUnasked(response);
  await refuseShort(source, desc, response);
  return { body: await decoded(response, desc.size), offset: 0, host: source.key, etag: etagOf(response) };
}

/** `undefined`: ask without the range. */
async function fetchPart(
  source: Source,
  desc: Descriptor,
  request: FetchRequest,
): Promise<Fetched | undefined> {
  const { offset = 0, end, validator } = request;
  const known = validator?.host === source.key ? validator.etag : undefined;
  const response = await source.get({
    range: `bytes=${offset}-${end === undefined ? '' : end - 1}`,
    ...(known === undefined ? {} : { 'if-range': known }),
  });
  const fetched = { body: response.body, host: source.key, etag: etagOf(response) };
  switch (classifyPart(response, desc, request, known)) {
    case 'part':
      return { ...fetched, offset };
    case 'whole':
      await refuseShort(source, desc, response);
      return { ...fetched, body: await decoded(response, desc.size), offset: 0 };
    case 'changed':
      await discard(response.body);
      throw changed(desc, response);
    case 'failed':
      throw await failed(source, desc, response);
    case 'useless':
      await discard(response.body);
      if (end === undefined) return undefined;
      source.client.partless.add(source.key);
      throw noPart(desc, source.url);
  }
}

/** `useless`: the range was refused (400, 416), or the answer has another part than the range. */
type PartAnswer = 'part' | 'whole' | 'changed' | 'failed' | 'useless';

/** An answer to a request for a part. `known`: the content's ETag so far. */
function classifyPart(
  response: HttpResponse,
  desc: Descriptor,
  { offset = 0, end }: FetchRequest,
  known: string | undefined,
): PartAnswer {
  const { status } = response;
  if (status === 400 || status === 416) return 'useless';
  if (status !== 200 && status !== 206) return 'failed';
  const etag = etagOf(response);
  if (known !== undefined && etag !== undefined && etag !== known) return 'changed';
  if (status === 206) return isPart(response, desc, offset, end) ? 'part' : 'useless';
  return end === undefined && !isMultipart(response) ? 'whole' : 'useless';
}

/** A strong validator; weak ones (`W/"..."`) do not say that bytes are the same. */
function etagOf(response: HttpResponse): string | undefined {
  const etag = singleHeader(response, 'etag') ?? '';
  return /^"[\x21\x23-\x7e]{1,256}"$/.test(etag) ? etag : undefined;
}

function isPart(response: HttpResponse, desc: Descriptor, offset: number, end: number | undefined): boolean {
  if (isMultipart(response) || encodingsOf(response).length > 0) return false;
  const range = parseContentRange(singleHeader(response, 'content-range'));
  if (range === undefined || range.start !== offset || range.end >= desc.size) return false;
  if (end !== undefined && range.end !== end - 1) return false;
  return range.total === undefined || range.total === desc.size;
}

function isMultipart(response: HttpResponse): boolean {
  return typeOf(response).startsWith('multipart/');
}

async function partsUnasked(response: HttpResponse): Promise<HawserError> {
  await discard(response.body);
  return wrongRange(response);
}

/** A whole answer that says that it has fewer bytes than the blob: part of it, or a page in its place. Others are asked first. */
async function refuseShort({ isLast }: Source, desc: Descriptor, response: HttpResponse): Promise<void> {
  const length = contentLength(response);
  if (isLast || length === undefined || length >= desc.size) return;
  await discard(response.body);
  throw tooShort(desc, response, length);
}

async function failed(
  { client, url, host }: Source,
  desc: Descriptor,
  response: HttpResponse,
): Promise<HawserError> {
  if (response.status === 206) return await partsUnasked(response);
  const err = await client.refusal('GET', response, host ?? { base: url });
  return err.kind === 'NotFound' ? missing(desc, err, client.foreign !== undefined) : err;
}
