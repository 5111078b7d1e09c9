import { HawserError } from '../core/errors.ts';
import type { Call } from '../core/ports/call.ts';
import type { Runtime } from '../core/runtime.ts';
import type { PolicyChoice } from '../core/trust/choose-policy.ts';
import type { Subject, Verdict } from '../core/trust/verdict.ts';
import { asked, type GateOptions, gateOf } from '../core/verbs/gate.ts';
import type { OptionNames } from './called.ts';
import { checkRestriction } from './restriction.ts';

/** Who decides whether an image may come in. */
export interface ApiGateOptions {
  /**
   * Whose signatures an image needs: a policy, keys or an identity; or a function that decides, and whose failure keeps the image out.
   * Default: nobody's; what is given and empty is an error (InvalidArgument). A policy of the machine (/etc/hawser/policy.json, HAWSER_POLICY) is the command line's.
   */
  readonly verify?: PolicyChoice | ((subject: Subject, call: Call) => Promise<Verdict>) | undefined;
  /** Fails unless somebody vouches for the image: a policy that accepts anything is not enough. */
  readonly requireSigned?: boolean | undefined;
  /**
   * Programs, or directories of programs, that must accept the image before anything of it is fetched or unpacked, by the contract of
   * containerd's image verifiers. Inside containerd 2 those of the node are asked, too, unless `none` is among the paths.
   */
  readonly verifiers?: readonly string[] | undefined;
}

export const GATE_NAMES: OptionNames<ApiGateOptions> = {
  verify: { policy: true, keys: true, identity: true, issuer: true, trustedRoot: true },
  requireSigned: true,
  verifiers: true,
};

/** The options as those of the verbs. InvalidArgument for one that is given and names nobody. */
export function apiGate(runtime: Runtime, options: ApiGateOptions): GateOptions {
  checkNamed(options);
  const { verify, requireSigned, verifiers } = options;
  const common = { requireSigned, verifiers };
  if (typeof verify !== 'function') return gateOf(runtime, { ...(verify ?? { policy: 'none' }), ...common });
  const gate = gateOf(runtime, { policy: 'none', ...common });
  return { ...gate, judges: [{ judge: verify }, ...(gate.judges ?? [])] };
}

/** As `apiGate`. InvalidArgument when nobody is there to ask: an answer to no question would look like a proof. */
export async function judgingApiGate(runtime: Runtime, options: ApiGateOptions): Promise<GateOptions> {
  const { verify = { policy: 'none' }, requireSigned, verifiers } = options;
  if (typeof verify === 'function') return apiGate(runtime, options);
  checkNamed(options);
  const choice = { ...verify, requireSigned, verifiers };
  const { chosen, asks } = await asked(runtime, choice);
  if (asks) return gateOf(runtime, choice, chosen);
  throw new HawserError('InvalidArgument', 'Nobody is there to ask whether an image may come in', {
    hint: chosen.note ?? 'Give verify (a policy, keys or an identity) or verifiers',
  });
}

function checkNamed({ verify, verifiers }: ApiGateOptions): void {
  checkRestriction('verifiers', verifiers);
  if (verify === undefined || typeof verify === 'function') return;
  const { policy, keys, identity, issuer, trustedRoot } = verify;
  const parts = { policy, keys, identity, issuer, trustedRoot };
  for (const [name, given] of Object.entries(parts)) checkRestriction(`verify.${name}`, given);
}
