/** The grammar as a shell's completion needs it: what can stand where, spelled out. */
import { type CommandSpec, directWord, directWords, type Grammar } from '../command.ts';
import type { AnyFlag } from '../flag.ts';
import { PROGRAM_FLAGS } from '../flags.ts';

/** What completes a word: the names of images or digests of blobs in the store, paths, fixed words, or nothing. */
export type Values =
  | 'images'
  | 'blobs'
  | 'directories'
  | 'files'
  | 'nothing'
  | { readonly words: readonly string[] };

/** A command, and all that can be typed after it. */
export interface TypedCommand {
  /** `images pull`. */
  readonly name: string;
  readonly summary: string;
  /** Every way to type the command: `images pull`, `image pull`, `i pull`, `pull`. */
  readonly spellings: readonly string[];
  /** Its own and the program's. */
  readonly flags: readonly AnyFlag[];
  readonly args: readonly Values[];
  /** The last argument may be repeated. */
  readonly open: boolean;
}

/** A word before a command: `images`, by every name. */
export interface TypedGroup {
  readonly names: readonly string[];
  readonly summary: string;
  /** The words that can follow, each with the summary of its command. */
  readonly words: readonly (readonly [word: string, summary: string])[];
}

/** Everything that can be typed. */
export interface Typed {
  /** The first words: groups and commands, without second names. */
  readonly words: readonly (readonly [word: string, summary: string])[];
  readonly groups: readonly TypedGroup[];
  readonly commands: readonly TypedCommand[];
  /** The flags of every command. */
  readonly globals: readonly AnyFlag[];
}

export function typed(grammar: Grammar): Typed {
  const globals = [...PROGRAM_FLAGS, ...grammar.globals];
  return {
    globals,
    words: [
      ...directWords(grammar),
      ...grammar.groups.map((one) => [one.name, one.summary] as const),
      ['help', 'show help on a command'],
    ],
    groups: grammar.groups.map(({ name, aliases, summary }) => ({
      names: [name, ...aliases],
      summary,
      words: grammar.commands
        .filter((one) => one.path.length > 1 && one.path[0] === name)
        .flatMap((one) =>
          [one.path[1] ?? '', ...(one.aliases ?? [])].map((word) => [word, one.summary] as const),
        ),
    })),
    commands: grammar.commands.map((one) => typedCommand(one, grammar, globals)),
  };
}

function typedCommand(command: CommandSpec, grammar: Grammar, globals: readonly AnyFlag[]): TypedCommand {
  const { path, summary, flags, args } = command;
  return {
    name: path.join(' '),
    summary,
    spellings: spellingsOf(command, grammar),
    flags: [...flags, ...globals],
    args: args.map(valuesOfArgument),
    open: /\.\.\.[\]>]$/.test(args.at(-1) ?? ''),
  };
}

function spellingsOf(command: CommandSpec, grammar: Grammar): string[] {
  const { path, aliases = [] } = command;
  const last = path.at(-1) ?? '';
  const group = grammar.groups.find((one) => path.length > 1 && one.name === path[0]);
  if (group === undefined) return [last];
  const grouped = [group.name, ...group.aliases].flatMap((name) =>
    [last, ...aliases].map((word) => `${name} ${word}`),
  );
  const alone = directWord(command);
  return alone === undefined ? grouped : [...grouped, alone];
}

/** By the name of the argument; `<a|b>` are the words themselves. */
function valuesOfArgument(arg: string): Values {
  const name = arg.replace(/^[<[]|(?:\.\.\.)?[\]>]$/g, '');
  if (name.includes('|')) return { words: name.split('|') };
  if (name === 'ref') return 'images';
  if (name === 'digest') return 'blobs';
  if (name === 'file') return 'files';
  return name === 'dir' || name === 'target' ? 'directories' : 'nothing';
}

/** By what help calls the value. */
export function valuesOfFlag({ choices, value = '' }: AnyFlag): Values {
  if (choices !== undefined) return { words: choices };
  if (value === 'DIR') return 'directories';
  return value.startsWith('FILE') || value === 'SOCKET' ? 'files' : 'nothing';
}

/** `--quiet`, `-q`. */
export function namesOf({ name, alias }: AnyFlag): string[] {
  return [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])];
}

/** Flags followed by a value, of all commands, each once. */
export function valuedFlags({ commands }: Typed): AnyFlag[] {
  const all = commands.flatMap(({ flags }) => flags).filter(({ type }) => type !== 'bool');
  return [...new Map(all.map((flag) => [flag.name, flag])).values()];
}
