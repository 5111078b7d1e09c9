import type { AnyFlag } from './flag.ts';

/** A command as far as the command line and help see it. */
export interface CommandSpec {
  /** `['images', 'pull']`; one word for commands without a group. */
  readonly path: readonly string[];
  /** Other last words. */
  readonly aliases?: readonly string[];
  /** Also a command without its group. */
  readonly short?: boolean;
  /** For help and checks: `<ref>`, `[filter...]`. */
  readonly args: readonly string[];
  readonly summary: string;
  /** More for its help. */
  readonly details?: string;
  readonly flags: readonly AnyFlag[];
  /** In place of the message that the first argument is missing. */
  readonly missing?: string;
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

/** Whether the last word alone names the command: `pull`. */
export function isDirect({ path, short }: CommandSpec): boolean {
  return path.length === 1 || short === true;
}

/** Command lines that name the command as well, without other names of its group: `hawser pull`, `hawser images rm`. */
export function otherForms({ path, aliases = [], short }: CommandSpec): string[] {
  const group = path.slice(0, -1);
  const direct = short === true && group.length > 0 ? [`hawser ${path.at(-1)}`] : [];
  return [...direct, ...aliases.map((alias) => ['hawser', ...group, alias].join(' '))];
}
