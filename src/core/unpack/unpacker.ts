/** Unpacks one image: prepare, apply, check, commit, layer after layer (containerd's core/unpack and rootfs). */
import { cleanupSignal } from '../async/settle.ts';
import type { ContentStore } from '../content/roles.ts';
import { HawserError, isKind, messageOf, wrap } from '../errors.ts';
import { snapshotLabelKey, UNCOMPRESSED_LABEL } from '../images/gc-labels.ts';
import type { Leases } from '../leases/roles.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { CodecChoice } from '../ports/codecs.ts';
import type { Mount } from '../ports/mounter.ts';
import type { Report } from '../progress/events.ts';
import type { Snapshotter } from '../snapshots/roles.ts';
import { extractKey } from './extract-key.ts';
import type { LayerStep } from './plan.ts';
import type { Applier } from './roles.ts';

export interface UnpackDeps {
  readonly content: Pick<ContentStore, 'label' | 'info'>;
  readonly leases: Pick<Leases, 'add'>;
  readonly snapshotter: Snapshotter;
  readonly applier: Applier;
  readonly report: Report;
  readonly now: () => number;
}

export interface UnpackOptions {
  readonly lease: string;
  readonly signal: AbortSignal;
  readonly codec: CodecChoice;
  /** Resolves when the layer's blob is in the store. */
  readonly blobReady: (layer: Descriptor) => Promise<void>;
}

const SNAPSHOT_REF_LABEL = 'containerd.io/snapshot.ref';
const MAX_PREPARE_TRIES = 3;
const BAD_LAYER = 'The layer is not what it should be, though its digest holds; ask the image’s publisher';

/** All steps in order, then the config's label that keeps the chain alive. Returns the top chain ID, '' for no layers. */
export async function unpackLayers(
  deps: UnpackDeps,
  config: Descriptor,
  steps: readonly LayerStep[],
  opts: UnpackOptions,
): Promise<string> {
  for (const step of steps) await unpackLayer(deps, step, steps.length, opts);
  const top = steps.at(-1)?.chainId ?? '';
  if (top !== '') {
    await deps.content.label(config.digest, { [snapshotLabelKey(deps.snapshotter.name)]: top }, opts);
  }
  return top;
}

async function unpackLayer(
  deps: UnpackDeps,
  step: LayerStep,
  count: number,
  opts: UnpackOptions,
): Promise<void> {
  const tell = (status: 'extracting' | 'extracted' | 'exists', offset: number) =>
    deps.report({
      type: 'layer',
      desc: step.layer,
      index: step.index,
      count,
      chainId: step.chainId,
      status,
      offset,
    });
  if (await present(deps, step, opts)) {
    tell('exists', step.layer.size);
  } else {
    await opts.blobReady(step.layer);
    tell('extracting', 0);
    await extract(deps, step, opts, (offset) => tell('extracting', offset));
    tell('extracted', step.layer.size);
  }
  await opts.blobReady(step.layer);
  const info = await deps.content.info(step.layer.digest, opts);
  if (info.labels[UNCOMPRESSED_LABEL] !== step.diffId) {
    await deps.content.label(step.layer.digest, { [UNCOMPRESSED_LABEL]: step.diffId }, opts);
  }
}

/** Leases the snapshot first, then looks: the other order leaves a window for garbage collection. */
async function present(deps: UnpackDeps, step: LayerStep, opts: UnpackOptions): Promise<boolean> {
  const type = `snapshots/${deps.snapshotter.name}`;
  await deps.leases.add(opts.lease, { type, id: step.chainId }, opts);
  try {
    return (await deps.snapshotter.stat(step.chainId, opts)).kind === 'Committed';
  } catch (err) {
    if (isKind(err, 'NotFound')) return false;
    throw err;
  }
}

async function extract(
  deps: UnpackDeps,
  step: LayerStep,
  opts: UnpackOptions,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const labels = { [SNAPSHOT_REF_LABEL]: step.chainId };
  const { key, mounts } = await prepare(deps, step, labels, opts);
  try {
    await applyChecked(deps, step, mounts, opts, onProgress);
    await deps.snapshotter.commit(step.chainId, key, { labels, lease: opts.lease, signal: opts.signal });
  } catch (err) {
    await discard(deps, key);
    // Another process committed the same chain meanwhile: its snapshot is as good as ours.
    if (isKind(err, 'AlreadyExists')) return;
    const hint = isKind(err, 'DataLoss', 'InvalidArgument') ? BAD_LAYER : undefined;
    throw wrap(`Cannot extract layer ${step.index + 1} (${step.layer.digest})`, err, hint);
  }
}

/** Removes what was extracted so far. A failure is told, but must not hide the cause; the store's next opening tries again. */
async function discard(deps: UnpackDeps, key: string): Promise<void> {
  try {
    await deps.snapshotter.remove(key, { signal: cleanupSignal() });
  } catch (err) {
    if (isKind(err, 'NotFound')) return;
    deps.report({ type: 'warning', message: `Cannot remove the snapshot ${key}: ${messageOf(err)}` });
  }
}

async function prepare(
  deps: UnpackDeps,
  step: LayerStep,
  labels: Readonly<Record<string, string>>,
  opts: UnpackOptions,
): Promise<{ key: string; mounts: Mount[] }> {
  for (let attempt = 1; ; attempt++) {
    const key = extractKey(step.chainId, deps.now());
    try {
      const call = { labels, lease: opts.lease, signal: opts.signal };
      return { key, mounts: await deps.snapshotter.prepare(key, step.parent, call) };
    } catch (err) {
      if (attempt < MAX_PREPARE_TRIES && isKind(err, 'AlreadyExists')) continue;
      throw wrap(`Cannot prepare a snapshot for layer ${step.index + 1} (${step.layer.digest})`, err);
    }
  }
}

async function applyChecked(
  deps: UnpackDeps,
  step: LayerStep,
  mounts: readonly Mount[],
  opts: UnpackOptions,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const applied = await deps.applier.apply(step.layer, mounts, {
    codec: opts.codec,
    onProgress,
    signal: opts.signal,
  });
  for (const message of applied.warnings) deps.report({ type: 'warning', message });
  if (applied.digest === step.diffId) return;
  throw new HawserError(
    'DataLoss',
    `wrong diff id: the config says ${step.diffId}, the layer expands to ${applied.digest}`,
    {
      hint: 'The config does not belong to this layer; ask the image’s publisher',
      data: { expected: step.diffId, actual: applied.digest },
    },
  );
}
