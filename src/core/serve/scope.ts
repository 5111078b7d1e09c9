/** Which documents of the store are given by the name of a repository, where not every one is by every name. */
import type { ContentStore } from '../content/content-store.ts';
import { ifFound } from '../errors.ts';
import { sourceLabelKey } from '../images/gc-labels.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Refusal } from './answers.ts';
import type { Documents } from './documents.ts';
import type { BasicAuth } from './htpasswd.ts';
import type { Asked, Repository } from './repositories.ts';
import { isPulledThrough, type Upstream } from './upstream.ts';

export interface ScopeParts {
  readonly documents: Documents;
  readonly content: Pick<ContentStore, 'info'>;
  readonly upstream?: Upstream | undefined;
  /** Where there are users, a digest is not enough anywhere. */
  readonly auth?: BasicAuth | undefined;
}

/** Tells of a digest whether the client may have the document. */
export type Scope = (digest: Digest, call: Call) => Promise<boolean>;

const EVERYTHING: Scope = async () => true;

/**
 * `repository`: undefined where every document is given by every name. With users, a repository gives what its own
 * images reach, and a name without images nothing. Without, and with registries behind the store:
 *
 * - A repository that is pulled through gives what its own images reach: the policy let these in, and may refuse the same digest elsewhere.
 * - Another one of which the store has images gives every document by its digest.
 * - A name of which the store has no image gives every document but those that came from these registries.
 */
export function scopeOf(
  { documents, content, upstream, auth }: ScopeParts,
  asked: Asked,
  repository: Repository | Refusal | undefined,
): Scope {
  if (repository === undefined) return EVERYTHING;
  const local = 'code' in repository ? undefined : repository;
  const isOpen = auth === undefined && upstream !== undefined && !isPulledThrough(upstream, asked, local);
  if (local !== undefined)
    return isOpen ? EVERYTHING : (digest, call) => documents.reaches(local.roots, digest, call);
  return async (digest, call) => {
    const info = isOpen ? await ifFound(content.info(digest, call)) : undefined;
    return (
      info !== undefined && ![...(upstream?.hosts ?? [])].some((host) => info.labels[sourceLabelKey(host)])
    );
  };
}
