import type { ResponseHeaders } from './transport.ts';

/** A request as it came in. Its body is not read. */
export interface ServerRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  /** Names in any case; several fields of a name joined by `, `. */
  readonly headers: Pick<ResponseHeaders, 'get'>;
  /** The address of the client. */
  readonly peer: string;
  /** Aborts when the client is gone, is too slow, or the server stops. */
  readonly signal: AbortSignal;
}

/** An answer. To HEAD, and with the statuses 204 and 304, no body is sent. */
export interface ServerResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Bytes, or a stream that is read as fast as the client takes them. `content-length` is then among the headers, and a stream that fails
   * cuts the connection: the client knows by the length that the body is not whole.
   */
  readonly body?: Uint8Array | ReadableStream<Uint8Array> | undefined;
}

/** Answers a request. Should not throw: an error is answered with 500. */
export type RequestHandler = (request: ServerRequest) => Promise<ServerResponse>;

/** PEM texts. */
export interface ServerTls {
  /** The server's certificate, with the chain if there is one. */
  readonly cert: string;
  /** The key of `cert`. */
  readonly key: string;
  /** Only clients with a certificate of one of these are served. */
  readonly clientCa?: string | undefined;
}

/** Times in milliseconds. */
export interface HttpServerOptions {
  /** An IP address. */
  readonly address: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly tls?: ServerTls | undefined;
  /** More are closed at once. */
  readonly maxConnections: number;
  /** From the connection, or the answer before, to the end of a request's headers. */
  readonly headersTimeout: number;
  /** For a client to take a piece of at most 64 KiB. */
  readonly stallTimeout: number;
}

export interface HttpServer {
  readonly address: string;
  readonly port: number;
  /** Takes no more connections and requests. Answers on their way may end within `grace` milliseconds; then their connections are cut. */
  close(grace: number): Promise<void>;
}

export interface HttpServers {
  /** FailedPrecondition for an address that is in use or not of this machine; InvalidArgument for TLS files that do not fit. */
  listen(options: HttpServerOptions, handler: RequestHandler): Promise<HttpServer>;
}
