/** One layer into one committed snapshot: prepare, apply, check, rebase, commit. */
import { isNeedsBelow } from '../archive/guesses.ts';
import { cleanupSignal } from '../async/abort.ts';
import { ifFound, isKind, messageOf, wrap } from '../errors.ts';
import type { Stage } from '../progress/events.ts';
import type { PreparedSnapshot } from '../snapshots/snapshotter.ts';
import type { Applied, Below } from './applier.ts';
import { extractKey } from './extract-key.ts';
import { checkDiffId, type LayerStep } from './layer-steps.ts';
import type { Unpack, UnpackDeps } from './unpacker.ts';

const SNAPSHOT_REF_LABEL = 'containerd.io/snapshot.ref';
const MAX_PREPARE_TRIES = 3;
const BAD_LAYER = 'The layer is not what it should be, though its digest holds; ask the image’s publisher';

type OnProgress = (bytes: number) => void;

/**
 * Begins while the blob still arrives. What comes of bytes that are not verified yet is committed only once they are; when
 * they fail, the layer is extracted again from the verified blob, or the reason why there is none is thrown.
 */
export async function extract(
  deps: UnpackDeps,
  step: LayerStep,
  run: Unpack,
  onProgress: OnProgress,
): Promise<void> {
  const early = !run.blobHere(step.layer);
  try {
    await extractOnce(deps, step, run, onProgress);
  } catch (err) {
    if (!early) throw err;
    await run.blobReady(step.layer);
    await extractOnce(deps, step, run, onProgress);
  }
}

/** Blind while the parent is not there, if the snapshotter can rebase; else, or when that is not enough, in order. */
async function extractOnce(
  deps: UnpackDeps,
  step: LayerStep,
  run: Unpack,
  onProgress: OnProgress,
): Promise<void> {
  try {
    const ahead = (await deps.snapshotter.rebases?.(run)) === true;
    if (ahead && (await extractAhead(deps, step, run, onProgress))) return;
    if (step.parent !== '') await run.committed.of(step.parent, run.signal);
    await inTurn(step, run, () => extractInOrder(deps, step, run, onProgress));
  } catch (err) {
    const hint = isKind(err, 'DataLoss', 'InvalidArgument') ? BAD_LAYER : undefined;
    throw wrap(`Cannot extract layer ${step.index + 1} (${step.layer.digest})`, err, hint);
  }
}

function inTurn<T>({ layer }: LayerStep, { slots, signal }: Unpack, work: () => Promise<T>): Promise<T> {
  return slots.run(signal, work, layer.size);
}

/** Returns false when the layer must be applied in order. */
async function extractAhead(
  deps: UnpackDeps,
  step: LayerStep,
  run: Unpack,
  onProgress: OnProgress,
): Promise<boolean> {
  const applied = await inTurn(step, run, async () => {
    if (step.parent === '' || run.committed.has(step.parent)) {
      await extractInOrder(deps, step, run, onProgress);
      return 'committed';
    }
    return await applyBlind(deps, step, run, onProgress);
  });
  if (applied === 'committed') return true;
  if (applied === undefined) return false;
  return await withSnapshot(deps, applied.key, async () => {
    await timed(deps, step, 'wait', () => run.committed.of(step.parent, run.signal));
    const reason = await timed(deps, step, 'rebase', async () =>
      deps.snapshotter.rebase?.(applied.key, step.parent, applied.record, run),
    );
    if (reason !== undefined) {
      await discard(deps, applied.key);
      return false;
    }
    await commit(deps, step, applied.key, run);
    return true;
  });
}

interface Blind {
  readonly key: string;
  readonly record: NonNullable<Applied['record']>;
}

/** Undefined when it cannot be done. A bad layer is no exception: what is wrong with it is said when it is applied in order. */
async function applyBlind(
  deps: UnpackDeps,
  step: LayerStep,
  run: Unpack,
  onProgress: OnProgress,
): Promise<Blind | undefined> {
  const { key, snapshot } = await prepare(deps, step, '', run);
  return await withSnapshot(deps, key, async () => {
    try {
      const { record } = await applyChecked(deps, step, snapshot, 'unknown', run, onProgress);
      if (record !== undefined) return { key, record };
    } catch (err) {
      if (!isNeedsBelow(err) && !isKind(err, 'InvalidArgument')) throw err;
    }
    await discard(deps, key);
    return undefined;
  });
}

async function extractInOrder(
  deps: UnpackDeps,
  step: LayerStep,
  run: Unpack,
  onProgress: OnProgress,
): Promise<void> {
  const { key, snapshot } = await prepare(deps, step, step.parent, run);
  await withSnapshot(deps, key, async () => {
    await applyChecked(deps, step, snapshot, step.parent === '' ? 'none' : 'mounts', run, onProgress);
    await commit(deps, step, key, run);
  });
}

/** Removes the snapshot when `work` fails. */
async function withSnapshot<T>(deps: UnpackDeps, key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    await discard(deps, key);
    throw err;
  }
}

/** Removes what was extracted so far. A failure is told, but must not hide the cause; the store's next opening tries again. */
async function discard(deps: UnpackDeps, key: string): Promise<void> {
  try {
    await ifFound(deps.snapshotter.remove(key, { signal: cleanupSignal() }));
  } catch (err) {
    deps.report({ type: 'warning', message: `Cannot remove the snapshot ${key}: ${messageOf(err)}` });
  }
}

async function prepare(
  deps: UnpackDeps,
  step: LayerStep,
  parent: string,
  run: Unpack,
): Promise<{ key: string; snapshot: PreparedSnapshot }> {
  const labels = { [SNAPSHOT_REF_LABEL]: step.chainId };
  for (let attempt = 1; ; attempt++) {
    const key = extractKey(step.chainId, deps.now());
    try {
      const call = { labels, lease: run.lease, signal: run.signal };
      return { key, snapshot: await deps.snapshotter.prepare(key, parent, call) };
    } catch (err) {
      if (attempt < MAX_PREPARE_TRIES && isKind(err, 'AlreadyExists')) continue;
      throw wrap('Cannot prepare a snapshot', err);
    }
  }
}

/** The blob is verified by then. Another process may have committed the same chain meanwhile: its snapshot is as good as ours. */
async function commit(deps: UnpackDeps, step: LayerStep, key: string, run: Unpack): Promise<void> {
  const labels = { [SNAPSHOT_REF_LABEL]: step.chainId };
  const call = { labels, lease: run.lease, signal: run.signal };
  await run.blobReady(step.layer);
  try {
    await timed(deps, step, 'commit', () => deps.snapshotter.commit(step.chainId, key, call));
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
    await discard(deps, key);
  }
}

/** Tells how long a step of this layer took, when it has succeeded. */
async function timed<T>(
  { report }: UnpackDeps,
  { layer, chainId }: LayerStep,
  stage: Stage,
  work: () => Promise<T>,
): Promise<T> {
  const began = performance.now();
  const result = await work();
  report({ type: 'span', stage, desc: layer, chainId, ms: performance.now() - began });
  return result;
}

async function applyChecked(
  deps: UnpackDeps,
  step: LayerStep,
  snapshot: PreparedSnapshot,
  below: Below,
  run: Unpack,
  onProgress: OnProgress,
): Promise<Applied> {
  onProgress(0);
  const { settings, signal } = run;
  const applied = await deps.applier.apply(step.layer, snapshot, { settings, below, onProgress, signal });
  for (const message of applied.warnings) deps.report({ type: 'warning', message });
  const { size, entries, times } = applied;
  const { layer: desc, chainId } = step;
  if (times !== undefined) deps.report({ type: 'stages', desc, chainId, size, entries, times });
  checkDiffId(step, applied.digest);
  return applied;
}
