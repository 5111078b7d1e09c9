/** Unpacks one image: layers side by side, committed in chain order (containerd's core/unpack and rootfs). */
import { Arrivals } from '../async/arrivals.ts';
import { Limiter } from '../async/limiter.ts';
import { allOrAbort } from '../async/settle.ts';
import type { ContentStore } from '../content/content-store.ts';
import { ifFound, isKind } from '../errors.ts';
import { snapshotLabelKey, UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import type { Leases } from '../leases/lease-store.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Report } from '../progress/events.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';
import type { Applier } from './applier.ts';
import { extract } from './extract.ts';
import type { LayerSettings } from './layer-settings.ts';
import type { LayerStep } from './layer-steps.ts';
import { SMALL_LAYER } from './small-layer.ts';

export interface UnpackDeps {
  readonly content: Pick<ContentStore, 'label' | 'info'>;
  readonly leases: Pick<Leases, 'add'>;
  readonly snapshotter: Snapshotter;
  readonly applier: Applier;
  readonly report: Report;
  readonly now: () => number;
  /** Processors. */
  readonly cpus: number;
}

export interface UnpackOptions {
  readonly lease: string;
  readonly signal: AbortSignal;
  readonly settings?: LayerSettings | undefined;
  /** Resolves when the layer's blob begins to arrive. */
  readonly blobStarted: (layer: Descriptor) => Promise<void>;
  /** Whether it is in the store, verified. */
  readonly blobHere: (layer: Descriptor) => boolean;
  /** Resolves when it is. */
  readonly blobReady: (layer: Descriptor) => Promise<void>;
}

/** One image's unpack while it runs. */
export interface Unpack extends UnpackOptions {
  readonly slots: Limiter;
  /** Chain IDs of the snapshots that are committed. */
  readonly committed: Arrivals;
}

/**
 * All layers, then the config's label that keeps the chain alive. A layer whose parent is not there yet is applied blind
 * where the snapshotter can rebase it; commits are in chain order. The largest is begun first: begun last, it would be
 * worked on alone in the end. The first failure stops the others; what is committed
 * by then stays. Returns the top chain ID, '' for no layers.
 */
export async function unpackLayers(
  deps: UnpackDeps,
  config: Descriptor,
  steps: readonly LayerStep[],
  opts: UnpackOptions,
): Promise<string> {
  const shared = { ...opts, slots: new Limiter(opts.settings?.jobs || deps.cpus), committed: new Arrivals() };
  const largestFirst = [...steps].sort((a, b) => b.layer.size - a.layer.size);
  await allOrAbort(largestFirst, opts.signal, async (step, signal) => {
    await unpackLayer(deps, step, steps.length, { ...shared, signal });
  });
  const top = steps.at(-1)?.chainId ?? '';
  if (top !== '') {
    await deps.content.label(config.digest, { [snapshotLabelKey(deps.snapshotter.name)]: top }, opts);
  }
  return top;
}

async function unpackLayer(deps: UnpackDeps, step: LayerStep, count: number, run: Unpack): Promise<void> {
  const { layer, index, chainId } = step;
  const tell = (status: 'extracting' | 'extracted' | 'exists', offset: number) =>
    deps.report({ type: 'layer', desc: layer, index, count, chainId, status, offset });
  if (await present(deps, step, run)) {
    tell('exists', layer.size);
  } else {
    const early = layer.size > SMALL_LAYER && deps.applier.needsBlob !== true;
    await (early ? run.blobStarted(layer) : run.blobReady(layer));
    const made = await extractUnlessMade(deps, step, run, (offset) => tell('extracting', offset));
    tell(made ? 'extracted' : 'exists', layer.size);
  }
  run.committed.arrived(chainId);
  await run.blobReady(layer);
  const info = await deps.content.info(layer.digest, run);
  if (info.labels[UNCOMPRESSED_LABEL] !== step.diffId) {
    await deps.content.label(layer.digest, { [UNCOMPRESSED_LABEL]: step.diffId }, run);
  }
}

/** False when the snapshot has come to be meanwhile: a snapshotter may say so before anything is applied. */
async function extractUnlessMade(
  deps: UnpackDeps,
  step: LayerStep,
  run: Unpack,
  onProgress: (bytes: number) => void,
): Promise<boolean> {
  try {
    await extract(deps, step, run, onProgress);
    return true;
  } catch (err) {
    if (isKind(err, 'AlreadyExists') && (await present(deps, step, run))) return false;
    throw err;
  }
}

/** What is there is leased, then looked at again: it may have gone meanwhile. What is not there the commit leases. */
async function present(deps: UnpackDeps, step: LayerStep, run: Unpack): Promise<boolean> {
  if (!(await isCommitted(deps, step, run))) return false;
  const type = `snapshots/${deps.snapshotter.name}`;
  await deps.leases.add(run.lease, { type, id: step.chainId }, run);
  return await isCommitted(deps, step, run);
}

async function isCommitted(deps: UnpackDeps, step: LayerStep, run: Unpack): Promise<boolean> {
  return (await ifFound(deps.snapshotter.stat(step.chainId, run)))?.kind === 'Committed';
}
