/** The verb `pull`: fetch, unpack while fetching, make durable, record (ctr images pull). */
import { canceled, linkAbort } from '../async/abort.ts';
import { Milestone } from '../async/milestone.ts';
import { Doubts } from '../download/doubts.ts';
import { oursOnly } from '../layers/layer-settings.ts';
import { checkLayerCount, checkLayerTypes, layersOf, planUnpack } from '../layers/layer-steps.ts';
import { LAYER_OF_SMALL_IMAGE } from '../layers/small-layer.ts';
import { unpackLayers } from '../layers/unpacker.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseConfig } from '../oci/documents.ts';
import type { ProgressEvent } from '../progress/events.ts';
import { UnpackChoice } from './choose.ts';
import { type BlobSource, blobSource, type FetchTarget, fetchContent, record, withTarget } from './fetch.ts';
import { type SpaceCheck, spaceCheck } from './forecast.ts';
import { type Job, unpackJob, withJob } from './job.ts';
import type { PullOptions, PullResult, StoreDeps, TransferDeps, UnpackedPlatform } from './options.ts';
import { isForCri } from './record.ts';
import type { OnManifest } from './wanted.ts';

/** A pull, wherever its blobs come from. */
export type UnpackingJob<D extends StoreDeps = StoreDeps> = Job<D, PullOptions>;

/**
 * Pulls and unpacks. An image is recorded only when every wanted platform is unpacked, every diff ID held and the data
 * is durable; on any failure no record is made or moved.
 */
export async function pull(deps: TransferDeps, options: PullOptions): Promise<PullResult> {
  isForCri(deps.backend, options, options.report);
  const snapshotter = deps.backend.snapshotter(options.snapshotter);
  await snapshotter.check?.({ oursOnly: oursOnly(options.layerSettings ?? {}), signal: options.signal });
  return await withJob(deps, options, async (job) => {
    const beforeFetch = spaceCheck(job, true);
    return await withTarget(job, beforeFetch, async (target) => {
      const unpacked = await fetchAndUnpack(job, target, beforeFetch, blobSource);
      job.report({ type: 'syncing' });
      await deps.backend.sync({ signal: job.signal });
      const result = await record(job, target);
      return { ...result, unpacked };
    });
  });
}

/**
 * Brings what is wanted of an image, and unpacks it meanwhile. The caller makes the snapshots durable (Backend.sync) and records
 * the image. `sourceOf`: where the blobs come from, whose events tell when one begins to arrive.
 */
export async function fetchAndUnpack<D extends StoreDeps>(
  job: UnpackingJob<D>,
  target: FetchTarget,
  beforeFetch: SpaceCheck,
  sourceOf: (job: UnpackingJob<D>) => BlobSource,
): Promise<UnpackedPlatform[]> {
  const { name } = job.deps.backend.snapshotter(job.options.snapshotter);
  const unpacked = await new Transfer(job, target, beforeFetch, sourceOf).run();
  return unpacked.map((one) => ({ ...one, snapshotter: name }));
}

type Unpacked = Omit<UnpackedPlatform, 'snapshotter'>;

/** A blob on its way into the store (BlobArrival), from the side that brings it. */
class Arrival {
  readonly started = new Milestone();
  readonly verified = new Milestone();
  readonly doubts = new Doubts();
  readonly doubt = (reason: unknown): Promise<boolean> => this.doubts.raise(reason);
}

/** A manifest that is to be unpacked, as the walk came upon it. */
interface Found {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly children: readonly Descriptor[];
  /** The platform it was chosen for; undefined for a root, whose config decides. */
  readonly platform: string | undefined;
  /** Where it stands among all. */
  readonly place: number;
}

/** The fetch and the unpacks of one pull, side by side; the first failure of either stops both. */
class Transfer<D extends StoreDeps> {
  readonly #parent: UnpackingJob<D>;
  /** As the parent's, with a signal that a failure of one side aborts for the other. */
  readonly #job: UnpackingJob<D>;
  /** The job of the fetching side, whose reports say which blobs have begun to arrive. */
  readonly #fetching: UnpackingJob<D>;
  readonly #target: FetchTarget;
  readonly #beforeFetch: SpaceCheck;
  readonly #choice: UnpackChoice;
  readonly #source: BlobSource;
  readonly #stop = new AbortController();
  /** By digest: all that is on its way into the store. */
  readonly #blobs = new Map<string, Arrival>();
  /** One unpack after another: platforms may share snapshots. */
  #unpacks: Promise<void> = Promise.resolve();
  readonly #unpacked: { readonly place: number; readonly result: Unpacked }[] = [];
  #failure: { reason: unknown } | undefined;

  constructor(
    job: UnpackingJob<D>,
    target: FetchTarget,
    beforeFetch: SpaceCheck,
    sourceOf: (job: UnpackingJob<D>) => BlobSource,
  ) {
    this.#parent = job;
    this.#job = { ...job, signal: this.#stop.signal };
    this.#target = target;
    this.#beforeFetch = beforeFetch;
    this.#fetching = { ...this.#job, report: (event) => this.#noteStart(event) };
    this.#source = sourceOf(this.#fetching);
    this.#choice = new UnpackChoice(job.options, job.deps.hostPlatform, target.root);
  }

  async run(): Promise<Unpacked[]> {
    this.#choice.checkRoot();
    const unlink = linkAbort(this.#parent.signal, this.#stop);
    try {
      await this.#fetch();
      await this.#unpacks;
    } finally {
      unlink();
    }
    if (this.#failure) throw this.#failure.reason;
    this.#choice.check();
    return this.#unpacked.sort((a, b) => a.place - b.place).map(({ result }) => result);
  }

  async #fetch(): Promise<void> {
    try {
      await fetchContent(this.#fetching, this.#target, this.#source, {
        onBlob: (desc) => {
          const blob = this.#blob(desc);
          blob.started.reach();
          blob.verified.reach();
        },
        onManifest: (...manifest) => this.#queue(...manifest),
        doubts: (desc) => this.#blob(desc).doubts,
        beforeFetch: this.#beforeFetch,
      });
    } catch (err) {
      this.#fail(err);
    }
  }

  #noteStart(event: ProgressEvent): void {
    if (event.type === 'blob' && event.status === 'downloading') {
      if (event.desc.size > LAYER_OF_SMALL_IMAGE) this.#job.deps.backend.applier.prepare?.();
      this.#blob(event.desc).started.reach();
    }
    this.#job.report(event);
  }

  #blob({ digest }: Descriptor): Arrival {
    const arrival = this.#blobs.get(digest) ?? new Arrival();
    this.#blobs.set(digest, arrival);
    return arrival;
  }

  #fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#stop.abort(canceled(reason));
  }

  /** Refuses, before a layer is fetched, what can never be unpacked. An artifact of an index is not. */
  #queue(...[manifest, children, platform, place]: Parameters<OnManifest>): void {
    const { deps, options } = this.#job;
    const config = this.#choice.config(manifest, children);
    if (config === undefined) return;
    const layers = layersOf(children);
    checkLayerCount(manifest, layers.length, deps.backend.snapshotter(options.snapshotter));
    checkLayerTypes(manifest, layers, deps.backend.applier);
    this.#unpackNext({ manifest, config, children, platform, place });
  }

  #unpackNext(found: Found): void {
    const unpack = async () => {
      if (this.#failure) return;
      try {
        await this.#unpack(found);
      } catch (err) {
        this.#fail(err);
      }
    };
    this.#unpacks = this.#unpacks.then(unpack);
  }

  async #unpack({ manifest, config, children, platform, place }: Found): Promise<void> {
    const { deps, options, report, signal } = this.#job;
    await this.#blob(config).verified.wait(signal);
    const parsed = parseConfig(await this.#source.document(config, { signal }), config);
    const name = this.#choice.take(manifest, platform, parsed.platform);
    if (name === undefined) return;
    report({ type: 'unpacking', platform: name, target: this.#target.root.digest });
    const steps = planUnpack(manifest, children, parsed.diffIds, deps.hashers);
    const blob = (layer: Descriptor) => this.#blob(layer);
    const of = { name: options.reference.name, manifest: manifest.digest };
    const job = { ...unpackJob(this.#job, options, blob, of), refetch: this.#source.refetch };
    const chainId = await unpackLayers(job, config, steps);
    this.#unpacked.push({ place, result: { platform: name, manifest, chainId } });
    report({ type: 'unpacked', platform: name, chainId });
  }
}
