/** The command line as words and flags, before the command is known. */
// Of yargs only the parser: commands and help of ours are data (each command declares its flags as types), and what yargs
// itself loads beside the parser (locales, a terminal's width) takes longer than most commands. The build takes
// yargs-parser alone (scripts/build.ts).
import type { Parser as YargsParser } from 'yargs/helpers';
import { closest } from '../../core/closest.ts';
import { type AnyFlag, badValue, readFlag } from './flag.ts';
import { flagHabit, isSocket } from './habits.ts';
import { raise, usageError } from './usage-error.ts';

export interface Words {
  readonly words: readonly string[];
  /** The texts of each flag used, by its name; a bool's are `true` and `false`. */
  readonly given: ReadonlyMap<string, readonly string[]>;
}

export type Parser = Pick<typeof YargsParser, 'detailed'>;

/** Loaded late: the parser reads the environment when it is loaded, which Deno may forbid. */
export async function loadParser(): Promise<Parser> {
  return (await import('yargs/helpers')).Parser;
}

/** Go's habits: `-debug` is `--debug`, nothing is a number, a date or a path of dots. Unknown flags are usage errors. */
export function readWords(parser: Parser, args: readonly string[], flags: readonly AnyFlag[]): Words {
  checkTokens(args, flags);
  const { argv, error } = parser.detailed([...args], parserOptions(flags));
  if (error) {
    const name = /: (.+)$/.exec(error.message)?.[1] ?? '';
    throw usageError(`flag --${name} needs a value`, `Write --${name}=VALUE`);
  }
  const { _: words, ...given } = argv;
  return {
    words: words.map(String),
    given: new Map(Object.entries(given).map(([name, value]) => [name, textsOf(value)])),
  };
}

function parserOptions(flags: readonly AnyFlag[]) {
  const valued = flags.filter((flag) => flag.type !== 'bool').map((flag) => flag.name);
  const aliased = flags.flatMap(({ name, alias }) => (alias === undefined ? [] : [[name, [alias]]]));
  return {
    alias: Object.fromEntries(aliased),
    boolean: flags.filter((flag) => flag.type === 'bool').map((flag) => flag.name),
    string: [...valued, '_'],
    narg: Object.fromEntries(valued.map((name) => [name, 1])),
    configuration: {
      'short-option-groups': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'boolean-negation': false,
      'strip-aliased': true,
    },
  };
}

function textsOf(value: unknown): string[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.map((one) => String(one ?? ''));
}

interface FlagToken {
  readonly name: string;
  readonly value: string | undefined;
  /** Undefined when no command has it. */
  readonly flag: AnyFlag | undefined;
}

type Token = FlagToken | { readonly word: string };

const named = new WeakMap<readonly AnyFlag[], ReadonlyMap<string, AnyFlag>>();

/** The flags by their names and aliases. A command line is read several times, most often with the same flags. */
function namesOf(flags: readonly AnyFlag[]): ReadonlyMap<string, AnyFlag> {
  const known = named.get(flags);
  if (known !== undefined) return known;
  const names = new Map<string, AnyFlag>();
  for (const flag of flags) {
    names.set(flag.name, flag);
    if (flag.alias !== undefined) names.set(flag.alias, flag);
  }
  named.set(flags, names);
  return names;
}

/** The arguments in order, each with its index; the value after a flag belongs to the flag. */
function* tokens(args: readonly string[], flags: readonly AnyFlag[]): Generator<readonly [number, Token]> {
  const byName = namesOf(flags);
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') {
      for (let rest = at + 1; rest < args.length; rest++) yield [rest, { word: args[rest] ?? '' }];
      return;
    }
    const read = readFlag(arg);
    if (read === undefined) {
      yield [at, { word: arg }];
      continue;
    }
    const { name, value } = read;
    const flag = byName.get(name);
    yield [at, { name, value, flag }];
    if (flag !== undefined && flag.type !== 'bool' && value === undefined) at++;
  }
}

/** The words; `leading`: only those before the first flag that no command has, whose value may be a word. */
export function plainWords(args: readonly string[], flags: readonly AnyFlag[], leading: boolean): string[] {
  const words: string[] = [];
  for (const [, token] of tokens(args, flags)) {
    if ('word' in token) words.push(token.word);
    else if (leading && token.flag === undefined) break;
  }
  return words;
}

/** The flags that are typed, up to one that no command has. */
export function* knownFlags(args: readonly string[], flags: readonly AnyFlag[]): Generator<AnyFlag> {
  for (const [, token] of tokens(args, flags)) {
    if ('word' in token) continue;
    if (token.flag === undefined) return;
    yield token.flag;
  }
}

/** The parser would take an unknown flag, and any value of a bool. */
function checkTokens(args: readonly string[], flags: readonly AnyFlag[]): void {
  let afterWord = false;
  for (const [at, token] of tokens(args, flags)) {
    afterWord ||= 'word' in token;
    if ('word' in token) continue;
    const { name, value } = token;
    const flag = token.flag ?? raise(unknownFlag(name, flags, flagHabit(args, at, name)));
    if (flag.type === 'bool' && value !== undefined && value !== 'true' && value !== 'false')
      throw badValue(`--${flag.name}`, value, 'want true or false');
    if (flag.type !== 'bool' && value === undefined) checkValue(flag, args[at + 1], afterWord ? name : '');
  }
}

/** The word after a flag is its value: not another flag, nor what docker's -a, which stands after the command, has behind it. */
function checkValue({ name }: AnyFlag, value: string | undefined, typed: string): void {
  if (value !== undefined && readFlag(value) !== undefined)
    throw usageError(
      `flag --${name} needs a value, and ${readFlag(value)?.name} is a flag`,
      `Write --${name}=VALUE`,
    );
  if (typed === 'a' && name === 'address' && value !== undefined && !isSocket(value))
    throw usageError(
      `flag -a is --address, the socket of a containerd, and "${value}" is none`,
      'Leave -a away, or write --address SOCKET',
    );
}

function unknownFlag(name: string, flags: readonly AnyFlag[], habit: string | undefined): Error {
  const dashes = name.length === 1 ? '-' : '--';
  const near = closest(
    name,
    flags.map((flag) => flag.name),
  );
  const hint = near === undefined ? undefined : `Did you mean --${near}?`;
  return usageError(`unknown flag ${dashes}${name}`, habit ?? hint);
}
