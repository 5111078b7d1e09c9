import type { Flag } from './flag.ts';

/**
 * What the user typed for a command: its arguments, and its flags by `get`. `N` are the names of the flags that the
 * command has declared: asking for another one does not compile.
 */
export class Input<in N extends string> {
  readonly args: readonly string[];
  readonly #given: ReadonlyMap<string, readonly string[]>;
  readonly #env: (name: string) => string | undefined;

  /** `given`: the texts of each flag used, by its name. */
  constructor(
    args: readonly string[],
    given: ReadonlyMap<string, readonly string[]>,
    env: (name: string) => string | undefined,
  ) {
    this.args = args;
    this.#given = given;
    this.#env = env;
  }

  /** '' when there is none. */
  arg(index: number): string {
    return this.args[index] ?? '';
  }

  /** The value on the command line, else that of the flag's variable if not empty. A usage error when it is a bad one. */
  get<T>(flag: Flag<N, T>): T {
    const given = this.#given.get(flag.name);
    if (given !== undefined) return flag.parse(given, `--${flag.name}`);
    const variable = flag.env ?? '';
    const value = variable === '' ? undefined : this.#env(variable);
    return flag.parse(value ? [value] : [], variable);
  }

  /** Given on the command line, not by the environment. */
  has(flag: Flag<N, unknown>): boolean {
    return this.#given.has(flag.name);
  }
}
