import type { Flag } from './flag.ts';

/** The texts of a flag, and what gave them: `--root`, `HAWSER_ROOT`, `limit-rate (line 3 of /etc/hawser/hawser.toml)`. */
export interface Given {
  readonly texts: readonly string[];
  readonly from: string;
}

/** The rank (`Input.rank`) of what a variable gives: variables are the first source. */
export const VARIABLE_RANK = 1;

/** What gives flags their values where the command line does not. */
export type Source = (flag: Flag<string, unknown>) => Given | undefined;

/**
 * What the user typed for a command: its arguments, and its flags by `get`. `N` are the names of the flags that the
 * command has declared: asking for another one does not compile.
 */
export class Input<in N extends string> {
  readonly args: readonly string[];
  readonly #given: ReadonlyMap<string, readonly string[]>;
  readonly #sources: readonly Source[];

  /** `given`: the texts of each flag used, by its name. `sources`: the first that has a value gives it. */
  constructor(
    args: readonly string[],
    given: ReadonlyMap<string, readonly string[]>,
    sources: readonly Source[],
  ) {
    this.args = args;
    this.#given = given;
    this.#sources = sources;
  }

  /** The same with more sources, after all others. */
  with(sources: readonly Source[]): Input<N> {
    return new Input<N>(this.args, this.#given, [...this.#sources, ...sources]);
  }

  /** '' when there is none. */
  arg(index: number): string {
    return this.args[index] ?? '';
  }

  /** The value on the command line, else of the first source that has one. A usage error when it is a bad one. */
  get<T>(flag: Flag<N, T>): T {
    const { texts, from } = this.find(flag) ?? { texts: [], from: '' };
    return flag.parse(texts, from);
  }

  /** Given on the command line, not by the environment or a file. */
  has(flag: Flag<N, unknown>): boolean {
    return this.#given.has(flag.name);
  }

  /** The texts that `get` makes the value of; undefined: nothing gives one. */
  find(flag: Flag<N, unknown>): Given | undefined {
    return this.#findings(flag).next().value?.[1];
  }

  /** How near to the user the value is given: 0 on the command line, then each source; Infinity for none. */
  rank(flag: Flag<N, unknown>): number {
    return this.#findings(flag).next().value?.[0] ?? Number.POSITIVE_INFINITY;
  }

  *#findings(flag: Flag<N, unknown>): Generator<readonly [rank: number, given: Given], undefined> {
    const texts = this.#given.get(flag.name);
    if (texts !== undefined) yield [0, { texts, from: `--${flag.name}` }];
    for (const [at, source] of this.#sources.entries()) {
      const given = source(flag);
      if (given !== undefined) yield [at + 1, given];
    }
    return undefined;
  }
}
