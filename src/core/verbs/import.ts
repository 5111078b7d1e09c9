/** The verb `import`: images out of an archive or a directory into a store, unpacked and recorded (ctr images import, docker load). */

import { cleanupSignal } from '../async/abort.ts';
import { closingAfter } from '../async/cleanup.ts';
import { ArchiveBlobs, readArchived } from '../carry/archive-blobs.ts';
import { archiveHint } from '../carry/archive-hint.ts';
import { BUNDLE, MAX_BUNDLE, parseBundle } from '../carry/bundle.ts';
import { chooseNames, type NamedImage } from '../carry/import-names.ts';
import { layoutEvidence } from '../carry/layout-evidence.ts';
import type { Archive } from '../carry/members.ts';
import { type ArchiveForm, formOf, openArchive } from '../carry/open-archive.ts';
import { ifFound, isKind, messageOf, reasonOf, wrap } from '../errors.ts';
import { oursOnly } from '../layers/layer-settings.ts';
import { parseReference } from '../reference/parse.ts';
import type { Evidence } from '../trust/evidence.ts';
import { archivedImages } from './archived-images.ts';
import { bringOthers, checkAndBring, type Opened } from './bring-archived.ts';
import { endLease } from './end-lease.ts';
import { passGate } from './gate.ts';
import type { ImportDeps, ImportJob, ImportOptions } from './import-options.ts';
import { withJob } from './job.ts';
import { isForCri } from './record.ts';
import { type ImportedImage, type JudgedImage, recordImported, refuseConflicts } from './record-imported.ts';

export type { ImportDeps, ImportOptions } from './import-options.ts';

/** What an import has brought. */
export interface ImportResult {
  /** In the order of the archive. */
  readonly images: readonly ImportedImage[];
}

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
  const course: Course = { hasBrought: false, isRefused: false };
  const importing = withJob(deps, options, (job) => openAndImport(job, course));
  const result = await importing.catch(async (err: unknown) => {
    if (course.isRefused && course.hasBrought) await collectRest(deps, options);
    throw err;
  });
  const moved = result.images.some(({ before }) => before !== undefined);
  if (course.hasBrought || moved) await collectRest(deps, options);
  return result;
}

/** How an import went. */
interface Course {
  /** A stream has brought blobs. */
  hasBrought: boolean;
  /** An image may not come in. */
  isRefused: boolean;
}

async function openAndImport(job: ImportJob, course: Course): Promise<ImportResult> {
  const { signal, lease, report, options } = job;
  const { backend, clock, codecs, hashers, runtime } = job.deps;
  const { fs, host } = runtime;
  const { content } = backend;
  const open = { content, clock, report, fs, codecs, hashers, random: (n: number) => host.random(n) };
  const archive = await openArchive(open, options.from, { digest: options.digest, signal, lease });
  return await closingAfter(
    () => importArchive(job, archive, course),
    async () => {
      await archive[Symbol.asyncDispose]();
      course.hasBrought = (archive.arriving?.brought.size ?? 0) > 0;
      // What has come with an image that may not come in is of no use to a later import.
      if (course.isRefused) await ifFound(endLease(backend, lease, { signal: cleanupSignal() }));
    },
  );
}

/** What a stream brought and nobody wants, and what names named before. A failure is only a warning. */
async function collectRest({ backend }: ImportDeps, { signal, report }: ImportOptions): Promise<void> {
  try {
    await backend.collect({ signal });
  } catch (err) {
    report?.({ type: 'warning', message: `Cannot remove what is not used any more: ${messageOf(err)}` });
  }
}

async function importArchive(job: ImportJob, archive: Archive, course: Course): Promise<ImportResult> {
  const { deps, options, report, signal } = job;
  const { content } = deps.backend;
  const form = await formOf(archive, job);
  const blobs = new ArchiveBlobs(archive, form.prefix, content, deps.hashers);
  const { named, generated, referrers, roots } = await doing(archive, async () => {
    const { images, ...rest } = await archivedImages(job, archive, form, options.unpack === false);
    return { named: chooseNames(images, options), ...rest };
  });
  const { images, leftOut } = named;
  for (const message of leftOut) report({ type: 'warning', message });
  await refuseConflicts(job, images);
  const judged = await judgedImages(job, images, layoutEvidence(blobs, roots)).catch((err: unknown) => {
    course.isRefused = reasonOf(err, 'refused') !== undefined;
    throw err;
  });
  let known: Promise<readonly string[]> | undefined;
  const base = () => {
    known ??= baseOf(job, archive, form);
    return known;
  };
  const opened = { archive, blobs, generated, base };
  const { whole, unpacked } = await bringing(archive, () => checkAndBring(job, opened, judged));
  await bringing(archive, async () => {
    await bringOthers(job, blobs, whole, referrers);
    if (await isOldNews(job, opened, whole)) return;
    await archive.arriving?.end(job);
    await base();
  });
  report({ type: 'syncing' });
  await deps.backend.sync({ signal });
  // Unpacking may have taken minutes.
  await refuseConflicts(job, whole);
  return { images: await recordImported(job, whole, unpacked) };
}

/** What carries signatures from place to place is under such tags: cosign's, and that of a list of referrers. */
const OF_SIGNATURES = /:sha(?:256|384|512)-[0-9a-f]{64,}(?:\.sig|\.att|\.sbom)?$/;

/** Asks whether the images may come in, each under its name. Signatures that came along are no images that anybody signs. */
async function judgedImages(
  job: ImportJob,
  images: readonly NamedImage[],
  evidence: Evidence,
): Promise<JudgedImage[]> {
  const { deps, options, report } = job;
  const platforms = options.platforms ?? [deps.hostPlatform];
  const judged: JudgedImage[] = [];
  for (const image of images) {
    const subject = { reference: parseReference(image.name), root: image.target, platforms, evidence };
    try {
      judged.push({ ...image, verified: await passGate(deps, options, subject, job) });
    } catch (err) {
      if (!OF_SIGNATURES.test(image.name) || reasonOf(err, 'refused') === undefined) throw err;
      report({ type: 'warning', message: `Left out ${image.name}, which is for signatures` });
    }
  }
  return judged;
}

/** All is here and recorded: the archive need not be read to its end. */
async function isOldNews(
  { deps, signal }: ImportJob,
  { archive, blobs }: Opened,
  images: readonly NamedImage[],
): Promise<boolean> {
  if (archive.arriving?.mayStop !== true || blobs.hasNew) return false;
  for (const { name, target } of images) {
    const image = await ifFound(deps.backend.images.get(name, { signal }));
    if (image?.target.digest !== target.digest) return false;
  }
  return true;
}

/** What an archive that was made with --lacks builds upon, by the ids of the sets; empty for others. InvalidArgument for a false one. */
async function baseOf(
  { deps, signal }: ImportJob,
  archive: Archive,
  form: ArchiveForm,
): Promise<readonly string[]> {
  const name = `${form.prefix}${BUNDLE}`;
  const bytes = await readArchived(archive, deps.backend.content, name, MAX_BUNDLE, { signal });
  return bytes === undefined ? [] : parseBundle(bytes, deps.hashers).base;
}

async function doing<T>(archive: Archive, work: () => Promise<T>, hint = archiveHint): Promise<T> {
  try {
    return await work();
  } catch (err) {
    throw wrap(`Cannot import ${archive.name}`, err, hint(err));
  }
}

/** As `doing`, where the store works, too: of what fails there only wrong bytes are the archive's. */
async function bringing<T>(archive: Archive, work: () => Promise<T>): Promise<T> {
  return await doing(archive, work, (err) => (isKind(err, 'DataLoss') ? archiveHint(err) : undefined));
}
