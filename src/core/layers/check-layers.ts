/** Checks unpacked layers against their blobs: each layer is applied to a tree in memory, which the tree on the disk must equal. */
import { byteStream } from '../async/byte-stream.ts';
import { type ErrorRecord, errnoOf, HawserError, toRecord } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import { compareTree, isTreeDamage, type TreeProblem } from '../trees/compare.ts';
import { ModelSyscalls } from '../trees/model.ts';
import type { ModelNode } from '../trees/model-node.ts';
import { type ApplyDeps, applyLayer } from './apply-layer.ts';
import type { CheckJob, LayerCheck, LayerToCheck } from './workers.ts';

/** Differences of one layer that are told one by one; the others are counted. */
const MAX_PROBLEMS = 100;

/** `onProgress`: bytes read from the disk so far, at most ten times a second. */
export async function checkLayers(
  job: CheckJob,
  deps: ApplyDeps & { clock: Clock },
  call: Call = {},
): Promise<LayerCheck[]> {
  const model = new ModelSyscalls(deps.hashers, { devices: job.devices });
  const pace = new Pace(job.rate, deps, call);
  const checks: LayerCheck[] = [];
  /** Layers whose blobs could not be read. */
  const unread = new Set<number>();
  const roots = new Map<number, ModelNode>();
  const until = lastUses(job.layers);
  for (const [index, layer] of job.layers.entries()) {
    call.signal?.throwIfAborted();
    const below = chainOf(job.layers, layer.parent);
    const failed = below.find((at) => unread.has(at));
    const root = model.addRoot(pathOf(index));
    roots.set(index, root);
    let error: ErrorRecord | null = null;
    try {
      if (failed !== undefined) throw new HawserError('FailedPrecondition', 'a layer below cannot be read');
      await applyTo(model, { job, index, below }, { ...deps, ...pace.reading(deps) }, call);
    } catch (err) {
      call.signal?.throwIfAborted();
      error = toRecord(err);
      unread.add(index);
    }
    const expected = [root, ...below.flatMap((at) => roots.get(at) ?? [])];
    checks.push(
      error === null
        ? await compare(job, layer, expected, { ...deps, pace })
        : { problems: [], more: 0, error },
    );
    for (const [at] of roots) {
      if ((until[at] ?? 0) > index) continue;
      roots.delete(at);
      model.dropRoot(pathOf(at));
    }
  }
  return checks;
}

function pathOf(index: number): string {
  return `/${index}`;
}

/** The indices of a layer and all below it, nearest first. */
function chainOf(layers: readonly LayerToCheck[], index: number): number[] {
  const chain: number[] = [];
  for (let at = index; at >= 0; at = layers[at]?.parent ?? -1) chain.push(at);
  return chain;
}

/** For each layer the index of the last one that is above it. */
function lastUses(layers: readonly LayerToCheck[]): number[] {
  const last = layers.map((_, index) => index);
  for (const index of layers.keys()) for (const at of chainOf(layers, index)) last[at] = index;
  return last;
}

/** Makes the layer in memory. DataLoss when the blob expands to something else than its diff ID says. */
async function applyTo(
  model: ModelSyscalls,
  { job, index, below }: { job: CheckJob; index: number; below: readonly number[] },
  deps: ApplyDeps,
  call: Call,
): Promise<void> {
  const layer = job.layers[index];
  if (layer === undefined) return;
  const { blob, blobSize, mediaType } = layer;
  const { codec, maxBytes, maxRatio } = job;
  const target = { root: pathOf(index), lowers: below.map(pathOf), mode: 'overlay' } as const;
  const source = { blob, blobSize, mediaType, growing: null, codec, maxBytes, maxRatio };
  const { diffId } = await applyLayer({ ...source, ...target }, { ...deps, syscalls: model }, call);
  if (diffId === layer.diffId) return;
  const reason = { type: 'mismatch', expected: layer.diffId, actual: diffId } as const;
  throw new HawserError('DataLoss', `the config says ${layer.diffId}, the layer expands to ${diffId}`, {
    reason,
  });
}

async function compare(
  job: CheckJob,
  layer: LayerToCheck,
  expected: readonly ModelNode[],
  { syscalls: sys, hashers, pace }: ApplyDeps & { pace: Pace },
): Promise<LayerCheck> {
  const problems: TreeProblem[] = [];
  let more = 0;
  if (layer.tree === null) return { problems, more, error: null };
  const found = (problem: TreeProblem): void => {
    if (problems.length < MAX_PROBLEMS) problems.push(problem);
    else more++;
  };
  const merged = job.stacking === 'flat';
  const stack = merged ? expected : expected.slice(0, 1);
  try {
    for (const bytes of compareTree({ sys, hashers, merged, found }, layer.tree, stack))
      await pace.take(bytes);
  } catch (err) {
    // The tree cannot be walked: what is in the way is damage, too; a tool or a permission that hawser lacks is not.
    if (errnoOf(err) === undefined) throw err;
    if (!isTreeDamage(err)) return { problems, more, error: toRecord(err) };
    found({ path: '/', what: 'missing', want: 'a tree that can be read', got: toRecord(err).message });
  }
  return { problems, more, error: null };
}

const REPORT_INTERVAL = 100;

/** Counts what is read from the disk, and keeps to a rate. */
class Pace {
  readonly #rate: number;
  readonly #deps: Pick<ApplyDeps, 'onProgress' | 'turn'> & { readonly clock: Clock };
  readonly #call: Call;
  readonly #began: number;
  #bytes = 0;
  #told: number;

  constructor(
    rate: number,
    deps: Pick<ApplyDeps, 'onProgress' | 'turn'> & { readonly clock: Clock },
    call: Call,
  ) {
    this.#rate = rate;
    this.#deps = deps;
    this.#call = call;
    this.#began = deps.clock.monotonic();
    this.#told = this.#began;
  }

  async take(bytes: number): Promise<void> {
    const { clock, onProgress, turn } = this.#deps;
    const { signal } = this.#call;
    signal?.throwIfAborted();
    this.#bytes += bytes;
    const now = clock.monotonic();
    if (now - this.#told >= REPORT_INTERVAL) {
      this.#told = now;
      onProgress?.(this.#bytes);
      await turn();
    }
    const due = this.#rate === 0 ? 0 : this.#began + (this.#bytes / this.#rate) * 1000;
    if (due > now) await clock.sleep(due - now, signal);
  }

  /** Blobs are read at the pace, too, and their own progress is not told. */
  reading({ openBlob }: Pick<ApplyDeps, 'openBlob'>): Pick<ApplyDeps, 'openBlob' | 'onProgress'> {
    const paced: ApplyDeps['openBlob'] = (job, call) => {
      const reader = openBlob(job, call).getReader();
      const next = async (): Promise<Uint8Array | undefined> => {
        const { value } = await reader.read();
        await this.take(value?.length ?? 0);
        return value;
      };
      return byteStream({ next, cancel: (reason) => reader.cancel(reason) });
    };
    return { openBlob: paced, onProgress: undefined };
  }
}
