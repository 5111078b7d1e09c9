/** One image to one repository: blobs, then what names them, and the tag last. */
import type { Limiter } from '../async/limiter.ts';
import { allOrAbort } from '../async/settle.ts';
import type { Turns } from '../async/turns.ts';
import { blobKey } from '../content/blob-key.ts';
import type { Labels, Provider } from '../content/content-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseReferrer } from '../oci/referrer.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { BlobStatus, Report } from '../progress/events.ts';
import type { RetryOptions } from '../registry/patience.ts';
import type { RepositoryWriter } from '../registry/registry.ts';
import type { Mounts } from './mounts.ts';
import { type Document, hasManifest, putManifest, whatIsAt } from './put-manifest.ts';
import { listUnderTag } from './referrers-tag.ts';
import { type Contact, type UploadDeps, uploadBlob } from './upload-blob.ts';

/** What goes to a repository, in the order in which it goes there. */
export interface Cargo {
  /** Configs and layers, each once. */
  readonly blobs: readonly Descriptor[];
  /** Manifests, then indexes, those that are listed before those that list them. Without the root. */
  readonly documents: readonly Document[];
  readonly root: Document;
  /** The root is an index that lists what does not go along. */
  readonly isSparse: boolean;
  /** What refers to the image: manifests with their own blobs among `blobs`. They go last. */
  readonly referrers: readonly ReferringDocument[];
}

export interface ReferringDocument extends Document {
  /** Where cosign looks for the document, which does not say what it is about: of several subjects, several. Empty: it goes by its digest. */
  readonly tags?: readonly string[] | undefined;
}

export interface PushImageDeps {
  readonly writer: RepositoryWriter;
  readonly content: Provider;
  /** The labels of a blob, which say where it is from. */
  readonly labels: (digest: Descriptor['digest'], call: Call) => Promise<Labels>;
  readonly clock: Clock;
  readonly hashers: Hashers;
  readonly report: Report;
  readonly retry: RetryOptions | undefined;
  readonly chunkSize: number | undefined;
  /** Blobs and documents sent at once. */
  readonly uploads: Limiter;
  /** A blob that two images of one run have is sent by one of them. */
  readonly turns: Turns;
  readonly mounts: Mounts;
}

/** `object`: the tag that is to name the root, or the root's digest. */
export async function pushImage(
  deps: PushImageDeps,
  cargo: Cargo,
  object: string,
  call: Call,
): Promise<void> {
  for (const desc of [...cargo.blobs, ...[...cargo.documents, cargo.root, ...cargo.referrers].map(descOf)])
    tell(deps, desc, 'waiting');
  const contact = { isMade: false };
  await allOrAbort(cargo.blobs, call.signal, (desc, signal) =>
    deps.uploads.run(signal, () => pushBlob(deps, contact, desc, { signal })),
  );
  // Few, and each may be listed by the next.
  for (const document of cargo.documents)
    await pushDocument(deps, document, { object: document.desc.digest, isSparse: false }, call);
  await pushDocument(deps, cargo.root, { object, isSparse: cargo.isSparse }, call);
  for (const document of cargo.referrers)
    for (const object of await placesOf(deps, document, call))
      await pushDocument(deps, document, { object, isSparse: false }, call);
}

/** Each once. */
async function placesOf(
  deps: PushImageDeps,
  { desc, tags = [] }: ReferringDocument,
  call: Call,
): Promise<ReadonlySet<string>> {
  if (tags.length === 0) return new Set([desc.digest]);
  const places = new Set<string>();
  for (const tag of tags) places.add(await placeOf(deps, desc, tag, call));
  return places;
}

/** The tag, unless the registry has other signatures there, which somebody has made for that repository. */
async function placeOf(
  { writer, report }: PushImageDeps,
  desc: Descriptor,
  tag: string,
  call: Call,
): Promise<string> {
  if ((await whatIsAt(writer, desc, tag, call)) !== 'other') return tag;
  const message = `Left the tag ${tag} of ${writer.reference.host}/${writer.reference.repository}, which names other signatures, as it is`;
  report({ type: 'warning', message });
  return desc.digest;
}

function descOf({ desc }: Document): Descriptor {
  return desc;
}

async function pushBlob(deps: PushImageDeps, contact: Contact, desc: Descriptor, call: Call): Promise<void> {
  const { writer, mounts } = deps;
  const { reference } = writer;
  await deps.turns.run(`${reference.host} ${desc.digest}`, call.signal, async () => {
    const from = mounts.find(reference, desc.digest, await deps.labels(desc.digest, call));
    const upload: UploadDeps = { ...deps, contact };
    const arrival = await uploadBlob(upload, desc, from, call);
    mounts.note(reference, desc.digest);
    tell(deps, desc, arrival);
  });
}

/** A document that refers to another is always sent: the answer says whether the registry keeps a list of such. */
async function pushDocument(
  deps: PushImageDeps,
  document: Document,
  { object, isSparse }: { readonly object: string; readonly isSparse: boolean },
  call: Call,
): Promise<void> {
  const { desc, bytes } = document;
  const { writer } = deps;
  const subject = parseReferrer(bytes, desc)?.subject;
  if (subject === undefined && (await hasManifest(writer, desc, object, call))) {
    tell(deps, desc, 'exists');
    return;
  }
  tell(deps, desc, 'uploading');
  const noted = await putManifest(writer, document, { object, isSparse }, call);
  if (subject !== undefined && noted === undefined) await listUnderTag(deps, document, subject, call);
  tell(deps, desc, 'done');
}

function tell({ report }: PushImageDeps, desc: Descriptor, status: BlobStatus): void {
  const offset = status === 'done' || status === 'exists' || status === 'mounted' ? desc.size : 0;
  report({ type: 'blob', key: blobKey(desc), desc, status, offset });
}
