import type { Call } from '../core/ports/call.ts';
import type { Runtime } from '../core/runtime.ts';
import type { PolicyChoice } from '../core/trust/choose-policy.ts';
import type { Subject, Verdict } from '../core/trust/verdict.ts';
import { type GateOptions, gateOf } from '../core/verbs/gate.ts';

/** Who decides whether an image may come in. */
export interface ApiGateOptions {
  /**
   * Whose signatures an image needs: a policy, keys or an identity; or a function that decides, and whose failure keeps the image out.
   * Default: nobody's; a policy of the machine (/etc/hawser/policy.json, HAWSER_POLICY) is the command line's.
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

/** The options as those of the verbs. */
export function apiGate(runtime: Runtime, { verify, requireSigned, verifiers }: ApiGateOptions): GateOptions {
  const common = { requireSigned, verifiers };
  if (typeof verify !== 'function') return gateOf(runtime, { ...(verify ?? { policy: 'none' }), ...common });
  const gate = gateOf(runtime, { policy: 'none', ...common });
  return { ...gate, judges: [{ judge: verify }, ...(gate.judges ?? [])] };
}
