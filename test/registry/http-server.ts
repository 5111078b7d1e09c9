/**
 * An HTTP/1.1 server on plain sockets: the tests' answers must be able to break every rule, in the same way on every
 * runtime. Reads requests with Content-Length; keeps connections alive.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

export interface ServerRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

/** The raw connection, for the answer. */
export interface Wire {
  /** False once the client has gone. */
  write(data: string | Uint8Array): Promise<boolean>;
  readonly closed: Promise<void>;
  end(): void;
  /** RST where the runtime can, else an abrupt end. */
  reset(): void;
}

export interface HttpServer {
  readonly port: number;
  /** Connections taken so far. */
  connections(): number;
  /** Connections that are open now. */
  openConnections(): number;
  /** Requests whose answer has not ended. */
  answering(): number;
  close(): Promise<void>;
}

export interface ServerTls {
  readonly key: string;
  readonly cert: string;
  /** Asks for a client certificate of this CA. */
  readonly clientCa?: string;
}

/** Where the body of a request is not read to its end: after `at` bytes the connection is reset, is answered, or is left alone. */
export interface Cut {
  readonly at: number;
  readonly how: 'reset' | 'answer' | 'stall';
}

/** Ends the reading of requests within their bodies. */
export interface Cuts {
  /** Asked once for each request that has a body; undefined: the body is read. */
  begin(head: ServerRequest): Cut | undefined;
  /** With the bytes that have come. */
  cut(request: ServerRequest): void;
}

export async function serve(
  handle: (request: ServerRequest, wire: Wire) => Promise<void>,
  options: { port?: number; address?: string; tls?: ServerTls; cuts?: Cuts } = {},
): Promise<HttpServer> {
  const sockets = new Set<Socket>();
  let count = 0;
  let answering = 0;
  const counted: typeof handle = async (request, wire) => {
    answering++;
    await handle(request, wire).finally(() => answering--);
  };
  const onSocket = (socket: Socket): void => {
    count++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    converse(socket, counted, options.cuts).catch(() => socket.destroy());
  };
  const { tls } = options;
  const server: Server =
    tls === undefined
      ? createServer(onSocket)
      : createTlsServer(
          {
            key: tls.key,
            cert: tls.cert,
            ...(tls.clientCa === undefined
              ? {}
              : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
          },
          onSocket,
        );
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) =>
    server.listen(options.port ?? 0, options.address ?? '127.0.0.1', resolve),
  );
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => count,
    openConnections: () => sockets.size,
    answering: () => answering,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Bytes of a request's head. */
const MAX_HEAD = 256 * 1024;

/** The first byte of a client that wants TLS (RFC 8446 5.1). Clients such as skopeo ask so first, and wait for an answer. */
const TLS_HANDSHAKE = 0x16;

async function converse(
  socket: Socket,
  handle: (request: ServerRequest, wire: Wire) => Promise<void>,
  cuts: Cuts | undefined,
): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const wire: Wire = {
    closed,
    end: () => socket.end(),
    reset: () => socket.resetAndDestroy(),
    write: async (data) => {
      if (socket.destroyed || !socket.writable) return false;
      // Deno's TLS sends nothing any more after a write of no bytes.
      if (data.length === 0) return true;
      if (socket.write(data)) return true;
      await Promise.race([new Promise<void>((resolve) => socket.once('drain', () => resolve())), closed]);
      return !socket.destroyed;
    },
  };
  let parts: Uint8Array[] = [];
  let size = 0;
  let head: Head | undefined;
  for await (const chunk of socket as AsyncIterable<Uint8Array>) {
    parts.push(chunk);
    size += chunk.length;
    if (parts[0]?.[0] === TLS_HANDSHAKE) {
      await wire.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      return wire.end();
    }
    for (;;) {
      if (head === undefined) {
        parts = [concat(parts)];
        head = parse(parts[0] ?? new Uint8Array(), cuts);
      }
      if (head === undefined) break;
      const { request, start, length, cut } = head;
      if (cut !== undefined && size >= start + cut.at) {
        cuts?.cut({ ...request, body: concat(parts).slice(start, start + cut.at) });
        if (cut.how === 'reset') return wire.reset();
        if (cut.how === 'stall') return await closed;
        await handle({ ...request, body: new Uint8Array() }, wire);
        return await closed;
      }
      if (size < start + length) break;
      const all = concat(parts);
      parts = [all.subarray(start + length)];
      size = all.length - start - length;
      head = undefined;
      await handle({ ...request, body: all.slice(start, start + length) }, wire);
    }
  }
}

/** A request whose body begins at `start`. */
interface Head {
  readonly request: ServerRequest;
  readonly start: number;
  readonly length: number;
  readonly cut: Cut | undefined;
}

function parse(bytes: Uint8Array, cuts: Cuts | undefined): Head | undefined {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, MAX_HEAD));
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const [method = '', target = ''] = first.split(' ');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  const length = Number(headers.get('content-length') ?? 0);
  const url = new URL(target, 'http://registry.test');
  const request = { method, target, url, headers, body: new Uint8Array() };
  return { request, start: end + 4, length, cut: length > 0 ? cuts?.begin(request) : undefined };
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
