import { HawserError, wrap } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { HttpRequest, HttpResponse, Transport } from '../../ports/transport.ts';
import { discard, readCapped } from '../body.ts';
import { basicAuthorization, type TokenCredential } from '../credentials/credential.ts';
import { NOT_A_REGISTRY } from '../error-words.ts';
import { statusOf } from '../failures.ts';
import type { Host } from '../hosts.ts';
import { safeUrl } from '../redact.ts';
import { loginHint, statusError } from '../status.ts';

/** Bytes. A longer answer is refused. */
const MAX_TOKEN_BODY = 128 * 1024;
/** Seconds; what the token specification says when `expires_in` is absent. */
const DEFAULT_LIFETIME = 60;
const NO_TOKEN = 'The token server answered, but not with a token: whoever runs it can tell why';
/** A token is not used in the last seconds of its life: clocks and networks are slow. */
const SKEW = 15;

export interface TokenRequest {
  readonly realm: URL;
  readonly service: string;
  /** Sorted, each once. */
  readonly scopes: readonly string[];
  readonly credential: TokenCredential | undefined;
  /** Whose credential, for people; undefined: anonymous. */
  readonly account: string | undefined;
  /** Whose repository the token is for. */
  readonly host: Pick<Host, 'name' | 'namespace'>;
}

export interface Token {
  readonly value: string;
  /** Milliseconds since the epoch, the skew taken off. */
  readonly expiresAt: number;
}

/**
 * Asks a token server (distribution's token specification): POST with credentials, as OAuth 2 has it; GET when that is refused, or
 * without credentials. `send` must follow redirects and drop Authorization at other origins.
 */
export async function fetchToken(
  deps: { readonly send: Transport; readonly clock: Clock; readonly userAgent: string },
  wanted: TokenRequest,
  signal: AbortSignal,
): Promise<Token> {
  const { credential } = wanted;
  const known = credential !== undefined && ('refreshToken' in credential || credential.secret !== '');
  const asked = deps.clock.now();
  const common = { accept: 'application/json', 'user-agent': deps.userAgent };
  try {
    if (known) {
      const request = postRequest(wanted, credential, common, signal);
      const response = await deps.send(request);
      if (!isPostRefused(response.status, credential)) return await readToken(request, response, asked);
      await discard(response.body);
    }
    const request = getRequest(wanted, known ? credential : undefined, common, signal);
    return await readToken(request, await deps.send(request), asked);
  } catch (err) {
    throw refused(wrap(`failed to fetch ${known ? 'oauth' : 'anonymous'} token`, err), wanted);
  }
}

function refused(err: HawserError, { account, host }: TokenRequest): HawserError {
  const status = statusOf(err);
  const denied =
    account === undefined
      ? loginHint(host)
      : `Check the password or token of ${account}, and whether it may pull from the repository`;
  return new HawserError(err.kind, `failed to authorize: ${err.message}`, {
    hint: status === 401 || status === 403 ? denied : err.hint,
    cause: err,
    reason: err.reason,
  });
}

/**
 * Old token servers know GET only, and refuse POST in many ways: 404, 405, 403 by a guard against forged requests, 500. Not where the
 * server wants fewer requests. A refresh token is not sent by GET to a server that may know POST.
 */
function isPostRefused(status: number, credential: TokenCredential): boolean {
  if ('refreshToken' in credential) return status === 400 || status === 401 || status === 404;
  return status >= 400 && status !== 429;
}

function postRequest(
  { realm, service, scopes }: TokenRequest,
  credential: TokenCredential,
  common: Readonly<Record<string, string>>,
  signal: AbortSignal,
): HttpRequest {
  const form = new URLSearchParams({ client_id: 'hawser', service });
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  if ('refreshToken' in credential) {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', credential.refreshToken);
  } else {
    form.set('grant_type', 'password');
    form.set('username', credential.username);
    form.set('password', credential.secret);
  }
  form.sort();
  return {
    method: 'POST',
    url: realm,
    headers: { ...common, 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: new TextEncoder().encode(form.toString()),
    signal,
  };
}

function getRequest(
  { realm, service, scopes }: TokenRequest,
  credential: TokenCredential | undefined,
  common: Readonly<Record<string, string>>,
  signal: AbortSignal,
): HttpRequest {
  const url = new URL(realm);
  if (service !== '') url.searchParams.append('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (credential === undefined) return { method: 'GET', url, headers: common, signal };
  const [username, secret] =
    'refreshToken' in credential ? ['', credential.refreshToken] : [credential.username, credential.secret];
  return {
    method: 'GET',
    url,
    headers: { ...common, authorization: basicAuthorization(username, secret) },
    signal,
  };
}

async function readToken(request: HttpRequest, response: HttpResponse, asked: number): Promise<Token> {
  if (response.status < 200 || response.status > 299) throw await statusError(request, response, asked);
  const bytes = await readCapped(response.body, MAX_TOKEN_BODY);
  const where = `the token server's answer to the ${request.method} request to ${safeUrl(response.url)}`;
  if (bytes === undefined) {
    throw new HawserError('ResourceExhausted', `${where} is longer than ${MAX_TOKEN_BODY} bytes`, {
      hint: NOT_A_REGISTRY,
    });
  }
  const { access_token, token, expires_in } = parseObject(bytes, where);
  const value = typeof access_token === 'string' && access_token !== '' ? access_token : token;
  if (typeof value !== 'string' || value === '') {
    throw new HawserError('Unauthenticated', 'authorization server did not include a token in the response', {
      hint: NO_TOKEN,
    });
  }
  if (!/^[\x21-\x7e]+$/.test(value)) {
    throw new HawserError('Unauthenticated', `${where} holds a token that cannot be sent in a header`, {
      hint: NO_TOKEN,
    });
  }
  const lifetime = typeof expires_in === 'number' && expires_in > 0 ? expires_in : DEFAULT_LIFETIME;
  return { value, expiresAt: asked + (lifetime - Math.min(SKEW, lifetime / 4)) * 1000 };
}

function parseObject(bytes: Uint8Array, where: string): Record<string, unknown> {
  try {
    const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (document instanceof Object) return document as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new HawserError('Unauthenticated', `${where} is not a JSON object`, { hint: NOT_A_REGISTRY });
}
