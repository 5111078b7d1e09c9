import { HawserError, ifFound } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import {
  type Chosen,
  choosePolicy,
  isUnsaid,
  missedPolicy,
  type PolicyChoice,
  type PolicyParts,
} from './choose-policy.ts';
import { type PolicyDeps, policyJudge } from './policy-judge.ts';
import type { Judge } from './verdict.ts';

/** What was read before the first image. */
export interface ReadBefore {
  readonly chosen?: Chosen | undefined;
  /** False: the first image comes any time later, and the policy is read for that one, too. Default: true. */
  readonly isCurrent?: boolean | undefined;
}

/**
 * Judges by the policy that holds, which is read for each image: a server outlives its files. Where none does, every image is accepted, and
 * nobody vouches. FailedPrecondition once a policy that was read is gone.
 */
export function chosenJudge(
  deps: PolicyParts & PolicyDeps,
  choice: PolicyChoice,
  { chosen: known, isCurrent = true }: ReadBefore = {},
): Judge {
  let first = isCurrent ? known : undefined;
  let last = known?.policy?.name;
  const chosenNow = async (): Promise<Chosen> => {
    const chosen = first ?? (await ifFound(choosePolicy(deps, choice)));
    first = undefined;
    if (chosen?.policy === undefined && last !== undefined)
      throw new HawserError('FailedPrecondition', `The policy ${last} is gone`, {
        hint: 'Write it again, or start anew without it',
      });
    if (chosen === undefined) return await choosePolicy(deps, choice);
    last = chosen.policy?.name;
    return chosen;
  };
  return {
    async judge(subject, call: Call) {
      const { policy, note } = await chosenNow();
      if (policy !== undefined) return await policyJudge(deps, policy).judge(subject, call);
      const missed = isUnsaid(deps, choice)
        ? (note ?? (await missedPolicy(deps, subject.reference, call)))
        : undefined;
      return {
        accepted: true,
        by: 'no policy',
        vouchers: [],
        ...(missed === undefined ? {} : { note: missed }),
      };
    },
  };
}
