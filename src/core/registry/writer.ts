/** Requests that write to a repository. */
import { HawserError, messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { HttpResponse } from '../ports/transport.ts';
import type { Reference } from '../reference/reference.ts';
import { singleHeader } from './answer.ts';
import { discard } from './body.ts';
import type { ClientDeps } from './client.ts';
import { apiUrl, type Host } from './hosts.ts';
import { pushHost } from './over-hosts.ts';
import { persist, type RetryOptions } from './patience.ts';
import { safeUrl } from './redact.ts';
import { whereTo } from './redirects.ts';
import type { RepositoryWriter } from './registry.ts';
import { isDenied, pushDenied, statusError } from './status.ts';

/** Milliseconds. After the last byte of a large blob registries hash it, and copy it within their storage. */
const ANSWER_TIME = 300_000;

export interface WriterOptions {
  readonly limits?: { readonly headers?: number | undefined } | undefined;
  readonly retry?: RetryOptions | undefined;
}

export async function openWriter(
  deps: ClientDeps,
  { limits, retry }: WriterOptions,
  reference: Reference,
  call: Call,
): Promise<RepositoryWriter> {
  const host = await pushHost(deps, reference, call);
  const { repository } = reference;
  const transport = deps.transport(host, repository, true);
  const onWait = (milliseconds: number, err: unknown) =>
    deps.observe({ type: 'wait', reason: messageOf(err), milliseconds });
  return {
    reference,
    url(path, parameters = {}) {
      const url = apiUrl(host, `${repository}/${path}`);
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      return url;
    },
    async send({ method, url, headers = {}, body }, { signal }) {
      const own = url.origin === host.base.origin ? host.headers : {};
      const common = { 'user-agent': deps.userAgent, 'accept-encoding': 'identity' };
      const headersTimeout = limits?.headers ?? (body === undefined ? undefined : ANSWER_TIME);
      const all = { ...common, ...headers, ...own };
      return await transport({ method, url, headers: all, body, headersTimeout, signal });
    },
    location: (response, asked) => locationOf(deps, host, response, asked),
    async refusal({ method, url }, response) {
      const err = await statusError({ method }, response, deps.clock.now());
      await discard(response.body);
      const isOwn = response.url.origin === url.origin && url.origin === host.base.origin;
      if (!isOwn || !isDenied(response.status)) return err;
      return pushDenied(err, repository, deps.account(url.origin, repository));
    },
    insist: (asked, work) => persist({ clock: deps.clock, retry }, asked, onWait, work),
  };
}

/** By the rules for redirects. */
async function locationOf(
  { reach }: ClientDeps,
  { base }: Host,
  response: HttpResponse,
  call: Call,
): Promise<URL | undefined> {
  const location = singleHeader(response, 'location');
  if (location === undefined) return undefined;
  const led = await whereTo(location, response.url, { registry: base, reach }, call);
  if ('url' in led) return led.url;
  const { to, why, advice } = led;
  throw new HawserError('FailedPrecondition', `${safeUrl(response.url)}: upload to ${to} refused: ${why}`, {
    hint: `The registry, or something between it and us, sends the upload to a place that it should not${advice}`,
  });
}
