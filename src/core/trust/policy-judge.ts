/** Judges images by a policy of signatures. */
import { type Limit, within } from '../async/within.ts';
import { HawserError } from '../errors.ts';
import { MAX_DEPTH, tooDeep } from '../images/dispatch.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isIndexType, isSchema1Type } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { FileSystem } from '../ports/file-system.ts';
import type { SignatureChecks } from '../ports/signatures.ts';
import type { FileGuard } from '../users/file-guard.ts';
import { candidatesOf } from './candidates.ts';
import type { Cost } from './evidence.ts';
import { instancesOf } from './instances.ts';
import { type Trusted, trustedBy } from './material.ts';
import type { Policy, Requirements } from './policy.ts';
import { findSignature, tellMissing } from './require-signed.ts';
import type { SignedBy } from './requirements.ts';
import { applied } from './scopes.ts';
import type { Judge, Subject, Verdict, Voucher } from './verdict.ts';

export interface PolicyDeps {
  readonly fs: Pick<FileSystem, 'readFile'>;
  readonly guard: FileGuard;
  readonly clock: Clock;
  /** Loaded when a signature has to be checked. */
  readonly signatures: () => Promise<SignatureChecks>;
}

/** Milliseconds for all questions about one image. */
const TIME_LIMIT = 30_000;

export function policyJudge(deps: PolicyDeps, policy: Policy): Judge {
  return {
    judge: (subject, call) =>
      within(limitOf(deps), call.signal, (signal) =>
        new Judgement(deps, policy, subject, { signal }).verdict(),
      ),
  };
}

function limitOf({ clock }: PolicyDeps): Limit {
  const message = `the signatures were not found and checked in ${TIME_LIMIT / 1000} s`;
  const hint = 'What is not proven in time does not come in; try again, or ask a mirror (hosts.toml)';
  return { clock, milliseconds: TIME_LIMIT, late: new HawserError('DeadlineExceeded', message, { hint }) };
}

/** Where no registry was asked. */
const OTHER_SIGNERS =
  'Have those asked for who signed the image (--verify-key, --verify-identity, or the policy), or take an image that they have signed';
/** Where a registry was asked; one that is flooded with signatures gives none. */
const UNSIGNED =
  'Have the image signed as the policy asks, or ask a mirror that has the signatures (hosts.toml)';

interface Judged {
  readonly vouchers: readonly Voucher[];
  /** What is signed. */
  readonly entries: readonly Digest[];
  /** Why not, for people. */
  readonly missing?: string | undefined;
}

const REJECTED =
  'Take another image, or let the owner of the policy give this repository a scope that accepts it, or asks for signatures';

/** The signed requirements that a policy holds against an image, or the verdict that needs none. */
class Judgement {
  readonly #deps: PolicyDeps;
  readonly #subject: Subject;
  readonly #call: Call;
  readonly #by: string;
  readonly #ofSystem: boolean;
  readonly #requirements: Requirements;
  /** Read once, however many manifests are judged. */
  readonly #trusted = new Map<SignedBy, Promise<Trusted>>();
  #cost: Cost;

  constructor(deps: PolicyDeps, policy: Policy, subject: Subject, call: Call) {
    const { scope, requirements } = applied(policy, subject.reference);
    this.#deps = deps;
    this.#ofSystem = policy.ofSystem === true;
    this.#subject = subject;
    this.#call = call;
    this.#by = `policy ${policy.name}, scope ${scope}`;
    this.#requirements = requirements;
    this.#cost = subject.evidence.cost?.() ?? { requests: 0, bytes: 0 };
  }

  async verdict(): Promise<Verdict> {
    for (const one of this.#requirements) {
      if (one.type === 'reject') return this.#refusal('the policy rejects it', REJECTED);
      if (one.type === 'unknown')
        return this.#refusal(`the policy asks for ${one.what}, which hawser cannot check`, one.hint);
    }
    const signed = this.#requirements.filter((one) => one.type === 'signed');
    return signed.length === 0 ? this.#acceptance([]) : await this.#bySignatures(signed);
  }

  async #bySignatures(signed: readonly SignedBy[]): Promise<Verdict> {
    const { root } = this.#subject;
    if (isSchema1Type(root.mediaType))
      return this.#refusal(
        'it is of schema 1, which no signature can prove: what is stored is converted, and has another digest',
        'Push the image again with a tool of today, and sign that',
      );
    const { vouchers, entries, missing } = await this.#judgedTree(root, signed, new Set());
    const { hint, cost } = this.#subject.evidence;
    if (missing !== undefined)
      return this.#refusal(missing, hint ?? (cost === undefined ? OTHER_SIGNERS : UNSIGNED));
    const isWhole = entries.length === 1 && entries[0] === root.digest;
    return { ...this.#acceptance(vouchers), ...(isWhole ? {} : { entries }) };
  }

  /** A document is signed, or else all entries that somebody may take of it, those of indexes likewise; an index without any is `missing`. */
  async #judgedTree(
    desc: Descriptor,
    signed: readonly SignedBy[],
    above: ReadonlySet<string>,
  ): Promise<Judged> {
    const whole = await this.#judged(desc.digest, signed);
    if (whole.missing === undefined) return { vouchers: whole.vouchers, entries: [desc.digest] };
    const none = { vouchers: [], entries: [], missing: whole.missing };
    if (!isIndexType(desc.mediaType) || above.has(desc.digest)) return none;
    if (above.size >= MAX_DEPTH) throw tooDeep(desc);
    const vouchers: Voucher[] = [];
    const entries: Digest[] = [];
    for (const entry of await instancesOf(this.#subject, desc, this.#call)) {
      const one = await this.#judgedTree(entry, signed, new Set([...above, desc.digest]));
      if (one.missing !== undefined)
        return { ...none, missing: `${whole.missing}; of its manifest ${entry.digest}: ${one.missing}` };
      vouchers.push(...one.vouchers);
      entries.push(...one.entries);
    }
    return entries.length === 0 ? none : { vouchers, entries };
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
      const trusted = await this.#trustedBy(requirement, checks);
      const question = {
        ...{ requirement, trusted, checks, candidates, digest, reference },
        now: this.#deps.clock.now(),
      };
      const answer = await findSignature(question, this.#call);
      if ('missing' in answer) return { vouchers: [], missing: tellMissing(answer.missing, digest) };
      vouchers.push({ ...answer.voucher, ...this.#costSince() });
    }
    return { vouchers };
  }

  /** Since this was last asked. */
  #costSince(): Partial<Cost> {
    const now = this.#subject.evidence.cost?.();
    if (now === undefined) return {};
    const before = this.#cost;
    this.#cost = now;
    return { requests: now.requests - before.requests, bytes: now.bytes - before.bytes };
  }

  #trustedBy(requirement: SignedBy, checks: SignatureChecks): Promise<Trusted> {
    const { fs, guard } = this.#deps;
    const own = (path: string, call: Call) => guard(path, this.#ofSystem, call);
    const reading =
      this.#trusted.get(requirement) ?? trustedBy({ fs, checks, guard: own }, requirement, this.#call);
    this.#trusted.set(requirement, reading);
    return reading;
  }

  #acceptance(vouchers: readonly Voucher[]): Verdict {
    return { accepted: true, by: this.#by, vouchers };
  }

  #refusal(reason: string, hint?: string): Verdict {
    return {
      accepted: false,
      by: this.#by,
      reason,
      ...(hint === undefined ? {} : { hint }),
    };
  }
}
