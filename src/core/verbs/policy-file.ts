/** A file of rules for pruning (TOML). A wrong value or an unknown key is an error: a rule that is misread removes images. */
import { parse, TomlError } from 'smol-toml';
import { parseDuration } from '../duration.ts';
import { HawserError, messageOf } from '../errors.ts';
import { parseSize } from '../size.ts';

/** Which images a store keeps. */
export interface Policy {
  /** `max-age`: milliseconds; an image whose record has not changed for so long may go. */
  readonly maxAge: number | undefined;
  /** `keep-last`: of each repository the last so many stay, whatever their age. */
  readonly keepLast: number | undefined;
  /** `max-size`: bytes; while the store takes more, the oldest images go, whatever the other rules say. */
  readonly maxSize: number | undefined;
  /** `protect`: filters; what passes one stays whatever the rules say. */
  readonly protect: readonly string[];
}

export const POLICY_KEYS: readonly string[] = ['max-age', 'keep-last', 'max-size', 'protect'];

/** InvalidArgument that names the file and the key. */
export function parsePolicy(content: string, file: string): Policy {
  const wrong = (why: string): HawserError =>
    new HawserError('InvalidArgument', `${file}: ${why}`, {
      hint: `A policy has the keys ${POLICY_KEYS.join(', ')}: max-age = "720h", keep-last = 3, max-size = "50G", protect = ["labels.keep"]`,
    });
  const table = tableOf(content, wrong);
  const unknown = Object.keys(table).find((key) => !POLICY_KEYS.includes(key));
  if (unknown !== undefined) throw wrong(`unknown key ${JSON.stringify(unknown)}`);
  const measure = (key: string, read: (value: string) => number): number | undefined => {
    const value = table[key];
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw wrong(`${key} must be a string`);
    const measured = readAs(value, read, (why) => wrong(`${key}: ${why}`));
    // An age or a size of nothing would let every image go.
    if (measured <= 0) throw wrong(`${key} must be more than 0`);
    return measured;
  };
  const { 'keep-last': keepLast, protect = [] } = table;
  if (keepLast !== undefined && !(Number.isSafeInteger(keepLast) && Number(keepLast) >= 0))
    throw wrong('keep-last must be a whole number from 0');
  if (!Array.isArray(protect) || !protect.every((one) => typeof one === 'string'))
    throw wrong('protect must be an array of filters');
  return {
    maxAge: measure('max-age', parseDuration),
    keepLast: keepLast === undefined ? undefined : Number(keepLast),
    maxSize: measure('max-size', parseSize),
    protect,
  };
}

function readAs(value: string, read: (value: string) => number, wrong: (why: string) => HawserError): number {
  try {
    return read(value);
  } catch (err) {
    throw wrong(messageOf(err));
  }
}

function tableOf(content: string, wrong: (why: string) => HawserError): Readonly<Record<string, unknown>> {
  try {
    return parse(content);
  } catch (err) {
    throw wrong(err instanceof TomlError ? `line ${err.line}: not TOML` : messageOf(err));
  }
}
