/** Unpacks one image: layers side by side, committed in chain order (containerd's core/unpack and rootfs). */
import { Limiter } from '../async/limiter.ts';
import { Milestone, reached } from '../async/milestone.ts';
import { allOrAbort } from '../async/settle.ts';
import { HawserError, ifFound, isKind, reasonOf } from '../errors.ts';
import { snapshotLabelKey, UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { extract } from './extract.ts';
import { followExtraction } from './follow-extraction.ts';
import { imageBudget } from './image-budget.ts';
import type { LayerStep } from './layer-steps.ts';
import { smallLimit } from './small-layer.ts';
import type { RunningUnpack, UnpackJob } from './unpack-job.ts';

/**
 * Unpacks all layers, then sets the config's label that keeps the chain alive. A layer whose parent is not committed yet is
 * applied blind where the snapshotter can rebase it; commits are in chain order. The largest layer is begun first: begun last,
 * the others would end long before it. The first failure stops the others; the snapshots committed by then stay. Returns the
 * top chain ID, '' for no layers.
 */
export async function unpackLayers(
  job: UnpackJob,
  config: Descriptor,
  steps: readonly LayerStep[],
): Promise<string> {
  const slots = job.together?.applying ?? new Limiter(job.settings?.jobs || job.cpus);
  const layers = steps.map(({ layer }) => layer);
  const image = imageBudget(layers, job.settings ?? {});
  const chain = steps.map(({ chainId }) => chainId);
  const there = await job.snapshotter.committedOf?.(chain, job);
  const shared = { ...job, slots, image, layers, there, committed: commits(steps) };
  const largestFirst = [...steps].sort((a, b) => b.layer.size - a.layer.size);
  await allOrAbort(largestFirst, job.signal, async (step, signal) => {
    await unpackLayer({ ...shared, signal }, step, steps.length);
  });
  const top = steps.at(-1)?.chainId ?? '';
  if (top !== '') {
    const key = snapshotLabelKey(job.snapshotter.name);
    const { labels } = await job.content.info(config.digest, job);
    if (labels[key] !== top) await job.content.label(config.digest, { [key]: top }, job);
  }
  return top;
}

/** Of a layer that was let in before: no limit is asked again. */
const NO_LIMITS = { maxBytes: Number.MAX_SAFE_INTEGER, maxRatio: 0, maxImageBytes: Number.MAX_SAFE_INTEGER };

/** Unpacks one layer, whose parent and blob are sound, into a committed snapshot of this name. */
export async function unpackAs(job: UnpackJob, step: LayerStep, name: Digest): Promise<void> {
  const settings = { ...job.settings, limits: NO_LIMITS };
  const image = imageBudget([step.layer], settings);
  const shared = {
    ...job,
    settings,
    image,
    layers: [],
    slots: new Limiter(1),
    there: undefined,
    committed: reached,
  };
  await extract(shared, { ...step, chainId: name }, () => {});
}

function commits(steps: readonly LayerStep[]): RunningUnpack['committed'] {
  const milestones = new Map<string, Milestone>(steps.map(({ chainId }) => [chainId, new Milestone()]));
  return (chainId) => {
    const milestone = milestones.get(chainId);
    if (milestone === undefined) throw new HawserError('Internal', `No layer has the chain ID ${chainId}`);
    return milestone;
  };
}

async function unpackLayer(job: RunningUnpack, step: LayerStep, count: number): Promise<void> {
  const { layer, index, chainId } = step;
  const blob = job.blob(layer);
  const tell = (status: 'extracting' | 'extracted' | 'exists', offset: number) =>
    job.report({ type: 'layer', desc: layer, index, count, chainId, status, offset });
  let extracted = false;
  if (job.there === undefined ? await present(job, step) : job.there.has(chainId)) {
    tell('exists', layer.size);
  } else {
    const early = layer.size > smallLimit(job.image) && job.applier.needsBlob !== true;
    await (early ? blob.started : blob.verified).wait(job.signal);
    const onProgress = (offset: number) => tell('extracting', offset);
    // A snapshotter that was asked for all at once says what came since when the layer is prepared.
    const came = async () => job.there === undefined && (await present(job, step));
    extracted =
      job.together === undefined
        ? await extractOnce(job, step, onProgress)
        : await job.together.layers.run(
            chainId,
            job.signal,
            async () => !(await came()) && (await extractOnce(job, step, onProgress)),
          );
    tell(extracted ? 'extracted' : 'exists', layer.size);
  }
  job.committed(chainId).reach();
  await blob.verified.wait(job.signal);
  // A layer that was extracted most often has no label yet.
  const labels = extracted ? {} : (await job.content.info(layer.digest, job)).labels;
  if (labels[UNCOMPRESSED_LABEL] !== step.diffId) {
    await job.content.label(layer.digest, { [UNCOMPRESSED_LABEL]: step.diffId }, job);
  }
}

/**
 * One process of all extracts a layer: the others follow it, and take over when it gives up, dies or stops. False when another process
 * committed the snapshot.
 */
async function extractOnce(
  job: RunningUnpack,
  step: LayerStep,
  onProgress: (bytes: number) => void,
): Promise<boolean> {
  for (let beside = false; ; ) {
    try {
      return await extractUnlessPresent({ ...job, beside }, step, onProgress);
    } catch (err) {
      if (reasonOf(err, 'busy') === undefined || job.signal.aborted) throw err;
    }
    beside = !(await followExtraction(job, step, onProgress));
    if (await present(job, step)) return false;
  }
}

/** False when another process committed the snapshot meanwhile: a snapshotter may say so before anything is applied. */
async function extractUnlessPresent(
  job: RunningUnpack,
  step: LayerStep,
  onProgress: (bytes: number) => void,
): Promise<boolean> {
  try {
    await extract(job, step, onProgress);
    return true;
  } catch (err) {
    if (isKind(err, 'AlreadyExists') && (await present(job, step))) return false;
    throw err;
  }
}

/** Whether the snapshot is committed. The lease holds the snapshot before anybody looks, so what is seen stays. */
async function present(job: UnpackJob, step: LayerStep): Promise<boolean> {
  const type = `snapshots/${job.snapshotter.name}`;
  await job.leases.add(job.lease, { type, id: step.chainId }, job);
  return await isCommitted(job, step);
}

async function isCommitted(job: UnpackJob, step: LayerStep): Promise<boolean> {
  return (await ifFound(job.snapshotter.stat(step.chainId, job)))?.kind === 'Committed';
}
