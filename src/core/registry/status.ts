/** Errors for answers that refuse. */
import { HawserError, type Kind } from '../errors.ts';
import type { HttpRequest, HttpResponse } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { singleHeader, typeOf } from './answer.ts';
import { discard, readSome } from './body.ts';
import { printable, safeUrl } from './redact.ts';

/** Bytes of an error's body that are read. */
const MAX_ERROR_BODY = 64 * 1024;
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
  const said = await readErrors(response);
  const url = safeUrl(response.url);
  const { status } = response;
  const line = `${request.method} request to ${url}: ${status} ${reason(response)}`;
  const retryAfter = parseRetryAfter(singleHeader(response, 'retry-after'), now);
  const text = said.text === '' ? '' : `: ${said.text}`;
  return new HawserError(kindOfStatus(status), `unexpected status from ${line}${text}`, {
    hint: hintFor(response, said.body, retryAfter),
    reason: { type: 'status', status, code: said.code, retryAfter },
  });
}

/** 404 for the root that a reference names, with the registry's words. Ends the body. */
export async function notFound(
  { name, raw, tag, digest }: Reference,
  response: HttpResponse,
): Promise<HawserError> {
  const said = await readErrors(response);
  await discard(response.body);
  const isDefault = tag === 'latest' && !raw.endsWith(':latest');
  const hint =
    digest !== undefined
      ? 'Check the repository and the digest'
      : isDefault
        ? 'Name a tag: without one, `latest` is taken, and not every repository has it'
        : 'Check the repository and the tag';
  const words = ['', 'manifest unknown'].includes(said.text) ? '' : `: ${said.text}`;
  return new HawserError('NotFound', `${name}: not found${words}`, {
    hint,
    reason: { type: 'status', status: 404, code: said.code },
  });
}

/** The words of containerd for a refusal: registries do not tell "absent" from "private". */
export function accessDenied(err: HawserError, account: string | undefined): HawserError {
  return new HawserError(
    err.kind,
    `pull access denied, repository does not exist or may require authorization: ${err.message}`,
    {
      hint:
        account === undefined
          ? 'Check the name of the repository; if it is private, give --user NAME or log in'
          : `Check the name of the repository; ${account} was refused, or may not pull from it`,
      cause: err,
      reason: err.reason,
    },
  );
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

function hintFor(response: HttpResponse, body: string, retryAfter: number | undefined): string | undefined {
  if (response.status === 429) {
    const wait = retryAfter === undefined ? 'Wait' : `Wait ${Math.ceil(retryAfter / 1000)} s, as it asks`;
    return `The registry limits how much may be pulled. ${wait}, or give --user: accounts have higher limits`;
  }
  if (response.url.protocol === 'http:' && /HTTPS server|HTTPS port/i.test(body)) {
    return 'The registry speaks TLS: leave out --plain-http, or for a local one give --tlscacert or --skip-verify';
  }
  return undefined;
}

/** RFC 9110 10.2.3: seconds or a date. Milliseconds from now. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

interface Said {
  readonly text: string;
  readonly code: string | undefined;
  /** As it came: a page, say. Not to be shown. */
  readonly body: string;
}

async function readErrors(response: HttpResponse): Promise<Said> {
  let body: string;
  try {
    body = new TextDecoder().decode((await readSome(response.body, MAX_ERROR_BODY)).bytes);
  } catch {
    return { text: '', code: undefined, body: '' };
  }
  const errors = parseErrors(body);
  if (errors.length > 0) return { text: errors.map(sentence).join('; '), code: errors[0]?.code, body };
  const plain = typeOf(response) === 'text/plain';
  return { text: plain ? printable(body, 200) : '', code: undefined, body };
}

interface RegistryError {
  readonly code: string;
  readonly message: string;
  /** The entry has details, which are not shown: registries put anything there. */
  readonly detailed: boolean;
}

/** The messages that registries (distribution's errcode) give for a code alone. */
const STOCK: Readonly<Record<string, string>> = {
  UNKNOWN: 'unknown error',
  UNSUPPORTED: 'The operation is unsupported.',
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  UNAVAILABLE: 'service unavailable',
  TOOMANYREQUESTS: 'too many requests',
};

function parseErrors(body: string): RegistryError[] {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return [];
  }
  const errors = (document as { errors?: unknown } | null)?.errors;
  if (!Array.isArray(errors)) return [];
  return errors.slice(0, 10).flatMap((entry: unknown) => {
    const { code, message, detail } = (entry ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof code !== 'string' || code === '') return [];
    const text = typeof message === 'string' ? printable(message, 500) : '';
    return [{ code: printable(code, 64), message: text, detailed: (detail ?? null) !== null }];
  });
}

/**
 * As containerd prints it: `denied` alone for a stock message without detail, else `manifest unknown: <message>`. Unlike there, codes
 * it does not know are kept (it says `unknown` for all of them), and a message that repeats the code is left out.
 */
function sentence({ code, message, detailed }: RegistryError): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  const stock = !detailed && Object.hasOwn(STOCK, code) && message === STOCK[code];
  return message === '' || stock || message.toLowerCase() === words ? words : `${words}: ${message}`;
}
