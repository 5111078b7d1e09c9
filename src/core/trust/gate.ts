/** Where an image comes in: after its name was resolved, before any other byte of the image is fetched. */
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Acceptance, Judge, Subject } from './verdict.ts';

export interface GateOptions extends Call {
  /** Somebody must vouch for the image: that nobody asks for a proof is not enough. */
  readonly requireSigned?: boolean | undefined;
}

/**
 * Asks the judges, one after the other. PermissionDenied when one refuses the image; a judge that fails keeps the image out likewise, with
 * its own error. Nobody else may let an image in: no judge at all is an image that nobody vouches for.
 */
export async function enter(
  judges: readonly Judge[],
  subject: Subject,
  { requireSigned = false, ...call }: GateOptions,
): Promise<readonly Acceptance[]> {
  const image = `${subject.reference.name} (${subject.root.digest})`;
  const acceptances: Acceptance[] = [];
  for (const one of judges) {
    const verdict = await one.judge(subject, call);
    if (verdict.accepted !== true)
      throw new HawserError('PermissionDenied', `${image}: ${verdict.reason} (${verdict.by})`, {
        hint: verdict.hint ?? 'Whoever publishes the image can sign it; the policy says who has to',
      });
    acceptances.push(verdict);
  }
  if (requireSigned && acceptances.every(({ vouchers }) => vouchers.length === 0))
    throw new HawserError(
      'PermissionDenied',
      `${image}: nobody vouches for it, and a signature is required`,
      {
        hint: 'Name a policy that asks for signatures (--policy FILE), a key (--verify-key FILE), or leave --require-signed away',
      },
    );
  return acceptances;
}
