/** The verb `unpack`: an image of the store into snapshots (what `pull` does after fetching); nothing is fetched. */
import { HawserError } from '../errors.ts';
import type { Image } from '../images/image-store.ts';
import { configOf, isPresent, manifestFor } from '../images/inspect.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import { type LayerStep, planUnpack } from '../layers/layer-steps.ts';
import { unpackLayers } from '../layers/unpacker.ts';
import type { Platform } from '../oci/descriptor.ts';
import type { ImageConfig } from '../oci/documents.ts';
import { formatPlatform } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import { type TransferDeps, withLease } from './fetch.ts';
import type { PullResult, UnpackedPlatform } from './options.ts';

export type StoreDeps = Omit<TransferDeps, 'registry'>;

export interface UnpackOptions extends Call {
  /** Not given: the host's. */
  readonly platforms?: readonly Platform[] | undefined;
  readonly snapshotter?: string | undefined;
  readonly layerSettings?: LayerSettings | undefined;
  readonly report?: Report | undefined;
}

/** One platform's image, with all that unpacking it takes. */
export interface PlannedImage extends Omit<UnpackedPlatform, 'chainId' | 'snapshotter'> {
  readonly config: ImageConfig;
  readonly configDesc: UnpackedPlatform['manifest'];
  readonly steps: readonly LayerStep[];
}

/** NotFound, with what to do, when the platform or a document of it is not in the store. */
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
  const platform = formatPlatform(config.platform ?? wanted);
  return { platform, manifest: desc, config, configDesc: manifest.config, steps };
}

/** NotFound unless every layer is in the store. */
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

/** Each platform wanted, one after another. What was unpacked before is not unpacked again. */
export async function unpackImage(
  deps: StoreDeps,
  image: Image,
  options: UnpackOptions,
): Promise<PullResult> {
  return await withLease(deps.backend, options, async (lease, signal) => {
    const unpacked: UnpackedPlatform[] = [];
    for (const wanted of options.platforms ?? [deps.hostPlatform]) {
      unpacked.push(await unpackPlatform(deps, image, wanted, { ...options, lease, signal }));
    }
    await deps.backend.sync({ signal });
    return { name: image.name, target: image.target, unpacked };
  });
}

/** Unpacks under a lease of the caller's, who makes the snapshots durable (Backend.sync) when all is done. */
export async function unpackPlatform(
  deps: StoreDeps,
  image: Image,
  wanted: Platform,
  options: UnpackOptions & { readonly lease: string; readonly signal: AbortSignal },
): Promise<UnpackedPlatform> {
  const { backend, clock, cpus } = deps;
  const { lease, signal, report = () => {} } = options;
  const planned = await planImage(deps, image, wanted, { signal });
  await requireLayers(deps, image, planned, { signal });
  const { platform, manifest, configDesc, steps } = planned;
  const { content, leases, applier } = backend;
  const snapshotter = backend.snapshotter(options.snapshotter);
  report({ type: 'unpacking', platform, target: image.target.digest });
  const unpackDeps = { content, leases, applier, snapshotter, report, now: () => clock.now(), cpus };
  const chainId = await unpackLayers(unpackDeps, configDesc, steps, {
    lease,
    signal,
    settings: options.layerSettings,
    blobStarted: async () => {},
    blobHere: () => true,
    blobReady: async () => {},
  });
  report({ type: 'unpacked', platform, chainId });
  return { platform, manifest, chainId, snapshotter: snapshotter.name };
}
