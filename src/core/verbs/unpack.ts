/** The verb `unpack`: an image of the store into snapshots, as `pull` does after fetching. Nothing is fetched. */
import { reached } from '../async/milestone.ts';
import { HawserError } from '../errors.ts';
import { manifestFor } from '../images/find-manifest.ts';
import type { Image } from '../images/image-store.ts';
import { configOf, isPresent } from '../images/inspect.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import { checkLayerCount, checkLayerTypes, type LayerStep, planUnpack } from '../layers/layer-steps.ts';
import { unpackLayers } from '../layers/unpacker.ts';
import type { Platform } from '../oci/descriptor.ts';
import type { ImageConfig } from '../oci/documents.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import { type Job, unpackJob, withJob } from './job.ts';
import type { PullResult, StoreDeps, UnpackedPlatform, VerbOptions } from './options.ts';

export interface UnpackOptions extends VerbOptions {
  /** Not given: the host's. */
  readonly platforms?: readonly Platform[] | undefined;
  readonly snapshotter?: string | undefined;
  readonly layerSettings?: LayerSettings | undefined;
}

/** One platform of an image, and the steps of unpacking it. */
export interface PlannedImage extends Omit<UnpackedPlatform, 'chainId' | 'snapshotter'> {
  readonly config: ImageConfig;
  readonly configDesc: UnpackedPlatform['manifest'];
  readonly steps: readonly LayerStep[];
}

/** NotFound with a hint when the store lacks the platform or one of its documents. */
export async function planImage(
  deps: StoreDeps,
  image: Image,
  wanted: Platform,
  call: Call,
): Promise<PlannedImage> {
  const { backend, hashers } = deps;
  const { desc, manifest } = await manifestFor(backend.content, image.target, only(wanted), call);
  const config = await configOf(backend.content, manifest, call);
  const steps = planUnpack(desc, [manifest.config, ...manifest.layers], config.diffIds, hashers);
  checkLayerTypes(
    desc,
    steps.map(({ layer }) => layer),
    backend.applier,
  );
  const platform = platformText(desc.platform ?? config.platform ?? wanted);
  return { platform, manifest: desc, config, configDesc: manifest.config, steps };
}

/** NotFound with a hint unless every layer is in the store. */
export async function requireLayers(
  { backend }: StoreDeps,
  image: Image,
  planned: PlannedImage,
  call: Call,
): Promise<void> {
  for (const { layer, index } of planned.steps) {
    if (await isPresent(backend.content, layer.digest, call)) continue;
    throw new HawserError(
      'NotFound',
      `Cannot unpack ${image.name}: layer ${index + 1} of ${planned.steps.length} (${layer.digest}) is not in the store`,
      { hint: `Fetch it first: hawser content fetch ${image.name}` },
    );
  }
}

/** Each wanted platform, one after another. Layers that have a snapshot are not unpacked again. */
export async function unpackImage(
  deps: StoreDeps,
  image: Image,
  options: UnpackOptions,
): Promise<PullResult> {
  return await withJob(deps, options, async (job) => {
    const unpacked: UnpackedPlatform[] = [];
    for (const wanted of options.platforms ?? [deps.hostPlatform]) {
      unpacked.push(await unpackPlatform(job, image, wanted));
    }
    await deps.backend.sync({ signal: job.signal });
    return { name: image.name, target: image.target, unpacked };
  });
}

/** Unpacks one platform. The caller makes the snapshots durable (Backend.sync) when all is done. */
export async function unpackPlatform(
  job: Job<StoreDeps, UnpackOptions>,
  image: Image,
  wanted: Platform,
): Promise<UnpackedPlatform> {
  const { deps, options, report, signal } = job;
  const planned = await planImage(deps, image, wanted, { signal });
  const { platform, manifest, configDesc, steps } = planned;
  checkLayerCount(manifest, steps.length, deps.backend.snapshotter(options.snapshotter));
  await requireLayers(deps, image, planned, { signal });
  report({ type: 'unpacking', platform, target: image.target.digest });
  const arrived = { started: reached(), verified: reached() };
  const of = { name: image.name, manifest: manifest.digest };
  const unpack = unpackJob(job, options, () => arrived, of);
  const chainId = await unpackLayers(unpack, configDesc, steps);
  report({ type: 'unpacked', platform, chainId });
  return { platform, manifest, chainId, snapshotter: unpack.snapshotter.name };
}
