/** The verb `verify`: blobs, documents and unpacked layers against their digests and each other. Changes nothing. */

import type { Info } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import { BlobChecks } from '../verify/blobs.ts';
import { ImageWalk } from '../verify/images.ts';
import type {
  Damage,
  DamagedBlob,
  SoundThings,
  Unchecked,
  VerifyProgress,
  VerifyReport,
} from '../verify/report.ts';
import { checkSnapshots } from '../verify/snapshots.ts';
import type { StoreDeps } from './options.ts';

export interface VerifyOptions extends Call {
  /** Only what these images need. Not given: everything in the namespace. */
  readonly images?: readonly Image[] | undefined;
  /** Only these blobs. */
  readonly blobs?: readonly Digest[] | undefined;
  /** Only these snapshots. */
  readonly snapshots?: readonly string[] | undefined;
  /** What is checked. Not given: all. Documents are read in any case, for they say what is in the others. */
  readonly parts?: readonly ('content' | 'snapshots')[] | undefined;
  /** Not given: all of the store's. */
  readonly snapshotter?: string | undefined;
  /** Bytes read a second. Not given: no limit. */
  readonly rate?: number | undefined;
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** What is known of blobs, by digest, for the next call: undefined when a blob is sound, else what is wrong. */
  readonly known?: Map<Digest, string | undefined> | undefined;
  /** What an interrupted check found sound, which is not looked at again. */
  readonly sound?: SoundThings | undefined;
}

/** What the images say of their layers, by chain ID. */
export async function knownLayers(deps: StoreDeps, opts: VerifyOptions): Promise<ImageWalk['layers']> {
  return (await walked(deps, opts, () => {})).walk.layers;
}

/** Reads the documents of the images. */
async function walked(deps: StoreDeps, opts: VerifyOptions, onBytes: (bytes: number) => void) {
  const { backend, clock, hashers, hostPlatform: platform } = deps;
  const { content } = backend;
  // An image is recorded last: what the images have is among the records that are read after them.
  const images = opts.images ?? (await backend.images.list(opts));
  const records = await recordsOf(deps, opts);
  const checks = new BlobChecks(content, clock, {
    rate: opts.rate,
    onBytes,
    known: opts.known,
    sound: opts.sound,
  });
  const walk = new ImageWalk({
    ...{ content, hashers, platform, checks, records },
    ownLabels: backend.checkRecords !== undefined,
  });
  for (const image of images) await walk.add(image, opts);
  return { walk, checks, records, images };
}

async function recordsOf({ backend }: StoreDeps, call: Call): Promise<Map<Digest, Info>> {
  const infos = (await backend.content.records?.(call)) ?? (await backend.content.list(call));
  return new Map(infos.map((info) => [info.digest, info]));
}

/** NotImplemented when snapshots are to be checked, and their files are a daemon's. NotFound for a blob that is not in the store. */
export async function verify(deps: StoreDeps, opts: VerifyOptions): Promise<VerifyReport> {
  const { parts = ['content', 'snapshots'] } = opts;
  const problem = await deps.backend.checkRecords?.(opts);
  if (problem !== undefined) return noRecords(problem);
  const progress = new Progress(opts);
  const { walk, checks, records, images } = await walked(deps, opts, (bytes) =>
    progress.add('content', bytes),
  );
  const damage: Damage[] = [];
  const blobs = parts.includes('content') ? wantedBlobs(opts, walk, records) : [];
  progress.total = bytesOf(blobs.filter(({ digest }) => opts.sound?.has(digest) !== true));
  damage.push(...(await checkBlobs(deps, opts, blobs, { checks, walk })));
  if (parts.includes('content') && opts.blobs === undefined)
    damage.push(...badDocuments(walk), ...wrongLabels(walk));
  const unchecked: Unchecked[] = [];
  let snapshots = 0;
  let resumed = blobs.length === 0 ? 0 : checks.resumed;
  if (parts.includes('snapshots')) {
    const result = await allSnapshots(deps, opts, { walk, records, progress });
    damage.push(...result.damage);
    unchecked.push(...result.unchecked);
    snapshots = result.checked;
    resumed += result.resumed;
  }
  const sums = { images: images.length, blobs: blobs.length, snapshots, bytes: bytesOf(blobs), resumed };
  return { ...sums, damage: await ofLeftImages(deps, damage, { images, walk, opts }), unchecked };
}

function bytesOf(blobs: readonly { readonly size: number }[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
}

/** Without what only images need that were removed, or that point at something else, since they were read. */
async function ofLeftImages(
  { backend }: StoreDeps,
  damage: readonly Damage[],
  { images, walk, opts }: { images: readonly Image[]; walk: ImageWalk; opts: VerifyOptions },
): Promise<Damage[]> {
  if (damage.length === 0) return [];
  const now = new Map((await backend.images.list(opts)).map(({ name, target }) => [name, target.digest]));
  const gone = new Set(
    images.filter(({ name, target }) => now.get(name) !== target.digest).map(({ name }) => name),
  );
  return damage.flatMap((one) => {
    const left = one.images.filter((name) => !gone.has(name));
    const isMissing = one.type === 'blob' && walk.blobs.get(one.digest)?.missing === true;
    const isMoot =
      left.length === 0 &&
      one.images.length > 0 &&
      (isMissing || one.type === 'document' || one.type === 'labels');
    return isMoot ? [] : [{ ...one, images: left }];
  });
}

function noRecords(problem: string): VerifyReport {
  const damage = [{ type: 'records', problem, images: [] }] as const;
  return { images: 0, blobs: 0, snapshots: 0, bytes: 0, resumed: 0, damage, unchecked: [] };
}

type Records = ReadonlyMap<Digest, Info>;

const BLOBS_HERE = 'hawser content ls lists the blobs of the namespace';

/** What a pull of these images would bring counts, too, when it is not here. */
function wantedBlobs(
  opts: VerifyOptions,
  walk: ImageWalk,
  records: Records,
): { readonly digest: Digest; readonly size: number }[] {
  if (opts.blobs !== undefined) {
    return opts.blobs.map((digest) => {
      const info = records.get(digest);
      if (info === undefined)
        throw new HawserError('NotFound', `content digest ${digest}: not found`, { hint: BLOBS_HERE });
      return info;
    });
  }
  const named = [...walk.blobs.values()].map(({ desc }) => desc);
  if (opts.images !== undefined) return named;
  return [...new Map([...named, ...records.values()].map((one) => [one.digest, one])).values()];
}

async function checkBlobs(
  deps: StoreDeps,
  call: Call,
  blobs: readonly { readonly digest: Digest; readonly size: number }[],
  { checks, walk }: { checks: BlobChecks; walk: ImageWalk },
): Promise<DamagedBlob[]> {
  const damage: DamagedBlob[] = [];
  for (const { digest, size } of blobs) {
    const known = walk.blobs.get(digest);
    const problem = known?.missing === true ? 'it is not in the store' : await checks.problem(digest, call);
    if (problem === undefined) continue;
    damage.push({
      type: 'blob',
      digest,
      size,
      desc: known?.desc,
      problem,
      images: [...(known?.images ?? [])].sort(),
    });
  }
  return await stillDamaged(deps, call, damage, { checks, walk });
}

/** A second look: what was removed meanwhile is not damaged, nor what was removed and has come again. */
async function stillDamaged(
  deps: StoreDeps,
  call: Call,
  damage: readonly DamagedBlob[],
  { checks, walk }: { checks: BlobChecks; walk: ImageWalk },
): Promise<DamagedBlob[]> {
  if (damage.length === 0) return [];
  const left = await recordsOf(deps, call);
  const still: DamagedBlob[] = [];
  for (const one of damage) {
    if (!left.has(one.digest)) {
      if (walk.blobs.get(one.digest)?.missing === true) still.push(one);
      continue;
    }
    const problem = await checks.again(one.digest, call);
    if (problem !== undefined) still.push({ ...one, problem });
  }
  return still;
}

function badDocuments(walk: ImageWalk): Damage[] {
  return [...walk.bad].map(([digest, { problem, images }]) => ({
    type: 'document',
    digest,
    problem,
    images: [...images].sort(),
  }));
}

function wrongLabels(walk: ImageWalk): Damage[] {
  return [...walk.labels].map(([digest, { want, images }]) => ({
    type: 'labels',
    digest,
    want,
    images: [...images].sort(),
  }));
}

async function allSnapshots(
  { backend, cpus }: StoreDeps,
  opts: VerifyOptions,
  { walk, records, progress }: { walk: ImageWalk; records: Records; progress: Progress },
): Promise<{ damage: Damage[]; unchecked: Unchecked[]; checked: number; resumed: number }> {
  const { checker } = backend;
  if (checker === undefined) {
    throw new HawserError('NotImplemented', 'Cannot compare the snapshots of a daemon with their layers', {
      hint: 'Check its content: hawser content verify',
    });
  }
  const { layers } = walk;
  const damage: Damage[] = [];
  const unchecked: Unchecked[] = [];
  let [checked, resumed] = [0, 0];
  for (const snapshotter of opts.snapshotter === undefined ? backend.snapshotterNames : [opts.snapshotter]) {
    const wanted = (name: string): boolean =>
      opts.snapshots?.includes(name) ?? (opts.images === undefined || layers.has(name));
    const onBytes = (bytes: number): void => progress.add('snapshots', bytes);
    const { rate, sound, signal } = opts;
    const deps = { backend, checker, cpus, records, layers };
    const result = await checkSnapshots(deps, { snapshotter, wanted, rate, onBytes, sound, signal });
    const suspects = new Set(result.damage.map(({ chainId }) => chainId));
    if (suspects.size > 0) {
      // One that was removed and made again meanwhile is not damaged.
      const isSuspect = (name: string): boolean => suspects.has(name);
      const again = await checkSnapshots(deps, { snapshotter, wanted: isSuspect, rate, onBytes, signal });
      damage.push(...again.damage);
    }
    unchecked.push(...result.unchecked);
    checked += result.checked;
    resumed += result.resumed;
  }
  if (opts.snapshots !== undefined && checked + unchecked.length === 0) {
    throw new HawserError('NotFound', `no committed snapshot is called ${opts.snapshots.join(' or ')}`, {
      hint: 'hawser snapshots ls lists the snapshots of the namespace, and their kinds',
    });
  }
  return { damage, unchecked, checked, resumed };
}

class Progress {
  total = 0;
  readonly #opts: VerifyOptions;
  readonly #bytes = { content: 0, snapshots: 0 };

  constructor(opts: VerifyOptions) {
    this.#opts = opts;
  }

  add(stage: VerifyProgress['stage'], bytes: number): void {
    this.#bytes[stage] += bytes;
    const total = stage === 'content' ? this.total : 0;
    this.#opts.onProgress?.({ stage, bytes: this.#bytes[stage], total });
  }
}
