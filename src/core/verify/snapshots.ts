/** Unpacked layers against their blobs, as many side by side as there are processors. */
import { Limiter } from '../async/limiter.ts';
import { allOrAbort } from '../async/settle.ts';
import type { Backend } from '../backend.ts';
import type { Info } from '../content/content-store.ts';
import type { LayerChecker, StoredLayer } from '../layers/layer-checker.ts';
import type { LayerCheck } from '../layers/workers.ts';
import type { Digest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { KnownLayer } from './images.ts';
import type { DamagedSnapshot, SoundThings, Unchecked } from './report.ts';

export interface SnapshotDeps {
  readonly backend: Pick<Backend, 'snapshotter'>;
  readonly checker: LayerChecker;
  readonly cpus: number;
  readonly records: ReadonlyMap<Digest, Info>;
  /** By chain ID: what images say of their layers. */
  readonly layers: ReadonlyMap<string, KnownLayer>;
}

export interface SnapshotOptions extends Call {
  readonly snapshotter: string;
  /** Whether this snapshot is to be checked. */
  readonly wanted: (name: string) => boolean;
  readonly rate?: number | undefined;
  /** Bytes read since the last time. */
  readonly onBytes: (bytes: number) => void;
  /** What an earlier check found sound. When given, layers over one lowest layer are compared in parts; each part is noted when done. */
  readonly sound?: SoundThings | undefined;
}

export interface SnapshotResult {
  readonly checked: number;
  /** So many of them were known to be sound. */
  readonly resumed: number;
  readonly damage: readonly DamagedSnapshot[];
  readonly unchecked: readonly Unchecked[];
}

/** Children by parent, by chain ID; '' has the lowest layers. */
type Tree = Map<string, Set<string>>;

/** Bytes of layers that are compared in one part, as a multiple of those of the lowest layer, which each part reads anew. */
const PART = 4;

/** Checks the committed snapshots of one snapshotter. What is removed meanwhile is not told. */
export async function checkSnapshots(deps: SnapshotDeps, opts: SnapshotOptions): Promise<SnapshotResult> {
  const names = await committed(deps, opts);
  const unchecked = new Map<string, string>();
  const tree: Tree = new Map();
  for (const name of names) {
    const why = plan(deps, name, tree);
    if (why !== undefined) unchecked.set(name, why);
  }
  const { sound } = opts;
  const checked = names.filter((name) => !unchecked.has(name));
  const wanted = new Set(checked.filter((name) => sound?.has(keyOf(opts, name)) !== true));
  const damage: DamagedSnapshot[] = await strangers(deps, opts, wanted);
  for (const { chainId } of damage) wanted.delete(chainId);
  const slots = new Limiter(opts.rate === undefined ? deps.cpus : 1);
  const jobs = [...(tree.get('') ?? [])].flatMap((root) =>
    jobsOf(deps, root, tree, { wanted, inParts: sound !== undefined }),
  );
  await allOrAbort(jobs, opts.signal, async (layers, signal) => {
    let told = 0;
    const onProgress = (bytes: number): void => {
      opts.onBytes(bytes - told);
      told = bytes;
    };
    const check = () => deps.checker.check(opts.snapshotter, layers, { rate: opts.rate, onProgress, signal });
    const checks = await slots.run(signal, check);
    for (const [at, one] of layers.entries()) {
      const isSound = judge(deps, opts, one, checks[at], { damage, unchecked });
      if (isSound) await sound?.add(keyOf(opts, one.chainId));
    }
  });
  const left = new Set(await committed(deps, opts));
  return {
    checked: checked.length,
    resumed: checked.length - wanted.size,
    damage: damage
      .filter(({ chainId }) => left.has(chainId))
      .sort((a, b) => (a.chainId < b.chainId ? -1 : 1)),
    unchecked: [...unchecked]
      .filter(([name]) => left.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, why]) => ({ snapshotter: opts.snapshotter, name, why })),
  };
}

function keyOf({ snapshotter }: SnapshotOptions, chainId: string): string {
  return `${snapshotter} ${chainId}`;
}

/** Snapshots whose records say that they lie on another one than their layers do. */
async function strangers(
  { backend, layers }: SnapshotDeps,
  opts: SnapshotOptions,
  wanted: ReadonlySet<string>,
): Promise<DamagedSnapshot[]> {
  const { snapshotter } = opts;
  return (await backend.snapshotter(snapshotter).list(opts)).flatMap(({ name, parent, kind }) => {
    const known = layers.get(name);
    if (known === undefined || kind !== 'Committed' || !wanted.has(name) || parent === known.step.parent)
      return [];
    const problems = [{ path: '/', what: 'parent', want: known.step.parent, got: parent }] as const;
    const { layer } = known.step;
    return {
      type: 'snapshot',
      snapshotter,
      chainId: name,
      layer: layer.digest,
      images: [...known.images].sort(),
      problems,
      more: 0,
    };
  });
}

async function committed({ backend }: SnapshotDeps, opts: SnapshotOptions): Promise<string[]> {
  const infos = await backend.snapshotter(opts.snapshotter).list(opts);
  return infos.filter(({ kind, name }) => kind === 'Committed' && opts.wanted(name)).map(({ name }) => name);
}

/** Adds a layer and those below it to the tree (children by parent), or says why the layer cannot be checked. */
function plan({ layers, records }: SnapshotDeps, name: string, tree: Tree): string | undefined {
  const chain: { chainId: string; parent: string }[] = [];
  for (let at = name; at !== ''; ) {
    const known = layers.get(at);
    if (known === undefined) return 'no image here says what is in it';
    if (!records.has(known.step.layer.digest)) return `the blob ${known.step.layer.digest} is not here`;
    chain.push(known.step);
    at = known.step.parent;
  }
  for (const { chainId, parent } of chain) {
    tree.set(parent, (tree.get(parent) ?? new Set()).add(chainId));
  }
  return undefined;
}

interface Node {
  readonly layer: StoredLayer;
  /** The layer or one above it is compared. */
  needed: boolean;
  /** Of the layer's blob, and of those above that are needed. */
  bytes: number;
}

/**
 * What is compared in one go: a lowest layer and all above it, each right after what it lies on. `inParts`: the layers right above the
 * lowest one, each with all above it, in parts of some size.
 */
function jobsOf(
  deps: SnapshotDeps,
  root: string,
  tree: Tree,
  { wanted, inParts }: { wanted: ReadonlySet<string>; inParts: boolean },
): StoredLayer[][] {
  const [lowest, ...above] = nodesOf(deps, root, tree, wanted);
  if (lowest === undefined || !lowest.needed) return [];
  const limit = inParts ? PART * lowest.layer.layer.size : Number.MAX_SAFE_INTEGER;
  let job = [lowest.layer];
  const jobs = [job];
  let bytes = 0;
  /** Where a layer is in its part, by its place in the whole. */
  const places = new Map([[0, 0]]);
  for (const [at, { layer, needed, bytes: more }] of above.entries()) {
    if (!needed) continue;
    if (layer.parent === 0 && bytes >= limit) {
      job = [{ ...lowest.layer, compare: false }];
      jobs.push(job);
      bytes = 0;
    }
    if (layer.parent === 0) bytes += more;
    places.set(at + 1, job.push({ ...layer, parent: places.get(layer.parent) ?? 0 }) - 1);
  }
  return jobs;
}

/** A layer and those above it, depth first. */
function nodesOf(deps: SnapshotDeps, root: string, tree: Tree, wanted: ReadonlySet<string>): Node[] {
  const layers = depthFirst(deps, root, tree, wanted);
  const nodes = layers.map((layer) => ({ layer, needed: layer.compare, bytes: layer.layer.size }));
  for (const { layer, needed, bytes } of nodes.toReversed()) {
    const below = nodes[layer.parent];
    if (below === undefined || !needed) continue;
    below.needed = true;
    below.bytes += bytes;
  }
  return nodes;
}

function depthFirst(
  { layers }: SnapshotDeps,
  root: string,
  tree: Tree,
  wanted: ReadonlySet<string>,
): StoredLayer[] {
  const list: StoredLayer[] = [];
  const pending = [{ chainId: root, parent: -1 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { chainId, parent } = next;
    const known = layers.get(chainId);
    if (known === undefined) continue;
    const { layer, diffId } = known.step;
    const at = list.push({ layer, diffId, chainId, parent, compare: wanted.has(chainId) }) - 1;
    for (const child of tree.get(chainId) ?? []) pending.push({ chainId: child, parent: at });
  }
  return list;
}

/** Whether the snapshot was compared, and is what its layer makes. */
function judge(
  { layers }: SnapshotDeps,
  { snapshotter }: SnapshotOptions,
  { chainId, layer, compare }: StoredLayer,
  check: LayerCheck | undefined,
  { damage, unchecked }: { damage: DamagedSnapshot[]; unchecked: Map<string, string> },
): boolean {
  if (!compare || check === undefined) return false;
  const { problems, more, error } = check;
  if (problems.length > 0) {
    const images = [...(layers.get(chainId)?.images ?? [])].sort();
    damage.push({ type: 'snapshot', snapshotter, chainId, layer: layer.digest, images, problems, more });
  } else if (error !== null) {
    unchecked.set(chainId, `it cannot be compared with its blob: ${error.message}`);
  }
  return error === null && problems.length === 0;
}
