/** HTTP servers over node:http, which Deno and Bun have too. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse as Outgoing, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HawserError, messageOf } from '../../core/errors.ts';
import type {
  HttpServer,
  HttpServerOptions,
  HttpServers,
  RequestHandler,
  ServerResponse,
} from '../../core/ports/http-server.ts';
import { Connections } from './connections.ts';
import { sendBody } from './send-body.ts';

/** Bytes of a request's line and headers. */
const MAX_HEADER_BYTES = 16 * 1024;

export function createHttpServers(): HttpServers {
  return { listen };
}

async function listen(options: HttpServerOptions, handler: RequestHandler): Promise<HttpServer> {
  const connections = new Connections(options);
  const stop = new AbortController();
  const server = await open(options, (request, response) => {
    const { socket } = request;
    connections.inTurn(socket, async () => {
      if (socket.destroyed || response.destroyed) return;
      const gone = new AbortController();
      const leave = () => gone.abort(new HawserError('Canceled', 'the client is gone'));
      response.once('close', leave);
      stop.signal.addEventListener('abort', leave);
      await answer(request, response, { handler, signal: gone.signal, stall: options.stallTimeout });
      response.off('close', leave);
      stop.signal.removeEventListener('abort', leave);
    });
  });
  // Behind TLS a connection is one once its handshake is done, which has a limit of its own.
  const event = options.tls === undefined ? 'connection' : 'secureConnection';
  server.on(event, (socket: Socket) => connections.add(socket));
  server.on('clientError', (_, socket) => refuse(socket as Socket));
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  await bound(server, options);
  const { address, port } = server.address() as AddressInfo;
  return {
    address,
    port,
    close: async (grace) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      connections.stop();
      const late = new AbortController();
      const cut = sleep(grace, undefined, { signal: late.signal }).then(
        () => {
          stop.abort();
          connections.cut();
        },
        () => {},
      );
      await Promise.race([closed, cut]);
      late.abort();
    },
  };
}

type Listener = (request: IncomingMessage, response: Outgoing) => void;

async function open(options: HttpServerOptions, listener: Listener): Promise<Server> {
  const { tls, maxConnections, headersTimeout } = options;
  const common = { maxHeaderSize: MAX_HEADER_BYTES, noDelay: true, handshakeTimeout: headersTimeout };
  const server = tls === undefined ? createServer(common, listener) : await openTls(tls, common, listener);
  server.maxConnections = maxConnections;
  // Connections has limits of its own: node:http looks every 30 s only, and Deno's never.
  server.headersTimeout = 0;
  server.requestTimeout = 0;
  server.keepAliveTimeout = 0;
  return server;
}

async function openTls(
  { cert, key, clientCa }: NonNullable<HttpServerOptions['tls']>,
  common: object,
  listener: Listener,
): Promise<Server> {
  const { createServer } = await import('node:https');
  const client = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  try {
    // Deno finds out at the first handshake.
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
      throw new Error('the key is another certificate’s');
    return createServer({ ...common, cert, key, ...client, minVersion: 'TLSv1.2' }, listener);
  } catch (err) {
    throw new HawserError('InvalidArgument', `Cannot use the certificate and its key: ${messageOf(err)}`, {
      cause: err,
      hint: 'Both are PEM files, and the key is that of the first certificate',
    });
  }
}

async function bound(server: Server, { address, port }: HttpServerOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (err: Error & { code?: string }) => {
      const hint =
        err.code === 'EADDRINUSE' ? 'Another program has the port; choose one with --listen' : undefined;
      const message = `Cannot listen at ${address}, port ${port}: ${messageOf(err)}`;
      reject(new HawserError('FailedPrecondition', message, { cause: err, ...(hint && { hint }) }));
    });
    server.listen(port, address, () => resolve());
  });
}

interface Answering {
  readonly handler: RequestHandler;
  readonly signal: AbortSignal;
  readonly stall: number;
}

/** Never throws. */
async function answer(request: IncomingMessage, response: Outgoing, job: Answering): Promise<void> {
  const { method = '', url = '', socket } = request;
  try {
    const given = await job.handler({
      method,
      target: url,
      headers: { get: (name) => headerOf(request, name) },
      peer: socket.remoteAddress ?? '',
      signal: job.signal,
    });
    await send(request, response, given, job);
  } catch {
    // The handler tells its errors itself. Half an answer must not look whole.
    if (response.headersSent) socket.destroy();
    else response.writeHead(500, { 'content-length': '0', connection: 'close' }).end();
  }
}

function headerOf({ headers }: IncomingMessage, name: string): string | null {
  const value = headers[name.toLowerCase()];
  return value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;
}

async function send(
  request: IncomingMessage,
  response: Outgoing,
  { status, headers, body }: ServerResponse,
  { signal, stall }: Answering,
): Promise<void> {
  // A body that nobody reads would stand before the next request.
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  const unread = length !== '0' || encoding !== undefined;
  response.writeHead(status, { ...headers, ...(unread ? { connection: 'close' } : {}) });
  if (body === undefined || request.method === 'HEAD' || status === 204 || status === 304) {
    if (body !== undefined && !(body instanceof Uint8Array)) await body.cancel();
    response.end();
  } else await sendBody(response, body, { signal, stall });
}

/** No request, or too large a one. */
function refuse(socket: Socket): void {
  if (socket.writable)
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  socket.destroySoon?.();
}
