/** What a request asks for, by distribution-spec's endpoints. Nothing of a request ever becomes a path. */
import { type Digest, isDigest, parseDigest } from '../oci/digest.ts';
import { type Refusal, refusal } from './answers.ts';

/** Of a request for a list. */
export interface Paging {
  /** The most entries wanted. Undefined: as many as a page may have. */
  readonly n: number | undefined;
  /** The entry after which the page begins. */
  readonly last: string | undefined;
}

/** What is asked for. `ns`: the registry that the client means (containerd sends that to its mirrors). */
export type Route = { readonly ns: string | undefined } & (
  | { readonly type: 'ping' | 'health' }
  | { readonly type: 'manifest'; readonly name: string; readonly object: string | Digest }
  | { readonly type: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly type: 'tags'; readonly name: string; readonly paging: Paging }
  | { readonly type: 'catalog'; readonly paging: Paging }
  | {
      readonly type: 'referrers';
      readonly name: string;
      readonly digest: Digest;
      readonly artifactType: string | undefined;
      readonly paging: Paging;
    }
);

const MAX_TARGET = 4096;
const MAX_NAME = 512;
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const HEALTH: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz']);

/** Reads path and query. */
export function routeOf(target: string): Route | Refusal {
  if (target.length > MAX_TARGET) return refusal(414, 'NAME_INVALID', 'the request is too long');
  const [path = '', query = ''] = target.split('?', 2);
  const params = new URLSearchParams(query);
  const ns = params.get('ns') || undefined;
  if (HEALTH.has(path)) return { type: 'health', ns };
  if (path === '/v2' || path === '/v2/') return { type: 'ping', ns };
  const decoded = decodedPath(path);
  if (decoded === undefined || !decoded.startsWith('/v2/')) return unknown();
  const rest = decoded.slice('/v2/'.length);
  if (rest === '_catalog') return withPaging(params, (paging) => ({ type: 'catalog', ns, paging }));
  return namedRoute(rest, params, ns);
}

function namedRoute(rest: string, params: URLSearchParams, ns: string | undefined): Route | Refusal {
  const [, name, kind, object] = /^(.+)\/(manifests|blobs|tags|referrers)\/([^/]*)$/.exec(rest) ?? [];
  if (name === undefined || object === undefined) return unknown();
  if (name.length > MAX_NAME || !NAME.test(name))
    return refusal(400, 'NAME_INVALID', 'this is not the name of a repository');
  if (kind === 'tags') {
    if (object !== 'list') return unknown();
    return withPaging(params, (paging) => ({ type: 'tags', ns, name, paging }));
  }
  if (kind === 'manifests' && TAG.test(object)) return { type: 'manifest', ns, name, object };
  if (!isDigest(object)) return notAnObject(object);
  const digest = parseDigest(object);
  if (kind === 'manifests') return { type: 'manifest', ns, name, object: digest };
  if (kind === 'blobs') return { type: 'blob', ns, name, digest };
  const artifactType = params.get('artifactType') || undefined;
  return withPaging(params, (paging) => ({ type: 'referrers', ns, name, digest, artifactType, paging }));
}

function notAnObject(object: string): Refusal {
  return object.includes(':')
    ? refusal(400, 'DIGEST_INVALID', 'this is not a digest')
    : refusal(404, 'MANIFEST_UNKNOWN', 'this is not a tag');
}

/** Undefined for a path that stands for more than itself. */
function decodedPath(path: string): string | undefined {
  if (/%2f|%5c|%00|\\|\0/i.test(path)) return undefined;
  try {
    const decoded = decodeURIComponent(path);
    return decoded.split('/').some((part) => part === '..' || part === '.') ? undefined : decoded;
  } catch {
    return undefined;
  }
}

function withPaging(params: URLSearchParams, make: (paging: Paging) => Route): Route | Refusal {
  const text = params.get('n');
  if (text !== null && !/^\d{1,9}$/.test(text))
    return refusal(400, 'UNSUPPORTED', 'n is not a whole number from 0');
  return make({ n: text === null ? undefined : Number(text), last: params.get('last') ?? undefined });
}

function unknown(): Refusal {
  return refusal(404, 'UNSUPPORTED', 'there is no such endpoint');
}
