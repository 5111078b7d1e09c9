import { parse } from 'smol-toml';

/**
 * The line (from 1) where a key of a valid TOML text is written. The parser does not say: it is the line after the longest
 * beginning of the text that is valid TOML and lacks the key. Such beginnings are found by halving, as a longer one has all keys of a
 * shorter one; lines at which no beginning ends, as in the midst of an array, are passed.
 */
export function lineOf(
  text: string,
  path: readonly string[],
  parser: (text: string) => unknown = parse,
): number {
  const lines = text.split('\n');
  /** Undefined: not valid. */
  const hasKey = (count: number): boolean | undefined => {
    const beginning = tryParse(parser, lines.slice(0, count).join('\n'));
    return beginning === undefined ? undefined : has(beginning, path);
  };
  if (hasKey(lines.length) !== true) return 1;
  let [without, within] = [0, lines.length];
  while (within - without > 1) {
    const middle = Math.floor((without + within) / 2);
    const found = firstValid(middle, without, -1, hasKey) ?? firstValid(middle + 1, within, 1, hasKey);
    if (found === undefined) break;
    if (found.has) within = found.count;
    else without = found.count;
  }
  return without + 1;
}

/** The valid beginning that is nearest to `from`, before `end` (excluded). */
function firstValid(
  from: number,
  end: number,
  step: 1 | -1,
  hasKey: (count: number) => boolean | undefined,
): { readonly count: number; readonly has: boolean } | undefined {
  for (let count = from; count !== end; count += step) {
    const found = hasKey(count);
    if (found !== undefined) return { count, has: found };
  }
  return undefined;
}

function tryParse(parser: (text: string) => unknown, text: string): unknown {
  try {
    return parser(text);
  } catch {
    return undefined;
  }
}

function has(value: unknown, path: readonly string[]): boolean {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return false;
    current = (current as Record<string, unknown>)[key];
  }
  return true;
}
