/** What is judged before anything of an image is fetched, by whom, and what comes of it. Types only. */
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import type { Evidence } from './evidence.ts';
import type { Voucher } from './voucher.ts';

export type { Voucher } from './voucher.ts';

/** An image that somebody wants. What is judged is what is pulled: nobody resolves the reference again. */
export interface Subject {
  /** What was asked for, or the name by which an archive's image is to be recorded. */
  readonly reference: Reference;
  /** What the reference names now: a manifest, or an index of them. */
  readonly root: Descriptor;
  /** Of an index: the platforms that are wanted of it; `any`: somebody else takes an image of it, and attestations are none. */
  readonly platforms: readonly Platform[] | 'all' | 'any';
  /** Where documents and signatures are read. */
  readonly evidence: Evidence;
}

/** What is known of an image before any of its documents is read. */
export type NamedRoot = Pick<Subject, 'reference' | 'root'>;

/** The image may come in. */
export interface Acceptance {
  /** Tells an acceptance from a refusal. */
  readonly accepted: true;
  /** Who decided: `policy /etc/hawser/policy.json, scope docker.io/library`. */
  readonly by: string;
  /** Empty: whoever decided asks for no proof. */
  readonly vouchers: readonly Voucher[];
  /** Of an index that nobody vouches for: the entries that somebody vouches for. Others do not come in. */
  readonly entries?: readonly Digest[] | undefined;
  /** What the user should know. */
  readonly note?: string | undefined;
}

/** The image may not come in. */
export interface Refusal {
  /** Tells a refusal from an acceptance. */
  readonly accepted: false;
  /** Who decided, as for an acceptance. */
  readonly by: string;
  /** Why, in words that follow the image's name and a colon. */
  readonly reason: string;
  /** What the user can do. */
  readonly hint?: string | undefined;
}

/** What a judge says. */
export type Verdict = Acceptance | Refusal;

/**
 * Decides on images. Whatever a judge throws keeps the image out, too: only an acceptance lets an image in. A judge says nothing
 * of what was not checked.
 */
export interface Judge {
  judge(subject: Subject, call: Call): Promise<Verdict>;
}

/** A judge to whom name and digest are enough. */
export interface RootJudge {
  judge(subject: NamedRoot, call: Call): Promise<Verdict>;
}
