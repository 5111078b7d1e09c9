import type { CommandSpec } from '../grammar/command.ts';
import type { AnyFlag, NamesOf } from '../grammar/flag.ts';
import type { GlobalFlag } from '../grammar/flags.ts';
import type { Input } from '../grammar/input.ts';
import type { Context } from '../session/context.ts';
import type { Outcome } from '../views/view.ts';

/** A command and its work, its flags erased. */
export interface Command extends CommandSpec {
  readonly run: (context: Context<string>, input: Input<string>) => Promise<Outcome>;
}

/** Makes a command: its `run` may ask for the global flags and for those of `flags`; others do not compile. */
export function command<const F extends readonly AnyFlag[]>(
  spec: CommandSpec & {
    readonly flags: F;
    readonly run: (context: Context<NamesOf<F>>, input: Input<NamesOf<F> | GlobalFlag>) => Promise<Outcome>;
  },
): Command {
  return spec;
}
