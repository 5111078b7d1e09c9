import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { onAbort } from '../../core/async/abort.ts';
import { plain } from '../../core/bytes.ts';
import type {
  ClosableTransport,
  HttpRequest,
  HttpResponse,
  ResponseHeaders,
  Transport,
  TransportOptions,
  Transports,
} from '../../core/ports/transport.ts';
import { codeOfUndici, isAssertion } from './fetch-codes.ts';
import { guardedLookup, lookupAll } from './guarded-lookup.ts';
import { failure } from './http-failure.ts';
import { tellingProtocols } from './other-protocol.ts';
import { sending } from './request-body.ts';
import { DEFAULT_HEADERS_TIMEOUT, DEFAULT_STALL, openDispatchers } from './undici-dispatcher.ts';

/** Bytes of a body that may wait for the reader before the socket is paused. */
const HIGH_WATER = 256 * 1024;

/** HTTP/1.1 by undici's dispatcher: unlike fetch it follows nothing, decodes nothing and adds no headers. */
export function undiciTransports(): Transports {
  return {
    lookup: lookupAll,
    open(options: TransportOptions = {}): ClosableTransport {
      const dispatchers = openDispatchers(options);
      const {
        headersTimeout = DEFAULT_HEADERS_TIMEOUT,
        stallTimeout = DEFAULT_STALL,
        allowAddress,
      } = options;
      const proxyOf = (url: URL) => options.proxy?.(url);
      const send: Transport = async (request) => {
        const proxy = proxyOf(request.url);
        return await exchange(dispatchers.for(proxy), request, { proxy, headersTimeout, stallTimeout });
      };
      return {
        send: tellingProtocols(
          send,
          (url) => proxyOf(url) === undefined,
          allowAddress && guardedLookup(allowAddress),
        ),
        [Symbol.asyncDispose]: () => dispatchers.destroy(),
      };
    },
  };
}

interface ExchangeOptions {
  readonly proxy: URL | undefined;
  readonly headersTimeout: number;
  readonly stallTimeout: number;
}

async function exchange(
  dispatcher: Dispatcher,
  request: HttpRequest,
  options: ExchangeOptions,
): Promise<HttpResponse> {
  request.signal?.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const handler = new Exchange(request, options, resolve, reject);
    try {
      dispatcher.dispatch(
        {
          origin: request.url.origin,
          path: `${request.url.pathname}${request.url.search}`,
          method: request.method,
          headers: { ...withIdentity(request.headers), ...lengthOf(request.body) },
          body: handler.body,
          ...(request.headersTimeout === undefined ? {} : { headersTimeout: request.headersTimeout }),
        },
        handler,
      );
    } catch (err) {
      handler.fail(err);
    }
  });
}

function withIdentity(headers: HttpRequest['headers']): Record<string, string> {
  const named = Object.keys(headers).some((name) => name.toLowerCase() === 'accept-encoding');
  return named ? { ...headers } : { 'accept-encoding': 'identity', ...headers };
}

/** undici does not know the length of a body that is read while it is sent. */
function lengthOf(body: HttpRequest['body']): { readonly 'content-length'?: string } {
  return body === undefined || body instanceof Uint8Array ? {} : { 'content-length': String(body.length) };
}

/** One exchange: turns undici's callbacks into a response with a body that is read at the reader's speed. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: HttpRequest;
  readonly #options: ExchangeOptions;
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (reason: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;
  #lost: { readonly reason: unknown } | undefined;
  #over = false;
  #stopListening = (): void => {};
  /** When the request went out. */
  #sentAt = 0;

  constructor(
    request: HttpRequest,
    options: ExchangeOptions,
    resolve: (response: HttpResponse) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#request = request;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#stopListening = onAbort(request.signal, () => this.#abort());
  }

  /** The request's body as undici takes it. */
  get body(): Uint8Array | Readable | null {
    const { body } = this.#request;
    if (body === undefined || body instanceof Uint8Array) return body ?? null;
    const fail = (err: unknown) => this.#failSending(err);
    const stalled = () => failure(this.#request, 'STALLED', undefined, this.#options.proxy);
    // undici takes any iterable; its types know streams only.
    return sending(body, { stall: this.#options.stallTimeout, stalled, fail }) as unknown as Readable;
  }

  #failSending(err: unknown): void {
    this.#settle(() => this.#lose(err));
    this.#controller?.abort(err instanceof Error ? err : new Error('the body cannot be sent'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sentAt = performance.now();
    if (this.#over) controller.abort(new Error('aborted while it waited for a connection'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
    statusText?: string,
  ): void {
    if (status < 200) this.#interim(controller);
    if (status < 200 || this.#over) return;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (stream) => {
          this.#body = stream;
        },
        pull: () => (this.#lost === undefined ? controller.resume() : this.#lose(this.#lost.reason)),
        cancel: (reason) =>
          this.#settle(() => controller.abort(reason instanceof Error ? reason : new Error('cancelled'))),
      },
      { highWaterMark: HIGH_WATER, size: (chunk) => chunk.byteLength },
    );
    this.#resolve({
      status,
      statusText: statusText ?? '',
      url: this.#request.url,
      headers: toHeaders(headers),
      body,
    });
  }

  /** Keeps the limit over interim answers (1xx), each of which begins undici's own limit anew. */
  #interim(controller: Dispatcher.DispatchController): void {
    const limit = this.#request.headersTimeout ?? this.#options.headersTimeout;
    if (performance.now() - this.#sentAt <= limit) return;
    const late = failure(this.#request, 'HEADERS_TIMEOUT', undefined, this.#options.proxy);
    this.#settle(() => this.#reject(late));
    controller.abort(late);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#over || this.#body === undefined) return;
    this.#body.enqueue(plain(chunk));
    if ((this.#body.desiredSize ?? 0) <= 0) controller.pause();
  }

  onResponseEnd(): void {
    this.#settle(() => this.#body?.close());
  }

  onResponseError(_controller: unknown, err: unknown): void {
    this.fail(err);
  }

  fail(err: unknown): void {
    const code = codeOfUndici(err, this.#body !== undefined);
    // An assertion of undici's (status 000) is about undici's code, not about the answer.
    const detail = isAssertion(err) ? undefined : err;
    const reason = failure(this.#request, code, detail, this.#options.proxy);
    this.#settle(() => this.#lose(reason));
  }

  #abort(): void {
    const reason: unknown = this.#request.signal?.reason;
    this.#settle(() => (this.#body === undefined ? this.#reject(reason) : this.#body.error(reason)));
    this.#controller?.abort(reason instanceof Error ? reason : new Error('aborted'));
  }

  /** The reader gets the bytes before the failure first: a stream that errors forgets its queue. */
  #lose(reason: unknown): void {
    if (this.#body === undefined) this.#reject(reason);
    else if (this.#body.desiredSize === HIGH_WATER) this.#body.error(reason);
    else this.#lost = { reason };
  }

  #settle(work: () => void): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopListening();
    work();
  }
}

function toHeaders(from: Record<string, string | string[] | undefined>): ResponseHeaders {
  const fields = new Map<string, string>();
  const entries = Object.entries(from).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, value = ''] of entries) {
    fields.set(name.toLowerCase(), (Array.isArray(value) ? value.join(', ') : value).trim());
  }
  return {
    get: (name) => fields.get(name.toLowerCase()) ?? null,
    [Symbol.iterator]: () => fields.entries(),
  };
}
