import { type GateOptions, gateOf } from '../../core/verbs/gate.ts';
import { type GateFlag, VERIFIER } from '../grammar/gate-flags.ts';
import type { Context } from './context.ts';

/** Who decides whether an image may come in, by the flags. */
export function gateOptions({ input, runtime }: Context<GateFlag>): GateOptions {
  return gateOf(runtime, input.get(VERIFIER));
}
