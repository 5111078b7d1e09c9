/** The records of an import: all are made, or none is. */
import { type Undo, undoable } from '../async/undo.ts';
import type { NamedImage } from '../carry/import-names.ts';
import type { Labels } from '../content/content-store.ts';
import { HawserError, ifFound, isKind, messageOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Acceptance } from '../trust/verdict.ts';
import { entriesOf } from './fetch.ts';
import type { Job } from './job.ts';
import type { StoreDeps, UnpackedPlatform, VerbOptions } from './options.ts';
import { Recorder, type RecordOptions } from './record.ts';

export interface ImportRecordOptions extends RecordOptions {
  /** For the image records. */
  readonly labels?: Labels | undefined;
  /** Of a name that another image has. Default: replace. */
  readonly onConflict?: 'replace' | 'keep' | 'error' | undefined;
}

/** An image that may come in under its name. */
export interface JudgedImage extends NamedImage {
  readonly verified: readonly Acceptance[];
}

/** One name that was recorded. */
export interface ImportedImage {
  /** The name of the record. */
  readonly name: string;
  /** What the name names now. */
  readonly target: Descriptor;
  /** What the name named before, where that was another image. */
  readonly before?: Digest | undefined;
  /** The other names that the image has for CRI: its ID, and `repository@digest`. */
  readonly also?: readonly string[] | undefined;
  /** Who has accepted the image before it was imported. */
  readonly verified?: readonly Acceptance[] | undefined;
  /** None where nothing was to be unpacked. */
  readonly unpacked: readonly UnpackedPlatform[];
}

type RecordingJob = Job<StoreDeps, VerbOptions & ImportRecordOptions>;

/** AlreadyExists, before anything is brought, for a name that another image has. */
export async function refuseConflicts(
  { deps, options, signal }: RecordingJob,
  images: readonly NamedImage[],
): Promise<void> {
  if (options.onConflict !== 'error') return;
  for (const { name, target } of images) {
    const before = await ifFound(deps.backend.images.get(name, { signal }));
    if (before === undefined || before.target.digest === target.digest) continue;
    throw new HawserError(
      'AlreadyExists',
      `${name} is ${before.target.digest} here, and ${target.digest} in the archive`,
      {
        hint: 'Choose --on-conflict replace or keep, or another name (--name, --base-name)',
      },
    );
  }
}

/** The last step. A name that moves keeps its labels. */
export async function recordImported(
  job: RecordingJob,
  images: readonly JudgedImage[],
  unpacked: ReadonlyMap<Digest, readonly UnpackedPlatform[]>,
): Promise<ImportedImage[]> {
  const { deps, options, report } = job;
  const recorder = new Recorder(deps, options, job);
  return await undoable(async (undo) => {
    const recorded: ImportedImage[] = [];
    for (const image of images) {
      try {
        recorded.push(await recordOne(job, recorder, image, unpacked, undo));
      } catch (err) {
        if (options.onConflict !== 'keep' || !isKind(err, 'AlreadyExists')) throw err;
        report({ type: 'warning', message: `Left out ${messageOf(err)}` });
      }
    }
    return recorded;
  });
}

async function recordOne(
  { options, report }: RecordingJob,
  recorder: Recorder,
  { name: given, target: { mediaType, digest, size }, verified }: JudgedImage,
  unpacked: ReadonlyMap<Digest, readonly UnpackedPlatform[]>,
  undo: Undo,
): Promise<ImportedImage> {
  const { onConflict = 'replace', labels = {} } = options;
  const target = { mediaType, digest, size };
  const wanted = {
    name: given,
    target,
    labels,
    keepsOther: onConflict !== 'replace',
    entries: entriesOf(verified),
  };
  const { name, before, also } = await recorder.record(wanted, undo);
  report({ type: 'recorded', name, target: digest });
  if (before !== undefined) report({ type: 'warning', message: `Moved ${name} from ${before} to ${digest}` });
  const more = { ...(also.length === 0 ? {} : { also }), ...(verified.length === 0 ? {} : { verified }) };
  return { name, target, before, ...more, unpacked: unpacked.get(digest) ?? [] };
}
