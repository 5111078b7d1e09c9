/** What a registry answered. */
import type { Referrers } from '../../core/registry/registry.ts';
import type { RemoteDocument } from '../../core/verbs/ask.ts';
import type { Judged } from '../../core/verbs/judge.ts';
import type { JudgedImageRecord } from '../../core/verbs/judge-stored.ts';

/** `of`: the member of the JSON document that has the names; `subject`: what they belong to. */
export interface NamesView {
  readonly type: 'names';
  readonly of: 'tags' | 'repositories';
  readonly subject: { readonly name: string } | { readonly host: string };
  readonly names: readonly string[];
  readonly json: boolean;
}

export interface ReferrersView {
  readonly type: 'referrers';
  /** Of the image. */
  readonly name: string;
  readonly found: Referrers;
  readonly json: boolean;
}

/** As JSON; the bytes themselves are written by the command. */
export interface DocumentView {
  readonly type: 'document';
  readonly of: 'manifest' | 'config';
  readonly name: string;
  readonly document: RemoteDocument;
}

/** Of an image that may come in. */
export interface JudgedView {
  readonly type: 'judged';
  readonly judged: Judged;
  readonly json: boolean;
}

/** Of images of the store, each of which may come in or not. */
export interface SignaturesView {
  readonly type: 'signatures';
  readonly images: readonly JudgedImageRecord[];
  readonly json: boolean;
}
