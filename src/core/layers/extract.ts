/** One layer into one committed snapshot: prepare, apply, check, rebase, commit. */
import { isNeedsBelow } from '../archive/guesses.ts';
import { cleanupSignal } from '../async/abort.ts';
import { ifFound, isKind, messageOf, wrap } from '../errors.ts';
import type { Stage } from '../progress/events.ts';
import type { PreparedSnapshot } from '../snapshots/snapshotter.ts';
import type { Applied, Below } from './applier.ts';
import { extractKey } from './extract-key.ts';
import { checkDiffId, type LayerStep } from './layer-steps.ts';
import type { RunningUnpack } from './unpack-job.ts';

const SNAPSHOT_REF_LABEL = 'containerd.io/snapshot.ref';
const MAX_PREPARE_TRIES = 3;
const BAD_LAYER = 'The layer is not what it should be, though its digest holds; ask the image’s publisher';

/**
 * Extracts a layer, from its blob while that still arrives where that is possible. A snapshot is committed only once the blob
 * is verified. When extracting bytes that were not verified fails, the layer is extracted again from the verified blob, or the
 * reason why there is none is thrown.
 */
export async function extract(
  job: RunningUnpack,
  step: LayerStep,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const { verified } = job.blob(step.layer);
  const early = !verified.isReached;
  const extraction = new Extraction(job, step, onProgress);
  try {
    await extraction.run();
  } catch (err) {
    if (!early) throw err;
    await verified.wait(job.signal);
    await extraction.run();
  }
}

interface Active {
  readonly key: string;
  readonly snapshot: PreparedSnapshot;
}

interface AppliedBlind {
  readonly key: string;
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
    const { index, layer } = this.#step;
    try {
      const rebases = (await this.#job.snapshotter.rebases?.(this.#job)) === true;
      const ways = [...(rebases ? [() => this.#aheadOfParent()] : []), () => this.#afterParent()];
      for (const way of ways) if (await way()) return;
    } catch (err) {
      const hint = isKind(err, 'DataLoss', 'InvalidArgument') ? BAD_LAYER : undefined;
      throw wrap(`Cannot extract layer ${index + 1} (${layer.digest})`, err, hint);
    }
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
      if (refusal === undefined) await this.#commit(applied.key);
      else await this.#discard(applied.key);
      return refusal === undefined;
    });
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

  /** False when the layer cannot be applied blind. A malformed layer is not blamed yet: that is said when it is applied in order. */
  async #applyBlind(): Promise<AppliedBlind | false> {
    const { key, snapshot } = await this.#prepare('');
    return await this.#withSnapshot(key, async () => {
      try {
        const { record } = await this.#apply(snapshot, 'unknown');
        if (record !== undefined) return { key, record };
      } catch (err) {
        if (!isNeedsBelow(err) && !isKind(err, 'InvalidArgument')) throw err;
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
    const { snapshotter, clock } = this.#job;
    const { chainId } = this.#step;
    for (let attempt = 1; ; attempt++) {
      const key = extractKey(chainId, clock.now());
      try {
        return { key, snapshot: await snapshotter.prepare(key, parent, this.#makeOptions()) };
      } catch (err) {
        if (attempt < MAX_PREPARE_TRIES && isKind(err, 'AlreadyExists')) continue;
        throw wrap('Cannot prepare a snapshot', err);
      }
    }
  }

  #makeOptions() {
    const { lease, signal, snapshotter } = this.#job;
    const { layer, diffId, parent, chainId } = this.#step;
    const described = snapshotter.layerLabels?.({ diffId, parent, annotations: layer.annotations ?? {} });
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
    const { applier, report, settings, signal } = this.#job;
    const { layer: desc, chainId } = this.#step;
    const onProgress = this.#onProgress;
    onProgress(0);
    const applied = await applier.apply(desc, snapshot, { settings, below, onProgress, signal });
    for (const message of applied.warnings) report({ type: 'warning', message });
    const { size, entries, times } = applied;
    if (times !== undefined) report({ type: 'stages', desc, chainId, size, entries, times });
    checkDiffId(this.#step, applied.digest);
    return applied;
  }
}
