/** The verb `export`: images of a store as an archive or a directory that other tools read (ctr images export, docker save). */

import type { RefNameForm } from '../carry/annotations.ts';
import { type ArchiveForm, type ArchiveReader, checkReader, sparseNote } from '../carry/archive-readers.ts';
import { FileSink, writeBeside } from '../carry/beside.ts';
import { BUNDLE, bundleJson, type Have } from '../carry/bundle.ts';
import type { WantedPlatforms } from '../carry/choose-parts.ts';
import { compressionOfName, type OuterCompression, withCompression } from '../carry/compressed-sink.ts';
import { intoDirectory } from '../carry/directory-sink.ts';
import { type DockerForm, dockerEntries, dockerManifestJson } from '../carry/docker-manifest.ts';
import {
  blobsInOrder,
  type IndexForm,
  indexJson,
  type PlannedBlob,
  type PlannedExport,
  type PlannedReferrer,
  planExport,
} from '../carry/export-plan.ts';
import { havesOf, holes, layersOf, type OtherSide } from '../carry/other-side.ts';
import { type ByteSink, type LayoutSink, TarSink } from '../carry/sink.ts';
import { writeDockerArchive } from '../carry/write-docker.ts';
import { writeLayout } from '../carry/write-layout.ts';
import { HawserError } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { requireOutside } from '../output/outside.ts';
import type { Call } from '../ports/call.ts';
import type { Runtime } from '../runtime.ts';
import { carriedReferrers } from './carried-referrers.ts';
import { withJob } from './job.ts';
import type { StoreDeps, VerbOptions } from './options.ts';

export interface ExportDeps extends StoreDeps {
  readonly runtime: Pick<Runtime, 'fs' | 'databases' | 'host' | 'syscalls'>;
}

/** Where to: a file or a directory by its absolute path, or whatever takes the bytes of an archive. */
export type ExportTarget =
  | { readonly type: 'file' | 'directory'; readonly path: string }
  | { readonly type: 'bytes'; readonly sink: ByteSink };

export interface ExportOptions extends VerbOptions {
  readonly to: ExportTarget;
  /** Directories that must not be written into: the store. */
  readonly keepOut?: readonly string[] | undefined;
  /** `docker`: as `docker save` did before layouts: one platform of each image, whose digest is lost. Default: oci. */
  readonly format?: 'oci' | 'docker' | undefined;
  /** Default: every one that is here as a whole. */
  readonly platforms?: WantedPlatforms | undefined;
  /** Default: keep. */
  readonly index?: IndexForm | undefined;
  /** Fails where an index lists what is not here. */
  readonly strict?: boolean | undefined;
  /** Whether there is a manifest.json, for readers of Docker's archives. Default: auto; never in a directory. */
  readonly docker?: DockerForm | undefined;
  readonly refName?: RefNameForm | undefined;
  /** Carries along the signatures that are here. Default: true; never in a Docker archive. */
  readonly signatures?: boolean | undefined;
  /** Carries along whatever is here and is about the images: SBOMs, attestations. */
  readonly referrers?: boolean | undefined;
  /** Leaves out layers that registries need not have. */
  readonly skipForeign?: boolean | undefined;
  /** They are asked what the other side has: layers that are there are left out. */
  readonly lacks?: readonly OtherSide[] | undefined;
  /** Around the archive. Default: what the file's name ends with; none for other targets. */
  readonly compress?: OuterCompression | undefined;
  /** Whom the archive is for: a form that they cannot read is refused before anything is written. */
  readonly for?: ArchiveReader | undefined;
  /** Of all entries, in seconds since the epoch. Default: 0. */
  readonly mtime?: number | undefined;
}

/** One name in the archive. */
export interface ExportedImage {
  /** The full name of the image. */
  readonly name: string;
  /** What the archive has under the name. */
  readonly target: Descriptor;
  /** The digest of the record, where the index was reduced or replaced. */
  readonly source: Descriptor;
  /** What the index lists and the archive lacks: platforms, or digests where there is none. */
  readonly absent: readonly string[];
}

/** What an export has written. */
export interface ExportResult {
  /** In the order in which they were asked for. */
  readonly images: readonly ExportedImage[];
  /** The manifests that hold their signatures. */
  readonly signatures: readonly Digest[];
  /** With `lacks`: what was written, and the layers that were not. */
  readonly delta?: { readonly carried: BlobTotal; readonly leftOut: BlobTotal } | undefined;
}

/** `bytes`: as the blobs are in the store. */
export interface BlobTotal {
  /** How many. */
  readonly blobs: number;
  /** Of all of them. */
  readonly bytes: number;
}

/**
 * Writes the images; nothing is left of what could not be written whole. NotFound for what is not here, DataLoss for a blob that
 * has rotted: every blob is hashed while it is copied. The same images give the same bytes.
 */
export async function exportImages(
  deps: ExportDeps,
  images: readonly Image[],
  options: ExportOptions,
): Promise<ExportResult> {
  if (images.length === 0) throw new HawserError('InvalidArgument', 'Cannot export: no image is named');
  if (options.for !== undefined) checkReader(options.for, formOf(options));
  const { to, keepOut = [], lacks = [], signal } = options;
  if (lacks.length > 0 && options.format === 'docker')
    throw new HawserError('InvalidArgument', 'A Docker archive cannot leave out what the other side has', {
      hint: 'Leave --format docker away, or --lacks',
    });
  if (to.type !== 'bytes')
    await requireOutside(deps.runtime, to.path, { doing: `Cannot write ${to.path}`, keepOut, signal });
  const {
    strict = false,
    refName = 'tag',
    skipForeign = false,
    index = 'keep',
    platforms = 'present',
  } = options;
  return await withJob(deps, options, async ({ signal, report, lease }) => {
    const call = { signal };
    // What is about to be copied must not be collected meanwhile.
    const { leases, content } = deps.backend;
    for (const { target } of images) await leases.add(lease, { type: 'content', id: target.digest }, call);
    const plan = { platforms, index, strict, refName, skipForeign, verb: 'export' } as const;
    const planned = await planExport({ content, hashers: deps.hashers }, images, plan, call);
    const warn = (message: string) => report({ type: 'warning', message });
    for (const one of planned) tellAbsent(one, options, warn);
    const writes = options.format === 'docker' ? dockerWriter : layoutWriter;
    const { signatures, others } = await carriedReferrers(deps.backend, planned, { ...options, warn }, call);
    const referrers = [...signatures, ...others];
    const haves = await havesOf(lacks, layersOf(planned), call);
    const writer = writes(deps, { planned, referrers, haves }, { ...options, refName }, warn);
    await write(deps, options, writer.write, call);
    return {
      delta: writer.delta,
      signatures: signatures.map(({ desc }) => desc.digest),
      images: planned.map(({ name, target, source, absent, unwanted }) => ({
        name,
        target,
        source,
        absent: [...absent, ...unwanted],
      })),
    };
  });
}

function formOf({ to, compress, docker, format }: ExportOptions): ArchiveForm {
  const name = to.type === 'file' ? to.path.slice(to.path.lastIndexOf('/') + 1) : undefined;
  return { type: to.type, name, compress, hasManifestJson: format === 'docker' || docker !== 'never' };
}

function tellAbsent(
  { name, absent, unwanted, target, source }: PlannedExport,
  { index = 'keep', platforms = 'present', for: reader }: ExportOptions,
  warn: (text: string) => void,
): void {
  const is = (list: readonly string[]) => `${list.join(', ')} ${list.length === 1 ? 'is' : 'are'}`;
  // Who names platforms does not ask what else there is.
  const parts = [
    ...(absent.length > 0 && typeof platforms === 'string' ? [`${is(absent)} not here`] : []),
    ...(unwanted.length > 0 ? [`${is(unwanted)} left out`] : []),
  ];
  if (parts.length > 0 && index === 'keep')
    warn(
      `${name}: ${parts.join(', ')}; the archive keeps the index, which lists more than the archive has${sparseNote(reader)}`,
    );
  if (target.digest !== source.digest)
    warn(`${name}: exported as ${target.digest}, in place of ${source.digest}`);
}

/** What goes into an archive. */
interface Cargo {
  readonly planned: readonly PlannedExport[];
  readonly referrers: readonly PlannedReferrer[];
  /** What the other side has, by everybody who was asked. */
  readonly haves: readonly Have[];
}

type Write = (sink: LayoutSink, call: Call) => Promise<void>;

interface Writer {
  readonly write: Write;
  readonly delta?: ExportResult['delta'];
}

function totalOf(blobs: readonly PlannedBlob[]): BlobTotal {
  return { blobs: blobs.length, bytes: blobs.reduce((sum, { desc }) => sum + desc.size, 0) };
}

function layoutWriter(
  { backend, hostPlatform, hashers }: ExportDeps,
  { planned, referrers, haves }: Cargo,
  { to, docker, refName = 'tag' }: ExportOptions,
  warn: (text: string) => void,
): Writer {
  const form = docker ?? (to.type === 'directory' ? 'never' : 'auto');
  const { entries, leftOut } = dockerEntries(planned, hostPlatform, form);
  for (const message of leftOut) warn(message);
  const blobs = blobsInOrder(planned, referrers);
  const isThere = holes(planned, haves);
  const whole = entries.filter(({ layers }) => !layers.some(({ digest }) => isThere(digest)));
  const documents = [['index.json', indexJson(planned, refName, referrers)] as const];
  const manifest = whole.length === 0 ? [] : [['manifest.json', dockerManifestJson(whole)] as const];
  const bundle = () => bundleJson(planned, blobs, haves, ({ desc }) => isThere(desc.digest), hashers);
  const layout = {
    documents: [...documents, ...manifest, ...(haves.length === 0 ? [] : [[BUNDLE, bundle()] as const])],
    blobs: blobs.filter(({ desc }) => !isThere(desc.digest)),
  };
  return {
    write: (sink, call) => writeLayout(backend.content, sink, layout, call),
    ...(haves.length === 0
      ? {}
      : {
          delta: {
            carried: totalOf(layout.blobs),
            leftOut: totalOf(blobs.filter(({ desc }) => isThere(desc.digest))),
          },
        }),
  };
}

function dockerWriter(
  { backend, codecs, hostPlatform }: ExportDeps,
  { planned }: Cargo,
  { to }: ExportOptions,
): Writer {
  if (to.type === 'directory')
    throw new HawserError('InvalidArgument', 'A Docker archive is no directory', {
      hint: 'Leave --format docker away, or name a file',
    });
  const { entries } = dockerEntries(planned, hostPlatform, 'always');
  const without = planned.find(({ target }) => entries.every((entry) => entry.target !== target.digest));
  if (without !== undefined)
    throw new HawserError(
      'FailedPrecondition',
      `Cannot export ${without.name} as a Docker archive: it has no image`,
      {
        hint: 'Leave --format docker away: an OCI layout carries artifacts, too',
      },
    );
  return {
    write: (sink, call) => writeDockerArchive({ content: backend.content, codecs }, sink, entries, call),
  };
}

async function write(
  { runtime, codecs }: ExportDeps,
  { to, compress, mtime = 0 }: ExportOptions,
  files: Write,
  call: Call,
): Promise<void> {
  if (to.type === 'directory') {
    if ((compress ?? 'none') !== 'none')
      throw new HawserError('InvalidArgument', 'A directory cannot be compressed', {
        hint: 'Name a file, or leave the compression away',
      });
    await intoDirectory(runtime, to.path, (sink) => files(sink, call), call);
    return;
  }
  const compression = compress ?? (to.type === 'file' ? compressionOfName(to.path) : 'none');
  const archive = (out: ByteSink): Promise<void> =>
    withCompression(codecs, compression, out, call, async (plain) => {
      const tar = new TarSink(plain, mtime);
      await files(tar, call);
      await tar.end(call);
    });
  if (to.type === 'bytes') await archive(to.sink);
  else await writeBeside(runtime, to.path, (file) => archive(new FileSink(file)), call);
}
