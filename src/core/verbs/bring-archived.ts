/** Images out of an archive into the store, unpacked: what is looked at first, what is brought, and when. */
import { canceled, linkAbort } from '../async/abort.ts';
import type { ArchiveBlobs } from '../carry/archive-blobs.ts';
import type { Archive } from '../carry/members.ts';
import { bringReferrers, type Referrer } from '../carry/referrers.ts';
import { type Part, Survey } from '../carry/survey.ts';
import type { InfoProvider, Provider } from '../content/content-store.ts';
import { readBlob } from '../content/read.ts';
import { isKind, messageOf, reasonOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES } from '../oci/documents.ts';
import { parseReference } from '../reference/parse.ts';
import type { Reference } from '../reference/reference.ts';
import { archiveSource } from './archive-source.ts';
import { checkImport, hasImageFor } from './check-import.ts';
import { entriesOf, fetchContent } from './fetch.ts';
import { spaceCheck } from './forecast.ts';
import type { ImportJob, ImportOptions } from './import-options.ts';
import type { PullOptions, UnpackedPlatform } from './options.ts';
import { fetchAndUnpack } from './pull.ts';
import type { JudgedImage } from './record-imported.ts';
import { openStrangerCheck, type ReadDocument } from './strangers.ts';

/** Blobs of an image that are waited for at once, where they arrive one after another. */
const AWAITED = 64;

/** An archive as its images are brought out of it. */
export interface Opened {
  readonly archive: Archive;
  readonly blobs: ArchiveBlobs;
  /** Documents that an import made. */
  readonly generated: ReadonlySet<string>;
  /** What the archive builds upon: told when something is missing. */
  base(): Promise<readonly string[]>;
}

export type Unpacked = ReadonlyMap<Digest, readonly UnpackedPlatform[]>;

/**
 * Looks at all images before anything of one is brought. Where members arrive one after another, all is looked at only at their end:
 * images are brought and unpacked meanwhile.
 */
export async function checkAndBring(
  job: ImportJob,
  opened: Opened,
  images: readonly JudgedImage[],
): Promise<{ readonly whole: readonly JudgedImage[]; readonly unpacked: Unpacked }> {
  if (opened.archive.arriving === undefined || job.options.completeOnly === true) {
    await opened.base();
    const whole = await wholeImages(job, opened, images);
    return { whole, unpacked: await bringAll(job, opened, whole) };
  }
  const stop = new AbortController();
  const unlink = linkAbort(job.signal, stop);
  const own = { ...job, signal: stop.signal };
  const checking = wholeImages(own, opened, images);
  checking.catch((err) => stop.abort(canceled(err)));
  try {
    const unpacked = await bringAll(own, opened, images);
    return { whole: await checking, unpacked };
  } catch (err) {
    // Of blobs that are nowhere, the check tells all.
    if (!isKind(err, 'NotFound')) stop.abort(canceled(err));
    const reason = await checking.then(
      () => err,
      (failure) => (isKind(failure, 'Canceled') ? err : failure),
    );
    throw reason;
  } finally {
    unlink();
  }
}

async function bringAll(job: ImportJob, opened: Opened, images: readonly JudgedImage[]): Promise<Unpacked> {
  const unpacked = new Map<Digest, readonly UnpackedPlatform[]>();
  for (const image of images) {
    const { digest } = image.target;
    if (unpacked.has(digest)) continue;
    // Of several names of one image, one may let in all of the image.
    const isWhole = (one: JudgedImage) =>
      one.target.digest === digest && entriesOf(one.verified) === undefined;
    unpacked.set(digest, await bring(job, opened, images.find(isWhole) ?? image));
  }
  return unpacked;
}

/** NotFound where one is not whole. `completeOnly`: those that lack a blob of the base are left out. */
async function wholeImages(
  { deps, options, signal, report }: ImportJob,
  { blobs, base }: Opened,
  images: readonly JudgedImage[],
): Promise<JudgedImage[]> {
  const wanted = options.platforms ?? [deps.hostPlatform];
  const whole: JudgedImage[] = [];
  for (const image of images) {
    try {
      await checkImport(blobs, image, { wanted, base }, { signal });
      whole.push(image);
    } catch (err) {
      const isLast = image === images.at(-1) && whole.length === 0;
      if (reasonOf(err, 'lacks') === undefined || options.completeOnly !== true || isLast) throw err;
      report({ type: 'warning', message: `Left out ${image.name}: ${messageOf(err)}` });
    }
  }
  return whole;
}

/** All that is wanted of one image, into the store, and unpacked. */
async function bring(
  job: ImportJob,
  { archive, blobs, generated }: Opened,
  image: JudgedImage,
): Promise<readonly UnpackedPlatform[]> {
  const { deps, options, report, signal } = job;
  const { unpack = true, platforms: wanted = [deps.hostPlatform] } = options;
  const { name, target } = image;
  report({ type: 'resolved', name, root: target });
  const maxConcurrentDownloads = archive.arriving === undefined ? undefined : AWAITED;
  const pulling = { ...job, options: { ...pullOptions(options, name), maxConcurrentDownloads } };
  const root = { root: target, generated, verified: image.verified };
  const { os } = deps.hostPlatform;
  if (unpack && (await hasImageFor(os, blobs, image, wanted, { signal })))
    return await fetchAndUnpack(pulling, root, spaceCheck(pulling, true), (own) => archiveSource(own, blobs));
  if (unpack) report({ type: 'warning', message: `${name} is not unpacked: it has no image for ${os}` });
  await fetchContent(pulling, root, archiveSource(pulling, blobs), {
    beforeFetch: spaceCheck(pulling, false),
  });
  return [];
}

/**
 * Brings the referrers as images are brought, but for all platforms, without names and without unpacking. Where it is not known which
 * repository has one, no label says so: a later pull lets go of what was at a tag of its own repository only.
 */
export async function bringOthers(
  job: ImportJob,
  blobs: ArchiveBlobs,
  images: readonly JudgedImage[],
  referrers: readonly Referrer[],
): Promise<void> {
  const { content } = job.deps.backend;
  const [first] = images;
  if (first === undefined || referrers.length === 0) return;
  const documents = await documentsOf(content, images, job);
  const read: ReadDocument = (desc, call) => readBlob(blobs, desc, MAX_MANIFEST_BYTES, call);
  const isStrange = await openStrangerCheck(read, images, job);
  await bringReferrers(
    { content, read, report: job.report, documents, isStrange },
    referrers,
    job,
    async ({ mediaType, digest, size }, source) => {
      const root = { root: { mediaType, digest, size }, generated: new Set<string>() };
      const own = pullOptions(job.options, source ?? first.name);
      const reference = source === undefined ? withoutSource(own.reference, root.root) : own.reference;
      const pulling = { ...job, options: { ...own, reference, platforms: 'all' as const } };
      await fetchContent(pulling, root, archiveSource(pulling, blobs), {
        beforeFetch: spaceCheck(pulling, false),
      });
    },
  );
}

/** As of an archive that is no layout: no registry is known to have the blobs. */
function withoutSource(reference: Reference, root: Descriptor): Reference {
  return { ...reference, layout: { path: '', root, files: new Map() } };
}

/** Digests of the manifests and indexes that the images have here, to a name of an image that has them; undefined: images of several repositories have. */
async function documentsOf(
  content: Provider & InfoProvider,
  images: readonly JudgedImage[],
  { signal }: ImportJob,
): Promise<ReadonlyMap<string, string | undefined>> {
  const survey = new Survey(content, { documentsOnly: true, signal });
  const found = new Map<string, string | undefined>();
  const note = (part: Part, name: string): void => {
    const { digest } = part.desc;
    const before = found.has(digest) ? found.get(digest) : name;
    if (part.type !== 'absent')
      found.set(digest, before !== undefined && isSameRepository(before, name) ? before : undefined);
    if (part.type === 'index') for (const one of part.parts) note(one, name);
  };
  for (const { target, name } of images) note(await survey.look(target), name);
  return found;
}

function isSameRepository(name: string, other: string): boolean {
  const [one, two] = [parseReference(name), parseReference(other)];
  return one.host === two.host && one.repository === two.repository;
}

/** An archive need not hold the documents of platforms that nobody wants, whatever the store takes of a registry. */
export function pullOptions(
  { platforms, snapshotter, layerSettings }: ImportOptions,
  name: string,
): PullOptions {
  return {
    reference: parseReference(name),
    platforms,
    snapshotter,
    layerSettings,
    allMetadata: false,
  };
}
