/** Of an index that nobody vouches for, only what somebody vouches for goes on. */
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { childrenOf } from '../oci/documents.ts';
import { isIndexType } from '../oci/media-types.ts';
import type { Cargo } from '../push/push-image.ts';

/** PermissionDenied for a cargo with a manifest that is none of `entries`, and below none of them: attestations come along with an image. */
export function requireVouched(
  { root, documents }: Cargo,
  entries: ReadonlySet<string>,
  { name }: { readonly name: string },
): void {
  const all = [root, ...documents];
  const byDigest = new Map(all.map((one) => [one.desc.digest as string, one]));
  const vouched = new Set<string>();
  const vouch = (digest: string): void => {
    const document = byDigest.get(digest);
    if (document === undefined || vouched.has(digest)) return;
    vouched.add(digest);
    for (const child of childrenOf(document.bytes, document.desc)) vouch(child.digest);
  };
  for (const digest of entries) vouch(digest);
  const stranger = all.find(({ desc }) => !vouched.has(desc.digest) && !isIndexType(desc.mediaType));
  if (stranger !== undefined) throw notVouched(name, stranger.desc);
}

function notVouched(name: string, { digest }: Descriptor): HawserError {
  return new HawserError('PermissionDenied', `${name}: nobody vouches for ${digest}, which goes along`, {
    hint: 'Sign the index, or name one --platform, whose image goes without the index and attestations',
  });
}
