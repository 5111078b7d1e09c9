import { linkAbort } from '../../core/async/abort.ts';
import { streamOf } from '../../core/async/byte-stream.ts';
import { findError } from '../../core/errors.ts';
import type {
  ClosableTransport,
  HttpRequest,
  HttpResponse,
  TransportOptions,
  Transports,
} from '../../core/ports/transport.ts';
import { portOf } from '../http/authority.ts';
import { codeOfWords, deepest } from '../http/fetch-codes.ts';
import { isAddress, lookupAll } from '../http/guarded-lookup.ts';
import { failure } from '../http/http-failure.ts';
import { limitBody, withDeadline } from '../http/http-limits.ts';
import { OriginGates } from '../http/origin-gates.ts';
import { tellingProtocols } from '../http/other-protocol.ts';
import { hasExtraRoots, systemRoots } from '../http/system-roots.ts';
import { isGranted, requireGranted } from '../kernel/deno-permission.ts';
import { dial } from './dial.ts';

interface HttpClient {
  close(): void;
}

/** The part of Deno that this file uses. */
interface DenoHttp {
  createHttpClient(options: {
    http1?: boolean;
    http2?: boolean;
    cert?: string;
    key?: string;
    caCerts?: string[];
    poolMaxIdlePerHost?: number;
    poolIdleTimeout?: number;
  }): HttpClient;
}

/**
 * Deno's fetch. It can neither refuse addresses, nor replace the roots (its own, the system's, those of NODE_EXTRA_CA_CERTS) nor skip the verification for
 * one client, and reads the proxy variables by rules of its own. So undici, which runs on Deno too, is the transport for such
 * options.
 */
export function createTransports(): Transports {
  return {
    // Deno would ask its user; a name that cannot be looked up is taken as it is spelled.
    lookup: async (hostname) => (isGranted({ name: 'net', host: hostname }) ? await lookupAll(hostname) : []),
    open(options: TransportOptions = {}): ClosableTransport {
      const { ca, skipVerify, proxy, allowAddress } = options;
      const isBeyondFetch = ca !== undefined || skipVerify === true || proxy !== undefined;
      return isBeyondFetch || allowAddress !== undefined || hasExtraRoots()
        ? openUndici(options)
        : openFetch(options);
    },
  };
}

/** Deno would ask its user. */
function requireConnect(host: string, { url }: HttpRequest): void {
  requireGranted({ name: 'net', host }, `connecting to ${url.host}`);
}

function openUndici(options: TransportOptions): ClosableTransport {
  let opened: Promise<ClosableTransport> | undefined;
  const open = async (): Promise<ClosableTransport> => {
    const { undiciTransports } = await import('../http/undici-transport.ts');
    return undiciTransports().open(options);
  };
  return {
    send: async (request) => {
      const to = options.proxy?.(request.url) ?? request.url;
      // A lookup of our own is for the host with all its ports.
      const isLookedUp = options.allowAddress !== undefined && to === request.url && !isAddress(to.hostname);
      requireConnect(isLookedUp ? to.hostname : `${to.hostname}:${portOf(to)}`, request);
      opened ??= open();
      return await (await opened).send(request);
    },
    [Symbol.asyncDispose]: async () => await (await opened)?.[Symbol.asyncDispose](),
  };
}

function openFetch(options: TransportOptions): ClosableTransport {
  const { Deno } = globalThis as unknown as { Deno: DenoHttp };
  const connections = options.connections ?? 16;
  const client = Deno.createHttpClient({
    http1: true,
    http2: false,
    poolMaxIdlePerHost: connections,
    poolIdleTimeout: 30_000,
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    caCerts: [...systemRoots(), ...(options.extraCa === undefined ? [] : [options.extraCa])],
  });
  const streaming = openUndici(options);
  const gates = new OriginGates(connections);
  const live = new Set<AbortController>();
  const dialed = new Set<string>();
  const fetched = tellingProtocols(
    (request) => exchange({ client, gates, live, dialed, options }, request),
    () => true,
  );
  return {
    send: async (request) => await (isStreamed(request) ? streaming.send(request) : fetched(request)),
    [Symbol.asyncDispose]: async () => {
      for (const stop of live) stop.abort(new Error('the transport was closed'));
      client.close();
      await streaming[Symbol.asyncDispose]();
    },
  };
}

/** fetch sends a body that is read meanwhile without its length, which registries want. */
function isStreamed({ body }: HttpRequest): boolean {
  return body !== undefined && !(body instanceof Uint8Array);
}

interface Opened {
  readonly client: HttpClient;
  readonly gates: OriginGates;
  readonly live: Set<AbortController>;
  /** Origins that have been connected to. */
  readonly dialed: Set<string>;
  readonly options: TransportOptions;
}

/**
 * fetch cannot tell connecting from waiting for the answer, so the two limits are added up. An explicit limit for connecting is
 * kept by a connection of our own before an origin's first request. Long: one exchange with all its limits, to the end of the body.
 */
async function exchange(opened: Opened, request: HttpRequest): Promise<HttpResponse> {
  const { options, live } = opened;
  request.signal?.throwIfAborted();
  requireConnect(`${request.url.hostname}:${portOf(request.url)}`, request);
  const release = await opened.gates.enter(request.url.origin, request.signal);
  const stop = new AbortController();
  const unlink = linkAbort(request.signal, stop);
  live.add(stop);
  const done = (): void => {
    unlink();
    live.delete(stop);
    release();
  };
  const failed = (err: unknown): unknown =>
    stop.signal.aborted
      ? stop.signal.reason
      : (findError(err) ?? failure(request, codeOfWords(err), deepest(err)));
  try {
    request.signal?.throwIfAborted();
    const headersTimeout = request.headersTimeout ?? options.headersTimeout ?? 30_000;
    const limit = (options.connectTimeout ?? 30_000) + headersTimeout;
    const response = await withDeadline(
      limit,
      stop,
      () => failure(request, 'HEADERS_TIMEOUT'),
      async () => {
        await dialFirst(opened, request, stop.signal);
        return await send(opened.client, request, stop.signal);
      },
    );
    const body = response.body ?? streamOf(new Uint8Array());
    return {
      status: response.status,
      statusText: response.statusText,
      url: request.url,
      headers: response.headers,
      body: limitBody(body, {
        stallTimeout: options.stallTimeout ?? 60_000,
        stalled: () => failure(request, 'STALLED'),
        failed,
        done,
      }),
    };
  } catch (err) {
    done();
    throw failed(err);
  }
}

async function dialFirst(
  { dialed, options: { connectTimeout } }: Opened,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<void> {
  const { origin } = request.url;
  if (connectTimeout === undefined || dialed.has(origin)) return;
  try {
    await dial(request.url, connectTimeout, () => failure(request, 'CONNECT_TIMEOUT'), signal);
    dialed.add(origin);
  } catch (err) {
    signal.throwIfAborted();
    throw findError(err) ?? failure(request, String((err as { code?: unknown }).code), err);
  }
}

/** Asking for an encoding, identity included, also keeps Deno from decoding any. */
async function send(client: HttpClient, request: HttpRequest, signal: AbortSignal): Promise<Response> {
  const headers = new Headers({ ...request.headers });
  if (!headers.has('accept-encoding')) headers.set('accept-encoding', 'identity');
  const init = {
    method: request.method,
    headers,
    redirect: 'manual' as const,
    signal,
    client,
    ...(request.body === undefined ? {} : { body: request.body as Uint8Array<ArrayBuffer> }),
  };
  return await fetch(request.url, init);
}
