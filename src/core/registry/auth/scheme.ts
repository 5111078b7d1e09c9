/** The way to authorize that a registry's challenge asks for. */
import { HawserError } from '../../errors.ts';
import type { HttpRequest, HttpResponse } from '../../ports/transport.ts';
import type { Host } from '../hosts.ts';
import { type Reach, realmRefusal } from '../reach.ts';
import { printable, safeUrl } from '../redact.ts';
import { type Challenge, parseChallenges } from './challenge.ts';

/** Access to a repository at a host: the unit of authorization. */
export interface Access {
  readonly host: Host;
  readonly repository: string;
  /** Scopes that are wanted whatever the challenge asks for: a push asks for them before it needs them. Default: none. */
  readonly scopes?: readonly string[] | undefined;
}

export interface Bearer {
  readonly realm: URL;
  readonly service: string;
  readonly scopes: readonly string[];
}

export type Scheme = 'basic' | Bearer;

/**
 * The scheme of a 401: Bearer before Basic; a Bearer challenge without a realm only counts when there is nothing else. Undefined: no
 * challenge that can be met. `request` is the request to be authorized. PermissionDenied for a realm that is refused.
 */
export async function schemeOf(
  response: HttpResponse,
  access: Access,
  request: Pick<HttpRequest, 'url' | 'signal'>,
  reach: Reach,
): Promise<Scheme | undefined> {
  const challenges = parseChallenges(response.headers.get('www-authenticate') ?? '');
  const bearers = challenges.filter(({ scheme }) => scheme === 'bearer');
  const usable = bearers.find(({ params }) => (params.get('realm') ?? '') !== '');
  if (usable !== undefined) return await bearerOf(usable, access, response, request, reach);
  if (challenges.some(({ scheme }) => scheme === 'basic')) return 'basic';
  if (bearers.length === 0) return undefined;
  throw new HawserError(
    'Unauthenticated',
    `${safeUrl(response.url)}: failed to authorize: no realm specified for token auth challenge`,
    { hint: 'The registry does not say where tokens are to be had: whoever runs it can tell' },
  );
}

async function bearerOf(
  { params }: Challenge,
  { host, repository, scopes: wanted = [] }: Access,
  response: HttpResponse,
  request: Pick<HttpRequest, 'url' | 'signal'>,
  reach: Reach,
): Promise<Bearer> {
  const text = params.get('realm') ?? '';
  const refusal = URL.canParse(text)
    ? await realmRefusal(new URL(text), { registry: host.base, reach }, request)
    : { why: 'it is not a URL', advice: '' };
  if (refusal !== undefined) {
    const shown = URL.canParse(text) ? safeUrl(new URL(text)) : printable(text, 200);
    throw new HawserError(
      'PermissionDenied',
      `${safeUrl(response.url)}: failed to authorize: token realm ${shown} refused: ${refusal.why}`,
      {
        hint: `The registry sends us for tokens to a place that it should not; no credential was sent${refusal.advice}`,
      },
    );
  }
  const realm = new URL(text);
  realm.username = '';
  realm.password = '';
  realm.hash = '';
  const asked = (params.get('scope') ?? '').split(' ').filter((one) => one !== '');
  const scopes = asked.length > 0 || wanted.length > 0 ? asked : scopesOf(request.url, repository);
  return { realm, service: params.get('service') ?? '', scopes: allScopes(scopes, wanted) };
}

/**
 * What a request of a push needs: reading and writing, and reading the repository that a blob is to be mounted from. A registry that asks
 * for less by its challenges still gets one token for all.
 */
export function pushScopes(url: URL, repository: string): string[] {
  const from = /\/blobs\/uploads\/$/.test(url.pathname) ? url.searchParams.get('from') : null;
  return [
    `repository:${repositoryOf(url) ?? repository}:pull,push`,
    ...(from === null || from === '' ? [] : [`repository:${from}:pull`]),
  ];
}

/** Sorted, each once; those of the challenge as they are, but for what a wanted `pull,push` holds. */
function allScopes(scopes: readonly string[], wanted: readonly string[]): string[] {
  const all = new Set([...scopes, ...wanted]);
  for (const scope of wanted) if (scope.endsWith(':pull,push')) all.delete(scope.replace(/,push$/, ''));
  return [...all].sort();
}

/** What a request needs, where the challenge does not say. `repository`: that of the reference, '' for the registry. */
function scopesOf(url: URL, repository: string): string[] {
  // Whether the user is let in.
  if (repository === '' && url.pathname.endsWith('/v2/')) return [];
  return [repository === '' ? 'registry:catalog:*' : `repository:${repositoryOf(url) ?? repository}:pull`];
}

/** The repository as the host knows it: a mirror may have the registry's repositories below a path. */
function repositoryOf({ pathname }: URL): string | undefined {
  const object = /\/v2\/(.+?)\/(?:blobs\/uploads\/.*|(?:manifests|blobs|referrers)\/[^/]+|tags\/list)$/;
  return object.exec(pathname)?.[1];
}
