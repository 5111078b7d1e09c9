/** One layer into one committed snapshot: prepare, apply, check, rebase, commit. */
import { isNeedsBelow } from '../archive/guesses.ts';
import { cleanupSignal, orAborted } from '../async/abort.ts';
import { isMisfit, withSoundBlob } from '../content/heal.ts';
import { ifFound, isKind, messageOf, reasonOf, wrap } from '../errors.ts';
import type { Stage } from '../progress/events.ts';
import type { PreparedSnapshot } from '../snapshots/snapshotter.ts';
import type { Applied, Below } from './applier.ts';
import { extractKey } from './extract-key.ts';
import { giveBack } from './image-budget.ts';
import { checkDiffId, type LayerStep } from './layer-steps.ts';
import type { RunningUnpack } from './unpack-job.ts';

const SNAPSHOT_REF_LABEL = 'containerd.io/snapshot.ref';
const MAX_PREPARE_TRIES = 3;
const BAD_LAYER = 'The layer is not what it should be, though its digest holds; ask the image’s publisher';
const TWICE_BAD =
  'The layer came twice, and neither time was it what it should be; ask the image’s publisher';

/**
 * Extracts a layer, from its blob while that still arrives where that is possible. A snapshot is committed only once the blob
 * is verified. Nobody is blamed for a layer that is not what it should be before its bytes are known to be those published: bytes
 * that arrive are fetched anew at once, stored ones are hashed.
 */
export async function extract(
  job: RunningUnpack,
  step: LayerStep,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const { layer, index } = step;
  const run = () => new Extraction(job, step, onProgress).run();
  try {
    if (await extractArriving(job, step, run)) return;
    const { content, refetch, report } = job;
    const warn = (message: string) => report({ type: 'warning', message });
    await withSoundBlob({ content, refetch, warn }, layer, job, run);
  } catch (err) {
    throw wrap(
      `Cannot extract layer ${index + 1} (${layer.digest})`,
      err,
      isMisfit(err) ? BAD_LAYER : undefined,
    );
  }
}

/** From a blob that is not verified yet. False when the layer is to be extracted from the verified blob. */
async function extractArriving(
  job: RunningUnpack,
  { layer }: LayerStep,
  run: () => Promise<void>,
): Promise<boolean> {
  const { verified } = job.blob(layer);
  for (let doubted = false; !verified.isReached; doubted = true) {
    try {
      await run();
      return true;
    } catch (err) {
      if (!(await arrivesAnew(job, layer, err, doubted))) break;
    }
  }
  await verified.wait(job.signal);
  return false;
}

/** True when the bytes arrive anew because of this error; false when only the verified blob can tell. Else throws the error. */
async function arrivesAnew(
  job: RunningUnpack,
  layer: LayerStep['layer'],
  err: unknown,
  doubted: boolean,
): Promise<boolean> {
  // The download began anew by itself.
  if (isKind(err, 'Aborted')) return false;
  if (!isMisfit(err)) throw err;
  if (doubted) throw wrap('the bytes that came', err, TWICE_BAD);
  return await orAborted(job.blob(layer).doubt?.(err) ?? no, job.signal);
}

const no: Promise<boolean> = Promise.resolve(false);

interface Active {
  readonly key: string;
  readonly snapshot: PreparedSnapshot;
}

interface AppliedBlind {
  readonly key: string;
  /** Expanded bytes. */
  readonly size: number;
  readonly record: NonNullable<Applied['record']>;
}

class Extraction {
  readonly #job: RunningUnpack;
  readonly #step: LayerStep;
  readonly #onProgress: (bytes: number) => void;

  constructor(job: RunningUnpack, step: LayerStep, onProgress: (bytes: number) => void) {
    this.#job = job;
    this.#step = step;
    this.#onProgress = onProgress;
  }

  /** Ahead of the parent where the snapshotter can rebase; where that is not enough, after the parent. */
  async run(): Promise<void> {
    const rebases = (await this.#job.snapshotter.rebases?.(this.#job)) === true;
    const ways = [...(rebases ? [() => this.#aheadOfParent()] : []), () => this.#afterParent()];
    for (const way of ways) if (await way()) return;
  }

  /** Returns whether the layer is committed; if not, it must be applied in order. */
  async #aheadOfParent(): Promise<boolean> {
    const applied = await this.#inTurn(async () =>
      this.#parentIsThere() ? await this.#applyInOrder() : await this.#applyBlind(),
    );
    if (typeof applied === 'boolean') return applied;
    return await this.#withSnapshot(applied.key, async () => {
      await this.#timed('wait', () => this.#waitForParent());
      const { parent } = this.#step;
      const refusal = await this.#timed('rebase', async () =>
        this.#job.snapshotter.rebase?.(applied.key, parent, applied.record, this.#job),
      );
      if (refusal === undefined && (await this.#commitRebased(applied.key))) return true;
      await this.#discard(applied.key);
      giveBack(this.#job.image, applied.size);
      return false;
    });
  }

  /** False when the snapshotter does not take the parent after all. */
  async #commitRebased(key: string): Promise<boolean> {
    try {
      await this.#commit(key);
      return true;
    } catch (err) {
      if (isNeedsBelow(err)) return false;
      throw err;
    }
  }

  async #afterParent(): Promise<boolean> {
    await this.#waitForParent();
    return await this.#inTurn(() => this.#applyInOrder());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#job.slots.run(this.#job.signal, work, this.#step.layer.size);
  }

  #parentIsThere(): boolean {
    const { parent } = this.#step;
    return parent === '' || this.#job.committed(parent).isReached;
  }

  async #waitForParent(): Promise<void> {
    const { parent } = this.#step;
    if (parent !== '') await this.#job.committed(parent).wait(this.#job.signal);
  }

  async #applyInOrder(): Promise<boolean> {
    const { parent } = this.#step;
    const active = await this.#prepare(parent);
    return await this.#withSnapshot(active.key, async () => {
      await this.#apply(active.snapshot, parent === '' ? 'none' : 'mounts');
      await this.#commit(active.key);
      return true;
    });
  }

  /** False when the layer cannot be applied blind, or not without the layers below: in order it says what is wrong, if anything is. */
  async #applyBlind(): Promise<AppliedBlind | false> {
    const { key, snapshot } = await this.#prepare('');
    return await this.#withSnapshot(key, async () => {
      try {
        const { record, size } = await this.#apply(snapshot, 'unknown');
        if (record !== undefined) return { key, record, size };
      } catch (err) {
        const malformed = reasonOf(err, 'malformed') !== undefined;
        if (malformed || (!isNeedsBelow(err) && !isKind(err, 'InvalidArgument'))) throw err;
      }
      await this.#discard(key);
      return false;
    });
  }

  /** Removes the snapshot when `work` fails. */
  async #withSnapshot<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (err) {
      await this.#discard(key);
      throw err;
    }
  }

  /** A failure is reported, but must not hide the cause; the store's next opening tries again. */
  async #discard(key: string): Promise<void> {
    try {
      await ifFound(this.#job.snapshotter.remove(key, { signal: cleanupSignal() }));
    } catch (err) {
      const message = `Cannot remove the snapshot ${key}: ${messageOf(err)}`;
      this.#job.report({ type: 'warning', message });
    }
  }

  async #prepare(parent: string): Promise<Active> {
    const { snapshotter, clock, beside = false } = this.#job;
    const { chainId } = this.#step;
    for (let attempt = 1; ; attempt++) {
      const key = extractKey(chainId, clock.now());
      try {
        return { key, snapshot: await snapshotter.prepare(key, parent, { ...this.#makeOptions(), beside }) };
      } catch (err) {
        if (attempt < MAX_PREPARE_TRIES && isKind(err, 'AlreadyExists')) continue;
        throw wrap('Cannot prepare a snapshot', err);
      }
    }
  }

  #makeOptions() {
    const { layers, lease, of, signal, snapshotter } = this.#job;
    const { index, layer, diffId, parent, chainId } = this.#step;
    const described = snapshotter.layerLabels?.({
      ...{ diffId, parent, annotations: layer.annotations ?? {} },
      image: of && { ...of, layers: layers.slice(index).map(({ digest }) => digest) },
    });
    return { labels: { ...described, [SNAPSHOT_REF_LABEL]: chainId }, lease, signal };
  }

  /** Another process may have committed the same chain meanwhile: its snapshot serves as well as this one. */
  async #commit(key: string): Promise<void> {
    const { blob, signal, snapshotter } = this.#job;
    const { layer, chainId } = this.#step;
    await blob(layer).verified.wait(signal);
    try {
      await this.#timed('commit', () => snapshotter.commit(chainId, key, this.#makeOptions()));
    } catch (err) {
      if (!isKind(err, 'AlreadyExists')) throw err;
      await this.#discard(key);
    }
  }

  /** Reports how long a step of this layer took, when it succeeds. */
  async #timed<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    const { clock, report } = this.#job;
    const { layer, chainId } = this.#step;
    const began = clock.monotonic();
    const result = await work();
    report({ type: 'span', stage, desc: layer, chainId, ms: clock.monotonic() - began });
    return result;
  }

  async #apply(snapshot: PreparedSnapshot, below: Below): Promise<Applied> {
    const { applier, image, report, settings, signal } = this.#job;
    const { layer: desc, chainId } = this.#step;
    const onProgress = this.#onProgress;
    onProgress(0);
    const applied = await applier.apply(desc, snapshot, { settings, image, below, onProgress, signal });
    for (const message of applied.warnings) report({ type: 'warning', message });
    const { size, entries, times } = applied;
    if (times !== undefined) report({ type: 'stages', desc, chainId, size, entries, times });
    checkDiffId(this.#step, applied.digest);
    return applied;
  }
}
