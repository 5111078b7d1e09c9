/** URLs, headers and texts from outside in a form that may be shown. */

const SHOWN_PARAMETERS: ReadonlySet<string> = new Set(['ns', 'scope', 'service']);
const SECRET_HEADER = /auth(?!enticate)|cookie|token|secret|password|signature|credential|api-?key/i;

/** Without user and password; values of the query replaced by REDACTED (signed URLs), but for `ns`, `scope` and `service`. */
export function safeUrl(url: URL): string {
  const query = [...url.searchParams].map(([name, value]) => {
    const shown = SHOWN_PARAMETERS.has(name) ? encodeURIComponent(value) : 'REDACTED';
    return `${encodeURIComponent(name)}=${shown}`;
  });
  return printable(`${placeOf(url)}${url.pathname}${query.length > 0 ? `?${query.join('&')}` : ''}`, 2000);
}

/** The origin; of a scheme that has none (`file:`, `unix:`), scheme and host. */
function placeOf({ origin, protocol, href, host }: URL): string {
  if (origin !== 'null') return origin;
  return href.startsWith(`${protocol}//`) ? `${protocol}//${host}` : protocol;
}

/** Headers as they may be shown: secrets and `hidden` names (lower case) replaced, URLs by `safeUrl`, no control characters. */
export function safeHeaders(
  headers: Iterable<readonly [string, string]>,
  hidden: readonly string[] = [],
): [string, string][] {
  return [...headers].map(([name, value]) => {
    const lower = name.toLowerCase();
    return [lower, hidden.includes(lower) ? 'REDACTED' : safeValue(name, value)];
  });
}

function safeValue(name: string, value: string): string {
  if (SECRET_HEADER.test(name)) return 'REDACTED';
  const cut = value.replace(/(\?)[^\s"',;>]*/g, '$1REDACTED').replace(/(:\/\/)[^/\s"',]*@/g, '$1');
  return printable(/^(?:location|link|referer|content-location)$/i.test(name) ? cut : value, 4096);
}

/**
 * Words from outside in a form that may be shown: URLs lose user, password, query and fragment, and credentials of headers their value.
 * Takes time in proportion to the text: no expression here looks at a character for more than one match.
 */
export function safeText(text: string, limit: number): string {
  const cut = text
    .replace(/(?<=\w:\/\/)[^\s/?#"'<>]+/g, safeAuthority)
    .replace(/\w:\/\/[^\s"'<>]+/g, (url) => url.replace(/([?#]).*/, '$1REDACTED'))
    .replace(/\b(Bearer|Basic)\s+(?=\S*\d)[\w.~+/=-]{16,}/gi, '$1 REDACTED');
  return printable(cut, limit);
}

/** What follows the user and the password; nothing where the text may end within them. */
function safeAuthority(authority: string): string {
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  return /^(?:\[[\da-f:.]*\]|[^:]*)(?::\d{0,5})?[.,;:!)}\]`]*$/i.test(host) ? host : 'REDACTED';
}

/** One line without control characters, at most `limit` characters. */
export function printable(text: string, limit: number): string {
  const line = text
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim();
  return line.length > limit ? `${line.slice(0, limit)}...` : line;
}
