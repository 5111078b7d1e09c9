import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { HttpRequest } from '../ports/transport.ts';
import { singleHeader } from './answer.ts';
import { discard } from './body.ts';
import type { Layer } from './layers.ts';
import { leavesTls, type Reach, type Refusal, redirectRefusal } from './reach.ts';
import { printable, safeUrl } from './redact.ts';

const MAX_HOPS = 10;
const STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const BOUND_TO_ORIGIN: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization']);

/**
 * Follows redirects, at most ten. Headers that are bound to one origin, `boundToo` included, are dropped at the first hop that
 * leaves the origin (distribution-spec: no Authorization across hosts). Never from https to http, nor to an address that `registry`
 * may not name, nor with a body that is in memory, which may hold secrets, to another origin, nor from PUT or PATCH to a GET:
 * FailedPrecondition. A redirect without Location is returned as it is.
 */
export function redirects(registry: URL, reach: Reach, boundToo: readonly string[] = []): Layer {
  const bound = new Set([...BOUND_TO_ORIGIN, ...boundToo]);
  return (next) => async (request) => {
    let current = request;
    for (let hop = 0; ; hop++) {
      const response = await next(current);
      const location = singleHeader(response, 'location');
      if (!STATUSES.has(response.status) || location === undefined) return response;
      await discard(response.body);
      if (hop === MAX_HOPS) {
        const message = `${request.method} ${safeUrl(request.url)}: stopped after ${MAX_HOPS} redirects`;
        throw new HawserError('FailedPrecondition', message, {
          hint: 'The registry, or something before it, sends the request in a circle',
        });
      }
      current = await follow(current, { status: response.status, location, registry, reach, bound });
    }
  };
}

interface Hop {
  readonly status: number;
  readonly location: string;
  readonly registry: URL;
  readonly reach: Reach;
  /** Headers that stay with their origin, in lower case. */
  readonly bound: ReadonlySet<string>;
}

/** The place, without credentials and fragment; or why nobody may be sent there, with the place as text. */
export type Led = { readonly url: URL } | (Refusal & { readonly to: string });

/** Where the Location of an answer from `from` leads: never from https to http, nor to an address that `registry` may not name. */
export async function whereTo(
  location: string,
  from: URL,
  rules: Pick<Hop, 'registry' | 'reach'>,
  call: Call,
): Promise<Led> {
  if (!URL.canParse(location, from)) {
    const to = printable(location.split('?')[0] ?? '', 200);
    return { to, why: 'it is not a URL', advice: '' };
  }
  const url = new URL(location, from);
  url.username = '';
  url.password = '';
  url.hash = '';
  const refusal =
    from.protocol === 'https:' && url.protocol === 'http:'
      ? leavesTls('it would leave TLS')
      : await redirectRefusal(url, rules, call);
  return refusal === undefined ? { url } : { to: safeUrl(url), ...refusal };
}

async function follow(
  from: HttpRequest,
  { status, location, registry, reach, bound }: Hop,
): Promise<HttpRequest> {
  const led = await whereTo(location, from.url, { registry, reach }, from);
  if ('why' in led) throw refused(from, led.to, led);
  const { url } = led;
  if (status === 303 && (from.method === 'PUT' || from.method === 'PATCH'))
    throw refused(from, safeUrl(url), { why: 'what is sent would be lost', advice: '' });
  const method = from.method === 'POST' && status <= 303 ? 'GET' : from.method;
  const body = method === from.method ? from.body : undefined;
  const sameOrigin = url.origin === from.url.origin;
  if (!sameOrigin && body instanceof Uint8Array && body.length > 0) {
    throw refused(from, safeUrl(url), { why: 'what is sent may hold secrets', advice: '' });
  }
  const kept = Object.entries(from.headers).filter(([name]) => {
    const lower = name.toLowerCase();
    if (body === undefined && lower.startsWith('content-')) return false;
    return sameOrigin || !bound.has(lower);
  });
  return { ...from, method, url, headers: Object.fromEntries(kept), body };
}

function refused(from: HttpRequest, to: string, { why, advice }: Refusal): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `${from.method} ${safeUrl(from.url)}: redirect to ${to} refused: ${why}`,
    {
      hint: `The registry, or something between it and us, sends the request to a place that it should not${advice}`,
    },
  );
}
