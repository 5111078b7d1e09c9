/** What refers to a manifest, by the store and by the registry. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Documents, Referrer } from './documents.ts';

type Listed = Referrer['descriptor'];

export interface ReferrersWanted {
  readonly subject: Digest;
  readonly artifactType: string | undefined;
  /** Those that a registry lists. */
  readonly listed: readonly Descriptor[];
  /** Whether the client may know of a document of the store. */
  readonly mayHave: (digest: Digest, call: Call) => Promise<boolean>;
}

/** Each once, sorted by digest. */
export async function referrersFor(
  documents: Documents,
  { subject, artifactType, listed, mayHave }: ReferrersWanted,
  call: Call,
): Promise<Listed[]> {
  const found = new Map<string, Listed>(listed.map((one) => [one.digest, described(one)]));
  for (const { descriptor } of await documents.referrersOf(subject, call))
    if (await mayHave(descriptor.digest, call)) found.set(descriptor.digest, descriptor);
  return [...found.values()]
    .filter((one) => artifactType === undefined || one.artifactType === artifactType)
    .sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

function described({ mediaType, digest, size, artifactType, annotations }: Descriptor): Listed {
  return { mediaType, digest, size, artifactType, annotations };
}
