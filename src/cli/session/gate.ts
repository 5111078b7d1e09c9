import { HawserError } from '../../core/errors.ts';
import { type Chosen, OWN_POLICY, ownPolicy } from '../../core/trust/choose-policy.ts';
import {
  asked,
  asksPrograms,
  type GateChoice,
  type GateOptions,
  gateOf,
  policyParts,
  type StandingGate,
  standingGate,
} from '../../core/verbs/gate.ts';
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
import { VARIABLE_RANK } from '../grammar/input.ts';
import type { Context } from './context.ts';

/** Who decides whether an image may come in, by the flags. */
export function gateOptions(context: Context<GateFlag>): GateOptions {
  return gateOf(context.runtime, choiceOf(context));
}

/** As `gateOptions`, for a server; the policy is read now: what is wrong with it is told before anything begins. */
export async function checkedGate(context: Context<GateFlag>): Promise<StandingGate> {
  return await standingGate(context.runtime, choiceOf(context));
}

/** As `gateOptions`, of an image that is in the store already: by a policy only where flags or their variables name one. */
export function storedGateOptions(context: Context<GateFlag>): GateOptions {
  const choice = choiceOf(context);
  const { verifiers } = choice;
  return gateOf(context.runtime, namesPolicy(context) ? choice : { policy: 'none', verifiers });
}

/** As `gateOptions`, for commands that only read; undefined where nobody has to be asked, and so nothing more of the registry. */
export async function readingGate(context: Context<GateFlag>): Promise<GateOptions | undefined> {
  const choice = choiceOf(context);
  const { chosen, asks } = await asked(context.runtime, choice);
  return asks || choice.requireSigned === true ? gateOf(context.runtime, choice, chosen) : undefined;
}

/** Whether flags or their variables ask for signatures; hawser.toml holds for what is brought in. */
export function namesPolicy({ input }: Context<GateFlag>): boolean {
  const flags = [POLICY, VERIFY_KEY, VERIFY_IDENTITY, VERIFY_ISSUER, TRUSTED_ROOT, REQUIRE_SIGNED];
  return flags.some((flag) => input.rank(flag) <= VARIABLE_RANK);
}

/** Whether flags or their variables ask somebody: `none` names nobody. */
export function asksJudge(context: Context<GateFlag>): boolean {
  return asksProof(context) || namesPrograms(context);
}

/** A part of an identity asks, too: alone, the part is an error (`choosePolicy`). */
function asksProof(context: Context<GateFlag>): boolean {
  const { policy = 'none', keys = [], requireSigned, ...choice } = choiceOf(context);
  const parts = [choice.identity, choice.issuer, choice.trustedRoot];
  const byKeys = keys.length > 0 || parts.some((part) => part !== undefined);
  return namesPolicy(context) && (policy !== 'none' || byKeys || requireSigned === true);
}

function namesPrograms(context: Context<GateFlag>): boolean {
  const isNamed = namesPolicy(context) || context.input.rank(VERIFIER) <= VARIABLE_RANK;
  return isNamed && asksPrograms(choiceOf(context));
}

/** Of a policy, keys and an identity the one that is said nearest to the user holds: a key that is typed, though a variable names a policy. */
function choiceOf({ input }: Context<GateFlag>): GateChoice {
  const ways = [[POLICY], [VERIFY_KEY], [VERIFY_IDENTITY, VERIFY_ISSUER, TRUSTED_ROOT]];
  const ranks = ways.map((flags) => Math.min(...flags.map((flag) => input.rank(flag))));
  const nearest = Math.min(...ranks);
  const [byPolicy, byKeys, byIdentity] = ranks.map((rank) => rank === nearest);
  return {
    policy: byPolicy ? input.get(POLICY) : undefined,
    keys: byKeys ? input.get(VERIFY_KEY) : [],
    identity: byIdentity ? input.get(VERIFY_IDENTITY) : undefined,
    issuer: byIdentity ? input.get(VERIFY_ISSUER) : undefined,
    trustedRoot: byIdentity ? input.get(TRUSTED_ROOT) : undefined,
    requireSigned: input.get(REQUIRE_SIGNED),
    verifiers: input.get(VERIFIER),
  };
}

/** As `gateOptions`. FailedPrecondition when nobody is there to ask: an answer to no question would look like a proof. */
export async function judgingGate(context: Context<GateFlag>): Promise<GateOptions> {
  const choice = choiceOf(context);
  const { chosen, asks } = await asked(context.runtime, choice);
  if (!asks) throw nobody(chosen);
  return gateOf(context.runtime, choice, chosen);
}

/** For containerd: hawser's own file alone decides. Other programs are asked by containerd, and might ask hawser in turn. */
export async function ownGate({ runtime }: Pick<Context, 'runtime'>): Promise<GateOptions> {
  const chosen = await ownPolicy(policyParts(runtime));
  if (chosen.policy === undefined) throw nobody(chosen);
  return gateOf(runtime, { policy: OWN_POLICY }, chosen);
}

function nobody({ note }: Chosen): HawserError {
  return new HawserError('FailedPrecondition', 'Nobody is there to ask whether an image may come in', {
    hint:
      note ??
      `Name a policy (--policy), a key (--verify-key) or a program (--verifier), or write ${OWN_POLICY}`,
  });
}
