/** Tells a server that was asked in the wrong protocol from one whose connections are lost. */
import { connect, type LookupFunction, type TcpNetConnectOpts } from 'node:net';
import process from 'node:process';
import { onAbort } from '../../core/async/abort.ts';
import { startTimer } from '../../core/async/timer.ts';
import { type ExchangeCode, reasonOf } from '../../core/errors.ts';
import type { HttpRequest, Transport } from '../../core/ports/transport.ts';
import { bareHost, portOf } from './authority.ts';
import { type FailureCode, failure } from './http-failure.ts';

/** Failures that a TLS server causes when it is asked in plain HTTP, by the runtime. */
const LIKE_TLS: ReadonlySet<ExchangeCode> = new Set([
  'UNEXPECTED_END',
  'ECONNRESET',
  'EPIPE',
  'HTTP_PROTOCOL',
]);
/** Failures that a plain HTTP server causes when it is asked by TLS, and that do not say so. */
const LIKE_PLAIN: ReadonlySet<ExchangeCode> = new Set(['CONNECT_RESET', 'ECONNRESET', 'EPIPE']);
/** Milliseconds. */
const PROBE_TIME = 3_000;

/**
 * After a failure that the wrong protocol may have caused, asks the server once in the other one: an answer makes the failure
 * one for good. Origins that have answered are not probed. `isDirect`: no proxy is between. `lookup`: for the server's name, when
 * not every address may be connected to; an address in its place was checked by `send`.
 */
export function tellingProtocols(
  send: Transport,
  isDirect: (url: URL) => boolean,
  lookup?: LookupFunction,
): Transport {
  const settled = new Set<string>();
  return async (request) => {
    const { origin } = request.url;
    try {
      const response = await send(request);
      settled.add(origin);
      return response;
    } catch (err) {
      const code = reasonOf(err, 'exchange')?.code;
      if (code === undefined || settled.has(origin) || !isDirect(request.url)) throw err;
      const other = otherProtocol(request.url, code);
      if (other === undefined) throw err;
      settled.add(origin);
      if (await answers(request, other, lookup)) throw failure(request, other, err);
      throw err;
    }
  };
}

function otherProtocol({ protocol }: URL, code: ExchangeCode): FailureCode | undefined {
  if (protocol === 'http:') return LIKE_TLS.has(code) ? 'TLS_PORT' : undefined;
  return LIKE_PLAIN.has(code) ? 'PLAIN_HTTP' : undefined;
}

/** No header of the request is sent, and no certificate is asked for: the answer is only compared to the protocol's form. */
async function answers(
  { url, signal }: HttpRequest,
  code: FailureCode,
  lookup: LookupFunction | undefined,
): Promise<boolean> {
  const secure = code === 'TLS_PORT';
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const to = { host: bareHost(url.hostname), port: portOf(url), ...(lookup === undefined ? {} : { lookup }) };
  const socket = secure ? handshake(to, resolve) : greeting(to, resolve);
  socket.once('error', () => resolve(false)).once('close', () => resolve(false));
  const timer = startTimer(PROBE_TIME, () => resolve(false));
  const stopListening = onAbort(signal, () => resolve(false));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stopListening();
    socket.on('error', () => {});
    socket.destroy();
  }
}

type Target = Pick<TcpNetConnectOpts, 'port' | 'lookup'> & { readonly host: string };

function handshake(to: Target, tell: (answers: boolean) => void) {
  const tls = process.getBuiltinModule('node:tls');
  // The certificate does not matter: nothing is sent over this connection.
  return tls.connect({ ...to, rejectUnauthorized: false }, () => tell(true));
}

function greeting(to: Target, tell: (answers: boolean) => void) {
  const socket = connect(to, () => socket.write(`HEAD / HTTP/1.1\r\nhost: ${to.host}\r\n\r\n`));
  return socket.once('data', (bytes) => tell(bytes.toString('latin1').startsWith('HTTP/')));
}
