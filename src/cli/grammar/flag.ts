/** A flag as data: what is typed, and how the typed texts become a value. Bad values are usage errors. */
import { parseDuration } from '../../core/duration.ts';
import { type HawserError, hintOf, messageOf } from '../../core/errors.ts';
import { parseSize } from '../../core/size.ts';
import { raise, usageError } from './usage-error.ts';

/** `N` is the name as a literal type: a command may ask for those flags only that it declares. */
export interface Flag<N extends string, T> {
  readonly name: N;
  readonly alias?: string;
  /** A name has one type in all commands: flags may stand anywhere, so they are read before the command is known. */
  readonly type: 'bool' | 'text' | 'count' | 'list' | 'choice' | 'duration' | 'size';
  readonly describe: string;
  /** For help: what the value is. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** Another tool's variable that gives the value, after ours: of a flag that has one (`variablesOf`). */
  readonly env?: string;
  /** The value of the texts given, in order. `source` names the flag or the variable in a usage error. */
  parse(texts: readonly string[], source: string): T;
}

/** An argument that is a flag by its form: `--name`, `-name`, `--name=value`. */
export function readFlag(
  arg: string,
): { readonly name: string; readonly value: string | undefined } | undefined {
  const [, name, value] = /^--?([^=\s-][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
  return name === undefined ? undefined : { name, value };
}

export type AnyFlag = Flag<string, unknown>;

/** The names of the flags of a list. */
export type NamesOf<F extends readonly AnyFlag[]> = F[number]['name'];

export type Bool<N extends string> = Flag<N, boolean>;
/** The last one given. */
export type Text<N extends string> = Flag<N, string | undefined>;
/** All that were given; a value is never split. */
export type List<N extends string> = Flag<N, readonly string[]>;
export type Choice<N extends string, C extends string> = Flag<N, C | undefined>;
/** A whole number from 0. */
export type Count<N extends string> = Flag<N, number | undefined>;
/** In milliseconds. */
export type Duration<N extends string> = Flag<N, number | undefined>;
/** In bytes. */
export type Size<N extends string> = Flag<N, number | undefined>;

type Spec<N extends string> = Pick<Flag<N, unknown>, 'name' | 'alias' | 'describe' | 'env'>;
type Valued<N extends string> = Spec<N> & { readonly value: string };
/** `notZero` says why 0 is refused. */
type Measure<N extends string> = Valued<N> & { readonly notZero?: string };

export function bool<const N extends string>(spec: Spec<N>): Bool<N> {
  return { ...spec, type: 'bool', parse: (texts, source) => truth(texts.at(-1), source) };
}

/** Variables say 1 and 0, too. */
function truth(given: string | undefined, source: string): boolean {
  if (given === undefined) return false;
  if (['true', '1'].includes(given)) return true;
  return ['false', '0'].includes(given) ? false : raise(badValue(source, given, 'want true or false'));
}

export function text<const N extends string>(spec: Valued<N>): Text<N> {
  return { ...spec, type: 'text', parse: (texts) => texts.at(-1) };
}

export function list<const N extends string>(spec: Valued<N>): List<N> {
  return { ...spec, type: 'list', parse: (texts) => texts };
}

export function choice<const N extends string, const C extends string>(
  spec: Spec<N> & { readonly choices: readonly C[] },
): Choice<N, C> {
  const { choices } = spec;
  const parse = (given: string, source: string): C =>
    choices.find((one) => one === given) ?? raise(badValue(source, given, `want ${choices.join(', ')}`));
  return { ...spec, type: 'choice', value: choices.join('|'), parse: last(parse) };
}

export function count<const N extends string>(spec: Valued<N>): Count<N> {
  const parse = (given: string, source: string): number =>
    /^\d{1,9}$/.test(given) ? Number(given) : raise(badValue(source, given, 'want a whole number from 0'));
  return { ...spec, type: 'count', parse: last(parse) };
}

export function duration<const N extends string>(spec: Measure<N>): Duration<N> {
  return { ...spec, type: 'duration', parse: last(measure(parseDuration, spec.notZero)) };
}

export function size<const N extends string>(spec: Measure<N>): Size<N> {
  return { ...spec, type: 'size', parse: last(measure(parseSize, spec.notZero)) };
}

export function badValue(source: string, value: string, why: string, hint?: string): HawserError {
  return usageError(`invalid value "${value}" for ${source}: ${why}`, hint);
}

function last<T>(
  parse: (text: string, source: string) => T,
): (texts: readonly string[], source: string) => T | undefined {
  return (texts, source) => {
    const given = texts.at(-1);
    return given === undefined ? undefined : parse(given, source);
  };
}

function measure(parse: (text: string) => number, notZero: string | undefined) {
  return (given: string, source: string): number => {
    const value = attempt(parse, given, source);
    if (value < 0) throw badValue(source, given, 'it must not be negative');
    if (value < 1 && notZero !== undefined) throw badValue(source, given, notZero);
    return value;
  };
}

function attempt(parse: (text: string) => number, given: string, source: string): number {
  try {
    return parse(given);
  } catch (err) {
    throw badValue(source, given, messageOf(err), hintOf(err));
  }
}
