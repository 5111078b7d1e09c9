/** The command line: which command, its flags and arguments. Flags may stand anywhere; unknown ones are errors. */
import type { CommandSpec, Grammar, Group } from './command.ts';
import { type AnyFlag, type Bool, bool } from './flag.ts';
import { Input } from './input.ts';
import { closest } from './suggest.ts';
import { usageError } from './usage-error.ts';
import { readWords } from './words.ts';

export type Parsed<C extends CommandSpec> =
  | { readonly type: 'run'; readonly command: C; readonly input: Input<string> }
  | { readonly type: 'version' }
  /** Help on a command, on a group, or (neither) on all. */
  | { readonly type: 'help'; readonly command?: C; readonly group?: Group };

const HELP: Bool<'help'> = bool({ name: 'help', alias: 'h', describe: 'show help' });
const VERSION: Bool<'version'> = bool({ name: 'version', alias: 'v', describe: 'print the version' });

/** Wrong usage throws a usage error with a suggestion. */
export function parseCommandLine<C extends CommandSpec>(
  args: readonly string[],
  grammar: Grammar<C>,
  env: (name: string) => string | undefined,
): Parsed<C> {
  const { words, given } = readWords(args, everyFlag(grammar));
  const before = new Input<string>([], given, env);
  if (before.get(VERSION)) return { type: 'version' };
  const asked = words[0] === 'help' || words[0] === 'h';
  const { command, group, rest } = findCommand(asked ? words.slice(1) : words, grammar);
  if (command === undefined) return group === undefined ? { type: 'help' } : { type: 'help', group };
  if (asked || before.get(HELP)) return { type: 'help', command };
  checkFlags([...grammar.globals, ...command.flags], given, command);
  checkArguments(command, rest);
  return { type: 'run', command, input: new Input<string>(rest, given, env) };
}

/** All flags of all commands, each name once. */
function everyFlag(grammar: Grammar): AnyFlag[] {
  const all = [HELP, VERSION, ...grammar.globals, ...grammar.commands.flatMap((command) => command.flags)];
  return [...new Map(all.map((flag) => [flag.name, flag])).values()];
}

/** `rest`: the words after those of the command. Without a command, the group that was named, if any. */
interface Found<C> {
  readonly command?: C;
  readonly group?: Group;
  readonly rest: readonly string[];
}

function findCommand<C extends CommandSpec>(words: readonly string[], grammar: Grammar<C>): Found<C> {
  const [first, second] = words;
  if (first === undefined) return { rest: [] };
  const direct = grammar.commands.find((command) => isDirect(command, first));
  if (direct) return { command: direct, rest: words.slice(1) };
  const group = grammar.groups.find((one) => one.name === first || one.aliases.includes(first));
  if (group === undefined) throw unknownCommand(first, '', topWords(grammar));
  if (second === undefined || second === 'help' || second === 'h') return { group, rest: [] };
  const inGroup = grammar.commands.filter((one) => one.path.length > 1 && one.path[0] === group.name);
  const command = inGroup.find((one) => one.path[1] === second || one.aliases?.includes(second));
  if (command) return { command, rest: words.slice(2) };
  const known = inGroup.flatMap((one) => [one.path[1] ?? '', ...(one.aliases ?? [])]);
  throw unknownCommand(second, `${group.name} `, known);
}

function isDirect(command: CommandSpec, word: string): boolean {
  return (command.path.length === 1 || command.short === true) && command.path.at(-1) === word;
}

function topWords(grammar: Grammar): string[] {
  const direct = grammar.commands.filter((one) => one.path.length === 1 || one.short === true);
  return [
    ...grammar.groups.flatMap((one) => [one.name, ...one.aliases]),
    ...direct.map((one) => one.path.at(-1) ?? ''),
  ];
}

/** Checks that the command has each flag, and that each value can be read. */
function checkFlags(
  known: readonly AnyFlag[],
  given: ReadonlyMap<string, readonly string[]>,
  command: CommandSpec,
): void {
  const path = command.path.join(' ');
  for (const [name, texts] of given) {
    const flag = known.find((one) => one.name === name);
    if (flag === undefined)
      throw usageError(`flag --${name} is not one of hawser ${path}`, `See hawser help ${path}`);
    flag.parse(texts, `--${name}`);
  }
}

function checkArguments(command: CommandSpec, args: readonly string[]): void {
  const name = command.path.join(' ');
  const needed = command.args.filter((arg) => arg.startsWith('<'));
  const last = command.args.at(-1) ?? '';
  const open = last.endsWith('...]') || last.endsWith('...>');
  const seeHelp = `See hawser help ${name}`;
  if (args.length < needed.length || (needed.length > 0 && args[0] === '')) {
    const missing = `${name}: argument ${needed[args.length] ?? needed[0]} is missing`;
    throw usageError(command.missing ?? missing, seeHelp);
  }
  if (!open && args.length > command.args.length)
    throw usageError(`${name}: unexpected argument "${args[command.args.length]}"`, seeHelp);
}

function unknownCommand(word: string, group: string, known: readonly string[]) {
  const near = closest(word, known);
  return usageError(
    `unknown command "${group}${word}"`,
    near === undefined ? `See hawser help ${group}`.trimEnd() : `Did you mean hawser ${group}${near}?`,
  );
}
