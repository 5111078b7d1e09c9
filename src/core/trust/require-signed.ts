/** One requirement for a signature, held against all signatures of one manifest or index. */
import { messageOf, wrap } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { attachmentTag } from '../oci/signatures.ts';
import type { Call } from '../ports/call.ts';
import type { SignatureChecks } from '../ports/signatures.ts';
import type { Reference } from '../reference/reference.ts';
import { type Candidate, type Candidates, isFailureToLook } from './candidates.ts';
import { checkAttachment } from './check-attachment.ts';
import { checkBundle } from './check-bundle.ts';
import type { Trusted } from './material.ts';
import type { Format, SignedBy } from './requirements.ts';
import type { Signer } from './signer.ts';
import type { Voucher } from './verdict.ts';

export interface SignedQuestion {
  readonly requirement: SignedBy;
  readonly trusted: Trusted;
  readonly checks: SignatureChecks;
  readonly candidates: Candidates;
  readonly digest: Digest;
  readonly reference: Reference;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Why none of the signatures of a format will do. */
export interface NoSignature {
  readonly format: Format;
  /** 0: there is none. */
  readonly count: number;
  /** One for each that was looked at, and one when the format could not be looked at. */
  readonly reasons: readonly string[];
}

type Answer = { readonly voucher: Voucher } | { readonly missing: readonly NoSignature[] };

/**
 * The first signature that will do; else what was found, of all formats. A failure to look for signatures is thrown, unless another
 * format has one that will do.
 */
export async function findSignature(question: SignedQuestion, call: Call): Promise<Answer> {
  const missing: NoSignature[] = [];
  const failures: unknown[] = [];
  for (const format of question.requirement.formats) {
    const reasons: string[] = [];
    let count = 0;
    try {
      const candidates = await candidatesIn(question, format, call);
      count = candidates.length;
      for (const candidate of candidates) {
        const signer = await tried(candidate, reasons, failures, call);
        if (signer !== undefined)
          return { voucher: voucherOf({ ...question, format, document: candidate.document }, signer) };
      }
    } catch (err) {
      call.signal?.throwIfAborted();
      reasons.push(messageOf(err));
      if (isFailureToLook(err)) failures.push(err);
    }
    missing.push({ format, count, reasons });
  }
  const [failure] = failures;
  if (failure !== undefined) throw wrap(`Cannot look for signatures of ${question.reference.name}`, failure);
  return { missing };
}

async function candidatesIn(
  question: SignedQuestion,
  format: Format,
  call: Call,
): Promise<readonly Candidate<Signer>[]> {
  const { candidates, trusted, digest } = question;
  const { identity } = question.requirement;
  if (format === 'attachment') {
    const found = await candidates.attachments(call);
    return found.map((one) => ({
      document: one.document,
      read: async (own) => checkAttachment({ ...question, identity }, await one.read(own), digest),
    }));
  }
  const found = await candidates.bundles(call);
  return found.map((one) => ({
    document: one.document,
    read: async (own) => checkBundle(trusted, await one.read(own), digest),
  }));
}

/** Undefined: this one will not do. */
async function tried(
  candidate: Candidate<Signer>,
  reasons: string[],
  failures: unknown[],
  call: Call,
): Promise<Signer | undefined> {
  try {
    return await candidate.read(call);
  } catch (err) {
    call.signal?.throwIfAborted();
    reasons.push(messageOf(err));
    if (isFailureToLook(err)) failures.push(err);
    return undefined;
  }
}

function voucherOf(
  { digest, format, document }: Required<Pick<Voucher, 'digest' | 'format' | 'document'>>,
  { at, ...signer }: Signer,
): Voucher {
  const time = at === undefined ? {} : { at: new Date(at).toISOString() };
  return { ...signer, digest, format, document, ...time };
}

/** For people: `2 signatures, none good: 1 is by another key; 1 names …`. */
export function tellMissing(missing: readonly NoSignature[], digest: Digest): string {
  const none = missing.every(({ count, reasons }) => count === 0 && reasons.length === 0);
  const where = {
    attachment: `no signature at ${attachmentTag(digest, 'sig')}`,
    bundle: 'no bundle among its referrers',
  };
  if (none) return `it is not signed: ${missing.map(({ format }) => where[format]).join(', ')}`;
  const parts = missing.map(({ format, count, reasons }) => {
    if (reasons.length === 0) return where[format];
    const [one, many] = format === 'bundle' ? ['bundle', 'bundles'] : ['signature', 'signatures'];
    if (count === 0) return `its ${many} are of no use: ${reasons.join('; ')}`;
    return `${count} ${count === 1 ? one : many}, none good: ${counted(reasons)}`;
  });
  return parts.join(', ');
}

/** At most five reasons, each once. */
function counted(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const one of reasons) counts.set(one, (counts.get(one) ?? 0) + 1);
  const told = [...counts].slice(0, 5).map(([reason, count]) => `${count} ${reason}`);
  return [...told, ...(counts.size > 5 ? ['and others'] : [])].join('; ');
}
