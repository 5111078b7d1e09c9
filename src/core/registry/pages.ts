/** Lists that registries give in pages (distribution-spec, "Listing Tags": the Link header of RFC 8288 names the next page). */
import { HawserError, wrap } from '../errors.ts';
import { asObject } from '../oci/fields.ts';
import { type JsonObject, parseJson } from '../oci/json.ts';
import type { Call } from '../ports/call.ts';
import type { HttpResponse } from '../ports/transport.ts';
import { isSuccess } from './answer.ts';
import { discard, readCapped } from './body.ts';
import type { RepositoryClient } from './client.ts';
import { decoded } from './encoding.ts';
import { NOT_A_REGISTRY } from './error-words.ts';
import type { Host, Operation } from './hosts.ts';
import { printable, safeUrl } from './redact.ts';

/** Bytes. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024;
/** Bytes of all pages of one list. */
const MAX_LIST_BYTES = 64 * 1024 * 1024;
const MAX_PAGES = 2000;
const MAX_ENTRIES = 1_000_000;
/** Characters of a Link header that are read. */
const MAX_LINK = 8 * 1024;

/** For messages. */
const WHERE = 'the list:';

/** Asks again for as long as the client's patience lasts. */
export type Insist = <T>(call: Call | undefined, ask: () => Promise<T>) => Promise<T>;

/** How a list is asked for, and how its pages are read. */
export interface Listing<T> {
  readonly operation: Operation;
  readonly accept: string;
  /** The first page. `narrow`: in the fewest words, after a host refused (400) the URL in all words. */
  readonly first: (host: Host, narrow: boolean) => URL;
  /** InvalidArgument, with `where`, for a document that is not the list. */
  readonly read: (document: JsonObject, where: string, response: HttpResponse) => readonly T[];
  /** An answer of this kind comes from a host without such lists. */
  readonly isOther?: (response: HttpResponse) => boolean;
  /** For an answer that is no success, or another. Ends its body. */
  readonly refusal: (response: HttpResponse, host: Host) => Promise<HawserError>;
  /** Entries with the same key are one. */
  readonly keyOf: (entry: T) => string;
  readonly bounds?: Bounds | undefined;
}

/** Of a list that is asked for to decide something: few short pages, at the place that answered. */
export interface Bounds {
  readonly pages: number;
  /** Bytes of one page. */
  readonly page: number;
  /** A host that lists nothing is not the last word while another can be asked: its error. */
  readonly empty: (host: Host) => HawserError;
}

export interface Page<T> {
  readonly host: Host;
  readonly entries: readonly T[];
  readonly bytes: number;
  readonly next: URL | undefined;
}

/** The first page, asked of the hosts in turn. */
export async function openPages<T>(
  client: RepositoryClient,
  listing: Listing<T>,
  insist: Insist,
  call: Call,
): Promise<Page<T>> {
  const ask = async (host: Host, isLast: boolean): Promise<Page<T>> => {
    const page = await firstPage(client, listing, host, call);
    const isEmpty = page.entries.length === 0 && page.next === undefined;
    const none = isEmpty && !isLast ? listing.bounds?.empty(host) : undefined;
    if (none !== undefined) throw none;
    return page;
  };
  return await insist(call, () => client.overHosts(listing.operation, call, ask));
}

/**
 * All entries, each once, in the order of the pages. Those after `first` are asked of the host that answered, each again after failures that
 * may pass. ResourceExhausted for a list beyond the limits above, FailedPrecondition for pages that lead in a circle.
 */
export async function readPages<T>(
  client: RepositoryClient,
  listing: Listing<T>,
  insist: Insist,
  call: Call,
  first?: Page<T>,
): Promise<readonly T[]> {
  let page = first ?? (await openPages(client, listing, insist, call));
  const entries = new Map<string, T>();
  const seen = new Set<string>();
  for (let bytes = page.bytes; ; bytes += page.bytes) {
    for (const entry of page.entries) {
      const key = listing.keyOf(entry);
      if (!entries.has(key)) entries.set(key, entry);
    }
    const { host, next } = page;
    if (next === undefined) return [...entries.values()];
    if (seen.has(next.href)) throw circle(next);
    seen.add(next.href);
    const limit = limitOf(seen.size, entries.size, bytes, listing.bounds?.pages);
    if (limit !== undefined) throw tooLong(next, limit);
    page = await insist(call, () => nextPage(client, listing, host, next, call));
  }
}

/** The limit that is passed; undefined: none. */
function limitOf(
  pages: number,
  entries: number,
  bytes: number,
  most: number = MAX_PAGES,
): string | undefined {
  if (pages >= most) return `${most} pages`;
  if (entries > MAX_ENTRIES) return `${MAX_ENTRIES} entries`;
  return bytes > MAX_LIST_BYTES ? `${MAX_LIST_BYTES} bytes` : undefined;
}

async function firstPage<T>(
  client: RepositoryClient,
  listing: Listing<T>,
  host: Host,
  call: Call,
): Promise<Page<T>> {
  const headers = { accept: listing.accept };
  const [wide, narrow] = [listing.first(host, false), listing.first(host, true)];
  const response = await client.sendForPage(host, wide, headers, call);
  if (response.status !== 400 || wide.href === narrow.href)
    return await readPage(listing, host, wide, response);
  await discard(response.body);
  return await readPage(listing, host, narrow, await client.sendForPage(host, narrow, headers, call));
}

async function nextPage<T>(
  client: RepositoryClient,
  listing: Listing<T>,
  host: Host,
  url: URL,
  call: Call,
): Promise<Page<T>> {
  const response = await client.sendForPage(host, url, { accept: listing.accept }, call);
  return await readPage(listing, host, url, response);
}

async function readPage<T>(
  listing: Listing<T>,
  host: Host,
  asked: URL,
  response: HttpResponse,
): Promise<Page<T>> {
  if (!isSuccess(response) || listing.isOther?.(response) === true)
    throw await listing.refusal(response, host);
  const limit = listing.bounds?.page ?? MAX_PAGE_BYTES;
  const bytes = await readCapped(await decoded(response, limit), limit);
  if (bytes === undefined) throw tooLong(asked, `${limit} bytes in one page`);
  try {
    const entries = listing.read(asObject(parseJson(bytes, 'the list'), WHERE), WHERE, response);
    const next = nextUrl(response, asked, host);
    if (listing.bounds !== undefined && next !== undefined && next.origin !== asked.origin)
      throw elsewhere(next);
    return { host, entries, bytes: bytes.length, next };
  } catch (err) {
    throw wrap(`GET ${safeUrl(asked)}`, err, NOT_A_REGISTRY);
  }
}

/** Where the next page is; undefined after the last. A link is relative to what was asked (distribution-spec). */
function nextUrl(response: HttpResponse, asked: URL, host: Host): URL | undefined {
  const link = nextLink(response.headers.get('link') ?? '');
  if (link === undefined) return undefined;
  if (!URL.canParse(link, asked)) {
    const shown = printable(link.split('?')[0] ?? '', 200);
    throw new HawserError('InvalidArgument', `the next page at ${shown} has no URL`);
  }
  const url = new URL(link, asked);
  url.username = '';
  url.password = '';
  url.hash = '';
  // Mirrors need the namespace, and do not all repeat it.
  const isOwn = url.origin === host.base.origin;
  if (isOwn && host.namespace !== undefined) url.searchParams.set('ns', host.namespace);
  return url;
}

/** `; name="value"` or `; name=value`. */
const PARAMETER = /;\s*([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/g;

/** The target of the first link of relation `next`, or of none; RFC 8288 3. */
export function nextLink(header: string): string | undefined {
  const text = header.slice(0, MAX_LINK);
  for (let at = text.indexOf('<'); at >= 0; ) {
    const close = text.indexOf('>', at);
    if (close < 0) return undefined;
    const end = endOfParameters(text, close + 1);
    const parameters = [...text.slice(close + 1, end).matchAll(PARAMETER)];
    const rel = parameters.find(([, name]) => name?.toLowerCase() === 'rel');
    const relations = (rel?.[2] ?? rel?.[3] ?? 'next').toLowerCase().split(/\s+/);
    if (relations.includes('next')) return text.slice(at + 1, close);
    at = text.indexOf('<', end);
  }
  return undefined;
}

/** The comma before the next link, or the end. */
function endOfParameters(text: string, from: number): number {
  let quoted = false;
  for (let at = from; at < text.length; at++) {
    const character = text[at];
    if (character === '\\' && quoted) at++;
    else if (character === '"') quoted = !quoted;
    else if (character === ',' && !quoted) return at;
  }
  return text.length;
}

function elsewhere(next: URL): HawserError {
  return new HawserError('FailedPrecondition', `the next page is at ${safeUrl(next)}, another place`, {
    hint: 'A list that decides about an image is read at one place only',
  });
}

function circle(url: URL): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `GET ${safeUrl(url)}: the pages of the list lead in a circle`,
    {
      hint: 'The registry, or something before it, repeats a page: whoever runs the registry can tell why',
    },
  );
}

function tooLong(url: URL, limit: string): HawserError {
  return new HawserError('ResourceExhausted', `GET ${safeUrl(url)}: the list has more than ${limit}`, {
    hint: 'A list of that length is not read',
  });
}
