/** What made an exchange fail: fetch says TypeError to everything, and what is below fetch has codes or words for the cause. */

/** undici's codes, and those of Node and OpenSSL. */
const CODES: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'CONNECT_TIMEOUT',
  UND_ERR_HEADERS_TIMEOUT: 'HEADERS_TIMEOUT',
  UND_ERR_BODY_TIMEOUT: 'STALLED',
  UND_ERR_HEADERS_OVERFLOW: 'HEADERS_OVERFLOW',
  HPE_HEADER_OVERFLOW: 'HEADERS_OVERFLOW',
  UND_ERR_SOCKET: 'UNEXPECTED_END',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'UNEXPECTED_END',
  HPE_INVALID_EOF_STATE: 'UNEXPECTED_END',
  HPE_CLOSED_CONNECTION: 'UNEXPECTED_END',
  UND_ERR_PRX_CONN: 'PROXY',
  UND_ERR_PRX_TLS: 'PROXY',
  UND_ERR_DESTROYED: 'CLOSED',
  UND_ERR_CLOSED: 'CLOSED',
  ERR_SSL_WRONG_VERSION_NUMBER: 'PLAIN_HTTP',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'PLAIN_HTTP',
  ERR_SSL_HTTP_REQUEST: 'PLAIN_HTTP',
  EPROTO: 'TLS',
  UND_ERR_ABORTED: 'CLOSED',
};
/** By OpenSSL's names for what is wrong with a certificate; other codes of TLS are no certificate's. */
const CERTIFICATE_CODES: readonly (readonly [pattern: RegExp, code: string])[] = [
  [/^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/, 'TLS_TIME'],
  [/ALTNAME_INVALID$|HOSTNAME_MISMATCH$/, 'TLS_NAME'],
  [/^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|CERT_UNTRUSTED)/, 'TLS_ROOT'],
];
const TLS_CODE =
  /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA)/;

/** An assertion of undici's: about undici's code, not about the answer. */
export function isAssertion(err: unknown): boolean {
  return err instanceof Error && err.name === 'AssertionError';
}

/**
 * By the code of an error of undici, or of Node's fetch: the system's where it has one. Before the headers of an answer are through
 * (`answered` false), a mismatch of lengths is undici's word for headers that contradict one another: two lengths, or one and chunks.
 */
export function codeOfUndici(err: unknown, answered: boolean): string {
  const { code, name, message } = (err ?? {}) as { code?: unknown; name?: unknown; message?: unknown };
  if (!answered && code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return 'HTTP_PROTOCOL';
  if (/^Proxy (?:response|Authentication)/.test(String(message))) return 'PROXY';
  if (/before secure TLS connection/.test(String(message))) return 'CONNECT_RESET';
  if (isAssertion(err)) return 'HTTP_PROTOCOL';
  if (name === 'HTTPParserError' && code !== 'HPE_HEADER_OVERFLOW') {
    return CODES[String(code)] ?? 'HTTP_PROTOCOL';
  }
  if (typeof code !== 'string') return 'UNKNOWN';
  const known = CODES[code];
  if (known !== undefined) return known;
  const certificate = CERTIFICATE_CODES.find(([pattern]) => pattern.test(code))?.[1];
  return certificate ?? (TLS_CODE.test(code) ? 'TLS' : code);
}

/** Those of hyper and rustls, which are Deno’s. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/InvalidContentType|corrupt message/i, 'PLAIN_HTTP'],
  [/handshake eof/i, 'CONNECT_RESET'],
  [/invalid peer certificate: (?:Other\(OtherError\()?(?:UnknownIssuer|CaUsedAsEndEntity)/, 'TLS_ROOT'],
  [/invalid peer certificate: (?:Expired|NotValidYet|certificate (?:expired|not valid yet))/, 'TLS_TIME'],
  [/invalid peer certificate: (?:NotValidForName|certificate not valid for name)/, 'TLS_NAME'],
  [/certificate|\bTLS\b|handshake|alert/i, 'TLS'],
  [/connection refused/i, 'ECONNREFUSED'],
  [/connection reset/i, 'ECONNRESET'],
  [/broken pipe/i, 'EPIPE'],
  [/dns error|lookup address/i, 'ENOTFOUND'],
  [/timed out/i, 'ETIMEDOUT'],
  [/head is too large|too many headers/i, 'HEADERS_OVERFLOW'],
  [/invalid HTTP|invalid header|parsed/i, 'HTTP_PROTOCOL'],
  [/closed before|error reading a body|unexpected eof|end of file|incomplete/i, 'UNEXPECTED_END'],
  [/proxy/i, 'PROXY'],
  [/unreachable/i, 'EHOSTUNREACH'],
];

/** By the words of the innermost error. */
export function codeOfWords(err: unknown): string {
  const text = String((deepest(err) as Error | undefined)?.message ?? err);
  return WORDS.find(([pattern]) => pattern.test(text))?.[1] ?? 'UNKNOWN';
}

/** The innermost cause. */
export function deepest(err: unknown): unknown {
  let current: unknown = err;
  for (let depth = 0; depth < 8 && current instanceof Error && current.cause instanceof Error; depth++) {
    current = current.cause;
  }
  return current;
}
