/** What refers to an image (signatures, SBOMs): found in a store, and told in the index of a layout as containerd tells it. */
import type { ContentStore } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { ifFound, isKind, messageOf } from '../errors.ts';
import { childLabels, PREFIX, SUBJECT } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { documentType, MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { parseReferrer } from '../oci/referrer.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';

export interface Referrer {
  /** With the annotation that names the subject. */
  readonly desc: Descriptor;
  readonly subject: Digest;
}

/** A signature of an SBOM of an image is found, and no more than that. */
const MAX_STEPS = 3;

/** All that refers to one of `subjects`, or to what does. Of all blobs, those that refer to others are read. */
export async function findReferrers(
  content: ContentStore,
  subjects: Iterable<string>,
  call: Call,
): Promise<Referrer[]> {
  const all = await referrersHere(content, call);
  const known = new Set(subjects);
  const found: Referrer[] = [];
  for (let step = 0; step < MAX_STEPS; step++) {
    const next = all.filter(({ subject, desc }) => known.has(subject) && !known.has(desc.digest));
    for (const { desc } of next) known.add(desc.digest);
    found.push(...next);
    if (next.length === 0) break;
  }
  return found;
}

async function referrersHere(content: ContentStore, call: Call): Promise<Referrer[]> {
  const found: Referrer[] = [];
  for (const { digest, size, labels } of await content.list(call)) {
    call.signal?.throwIfAborted();
    const refers = Object.keys(labels).some((key) => key.startsWith(PREFIX));
    if (!refers || size > MAX_MANIFEST_BYTES) continue;
    const bytes = await ifFound(readBlob(content, { digest, size }, MAX_MANIFEST_BYTES, call), 'DataLoss');
    const referrer = bytes && referrerOf(bytes, digest);
    if (referrer !== undefined) found.push(referrer);
  }
  return found;
}

/**
 * Brings what refers to something that is here by now, in the order of the archive, as one may refer to another. A label of the
 * subject keeps it as long as the subject is kept. What the index says and the document does not is no reference.
 */
export async function bringReferrers(
  { content, report }: { readonly content: ContentStore; readonly report: Report },
  referrers: readonly Referrer[],
  { signal }: Call,
  bring: (desc: Descriptor) => Promise<void>,
): Promise<void> {
  const leftOut = (digest: Digest, why: string) =>
    report({ type: 'warning', message: `Left out the referrer ${digest}: ${why}` });
  for (const { desc, subject } of referrers) {
    if ((await ifFound(content.info(subject, { signal }))) === undefined) continue;
    try {
      await bring(desc);
    } catch (err) {
      if (!isKind(err, 'NotFound')) throw err;
      leftOut(desc.digest, messageOf(err));
      continue;
    }
    const bytes = await readBlob(content, desc, MAX_MANIFEST_BYTES, { signal });
    if (referrerOf(bytes, desc.digest)?.subject !== subject)
      leftOut(desc.digest, `it does not refer to ${subject}`);
    else await content.label(subject, childLabels([desc]), { signal });
  }
}

/** Undefined for what refers to nothing, and for what is no document. */
function referrerOf(bytes: Uint8Array, digest: Digest): Referrer | undefined {
  const mediaType = documentType(bytes, '') ?? '';
  const desc = { mediaType, digest, size: bytes.length };
  try {
    const parsed = parseReferrer(bytes, desc);
    if (parsed === undefined) return undefined;
    const { subject, artifactType } = parsed;
    return { desc: { ...desc, artifactType, annotations: { [SUBJECT]: subject } }, subject };
  } catch {
    return undefined;
  }
}
