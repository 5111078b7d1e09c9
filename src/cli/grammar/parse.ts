/** The command line: which command, its flags and arguments. Flags may stand anywhere; unknown ones are errors. */
import { Parser } from 'yargs/helpers';
import { badValue, type Command, type Flag, type FlagValue, type Group, Input } from './command.ts';
import { closest } from './suggest.ts';
import { usageError } from './usage-error.ts';

export interface Grammar {
  readonly groups: readonly Group[];
  readonly commands: readonly Command[];
  readonly globals: readonly Flag[];
}

export type Parsed =
  | { readonly type: 'run'; readonly command: Command; readonly input: Input }
  | { readonly type: 'version' }
  /** Help on a command, on a group, or (neither) on all. */
  | { readonly type: 'help'; readonly command?: Command; readonly group?: Group };

const HELP: readonly Flag[] = [
  { name: 'help', alias: 'h', type: 'bool', describe: 'show help' },
  { name: 'version', alias: 'v', type: 'bool', describe: 'print the version' },
];

/** Wrong usage throws a usage error with a suggestion. */
export function parseCommandLine(
  args: readonly string[],
  grammar: Grammar,
  env: (name: string) => string | undefined,
): Parsed {
  const flags = everyFlag(grammar);
  const { words, given } = readFlags(args, flags);
  if (given.get('version')?.at(-1) === true) return { type: 'version' };
  const helpWanted = given.get('help')?.at(-1) === true;
  const asked = words[0] === 'help' || words[0] === 'h';
  const found = findCommand(asked ? words.slice(1) : words, grammar);
  if (found.command === undefined) {
    return found.group === undefined ? { type: 'help' } : { type: 'help', group: found.group };
  }
  if (helpWanted || asked) return { type: 'help', command: found.command };
  const { command, rest } = found;
  const known = [...grammar.globals, ...command.flags];
  for (const name of given.keys()) {
    if (!known.some((flag) => flag.name === name)) throw foreignFlag(name, command);
  }
  checkArguments(command, rest);
  return { type: 'run', command, input: new Input(rest, given, known, env) };
}

/** All flags of all commands, each name once. */
function everyFlag(grammar: Grammar): Map<string, Flag> {
  const all = [...HELP, ...grammar.globals, ...grammar.commands.flatMap((command) => command.flags)];
  return new Map(all.map((flag) => [flag.name, flag]));
}

interface Read {
  readonly words: readonly string[];
  readonly given: ReadonlyMap<string, readonly FlagValue[]>;
}

/** yargs-parser with Go's habits: `-debug` is `--debug`, nothing is a number, a date or a path of dots. */
function readFlags(args: readonly string[], flags: ReadonlyMap<string, Flag>): Read {
  checkTokens(args, flags);
  const list = [...flags.values()];
  const valued = list.filter((flag) => flag.type !== 'bool').map((flag) => flag.name);
  const { argv, error } = Parser.detailed([...args], {
    alias: Object.fromEntries(
      list.flatMap((flag) => (flag.alias === undefined ? [] : [[flag.name, [flag.alias]]])),
    ),
    boolean: list.filter((flag) => flag.type === 'bool').map((flag) => flag.name),
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
  });
  if (error) {
    const name = /: (.+)$/.exec(error.message)?.[1] ?? '';
    throw usageError(`flag --${name} needs a value`, `Write --${name}=VALUE`);
  }
  const given = new Map<string, readonly FlagValue[]>();
  for (const [name, value] of Object.entries(argv)) {
    if (name === '_') continue;
    const flag = flags.get(name);
    if (flag === undefined) throw unknownFlag(name, list);
    const values: unknown[] = Array.isArray(value) ? value : [value];
    given.set(
      name,
      values.map((v) => checkValue(flag, v)),
    );
  }
  return { words: argv._.map(String), given };
}

/** Before the parser guesses: flags nobody has, and booleans with a value that is none. */
function checkTokens(args: readonly string[], flags: ReadonlyMap<string, Flag>): void {
  const byName = new Map(flags);
  for (const flag of flags.values()) if (flag.alias !== undefined) byName.set(flag.alias, flag);
  for (let i = 0; i < args.length && args[i] !== '--'; i++) {
    const token = /^--?([^=\s-][^=]*)(?:=(.*))?$/s.exec(args[i] ?? '');
    if (token === null) continue;
    const [, name = '', value] = token;
    const flag = byName.get(name);
    if (flag === undefined) throw unknownFlag(name, [...flags.values()]);
    if (flag.type !== 'bool' && value === undefined) i++;
    if (flag.type === 'bool' && value !== undefined && value !== 'true' && value !== 'false') {
      throw badValue(flag.name, value, 'true or false');
    }
  }
}

function checkValue(flag: Flag, value: unknown): FlagValue {
  if (flag.type === 'bool') return value === true;
  const text = String(value ?? '');
  if (flag.choices && !flag.choices.includes(text)) throw badValue(flag.name, text, flag.choices.join(', '));
  return text;
}

type Found =
  | { readonly command: Command; readonly rest: readonly string[] }
  | { readonly command?: undefined; readonly group?: Group };

function findCommand(words: readonly string[], grammar: Grammar): Found {
  const [first, second] = words;
  if (first === undefined) return {};
  const direct = grammar.commands.find((command) => isDirect(command, first));
  if (direct) return { command: direct, rest: words.slice(1) };
  const group = grammar.groups.find((one) => one.name === first || one.aliases.includes(first));
  if (group === undefined) throw unknownCommand(first, '', topWords(grammar));
  if (second === undefined || second === 'help' || second === 'h') return { group };
  const inGroup = grammar.commands.filter((one) => one.path.length > 1 && one.path[0] === group.name);
  const command = inGroup.find((one) => one.path[1] === second || one.aliases?.includes(second));
  if (command) return { command, rest: words.slice(2) };
  throw unknownCommand(
    second,
    `${group.name} `,
    inGroup.flatMap((one) => [one.path[1] ?? '', ...(one.aliases ?? [])]),
  );
}

function isDirect(command: Command, word: string): boolean {
  return (command.path.length === 1 || command.short === true) && command.path.at(-1) === word;
}

function topWords(grammar: Grammar): string[] {
  const direct = grammar.commands.filter((one) => one.path.length === 1 || one.short === true);
  return [
    ...grammar.groups.flatMap((one) => [one.name, ...one.aliases]),
    ...direct.map((one) => one.path.at(-1) ?? ''),
  ];
}

function checkArguments(command: Command, args: readonly string[]): void {
  const name = command.path.join(' ');
  const needed = command.args.filter((arg) => arg.startsWith('<'));
  const open = command.args.at(-1)?.endsWith('...]') || command.args.at(-1)?.endsWith('...>');
  const seeHelp = `See hawser help ${name}`;
  if (args.length < needed.length || (needed.length > 0 && args[0] === '')) {
    throw usageError(
      command.missing ?? `${name}: argument ${needed[args.length] ?? needed[0]} is missing`,
      seeHelp,
    );
  }
  if (!open && args.length > command.args.length) {
    throw usageError(`${name}: unexpected argument "${args[command.args.length]}"`, seeHelp);
  }
}

function unknownFlag(name: string, flags: readonly Flag[]) {
  const dashes = name.length === 1 ? '-' : '--';
  const near = closest(
    name,
    flags.map((flag) => flag.name),
  );
  return usageError(
    `unknown flag ${dashes}${name}`,
    near === undefined ? undefined : `Did you mean --${near}?`,
  );
}

function foreignFlag(name: string, command: Command) {
  const path = command.path.join(' ');
  return usageError(`flag --${name} is not one of hawser ${path}`, `See hawser help ${path}`);
}

function unknownCommand(word: string, group: string, known: readonly string[]) {
  const near = closest(word, known);
  return usageError(
    `unknown command "${group}${word}"`,
    near === undefined ? `See hawser help ${group}`.trimEnd() : `Did you mean hawser ${group}${near}?`,
  );
}
