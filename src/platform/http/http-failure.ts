/** Errors for failed HTTP exchanges, the same on every runtime. */
import { type ExchangeCode, HawserError, type Kind, messageOf } from '../../core/errors.ts';
import type { HttpRequest } from '../../core/ports/transport.ts';

/**
 * A transport's finding, with kinds of `TLS`: a chain that ends in an unknown root, a certificate that is not valid now or is for other
 * names; `PLAIN_HTTP`: the server speaks plain HTTP; `TLS_PORT`: the reverse.
 */
export type FailureCode = ExchangeCode | TlsKind;

const TLS_KINDS = ['TLS_ROOT', 'TLS_TIME', 'TLS_NAME', 'PLAIN_HTTP', 'TLS_PORT'] as const;
type TlsKind = (typeof TLS_KINDS)[number];

interface Words {
  readonly kind: Kind;
  readonly text: string;
  readonly hint?: string;
}

/** A machine that was not reached; this machine is asked through no proxy. */
export const ADDRESS_HINT = 'Check the name and the port of the registry, the network and the proxy settings';
const PROXY_HINT = 'Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY';
const LOCAL_HINT = 'Check the port, and whether the registry on this machine runs';
const CUT_HINT = 'Try again; the server, or a proxy or firewall before it, ends connections';
const OTHER_SERVER_HINT =
  'Check the name and the port of the registry, and the proxy: another server may have answered';
const LOOPBACK = /^(?:(?:.+\.)?localhost|127\.[\d.]+|\[::1\])\.?$/;

const OTHER: Words = { kind: 'Unavailable', text: 'the exchange failed' };
const NOT_REACHED: Words = { ...OTHER, hint: ADDRESS_HINT };
const TLS_FAILED: Words = { kind: 'Unavailable', text: 'TLS failed' };

const WORDS: Readonly<Partial<Record<FailureCode, Words>>> = {
  ECONNREFUSED: { kind: 'Unavailable', text: 'connection refused', hint: ADDRESS_HINT },
  ECONNRESET: { kind: 'Unavailable', text: 'connection reset by the server', hint: CUT_HINT },
  CONNECT_RESET: {
    kind: 'Unavailable',
    text: 'the connection was closed while TLS was set up',
    hint: CUT_HINT,
  },
  ENOTFOUND: { kind: 'Unavailable', text: 'no such host', hint: ADDRESS_HINT },
  EAI_AGAIN: { kind: 'Unavailable', text: 'the name could not be looked up', hint: ADDRESS_HINT },
  ECONNABORTED: OTHER,
  EPIPE: OTHER,
  ETIMEDOUT: NOT_REACHED,
  EHOSTUNREACH: NOT_REACHED,
  ENETUNREACH: NOT_REACHED,
  TLS: {
    ...TLS_FAILED,
    hint: 'The two ends did not agree: check the port, the client certificate (--tlscert) and the versions of TLS',
  },
  TLS_ROOT: {
    ...TLS_FAILED,
    hint: 'Name the registry’s own CA with --tlscacert; --skip-verify turns the check off',
  },
  TLS_TIME: {
    ...TLS_FAILED,
    hint: 'The certificate is not valid now: check this machine’s clock; else whoever runs the registry has to renew it',
  },
  TLS_NAME: {
    ...TLS_FAILED,
    hint: 'The certificate is for other names: check the name of the registry',
  },
  PLAIN_HTTP: {
    kind: 'Unavailable',
    text: 'the server does not speak TLS on this port',
    hint: 'If it has no TLS: --plain-http, or http:// where hosts.toml names it',
  },
  TLS_PORT: {
    kind: 'Unavailable',
    text: 'the server speaks TLS on this port, and was asked in plain HTTP',
    hint: 'Leave out --plain-http, or write https:// where hosts.toml names it; a port of this machine is asked by TLS with --tlscacert FILE or --skip-verify',
  },
  UNEXPECTED_END: { kind: 'Unavailable', text: 'the server closed the connection too early', hint: CUT_HINT },
  HTTP_PROTOCOL: { kind: 'Unavailable', text: 'the answer is not valid HTTP', hint: OTHER_SERVER_HINT },
  HEADERS_OVERFLOW: {
    kind: 'Unavailable',
    text: 'the answer has too many or too long headers',
    hint: OTHER_SERVER_HINT,
  },
  CONNECT_TIMEOUT: { kind: 'DeadlineExceeded', text: 'no connection in time', hint: ADDRESS_HINT },
  HEADERS_TIMEOUT: {
    kind: 'DeadlineExceeded',
    text: 'no answer in time',
    hint: 'Try again later, or wait longer (--timeout-response; 30s by default)',
  },
  STALLED: {
    kind: 'DeadlineExceeded',
    text: 'the body stalled',
    hint: 'Try again, or wait longer (--timeout-stall; 60s by default)',
  },
  PROXY: {
    kind: 'Unavailable',
    text: 'the proxy failed',
    hint: PROXY_HINT,
  },
  ADDRESS_REFUSED: {
    kind: 'FailedPrecondition',
    text: 'the registry may not lead to the address of this name',
    hint: 'Registries may lead to addresses as public as their own. --reach private (or loopback), or reach = "private" in hosts.toml, lets a host lead to its own network',
  },
  CLOSED: { kind: 'Unavailable', text: 'the transport was closed' },
};

/**
 * `code`: a FailureCode, or what the runtime calls something else (`UNKNOWN` then). The reason is `TLS` for all kinds of TLS
 * failure; the query is left out of the message, for signed URLs have secrets there. `proxy` is the proxy that the request went through.
 */
export function failure(request: HttpRequest, code: string, cause?: unknown, proxy?: URL): HawserError {
  const known = isKnown(code) ? code : 'UNKNOWN';
  const words = WORDS[known] ?? OTHER;
  const detail = cause === undefined ? '' : ` (${clean(messageOf(cause))})`;
  const through = proxy === undefined ? '' : ` through the proxy ${proxy.protocol}//${proxy.host}`;
  const where = `${request.method} ${request.url.origin}${request.url.pathname}${through}`;
  const reason = { type: 'exchange', code: reasonCode(known) } as const;
  const hint = words.hint === ADDRESS_HINT ? addressHint(request, proxy) : words.hint;
  return new HawserError(words.kind, `${where}: ${words.text}${detail}`, { hint, cause, reason });
}

function addressHint({ url }: HttpRequest, proxy: URL | undefined): string {
  if (proxy !== undefined) return PROXY_HINT;
  return LOOPBACK.test(url.hostname) ? LOCAL_HINT : ADDRESS_HINT;
}

function reasonCode(code: FailureCode): ExchangeCode {
  return isTlsKind(code) ? 'TLS' : code;
}

function isTlsKind(code: FailureCode): code is TlsKind {
  return TLS_KINDS.some((kind) => kind === code);
}

function isKnown(code: string): code is FailureCode {
  return Object.hasOwn(WORDS, code);
}

/** `0017F74C:error:0A00010B:SSL routines:FUNCTION:REASON:FILE:LINE:DATA`: what OpenSSL prints of an error. */
const OPENSSL = /\b[0-9A-F]+:error:[0-9A-F]+:[^:]*:[^:]*:([^:]*):[^:]*:\d+:[ \t]*/gi;

/** A runtime's message as one line; URLs in it lose their query, and what it says of OpenSSL's sources and to do about Node is left out. */
function clean(text: string): string {
  return text
    .replace(/; if the root CA is installed locally, try running Node\.js with .*$/s, '')
    .replace(OPENSSL, (_, reason: string) => `${reason} `)
    .replace(/\?[^\s)'"]*/g, '?REDACTED')
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim()
    .slice(0, 500);
}
