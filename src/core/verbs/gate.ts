/** The gate: who decides whether an image may come in, between its name being resolved and anything of the image being fetched. */
import { absolutePath } from '../absolute-path.ts';
import type { Backend } from '../backend.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Runtime } from '../runtime.ts';
import { type Chosen, choosePolicy, type PolicyChoice, type PolicyParts } from '../trust/choose-policy.ts';
import { chosenJudge, type ReadBefore } from '../trust/chosen-judge.ts';
import { rulesText } from '../trust/rules-text.ts';
import type { Acceptance, Judge, Subject } from '../trust/verdict.ts';
import { fileGuard } from '../users/file-guard.ts';
import { verifierJudge } from '../verifiers/verifier-judge.ts';
import { type VerifierParts, verifiersAt } from '../verifiers/verifiers.ts';

/** Who is asked. */
export interface GateOptions {
  /** Each must accept an image, and the image verifiers of the node, too. */
  readonly judges?: readonly Judge[] | undefined;
  /** The node's image verifiers are not asked. */
  readonly skipNodeVerifiers?: boolean | undefined;
  /** Somebody must vouch for an image: that nobody asks for a proof is not enough. */
  readonly requireSigned?: boolean | undefined;
}

/** For a server, which outlives files. */
export interface StandingGate extends GateOptions {
  /** What decides, as a text: who was let in by another one must be judged again. Not given: that never changes. */
  readonly rules?: ((call: Call) => Promise<string>) | undefined;
}

/** What a user says of who decides. */
export interface GateChoice extends PolicyChoice {
  /** Paths of programs, or of directories of programs; `none` stands for not to ask those of the node. */
  readonly verifiers?: readonly string[] | undefined;
  readonly requireSigned?: boolean | undefined;
}

type GateParts = VerifierParts & Pick<Runtime, 'clock' | 'signatures'>;

/** What finds and reads the policy that holds. */
export function policyParts(parts: Pick<Runtime, 'fs' | 'host' | 'syscalls'>): PolicyParts {
  const { fs, host } = parts;
  return { fs, host, guard: fileGuard(parts) };
}

/** The judges that a choice names: the policy that holds, if any does, then programs. `known`: that policy, where it was read already. */
export function gateOf(parts: GateParts, choice: GateChoice, known?: Chosen): GateOptions {
  return gateBy(parts, choice, { chosen: known });
}

/** The policy that holds, and whether anybody is asked by it or by a program: `none` names nobody. */
export async function asked(
  parts: Pick<Runtime, 'fs' | 'host' | 'syscalls'>,
  choice: GateChoice,
): Promise<{ readonly chosen: Chosen; readonly asks: boolean }> {
  const chosen = await choosePolicy(policyParts(parts), choice);
  return { chosen, asks: chosen.policy !== undefined || asksPrograms(choice) };
}

/** Whether the choice names programs: `none` names nobody. */
export function asksPrograms({ verifiers = [] }: GateChoice): boolean {
  return verifiers.some((path) => path !== 'none');
}

/** As `gateOf`; the policy is read now, which tells what is wrong with it, and for each image again. */
export async function standingGate(parts: GateParts, choice: GateChoice): Promise<StandingGate> {
  const chosen = await choosePolicy(policyParts(parts), choice);
  return {
    ...gateBy(parts, choice, { chosen, isCurrent: false }),
    rules: (call) => rulesText(policyParts(parts), choice, call),
  };
}

function gateBy(
  parts: GateParts,
  { verifiers = [], requireSigned, ...choice }: GateChoice,
  before: ReadBefore,
): GateOptions {
  const paths = verifiers.filter((path) => path !== 'none').map((path) => absolutePath(path, parts.host));
  const { clock } = parts;
  const own = { ...policyParts(parts), clock, signatures: () => parts.signatures() };
  const policy = chosenJudge(own, choice, before);
  return {
    judges: [policy, ...paths.map((path) => verifierJudge(parts, async () => verifiersAt(path)))],
    skipNodeVerifiers: verifiers.includes('none'),
    requireSigned,
  };
}

/**
 * One judge after the other. PermissionDenied, for the reason `refused`, when one refuses the image; the error of one who cannot decide.
 * Returns who vouches, and tells `report` so.
 */
export async function passGate(
  { backend }: { readonly backend: Pick<Backend, 'judge'> },
  { judges = [], skipNodeVerifiers = false, requireSigned = false }: GateOptions,
  subject: Subject,
  { report, ...call }: Call & { readonly report?: Report | undefined },
): Promise<readonly Acceptance[]> {
  const node = skipNodeVerifiers || backend.judge === undefined ? [] : [backend.judge];
  const { name } = subject.reference;
  const { digest } = subject.root;
  const accepted: Acceptance[] = [];
  for (const judge of [...node, ...judges]) {
    const verdict = await judge.judge(subject, call);
    call.signal?.throwIfAborted();
    if (verdict.accepted !== true) {
      const message = `${name} (${digest}): ${verdict.reason} (${verdict.by})`;
      throw new HawserError('PermissionDenied', message, { hint: verdict.hint, reason: { type: 'refused' } });
    }
    if (verdict.note !== undefined) report?.({ type: 'warning', message: verdict.note });
    if (verdict.vouchers.length > 0) accepted.push(verdict);
  }
  if (requireSigned && accepted.length === 0)
    throw new HawserError('PermissionDenied', `${name} (${digest}): nobody vouches for the image`, {
      hint: 'Name a policy that asks for signatures (--policy), or a key (--verify-key); or leave --require-signed away',
      reason: { type: 'refused' },
    });
  for (const { by, vouchers } of accepted) report?.({ type: 'verified', name, target: digest, by, vouchers });
  return accepted;
}
