/** Judges images by a policy of signatures. */
import { linkAbort } from '../async/abort.ts';
import { HawserError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { FileSystem } from '../ports/file-system.ts';
import type { SignatureChecks } from '../ports/signatures.ts';
import { candidatesOf } from './candidates.ts';
import { instancesOf } from './instances.ts';
import { trustedBy } from './material.ts';
import type { Policy, Requirements } from './policy.ts';
import { findSignature, tellMissing } from './require-signed.ts';
import type { SignedBy } from './requirements.ts';
import { applied } from './scopes.ts';
import type { Judge, Subject, Verdict, Voucher } from './verdict.ts';

export interface PolicyDeps {
  readonly fs: Pick<FileSystem, 'readFile'>;
  readonly clock: Clock;
  /** Loaded when a signature has to be checked. */
  readonly signatures: () => Promise<SignatureChecks>;
}

/** Milliseconds for all questions about one image. */
const TIME_LIMIT = 30_000;

export function policyJudge(deps: PolicyDeps, policy: Policy): Judge {
  return {
    judge: (subject, call) =>
      within(deps.clock, call.signal, (signal) => new Judgement(deps, policy, subject, { signal }).verdict()),
  };
}

async function within<T>(
  clock: Clock,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController();
  const unlink = linkAbort(signal, own);
  const late = () =>
    own.abort(
      new HawserError(
        'DeadlineExceeded',
        `the signatures were not found and checked in ${TIME_LIMIT / 1000} s`,
        {
          hint: 'What is not proven in time does not come in; try again, or ask a mirror (hosts.toml)',
        },
      ),
    );
  clock.sleep(TIME_LIMIT, own.signal).then(late, () => {});
  try {
    return await work(own.signal);
  } finally {
    unlink();
    own.abort();
  }
}

/** The signed requirements that a policy holds against an image, or the verdict that needs none. */
class Judgement {
  readonly #deps: PolicyDeps;
  readonly #subject: Subject;
  readonly #call: Call;
  readonly #by: string;
  readonly #requirements: Requirements;

  constructor(deps: PolicyDeps, policy: Policy, subject: Subject, call: Call) {
    const { scope, requirements } = applied(policy, subject.reference);
    this.#deps = deps;
    this.#subject = subject;
    this.#call = call;
    this.#by = `policy ${policy.name}, scope ${scope}`;
    this.#requirements = requirements;
  }

  async verdict(): Promise<Verdict> {
    for (const one of this.#requirements) {
      if (one.type === 'reject') return this.#refusal('the policy rejects it');
      if (one.type === 'unknown')
        return this.#refusal(
          `the policy asks for ${one.what}, which hawser cannot check`,
          'Sign with cosign, and ask for that (sigstoreSigned)',
        );
    }
    const signed = this.#requirements.filter((one) => one.type === 'signed');
    return signed.length === 0 ? this.#acceptance([]) : await this.#bySignatures(signed);
  }

  /** The root is signed, or else every manifest that is wanted of an index. */
  async #bySignatures(signed: readonly SignedBy[]): Promise<Verdict> {
    const { root } = this.#subject;
    const whole = await this.#judged(root.digest, signed);
    if (whole.missing === undefined) return this.#acceptance(whole.vouchers);
    const instances = await instancesOf(this.#subject, this.#call);
    const vouchers: Voucher[] = [];
    for (const digest of instances) {
      const one = await this.#judged(digest, signed);
      if (one.missing !== undefined)
        return this.#refusal(`${whole.missing}; of its manifest ${digest}: ${one.missing}`);
      vouchers.push(...one.vouchers);
    }
    return instances.length === 0 ? this.#refusal(whole.missing) : this.#acceptance(vouchers);
  }

  /** By all requirements. `missing`: why not, for people. */
  async #judged(
    digest: Digest,
    signed: readonly SignedBy[],
  ): Promise<{ readonly vouchers: readonly Voucher[]; readonly missing?: string }> {
    const { reference, evidence } = this.#subject;
    const checks = await this.#deps.signatures();
    const candidates = candidatesOf(evidence, digest);
    const vouchers: Voucher[] = [];
    for (const requirement of signed) {
      const trusted = await trustedBy({ fs: this.#deps.fs, checks }, requirement, this.#call);
      const question = {
        ...{ requirement, trusted, checks, candidates, digest, reference },
        now: this.#deps.clock.now(),
      };
      const answer = await findSignature(question, this.#call);
      if ('missing' in answer) return { vouchers: [], missing: tellMissing(answer.missing, digest) };
      vouchers.push(answer.voucher);
    }
    return { vouchers };
  }

  #acceptance(vouchers: readonly Voucher[]): Verdict {
    return { accepted: true, by: this.#by, vouchers };
  }

  #refusal(reason: string, hint?: string): Verdict {
    return {
      accepted: false,
      by: this.#by,
      reason: reason,
      ...(hint === undefined ? {} : { hint }),
    };
  }
}
