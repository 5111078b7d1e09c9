/** A body whose bytes are read while they are sent. */
export interface BodySource {
  /** Bytes, sent as Content-Length. Other than so many bytes end the exchange. */
  readonly length: number;
  /** The bytes from the first on: called once for each time that the request is sent. An error of the bytes is the exchange's. */
  open(): AsyncIterable<Uint8Array>;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  /** Sent as they are; names in any case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | BodySource | undefined;
  /** Milliseconds from the last byte of the request to the headers of the answer, in place of the transport's limit. */
  readonly headersTimeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The part of the standard's Headers that is used: sorted by name. A Headers object is one, but to load its class takes Node more
 * time than the rest of a small request.
 */
export interface ResponseHeaders extends Iterable<[string, string]> {
  /** Names in any case; several fields of a name joined by `, ` (RFC 9110 section 5.3). */
  get(name: string): string | null;
}

/** `body` must be read to the end or cancelled. Its errors are HawserErrors like the request's. */
export interface HttpResponse {
  readonly status: number;
  readonly statusText: string;
  /** Of the last request made (after redirects). */
  readonly url: URL;
  readonly headers: ResponseHeaders;
  readonly body: ReadableStream<Uint8Array>;
}

/**
 * One HTTP exchange. Follows no redirect, decodes no content (and asks for identity unless the request has its own
 * Accept-Encoding); no status is an error. Unavailable for a failure of DNS, connection or TLS, with the code in the
 * reason (ECONNREFUSED, ENOTFOUND, TLS, UNEXPECTED_END); DeadlineExceeded for the limits of `TransportOptions`; Canceled
 * for the signal. A body that is not taken for as long as a body may stall is DeadlineExceeded (STALLED). An answer that comes before the
 * whole body was sent ends the sending.
 */
export type Transport = (request: HttpRequest) => Promise<HttpResponse>;

/** Certificates and keys as PEM texts. */
export interface TlsOptions {
  /** Roots in place of the runtime's and the system's. */
  readonly ca?: string | undefined;
  /** Roots that are trusted beside those, or beside `ca`. */
  readonly extraCa?: string | undefined;
  /** The client's certificate, with the chain if there is one. */
  readonly cert?: string | undefined;
  /** The key of `cert`. */
  readonly key?: string | undefined;
  /** Checks no certificate of a server. */
  readonly skipVerify?: boolean | undefined;
}

/** The proxy for a URL, with user and password if it has them; undefined: directly. */
export type ProxyChoice = (url: URL) => URL | undefined;

/** Limits in milliseconds. `stall`: the longest wait for the next bytes of a body. */
export interface TransportOptions extends TlsOptions {
  /** Default: no proxy, whatever the environment says. */
  readonly proxy?: ProxyChoice | undefined;
  readonly connectTimeout?: number | undefined;
  readonly headersTimeout?: number | undefined;
  readonly stallTimeout?: number | undefined;
  /**
   * Whether an IP address may be connected to, else ADDRESS_REFUSED. Asked of every address before the connection, whatever name led
   * to it, but not of a proxy's. Undefined: all may.
   */
  readonly allowAddress?: ((address: string) => boolean) | undefined;
  /** Connections kept and used at once for one origin. */
  readonly connections?: number | undefined;
}

export interface ClosableTransport extends AsyncDisposable {
  readonly send: Transport;
}

export interface Transports {
  /** The IP addresses of a name; none where it may not be looked up. NotFound when there is no such name, else Unavailable. */
  lookup?(hostname: string): Promise<readonly string[]>;
  open(options?: TransportOptions): ClosableTransport;
}
