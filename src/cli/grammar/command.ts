import type { HawserError } from '../../core/errors.ts';
import type { Context } from '../session/context.ts';
import { usageError } from './usage-error.ts';

/**
 * `text` takes a value, `count` a whole number, `list` may be repeated and never splits its values. A name has one type
 * in all commands: flags may stand anywhere, so they are read before the command is known.
 */
export interface Flag {
  readonly name: string;
  readonly alias?: string;
  readonly type: 'bool' | 'text' | 'count' | 'list';
  readonly describe: string;
  /** For help: what the value is. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** The environment variable that gives the value when the flag is not used. */
  readonly env?: string;
}

export interface Command {
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
  readonly flags: readonly Flag[];
  /** In place of the message that the first argument is missing. */
  readonly missing?: string;
  run(context: Context, input: Input): Promise<void>;
}

export interface Group {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
}

export type FlagValue = string | boolean;

/** What the user typed for a command, checked against its flags and arguments. */
export class Input {
  readonly args: readonly string[];
  readonly #given: ReadonlyMap<string, readonly FlagValue[]>;
  readonly #known: ReadonlyMap<string, Flag>;
  readonly #env: (name: string) => string | undefined;

  constructor(
    args: readonly string[],
    given: ReadonlyMap<string, readonly FlagValue[]>,
    flags: readonly Flag[],
    env: (name: string) => string | undefined,
  ) {
    this.args = args;
    this.#given = given;
    this.#known = new Map(flags.map((flag) => [flag.name, flag]));
    this.#env = env;
  }

  arg(index: number): string {
    return this.args[index] ?? '';
  }

  bool(name: string): boolean {
    return this.#given.get(name)?.at(-1) === true;
  }

  /** Given on the command line, not by the environment. */
  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** The last one given, else the environment's if not empty. */
  text(name: string): string | undefined {
    const given = this.#given.get(name)?.at(-1);
    if (typeof given === 'string') return given;
    const variable = this.#known.get(name)?.env;
    return (variable === undefined ? undefined : this.#env(variable)) || undefined;
  }

  list(name: string): string[] {
    return (this.#given.get(name) ?? []).filter((value) => typeof value === 'string');
  }

  count(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^\d{1,9}$/.test(text)) throw badValue(name, text, 'a whole number from 0');
    return Number(text);
  }
}

export function badValue(flag: string, value: string, wanted: string): HawserError {
  return usageError(`invalid value "${value}" for --${flag}: want ${wanted}`);
}
