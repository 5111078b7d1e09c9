/**
 * Registries by the standard's fetch, for runtimes with Web APIs alone. What fetch gives no hold of is left out: the addresses that a name has,
 * certificates, proxies, and which protocol a port speaks.
 */
import { linkAbort } from '../../core/async/abort.ts';
import { streamOf } from '../../core/async/byte-stream.ts';
import { findError, HawserError } from '../../core/errors.ts';
import type {
  ClosableTransport,
  HttpRequest,
  HttpResponse,
  ResponseHeaders,
  TransportOptions,
  Transports,
} from '../../core/ports/transport.ts';
import { codeOfUndici, codeOfWords, deepest, isAssertion } from '../http/fetch-codes.ts';
import { failure } from '../http/http-failure.ts';
import { limitBody, withDeadline } from '../http/http-limits.ts';
import { OriginGates } from '../http/origin-gates.ts';

const isDeno = 'Deno' in globalThis;

/** Of names nothing is looked up: where a registry may lead is judged by the addresses that URLs spell. */
export function webTransports(): Transports {
  return { open: (options = {}) => new FetchTransport(options) };
}

class FetchTransport implements ClosableTransport {
  readonly #options: TransportOptions;
  readonly #gates: OriginGates;
  readonly #live = new Set<AbortController>();

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#gates = new OriginGates(options.connections ?? 16);
  }

  readonly send = async (request: HttpRequest): Promise<HttpResponse> => {
    request.signal?.throwIfAborted();
    requireAddress(request, this.#options);
    const release = await this.#gates.enter(request.url.origin, request.signal);
    const stop = new AbortController();
    const unlink = linkAbort(request.signal, stop);
    this.#live.add(stop);
    const done = (): void => {
      unlink();
      this.#live.delete(stop);
      release();
    };
    let answered = false;
    const failed = (err: unknown): unknown =>
      stop.signal.aborted
        ? stop.signal.reason
        : (findError(err) ?? exchangeFailure(request, deepest(err), answered));
    try {
      request.signal?.throwIfAborted();
      const response = await this.#exchange(request, stop, { failed, done });
      answered = true;
      return response;
    } catch (err) {
      done();
      throw failed(err);
    }
  };

  /** fetch cannot tell connecting from waiting for the answer, so the two limits are added up. */
  async #exchange(
    request: HttpRequest,
    stop: AbortController,
    ends: { failed(err: unknown): unknown; done(): void },
  ): Promise<HttpResponse> {
    const { connectTimeout = 30_000, headersTimeout = 30_000, stallTimeout = 60_000 } = this.#options;
    const response = await withDeadline(
      connectTimeout + (request.headersTimeout ?? headersTimeout),
      stop,
      () => failure(request, 'HEADERS_TIMEOUT'),
      () => fetched(request, stop.signal),
    );
    requireSight(request, response);
    return {
      status: response.status,
      statusText: response.statusText,
      url: request.url,
      headers: headersOf(response),
      body: limitBody(response.body ?? streamOf(new Uint8Array()), {
        ...{ stallTimeout, stalled: () => failure(request, 'STALLED') },
        ...ends,
      }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#live) stop.abort(new Error('the transport was closed'));
  }
}

/** An assertion of undici's (status 000) is about undici's code, not about the answer. */
function exchangeFailure(request: HttpRequest, err: unknown, answered: boolean): HawserError {
  if (err instanceof Error && err.name === 'NotCapable') return notAllowed(request, err);
  const code = codeOfUndici(err, answered);
  return failure(request, code === 'UNKNOWN' ? codeOfWords(err) : code, isAssertion(err) ? undefined : err);
}

/** Deno was not told to let the program connect. */
function notAllowed({ url }: HttpRequest, cause: Error): HawserError {
  const flag = `--allow-net=${url.host}`;
  return new HawserError(
    'PermissionDenied',
    `connecting to ${url.host}: Deno does not allow that without ${flag}`,
    {
      hint: `Run Deno with ${flag}`,
      reason: { type: 'errno', errno: 'EACCES', sandbox: true },
      cause,
    },
  );
}

async function fetched(
  { url, method, headers: given, body }: HttpRequest,
  signal: AbortSignal,
): Promise<Response> {
  if (body !== undefined && !(body instanceof Uint8Array))
    throw new HawserError('NotImplemented', 'Cannot send a stream: fetch sends none with its length');
  const headers = new Headers({ ...given });
  // For a part of a body the standard asks for identity by itself. Browsers have their own encodings, and decode.
  const asks = headers.has('accept-encoding') || (headers.has('range') && !isDeno);
  if (!asks) headers.set('accept-encoding', 'identity');
  const sent = body === undefined ? {} : { body: new Uint8Array(body) };
  return await fetch(url, { method, headers, signal, redirect: 'manual', ...sent });
}

/** ADDRESS_REFUSED for an address that the URL spells and that may not be connected to. */
function requireAddress(request: HttpRequest, { allowAddress }: TransportOptions): void {
  const { hostname } = request.url;
  const spelled = /^\[(.+)\]$/.exec(hostname)?.[1] ?? (/^[\d.]+$/.test(hostname) ? hostname : undefined);
  if (spelled !== undefined && allowAddress?.(spelled) === false) throw failure(request, 'ADDRESS_REFUSED');
}

/** A browser shows no script where a redirect leads, so that nothing could be checked. */
function requireSight({ method, url }: HttpRequest, { type }: Response): void {
  if (type !== 'opaqueredirect') return;
  throw new HawserError(
    'FailedPrecondition',
    `${method} ${url.origin}${url.pathname}: this runtime does not show where the redirect leads`,
    {
      hint: 'Browsers hide that: ask from a server, or use a registry that gives its blobs itself',
    },
  );
}

/** The standard's fetch has decoded the body by what these headers say; Deno's does not, once an encoding was asked for. */
function headersOf({ headers }: Response): ResponseHeaders {
  if (isDeno || !headers.has('content-encoding')) return headers;
  const own = new Headers(headers);
  own.delete('content-encoding');
  own.delete('content-length');
  return own;
}
