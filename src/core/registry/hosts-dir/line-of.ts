import { parse } from 'smol-toml';

/**
 * The line (from 1) where a key of a valid TOML text is written. The parser does not say: it is the line after the longest
 * beginning of the text that is valid TOML and lacks the key. Only for error messages: it parses once for each line.
 */
export function lineOf(text: string, path: readonly string[]): number {
  const lines = text.split('\n');
  let without = 0;
  for (let count = 1; count <= lines.length; count++) {
    const beginning = tryParse(lines.slice(0, count).join('\n'));
    if (beginning === undefined) continue;
    if (has(beginning, path)) return without + 1;
    without = count;
  }
  return without === lines.length ? 1 : without + 1;
}

function tryParse(text: string): unknown {
  try {
    return parse(text);
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
