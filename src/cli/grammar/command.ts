import type { AnyFlag } from './flag.ts';

/** A command as far as the command line and help see it. */
export interface CommandSpec {
  /** `['images', 'pull']`; one word for commands without a group. */
  readonly path: readonly string[];
  /** Other last words. */
  readonly aliases?: readonly string[];
  /** Also a command without its group, by its last word or by this one. */
  readonly short?: boolean | string;
  /** For help and checks: `<ref>`, `[filter...]`. */
  readonly args: readonly string[];
  readonly summary: string;
  /** More for its help. */
  readonly details?: string;
  readonly flags: readonly AnyFlag[];
  /** In place of the message that the first argument is missing. */
  readonly missing?: string;
  /** The name of the flag that takes the place of the last argument. */
  readonly instead?: string;
}

export interface Group {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
}

/** Everything that can be typed. */
export interface Grammar<C extends CommandSpec = CommandSpec> {
  readonly groups: readonly Group[];
  readonly commands: readonly C[];
  readonly globals: readonly AnyFlag[];
}

/** The word that alone names the command: `pull`; undefined: none does. */
export function directWord({ path, short = false }: CommandSpec): string | undefined {
  if (typeof short === 'string') return short;
  return path.length === 1 || short ? path.at(-1) : undefined;
}

/** The words that alone name a command, with its summary. */
export function directWords({ commands }: Grammar): (readonly [word: string, summary: string])[] {
  return commands.flatMap((one) => {
    const word = directWord(one);
    return word === undefined ? [] : [[word, one.summary] as const];
  });
}

/** Command lines that name the command as well, without other names of its group: `hawser pull`, `hawser images rm`. */
export function otherForms(command: CommandSpec): string[] {
  const { path, aliases = [] } = command;
  const group = path.slice(0, -1);
  const direct = group.length > 0 ? directWord(command) : undefined;
  return [
    ...(direct === undefined ? [] : [`hawser ${direct}`]),
    ...aliases.map((alias) => ['hawser', ...group, alias].join(' ')),
  ];
}
