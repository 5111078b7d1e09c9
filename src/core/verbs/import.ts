/** The verb `import`: images out of an archive or a directory into a store, unpacked and recorded (ctr images import, docker load). */
import { closingAfter } from '../async/cleanup.ts';
import { ArchiveBlobs, readArchived } from '../carry/archive-blobs.ts';
import { BUNDLE, MAX_BUNDLE, parseBundle } from '../carry/bundle.ts';
import { chooseNames, type NamedImage, type NameOptions } from '../carry/import-names.ts';
import type { Archive } from '../carry/members.ts';
import { type ArchiveForm, formOf, type ImportSource, openArchive } from '../carry/open-archive.ts';
import { bringReferrers, type Referrer } from '../carry/referrers.ts';
import { messageOf, reasonOf, wrap } from '../errors.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import { oursOnly } from '../layers/layer-settings.ts';
import type { Platform } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { parseReference } from '../reference/parse.ts';
import type { Runtime } from '../runtime.ts';
import { archiveSource } from './archive-source.ts';
import { archivedImages } from './archived-images.ts';
import { checkImport } from './check-import.ts';
import { fetchContent } from './fetch.ts';
import { spaceCheck } from './forecast.ts';
import { type GateOptions, passGate } from './gate.ts';
import { type Job, withJob } from './job.ts';
import type { PullOptions, StoreDeps, UnpackedPlatform, VerbOptions } from './options.ts';
import { fetchAndUnpack } from './pull.ts';
import { isForCri } from './record.ts';
import {
  type ImportedImage,
  type ImportRecordOptions,
  type JudgedImage,
  recordImported,
  refuseConflicts,
} from './record-imported.ts';

export interface ImportDeps extends StoreDeps {
  readonly runtime: Pick<Runtime, 'fs' | 'host'>;
}

export interface ImportOptions extends VerbOptions, NameOptions, ImportRecordOptions, GateOptions {
  readonly from: ImportSource;
  /** Not given: the host's. */
  readonly platforms?: readonly Platform[] | 'all' | undefined;
  /** Of an archive that builds upon blobs which are not here: imports the images that are whole. */
  readonly completeOnly?: boolean | undefined;
  /** Default: true. */
  readonly unpack?: boolean | undefined;
  readonly snapshotter?: string | undefined;
  readonly layerSettings?: LayerSettings | undefined;
}

/** What an import has brought. */
export interface ImportResult {
  /** In the order of the archive. */
  readonly images: readonly ImportedImage[];
}

type ImportJob = Job<ImportDeps, ImportOptions>;

/**
 * Imports. Images are recorded last, when everything that they need is in the store, verified, durable and unpacked; on any failure no
 * record is made or moved. What came before a cut stays in the store for a day, and is not read again.
 */
export async function importImages(deps: ImportDeps, options: ImportOptions): Promise<ImportResult> {
  isForCri(deps.backend, options, options.report);
  if (options.unpack ?? true) {
    const snapshotter = deps.backend.snapshotter(options.snapshotter);
    await snapshotter.check?.({ oursOnly: oursOnly(options.layerSettings ?? {}), signal: options.signal });
  }
  let isStreamed = false;
  const result = await withJob(deps, options, async (job) => {
    const { backend, clock, codecs, runtime } = deps;
    const { signal, lease, report } = job;
    const { fs, host } = runtime;
    const open = {
      content: backend.content,
      clock,
      report,
      fs,
      codecs,
      random: (n: number) => host.random(n),
    };
    const archive = await openArchive(open, options.from, { signal, lease });
    isStreamed = archive.isStreamed;
    return await closingAfter(
      () => importArchive(job, archive),
      () => archive[Symbol.asyncDispose](),
    );
  });
  const moved = result.images.some(({ before }) => before !== undefined);
  if (isStreamed || moved) await collectRest(deps, options);
  return result;
}

/** What a stream brought and nobody wants, and what names named before. A failure is only a warning. */
async function collectRest({ backend }: ImportDeps, { signal, report }: ImportOptions): Promise<void> {
  try {
    await backend.collect({ signal });
  } catch (err) {
    report?.({ type: 'warning', message: `Cannot remove what is not used any more: ${messageOf(err)}` });
  }
}

async function importArchive(job: ImportJob, archive: Archive): Promise<ImportResult> {
  const { deps, options, report, signal } = job;
  const { content } = deps.backend;
  const form = await formOf(archive, job);
  const blobs = new ArchiveBlobs(archive, form.prefix, content, deps.hashers);
  const { named, generated, referrers } = await doing(archive, async () => {
    const { images, ...rest } = await archivedImages(job, archive, form, options.unpack === false);
    return { named: chooseNames(images, options), ...rest };
  });
  const { images, leftOut } = named;
  for (const message of leftOut) report({ type: 'warning', message });
  await refuseConflicts(job, images);
  const judged = await judgedImages(job, images);
  const base = await doing(archive, () => baseOf(job, archive, form));
  const whole = await doing(archive, () => wholeImages(job, blobs, judged, base));
  const unpacked = new Map<Digest, readonly UnpackedPlatform[]>();
  for (const image of whole) {
    if (!unpacked.has(image.target.digest))
      unpacked.set(image.target.digest, await doing(archive, () => bring(job, { blobs, generated }, image)));
  }
  const [first] = whole;
  if (first !== undefined)
    await doing(archive, () => bringOthers(job, blobs, pullOptions(options, first.name), referrers));
  report({ type: 'syncing' });
  await deps.backend.sync({ signal });
  // Unpacking may have taken minutes.
  await refuseConflicts(job, whole);
  return { images: await recordImported(job, whole, unpacked) };
}

/** Asks whether the images may come in, each under its name. */
async function judgedImages(
  { deps, options, signal }: ImportJob,
  images: readonly NamedImage[],
): Promise<JudgedImage[]> {
  const judged: JudgedImage[] = [];
  for (const image of images) {
    const subject = { reference: parseReference(image.name), root: image.target };
    judged.push({ ...image, verified: await passGate(deps, options, subject, { signal }) });
  }
  return judged;
}

/** What an archive that was made with --lacks builds upon, by the ids of the sets; empty for others. */
async function baseOf(
  { deps, signal }: ImportJob,
  archive: Archive,
  form: ArchiveForm,
): Promise<readonly string[]> {
  const name = `${form.prefix}${BUNDLE}`;
  const bytes = await readArchived(archive, deps.backend.content, name, MAX_BUNDLE, { signal });
  return bytes === undefined ? [] : parseBundle(bytes, deps.hashers).base;
}

interface CheckedImage extends JudgedImage {
  /** There is something to unpack. */
  readonly hasImage: boolean;
}

/** Looks at all images before anything of one is brought. `completeOnly`: those that lack a blob of the base are left out. */
async function wholeImages(
  { deps, options, signal, report }: ImportJob,
  blobs: ArchiveBlobs,
  images: readonly JudgedImage[],
  base: readonly string[],
): Promise<CheckedImage[]> {
  const wanted = options.platforms ?? [deps.hostPlatform];
  const { os } = deps.hostPlatform;
  const checked: CheckedImage[] = [];
  for (const image of images) {
    try {
      const { hasImage } = await checkImport(blobs, image, { wanted, os, base }, { signal });
      checked.push({ ...image, hasImage });
    } catch (err) {
      const isLast = image === images.at(-1) && checked.length === 0;
      if (reasonOf(err, 'lacks') === undefined || options.completeOnly !== true || isLast) throw err;
      report({ type: 'warning', message: `Left out ${image.name}: ${messageOf(err)}` });
    }
  }
  return checked;
}

async function doing<T>(archive: Archive, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    throw wrap(`Cannot import ${archive.name}`, err);
  }
}

/** All that is wanted of one image, into the store, and unpacked. */
async function bring(
  job: ImportJob,
  { blobs, generated }: { readonly blobs: ArchiveBlobs; readonly generated: ReadonlySet<string> },
  { name, target, hasImage }: CheckedImage,
): Promise<readonly UnpackedPlatform[]> {
  const { deps, options, report } = job;
  const { unpack = true } = options;
  report({ type: 'resolved', name, root: target });
  const pulling = { ...job, options: pullOptions(options, name) };
  const root = { root: target, generated };
  if (unpack && hasImage)
    return await fetchAndUnpack(pulling, root, spaceCheck(pulling, true), (own) => archiveSource(own, blobs));
  if (unpack)
    report({
      type: 'warning',
      message: `${name} is not unpacked: it has no image for ${deps.hostPlatform.os}`,
    });
  await fetchContent(pulling, root, archiveSource(pulling, blobs), {
    beforeFetch: spaceCheck(pulling, false),
  });
  return [];
}

/** Brings the referrers as images are brought, but for all platforms, without names and without unpacking. */
async function bringOthers(
  job: ImportJob,
  blobs: ArchiveBlobs,
  options: PullOptions,
  referrers: readonly Referrer[],
): Promise<void> {
  const { content } = job.deps.backend;
  const pulling = { ...job, options: { ...options, platforms: 'all' as const } };
  await bringReferrers(
    { content, report: job.report },
    referrers,
    job,
    async ({ mediaType, digest, size }) => {
      const root = { root: { mediaType, digest, size }, generated: new Set<string>() };
      await fetchContent(pulling, root, archiveSource(pulling, blobs), {
        beforeFetch: spaceCheck(pulling, false),
      });
    },
  );
}

/** An archive need not hold the documents of platforms that nobody wants, whatever the store takes of a registry. */
function pullOptions({ platforms, snapshotter, layerSettings }: ImportOptions, name: string): PullOptions {
  return {
    reference: parseReference(name),
    platforms,
    snapshotter,
    layerSettings,
    allMetadata: false,
  };
}
