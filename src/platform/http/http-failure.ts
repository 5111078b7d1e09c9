/** What a failed HTTP exchange is called, the same on every runtime. */
import { HawserError, type Kind, messageOf } from '../../core/errors.ts';
import type { HttpRequest } from '../../core/ports/transport.ts';

/** Our words for what went wrong. What the system calls it otherwise (EHOSTUNREACH) is kept as it is. */
export type FailureCode =
  | 'TLS'
  | 'PLAIN_HTTP'
  | 'UNEXPECTED_END'
  | 'HTTP_PROTOCOL'
  | 'HEADERS_OVERFLOW'
  | 'CONNECT_RESET'
  | 'CONNECT_TIMEOUT'
  | 'HEADERS_TIMEOUT'
  | 'STALLED'
  | 'PROXY'
  | 'CLOSED';

interface Words {
  readonly kind: Kind;
  readonly text: string;
  readonly hint?: string;
}

const ADDRESS_HINT = 'Check the registry name, the network and the proxy settings';
const TLS_HINT = 'Name the registry’s own CA with --tlscacert; --skip-verify turns the check off';

const WORDS: Readonly<Record<string, Words>> = {
  ECONNREFUSED: { kind: 'Unavailable', text: 'connection refused', hint: ADDRESS_HINT },
  ECONNRESET: { kind: 'Unavailable', text: 'connection reset by the server' },
  CONNECT_RESET: { kind: 'Unavailable', text: 'the connection was closed while TLS was set up' },
  ENOTFOUND: { kind: 'Unavailable', text: 'no such host', hint: ADDRESS_HINT },
  EAI_AGAIN: { kind: 'Unavailable', text: 'the name could not be looked up', hint: ADDRESS_HINT },
  TLS: { kind: 'Unavailable', text: 'TLS failed', hint: TLS_HINT },
  PLAIN_HTTP: {
    kind: 'Unavailable',
    text: 'the server does not speak TLS on this port',
    hint: 'If the registry has no TLS, use --plain-http',
  },
  UNEXPECTED_END: { kind: 'Unavailable', text: 'the server closed the connection too early' },
  HTTP_PROTOCOL: { kind: 'Unavailable', text: 'the answer is not valid HTTP' },
  HEADERS_OVERFLOW: { kind: 'Unavailable', text: 'the answer has too many or too long headers' },
  CONNECT_TIMEOUT: { kind: 'DeadlineExceeded', text: 'no connection in time', hint: ADDRESS_HINT },
  HEADERS_TIMEOUT: { kind: 'DeadlineExceeded', text: 'no answer in time' },
  STALLED: { kind: 'DeadlineExceeded', text: 'the body stalled' },
  PROXY: {
    kind: 'Unavailable',
    text: 'the proxy failed',
    hint: 'Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY',
  },
  CLOSED: { kind: 'Unavailable', text: 'the transport was closed' },
};

/**
 * `data.code` is `TLS` for both kinds of TLS failure; the query is left out of the message, it may be signed. `proxy` is
 * the one that the request went through: a connection that it refused is the proxy's failure.
 */
export function failure(request: HttpRequest, code: string, cause?: unknown, proxy?: URL): HawserError {
  const words = WORDS[code] ?? { kind: 'Unavailable' as const, text: 'the exchange failed' };
  const detail = cause === undefined ? '' : ` (${clean(messageOf(cause))})`;
  const through = proxy === undefined ? '' : ` through the proxy ${proxy.protocol}//${proxy.host}`;
  const where = `${request.method} ${request.url.origin}${request.url.pathname}${through}`;
  const data = { code: code === 'PLAIN_HTTP' ? 'TLS' : code };
  return new HawserError(words.kind, `${where}: ${words.text}${detail}`, { hint: words.hint, cause, data });
}

/** Runtimes quote URLs in their messages: without their query, and in one line. */
function clean(text: string): string {
  return text
    .replace(/\?[^\s)'"]*/g, '?REDACTED')
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .slice(0, 500);
}
