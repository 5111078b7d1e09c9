/** One challenge of a WWW-Authenticate field. Scheme and parameter names are in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly params: ReadonlyMap<string, string>;
}

const MAX_CHALLENGES = 32;
const SEPARATORS = /[ \t,]*/y;
const SPACE = /[ \t]*/y;
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
/** With an `=` of its own it could be a parameter; only a doubled one cannot. */
const TOKEN68 = /[A-Za-z0-9\-._~+/]+(?:==+)?(?=[ \t]*(?:,|$))/y;
const QUOTED = /"(?:[^"\\]|\\.)*"/y;
/** RFC 9110 wants a token here, but realms are seen without quotes. */
const UNQUOTED = /[^ \t,;"]*/y;

/**
 * Reads `WWW-Authenticate` by RFC 9110 11.6.1: several challenges on a line, or lines joined by a comma, white space
 * around `=`, quoted pairs. Stops at the first thing that does not fit and gives what was read before it.
 */
export function parseChallenges(field: string): Challenge[] {
  const found: { scheme: string; params: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const text = pattern.exec(field)?.[0];
    if (text !== undefined) at += text.length;
    return text;
  };
  for (;;) {
    take(SEPARATORS);
    const word = take(TOKEN);
    if (word === undefined) return found;
    take(SPACE);
    if (field[at] !== '=') {
      if (found.length === MAX_CHALLENGES) return found;
      found.push({ scheme: word.toLowerCase(), params: new Map() });
      take(TOKEN68);
      continue;
    }
    at++;
    take(SPACE);
    const value = field[at] === '"' ? unquote(take(QUOTED)) : take(UNQUOTED);
    const params = found.at(-1)?.params;
    if (value === undefined || params === undefined) return found;
    const name = word.toLowerCase();
    if (!params.has(name)) params.set(name, value);
  }
}

function unquote(quoted: string | undefined): string | undefined {
  return quoted?.slice(1, -1).replace(/\\(.)/gs, '$1');
}
