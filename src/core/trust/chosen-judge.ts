import type { Call } from '../ports/call.ts';
import {
  choosePolicy,
  isUnsaid,
  missedPolicy,
  type PolicyChoice,
  type PolicyParts,
} from './choose-policy.ts';
import { type PolicyDeps, policyJudge } from './policy-judge.ts';
import type { Judge } from './verdict.ts';

/** Judges by the policy that holds, which is read for the first image. Where none does, every image is accepted, and nobody vouches. */
export function chosenJudge(deps: PolicyParts & PolicyDeps, choice: PolicyChoice): Judge {
  let chosen: ReturnType<typeof choosePolicy> | undefined;
  return {
    async judge(subject, call: Call) {
      chosen ??= choosePolicy(deps, choice);
      const { policy, note } = await chosen;
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
