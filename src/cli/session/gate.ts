import { HawserError } from '../../core/errors.ts';
import { choosePolicy, OWN_POLICY } from '../../core/trust/choose-policy.ts';
import { type GateChoice, type GateOptions, gateOf } from '../../core/verbs/gate.ts';
import {
  type GateFlag,
  POLICY,
  REQUIRE_SIGNED,
  TRUSTED_ROOT,
  VERIFIER,
  VERIFY_IDENTITY,
  VERIFY_ISSUER,
  VERIFY_KEY,
} from '../grammar/gate-flags.ts';
import type { Context } from './context.ts';

/** Who decides whether an image may come in, by the flags. */
export function gateOptions(context: Context<GateFlag>): GateOptions {
  return gateOf(context.runtime, choiceOf(context));
}

/** As `gateOptions`, of an image that is in the store already: by a policy only where the flags name one. */
export function storedGateOptions(context: Context<GateFlag>): GateOptions {
  const choice = choiceOf(context);
  return gateOf(context.runtime, namesPolicy(context) ? choice : { ...choice, policy: 'none' });
}

/** Whether the flags ask for signatures. */
export function namesPolicy({ input }: Context<GateFlag>): boolean {
  const flags = [POLICY, VERIFY_KEY, VERIFY_IDENTITY, VERIFY_ISSUER, TRUSTED_ROOT, REQUIRE_SIGNED];
  return flags.some((flag) => input.has(flag));
}

function choiceOf({ input }: Context<GateFlag>): GateChoice {
  return {
    policy: input.get(POLICY),
    keys: input.get(VERIFY_KEY),
    identity: input.get(VERIFY_IDENTITY),
    issuer: input.get(VERIFY_ISSUER),
    trustedRoot: input.get(TRUSTED_ROOT),
    requireSigned: input.get(REQUIRE_SIGNED),
    verifiers: input.get(VERIFIER),
  };
}

/** FailedPrecondition when nobody is there to ask: an answer to no question would look like a proof. */
export async function requireJudge(context: Context<GateFlag>): Promise<void> {
  const choice = choiceOf(context);
  if ((choice.verifiers ?? []).some((path) => path !== 'none')) return;
  const { policy, note } = await choosePolicy(context.runtime, choice);
  if (policy !== undefined) return;
  throw new HawserError('FailedPrecondition', 'Nobody is there to ask whether an image may come in', {
    hint:
      note ??
      `Name a policy (--policy), a key (--verify-key) or a program (--verifier), or write ${OWN_POLICY}`,
  });
}
