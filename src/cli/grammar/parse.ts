/** The command line: which command, its flags and arguments. Flags may stand anywhere; unknown ones are errors. */
import { type CommandSpec, type Grammar, type Group, isDirect } from './command.ts';
import type { AnyFlag } from './flag.ts';
import { HELP, PROGRAM_FLAGS, VERSION } from './flags.ts';
import { commandHabit, flagHabit, inHawser, referenceHabit, TRANSPORT } from './habits.ts';
import { Input } from './input.ts';
import { closest } from './suggest.ts';
import { usageError } from './usage-error.ts';
import { type Parser, plainWords, readWords } from './words.ts';

export type Parsed<C extends CommandSpec> =
  | { readonly type: 'run'; readonly command: C; readonly input: Input<string> }
  | { readonly type: 'version' }
  /** Help on a command, on a group, or (neither) on all. */
  | { readonly type: 'help'; readonly command?: C; readonly group?: Group };

/** Wrong usage throws a usage error with a suggestion. */
export function parseCommandLine<C extends CommandSpec>(
  parser: Parser,
  args: readonly string[],
  grammar: Grammar<C>,
  env: (name: string) => string | undefined,
): Parsed<C> {
  const flags = everyFlag(grammar);
  // An unknown command is told before its flags, which are no better known.
  findCommand(plainWords(args, flags, true), grammar, args, flags);
  const { words, given } = readWords(parser, args, flags);
  const before = new Input<string>([], given, env);
  if (before.get(VERSION)) return { type: 'version' };
  const { command, group, rest, help } = findCommand(words, grammar, args, flags);
  if (command === undefined) {
    if (group !== undefined && !before.get(HELP)) checkGroup(group, given, args);
    return group === undefined ? { type: 'help' } : { type: 'help', group };
  }
  if (help || before.get(HELP)) return { type: 'help', command };
  checkFlags([...grammar.globals, ...command.flags], given, command, args);
  checkArguments(command, rest, args);
  return { type: 'run', command, input: new Input<string>(rest, given, env) };
}

/** All flags of all commands, each name once. */
function everyFlag(grammar: Grammar): AnyFlag[] {
  const all = [...PROGRAM_FLAGS, ...grammar.globals, ...grammar.commands.flatMap((command) => command.flags)];
  return [...new Map(all.map((flag) => [flag.name, flag])).values()];
}

/** `rest`: the words after those of the command. Without a command, the group that was named, if any. */
interface Found<C> {
  readonly command?: C;
  readonly group?: Group;
  readonly rest: readonly string[];
  /** The first word was `help`. */
  readonly help: boolean;
}

/** A usage error when the words name no command. `args` and `flags` are for its hint. */
function findCommand<C extends CommandSpec>(
  words: readonly string[],
  grammar: Grammar<C>,
  args: readonly string[],
  flags: readonly AnyFlag[],
): Found<C> {
  const help = words[0] === 'help' || words[0] === 'h';
  const [first, second, ...more] = help ? words.slice(1) : words;
  if (first === undefined) return { rest: [], help };
  const after = second === undefined ? [] : [second, ...more];
  const direct = grammar.commands.find((command) => isDirect(command) && command.path.at(-1) === first);
  // `manifest get REF` of regctl: the second word is no reference.
  const begun = more.length > 0 ? commandHabit(args, [first, ...after], 2) : undefined;
  if (direct && begun !== undefined) throw usageError(`unknown command "${first} ${second}"`, begun);
  if (direct) return { command: direct, rest: after, help };
  const group = grammar.groups.find((one) => one.name === first || one.aliases.includes(first));
  // In other tools -f is most often `force`, which has no value.
  const others = flags.filter(({ alias }) => alias !== 'f');
  const typed = plainWords(args, others, false).slice(help ? 1 : 0);
  if (group === undefined) throw unknownCommand(first, '', topWords(grammar), commandHabit(args, typed));
  if (second === undefined || second === 'help' || second === 'h') return { group, rest: [], help };
  const inGroup = grammar.commands.filter((one) => one.path.length > 1 && one.path[0] === group.name);
  const command = inGroup.find((one) => one.path[1] === second || one.aliases?.includes(second));
  if (command) return { command, rest: more, help };
  const known = inGroup.flatMap((one) => [one.path[1] ?? '', ...(one.aliases ?? [])]);
  const habit = commandHabit(args, [group.name, ...typed.slice(1)]);
  throw unknownCommand(second, `${group.name} `, known, habit);
}

function topWords(grammar: Grammar): string[] {
  const direct = grammar.commands.filter(isDirect);
  return [
    ...grammar.groups.flatMap((one) => [one.name, ...one.aliases]),
    ...direct.map((one) => one.path.at(-1) ?? ''),
  ];
}

/** A group alone shows its help; flags beside it are meant for a command that was not named. */
function checkGroup(group: Group, given: ReadonlyMap<string, unknown>, args: readonly string[]): void {
  if (given.size === 0) return;
  const at = args.findIndex((arg) => arg === group.name || group.aliases.includes(arg));
  const listed = [...args.slice(0, at), group.name, 'ls', ...args.slice(at + 1)];
  throw usageError(`${group.name}: the command is missing`, inHawser(listed.join(' ')));
}

/** Checks that the command has each flag, and that each value can be read. */
function checkFlags(
  known: readonly AnyFlag[],
  given: ReadonlyMap<string, readonly string[]>,
  command: CommandSpec,
  args: readonly string[],
): void {
  const path = command.path.join(' ');
  for (const [name, texts] of given) {
    const flag = known.find((one) => one.name === name);
    if (flag === undefined) {
      const hint = foreignHabit(args, name, path) ?? `See hawser help ${path}`;
      throw usageError(`flag --${name} is not one of hawser ${path}`, hint);
    }
    flag.parse(texts, `--${name}`);
  }
}

function foreignHabit(args: readonly string[], name: string, path: string): string | undefined {
  const at = args.findIndex((arg) =>
    [`--${name}`, `-${name}`, `-${name[0]}`].includes(arg.split('=')[0] ?? ''),
  );
  return flagHabit(args, at, name, path);
}

function checkArguments(command: CommandSpec, rest: readonly string[], args: readonly string[]): void {
  const name = command.path.join(' ');
  const needed = command.args.filter((arg) => arg.startsWith('<'));
  const last = command.args.at(-1) ?? '';
  const open = last.endsWith('...]') || last.endsWith('...>');
  const seeHelp = `See hawser help ${name}`;
  if (rest.length < needed.length || (needed.length > 0 && rest[0] === '')) {
    const missing = `${name}: argument ${needed[rest.length] ?? needed[0]} is missing`;
    throw usageError(command.missing ?? missing, seeHelp);
  }
  if (!open && rest.length > command.args.length)
    throw usageError(`${name}: unexpected argument "${rest[command.args.length]}"`, seeHelp);
  const foreign = rest.find((arg) => TRANSPORT.test(arg));
  if (/^[<[]ref\b/.test(command.args[0] ?? '') && foreign !== undefined)
    throw usageError(`${name}: "${foreign}" is not how a reference is written`, referenceHabit(args));
}

function unknownCommand(word: string, group: string, known: readonly string[], habit: string | undefined) {
  const near = closest(word, known);
  const hint =
    near === undefined ? `See hawser help ${group}`.trimEnd() : `Did you mean hawser ${group}${near}?`;
  return usageError(`unknown command "${group}${word}"`, habit ?? hint);
}
