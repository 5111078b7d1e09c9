/** The command line: which command, its flags and arguments. Flags may stand anywhere; unknown ones are errors. */

import { closest } from '../../core/closest.ts';
import { type CommandSpec, directWord, directWords, type Grammar, type Group } from './command.ts';
import type { AnyFlag } from './flag.ts';
import { CONFIG, HELP, PROGRAM_FLAGS, VERSION } from './flags.ts';
import {
  commandHabit,
  flagHabit,
  foreignHabit,
  incompleteHabit,
  inHawser,
  isForeignFlag,
  referenceHabit,
  TRANSPORT,
} from './habits.ts';
import { Input } from './input.ts';
import { templateHint } from './templates.ts';
import { usageError } from './usage-error.ts';
import { variables } from './variables.ts';
import { knownFlags, type Parser, plainWords, readWords } from './words.ts';

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
  const early = findCommand(plainWords(args, flags, true), grammar, args, flags);
  if (early.command !== undefined && !early.help) checkNames(args, flags, grammar, early.command);
  const { words, given } = readWords(parser, args, flags);
  const sources = [variables(env)];
  const before = new Input<string>([], given, []);
  if (before.get(VERSION)) return { type: 'version' };
  const { command, group, rest, help } = findCommand(words, grammar, args, flags);
  if (command === undefined) {
    if (group !== undefined && !before.get(HELP)) checkGroup(group, given, args);
    return group === undefined ? { type: 'help' } : { type: 'help', group };
  }
  if (help || before.get(HELP)) return { type: 'help', command };
  checkValues([...grammar.globals, ...command.flags], given);
  checkArguments(command, rest, args);
  return { type: 'run', command, input: new Input<string>(rest, given, sources) };
}

/** All flags of all commands, each name once. */
function everyFlag(grammar: Grammar): AnyFlag[] {
  const all = new Map<string, AnyFlag>();
  const add = (flags: readonly AnyFlag[]): void => {
    for (const flag of flags) all.set(flag.name, flag);
  };
  add(PROGRAM_FLAGS);
  add(grammar.globals);
  for (const command of grammar.commands) add(command.flags);
  return [...all.values()];
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
  const direct = grammar.commands.find((command) => directWord(command) === first);
  const group = grammar.groups.find((one) => one.name === first || one.aliases.includes(first));
  // In other tools -f is most often `force`, and --config of skopeo's inspect a question: neither has a value.
  const others = flags.filter(({ alias, name }) => alias !== 'f' && name !== CONFIG.name);
  const wordsBy = (all: readonly AnyFlag[]) => plainWords(args, all, false).slice(help ? 1 : 0);
  const typed = wordsBy(others);
  const spoken = [group?.name ?? first, ...typed.slice(1)];
  // But of a command that takes a list the value of -f is a list.
  const spokenTo = ({ flags: own }: C) =>
    own.some(({ alias }) => alias === 'f') ? [spoken[0] ?? '', ...wordsBy(flags).slice(1)] : spoken;
  if (direct) return { command: notForeign(direct, args, spokenTo(direct), help), rest: after, help };
  if (group === undefined) throw unknownCommand(first, '', topWords(grammar), commandHabit(args, typed));
  if (second === undefined || second === 'help' || second === 'h') return { group, rest: [], help };
  const inGroup = grammar.commands.filter((one) => one.path.length > 1 && one.path[0] === group.name);
  const command = inGroup.find((one) => one.path[1] === second || one.aliases?.includes(second));
  if (command) return { command: notForeign(command, args, spokenTo(command), help), rest: more, help };
  const known = inGroup.flatMap((one) => [one.path[1] ?? '', ...(one.aliases ?? [])]);
  throw unknownCommand(second, `${group.name} `, known, commandHabit(args, spoken));
}

/** A usage error when what follows the command's words is another tool's. */
function notForeign<C extends CommandSpec>(
  command: C,
  args: readonly string[],
  words: readonly string[],
  help: boolean,
): C {
  const template = help ? undefined : templateHint(command, args, words);
  if (template !== undefined) throw usageError('hawser has no templates', template);
  const foreign = help ? undefined : foreignHabit(args, words);
  if (foreign === undefined) return command;
  throw usageError(foreign.message, foreign.hint);
}

function topWords(grammar: Grammar): string[] {
  return [
    ...grammar.groups.flatMap((one) => [one.name, ...one.aliases]),
    ...directWords(grammar).map(([word]) => word),
  ];
}

/** A group alone shows its help; flags beside it are meant for a command that was not named. */
function checkGroup(group: Group, given: ReadonlyMap<string, unknown>, args: readonly string[]): void {
  if (given.size === 0) return;
  const at = args.findIndex((arg) => arg === group.name || group.aliases.includes(arg));
  const listed = [...args.slice(0, at), group.name, 'ls', ...args.slice(at + 1)];
  throw usageError(`${group.name}: the command is missing`, inHawser(listed.join(' ')));
}

/**
 * Checks that the command has each flag, before a flag that it has not takes the next word for its value: docker's `rmi -f REF`. Help and
 * version are shown whatever stands beside them.
 */
function checkNames(
  args: readonly string[],
  flags: readonly AnyFlag[],
  { globals }: Grammar,
  command: CommandSpec,
): void {
  const path = command.path.join(' ');
  const known = new Set([...globals, ...command.flags].map(({ name }) => name));
  const typed = [...knownFlags(args, flags)].map(({ name }) => name);
  const foreign = typed.find((name) => !known.has(name));
  if (foreign === undefined || PROGRAM_FLAGS.some(({ name }) => typed.includes(name))) return;
  const hint = hintForFlag(args, foreign, path) ?? `See hawser help ${path}`;
  const flag = typedFlag(args, foreign);
  const message = `flag ${flag} is not one of hawser ${path}`;
  const [first = '', second = ''] = plainWords(args, flags, true);
  const said = directWord(command) === first ? first : `${first} ${second}`;
  throw usageError(
    isForeignFlag(path, foreign) ? `unknown command "${said} ${flag}": ${message}` : message,
    hint,
  );
}

/** Checks that each value can be read. */
function checkValues(flags: readonly AnyFlag[], given: ReadonlyMap<string, readonly string[]>): void {
  for (const [name, texts] of given) flags.find((one) => one.name === name)?.parse(texts, `--${name}`);
}

function hintForFlag(args: readonly string[], name: string, path: string): string | undefined {
  return flagHabit(args, indexOfFlag(args, name), name, path);
}

/** `--file`, or `-f` where that was typed. */
function typedFlag(args: readonly string[], name: string): string {
  const typed = args[indexOfFlag(args, name)]?.split('=')[0] ?? '';
  return typed.length === 2 ? typed : `--${name}`;
}

function indexOfFlag(args: readonly string[], name: string): number {
  const forms = [`--${name}`, `-${name}`, `-${name[0]}`];
  return args.findIndex((arg) => forms.includes(arg.split('=')[0] ?? ''));
}

function checkArguments(command: CommandSpec, rest: readonly string[], args: readonly string[]): void {
  const name = command.path.join(' ');
  const isListed = command.instead !== undefined && indexOfFlag(args, command.instead) >= 0;
  const needed = command.args.filter((arg) => arg.startsWith('<')).slice(0, isListed ? -1 : undefined);
  const last = command.args.at(-1) ?? '';
  const open = last.endsWith('...]') || last.endsWith('...>');
  const seeHelp = `See hawser help ${name}`;
  if (rest.length < needed.length || (needed.length > 0 && rest[0] === '')) {
    const missing = `${name}: argument ${needed[rest.length] ?? needed[0]} is missing`;
    throw usageError(command.missing ?? missing, incompleteHabit(name) ?? seeHelp);
  }
  if (!open && rest.length > command.args.length)
    throw usageError(`${name}: unexpected argument "${rest[command.args.length]}"`, seeHelp);
  const foreign = rest.find((arg) => TRANSPORT.test(arg));
  if (/^[<[](?:ref|remote|src)\b/.test(command.args[0] ?? '') && foreign !== undefined)
    throw usageError(`${name}: "${foreign}" is not how a reference is written`, referenceHabit(args));
}

function unknownCommand(word: string, group: string, known: readonly string[], habit: string | undefined) {
  const near = closest(word, known);
  const hint =
    near === undefined ? `See hawser help ${group}`.trimEnd() : `Did you mean hawser ${group}${near}?`;
  return usageError(`unknown command "${group}${word}"`, habit ?? hint);
}
