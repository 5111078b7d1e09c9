/** The gate: who decides whether an image may come in, between its name being resolved and anything of the image being fetched. */
import { absolutePath } from '../absolute-path.ts';
import type { Backend } from '../backend.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Acceptance, NamedRoot, RootJudge } from '../trust/verdict.ts';
import { verifierJudge } from '../verifiers/verifier-judge.ts';
import { type VerifierParts, verifiersAt } from '../verifiers/verifiers.ts';

/** Who is asked. */
export interface GateOptions {
  /** Each must accept an image, and the image verifiers of the node, too. */
  readonly judges?: readonly RootJudge[] | undefined;
  /** The node's image verifiers are not asked. */
  readonly skipNodeVerifiers?: boolean | undefined;
}

/** `verifiers`: paths of programs, or of directories of programs; `none` stands for not to ask those of the node. */
export function gateOf(parts: VerifierParts, verifiers: readonly string[]): GateOptions {
  const paths = verifiers.filter((path) => path !== 'none').map((path) => absolutePath(path, parts.host));
  return {
    judges: paths.map((path) => verifierJudge(parts, async () => verifiersAt(path))),
    skipNodeVerifiers: verifiers.includes('none'),
  };
}

/** One judge after the other. PermissionDenied when one refuses the image; the error of one who cannot decide. */
export async function passGate(
  { backend }: { readonly backend: Pick<Backend, 'judge'> },
  { judges = [], skipNodeVerifiers = false }: GateOptions,
  subject: NamedRoot,
  call: Call,
): Promise<readonly Acceptance[]> {
  const node = skipNodeVerifiers || backend.judge === undefined ? [] : [backend.judge];
  const accepted: Acceptance[] = [];
  for (const judge of [...node, ...judges]) {
    const verdict = await judge.judge(subject, call);
    call.signal?.throwIfAborted();
    if (verdict.accepted !== true) {
      const { reference, root } = subject;
      const message = `${reference.name} (${root.digest}): ${verdict.reason} (${verdict.by})`;
      throw new HawserError('PermissionDenied', message, { hint: verdict.hint });
    }
    accepted.push(verdict);
  }
  return accepted;
}
