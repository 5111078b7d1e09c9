import type { Labels } from '../content/content-store.ts';
import { type GcState, Graph, nodeKey } from './graph.ts';
import { GC_FLAT_LABEL, type GcNode, isExpired, isRoot } from './references.ts';

/** Whatever keeps things by itself: an image, a lease, a container; or the thing keeps itself: by a label, as a young ingest, as a snapshot that is being written. */
export interface GcRoot {
  /** What kind of thing the root is. */
  readonly type: 'image' | 'lease' | 'container' | 'label' | 'ingest' | 'snapshot';
  /** Its name, id or ref; of a label that of the labelled thing. */
  readonly id: string;
}

/** Why something stays: the root, and the way from the root to the thing, which is the last node. */
export interface GcCause {
  /** What keeps things by itself. */
  readonly root: GcRoot;
  /** What is gone through, the thing last; empty for a lease itself. */
  readonly path: readonly GcNode[];
}

/** What stays. Everything else in the state may go. */
export interface Reachable {
  has(type: GcNode['type'], id: string): boolean;
  lease(id: string): boolean;
  /** Undefined for what may go. */
  cause(type: GcNode['type'], id: string): GcCause | undefined;
}

/** A node, and how the mark phase came upon the node. */
interface Step {
  readonly node: GcNode;
  readonly from: Step | GcRoot;
}

/** What the leases hold that protect now. */
function* heldBy(leases: GcState['leases'], protecting: ReadonlySet<string>): Generator<Step> {
  for (const { id, labels, resources } of leases) {
    if (!protecting.has(id)) continue;
    const flat = Object.hasOwn(labels, GC_FLAT_LABEL);
    const from: GcRoot = { type: 'lease', id };
    for (const held of resources)
      yield { node: { type: held.type as GcNode['type'], id: held.id, flat }, from };
  }
}

function* labelled(type: GcNode['type'], id: string, labels: Labels): Generator<Step> {
  if (isRoot(labels)) yield { node: { type, id }, from: { type: 'label', id } };
}

function* rootsOf(state: GcState, leases: ReadonlySet<string>, now: number): Generator<Step> {
  for (const { name, labels } of state.images) {
    if (!isExpired(labels, now))
      yield { node: { type: 'images', id: name }, from: { type: 'image', id: name } };
  }
  for (const { id, holds } of state.containers ?? []) {
    for (const node of holds) yield { node, from: { type: 'container', id } };
  }
  yield* heldBy(state.leases, leases);
  for (const { digest, labels } of state.content) yield* labelled('content', digest, labels);
  for (const { snapshotter, name, labels, live } of state.snapshots) {
    const type = `snapshots/${snapshotter}` as const;
    yield* labelled(type, name, labels);
    if (live === true) yield { node: { type, id: name }, from: { type: 'snapshot', id: name } };
  }
  for (const { ref, live } of state.ingests) {
    if (live) yield { node: { type: 'ingests', id: ref }, from: { type: 'ingest', id: ref } };
  }
}

function causeOf(step: Step): GcCause {
  const path: GcNode[] = [];
  let at: Step | GcRoot = step;
  while ('node' in at) {
    path.unshift({ type: at.node.type, id: at.node.id });
    at = at.from;
  }
  return { root: at, path };
}

/**
 * Everything reachable from the roots: leases that live and have not expired with what they list, images that have not
 * expired, what containers use, content and snapshots labelled `containerd.io/gc.root*`, live ingests and snapshots; then along labels,
 * image targets, snapshot parents and the digests that ingests expect. Edges to what does not exist are dead, not errors. No I/O.
 */
export function mark(state: GcState, now: number): Reachable {
  const leases = new Set<string>();
  for (const lease of state.leases) if (lease.live && !isExpired(lease.labels, now)) leases.add(lease.id);
  const graph = new Graph(state);
  const full = new Map<string, Step>();
  const flat = new Map<string, Step>();
  const pending = [...rootsOf(state, leases, now)];
  // Grows while it is gone through: the ways found are short ones.
  for (const step of pending) {
    const { node } = step;
    const key = nodeKey(node.type, node.id);
    if (full.has(key)) continue;
    if (node.flat === true && flat.has(key)) continue;
    (node.flat === true ? flat : full).set(key, step);
    for (const next of graph.of(node)) pending.push({ node: next, from: step });
  }
  const find = (type: string, id: string) => {
    const key = nodeKey(type, id);
    return full.get(key) ?? flat.get(key);
  };
  return {
    has: (type, id) => find(type, id) !== undefined,
    lease: (id) => leases.has(id),
    cause: (type, id) => {
      const step = find(type, id);
      return step && causeOf(step);
    },
  };
}
