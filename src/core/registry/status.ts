/** Errors for answers that refuse. */
import { HawserError, type Kind } from '../errors.ts';
import type { HttpRequest, HttpResponse } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { singleHeader } from './answer.ts';
import { discard } from './body.ts';
import { readWords } from './error-words.ts';
import type { Host } from './hosts.ts';
import { printable, safeUrl } from './redact.ts';

const REASONS: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  302: 'Found',
  307: 'Temporary Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  416: 'Range Not Satisfiable',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/**
 * `unexpected status from GET request to <url>: 500 Internal Server Error`, with what the registry says about it
 * (distribution-spec's error document, codes kept; several on one line, where containerd has a line for each: a message is one
 * line wherever it is printed). Reads the body. The reason's code is the registry's first.
 */
export async function statusError(
  request: Pick<HttpRequest, 'method'>,
  response: HttpResponse,
  now: number,
): Promise<HawserError> {
  const said = await readWords(response);
  const url = safeUrl(response.url);
  const { status } = response;
  const line = `${request.method} request to ${url}: ${status} ${reason(response)}`.trimEnd();
  const retryAfter = parseRetryAfter(singleHeader(response, 'retry-after'), now);
  const text = said.text === '' ? '' : `: ${said.text}`;
  const reads = request.method === 'GET' || request.method === 'HEAD';
  return new HawserError(kindOfStatus(status), `unexpected status from ${line}${text}`, {
    hint: hintFor(response, said.body, retryAfter, reads),
    reason: { type: 'status', status, code: said.code, retryAfter },
  });
}

/** 404 for the root that a reference names, with the registry's words. Ends the body. */
export async function notFound(
  { name, raw, host, repository, tag, digest }: Reference,
  response: HttpResponse,
): Promise<HawserError> {
  const said = await readWords(response);
  await discard(response.body);
  const isDefault = tag === 'latest' && !raw.endsWith(':latest');
  const hint =
    digest !== undefined
      ? `Check the repository and the digest: \`hawser catalog ${host}\` lists the repositories, where the registry allows that`
      : `${isDefault ? 'Name a tag: without one, `latest` is taken, and not every repository has it' : 'Check the repository and the tag'}: \`hawser tags ${host}/${repository}\` lists the tags, \`hawser catalog ${host}\` the repositories, where the registry allows that`;
  const words = ['', 'manifest unknown'].includes(said.text) ? '' : `: ${said.text}`;
  return new HawserError('NotFound', `${name}: not found${words}`, {
    hint,
    reason: { type: 'status', status: 404, code: said.code },
  });
}

/** The words of containerd for a refusal: registries do not tell "absent" from "private". */
export function accessDenied(err: HawserError, account: string | undefined, host: Named): HawserError {
  return new HawserError(
    err.kind,
    `pull access denied, repository does not exist or may require authorization: ${err.message}`,
    {
      hint:
        account === undefined
          ? loginHint(host)
          : `Check the name of the repository; ${account} was refused, or may not pull from it`,
      cause: err,
      reason: err.reason,
    },
  );
}

type Named = Partial<Pick<Host, 'name' | 'namespace'>>;

/** For who asked without an account; `--user` and `--refresh` are for the registry of the reference alone. */
export function loginHint({ name, namespace }: Named = {}): string {
  return name === undefined || namespace === undefined
    ? 'Check the name of the repository; if it is private, give --user NAME, or log in: hawser login HOST'
    : `The mirror wants credentials of its own: hawser login ${name} (--user is for ${namespace} alone)`;
}

/** A refusal by a server that the registry at `asked` led to: storage, or the registry itself behind TLS. */
export function deniedElsewhere(err: HawserError, where: URL, asked: URL): HawserError {
  return new HawserError(err.kind, err.message, {
    hint: isUpgraded(where, asked)
      ? `The registry speaks TLS at ${where.origin}: have it asked there, with https in hosts.toml or without --plain-http`
      : `${asked.host} led to ${where.host}, which refuses and is sent no credentials: whoever runs the registry can tell why`,
    cause: err,
    reason: err.reason,
  });
}

/** Whether `where` is the registry at `asked` behind TLS: of its port or that of https, and still its API. */
function isUpgraded(where: URL, asked: URL): boolean {
  return (
    where.protocol === 'https:' &&
    asked.protocol === 'http:' &&
    where.hostname === asked.hostname &&
    (where.port === '' || where.port === asked.port) &&
    where.pathname.startsWith('/v2/')
  );
}

/** As `accessDenied`, of a push. */
export function pushDenied(err: HawserError, repository: string, account: string | undefined): HawserError {
  const hint =
    account === undefined
      ? 'Give --user NAME, or log in (hawser login HOST): registries let nobody push without a name'
      : `${account} was refused, or may not push to ${repository}; some registries want the repository to be made first`;
  return new HawserError(err.kind, `push access denied: ${err.message}`, {
    hint,
    cause: err,
    reason: err.reason,
  });
}

export function isDenied(status: number): boolean {
  return status === 401 || status === 403;
}

function kindOfStatus(status: number): Kind {
  if (status === 401) return 'Unauthenticated';
  if (status === 403) return 'PermissionDenied';
  if (status === 404 || status === 410) return 'NotFound';
  return status >= 500 || status === 408 || status === 429 ? 'Unavailable' : 'FailedPrecondition';
}

function reason(response: HttpResponse): string {
  return printable(response.statusText, 100) || (REASONS[response.status] ?? '');
}

function hintFor(
  response: HttpResponse,
  body: string,
  retryAfter: number | undefined,
  reads: boolean,
): string | undefined {
  if (response.status === 429) {
    const wait = retryAfter === undefined ? 'Wait' : `Wait ${Math.ceil(retryAfter / 1000)} s, as it asks`;
    return `The registry limits how much may be ${reads ? 'pulled' : 'asked of it'}. ${wait}, or give --user: accounts have higher limits`;
  }
  if (response.url.protocol === 'http:' && /HTTPS server|HTTPS port/i.test(body)) {
    return 'The registry speaks TLS: leave out --plain-http, or for a local one give --tlscacert or --skip-verify';
  }
  if (response.status >= 500) return SERVER_FAILS;
  return reads || isDenied(response.status) ? undefined : NOT_TAKEN;
}

const SERVER_FAILS =
  'The server has failed: try again later; when that goes on, whoever runs it can tell why (--http-trace shows the exchanges)';
const NOT_TAKEN = 'The server does not take that: --http-trace shows the exchanges, for whoever runs it';

/** RFC 9110 10.2.3: seconds or a date. Milliseconds from now. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
