import type { Labels } from '../content/content-store.ts';
import { backReferences, GC_FLAT_LABEL, type GcNode, isExpired, isRoot, references } from './references.ts';

/** One namespace as the mark phase sees it. Ids are digests, names, refs and keys. */
export interface GcState {
  /** `live`: its process lives, or it needs none. Expiry is judged here, by its labels. */
  readonly leases: readonly {
    readonly id: string;
    readonly labels: Labels;
    readonly live: boolean;
    readonly resources: readonly { readonly type: string; readonly id: string }[];
  }[];
  readonly images: readonly { readonly name: string; readonly digest: string; readonly labels: Labels }[];
  readonly content: readonly { readonly digest: string; readonly labels: Labels }[];
  readonly snapshots: readonly {
    readonly snapshotter: string;
    readonly name: string;
    /** '' for none. */
    readonly parent: string;
    readonly labels: Labels;
  }[];
  /** `live`: being written, or young enough to be resumed. */
  readonly ingests: readonly {
    readonly ref: string;
    readonly expected: string | undefined;
    readonly live: boolean;
  }[];
}

/** What stays. Everything else in the state may go. */
export interface Reachable {
  has(type: GcNode['type'], id: string): boolean;
  lease(id: string): boolean;
}

const keyOf = (type: string, id: string): string => `${type}\0${id}`;

/** The edges out of every node, worked out once. */
class Edges {
  readonly #full = new Map<string, GcNode[]>();
  readonly #flat = new Map<string, GcNode[]>();

  /** `always` edges count for flat nodes too (a snapshot's parent, an image's target). */
  add(from: string, to: GcNode, always = false): void {
    const table = always ? this.#flat : this.#full;
    const known = table.get(from);
    if (known === undefined) table.set(from, [to]);
    else known.push(to);
  }

  *of(node: GcNode): Generator<GcNode> {
    const key = keyOf(node.type, node.id);
    for (const next of this.#flat.get(key) ?? []) yield node.flat === true ? { ...next, flat: true } : next;
    if (node.flat !== true) yield* this.#full.get(key) ?? [];
  }
}

function addLabels(edges: Edges, node: GcNode, labels: Labels): void {
  const key = keyOf(node.type, node.id);
  for (const next of references(labels)) edges.add(key, next);
  for (const parent of backReferences(labels)) edges.add(keyOf(parent.type, parent.id), node);
}

function edgesOf(state: GcState): Edges {
  const edges = new Edges();
  for (const image of state.images) {
    const node: GcNode = { type: 'images', id: image.name };
    edges.add(keyOf(node.type, node.id), { type: 'content', id: image.digest }, true);
    addLabels(edges, node, image.labels);
  }
  for (const blob of state.content) addLabels(edges, { type: 'content', id: blob.digest }, blob.labels);
  for (const snapshot of state.snapshots) {
    const node: GcNode = { type: `snapshots/${snapshot.snapshotter}`, id: snapshot.name };
    if (snapshot.parent !== '') {
      edges.add(keyOf(node.type, node.id), { type: node.type, id: snapshot.parent }, true);
    }
    addLabels(edges, node, snapshot.labels);
  }
  for (const ingest of state.ingests) {
    if (ingest.expected === undefined) continue;
    edges.add(keyOf('ingests', ingest.ref), { type: 'content', id: ingest.expected });
  }
  return edges;
}

/** What the leases hold that protect now. */
function* heldBy(leases: GcState['leases'], protecting: ReadonlySet<string>): Generator<GcNode> {
  for (const { id, labels, resources } of leases) {
    if (!protecting.has(id)) continue;
    const flat = Object.hasOwn(labels, GC_FLAT_LABEL);
    for (const held of resources) yield { type: held.type as GcNode['type'], id: held.id, flat };
  }
}

function* rootsOf(state: GcState, leases: ReadonlySet<string>, now: number): Generator<GcNode> {
  yield* heldBy(state.leases, leases);
  for (const image of state.images) {
    if (!isExpired(image.labels, now)) yield { type: 'images', id: image.name };
  }
  for (const blob of state.content) if (isRoot(blob.labels)) yield { type: 'content', id: blob.digest };
  for (const snapshot of state.snapshots) {
    if (isRoot(snapshot.labels)) yield { type: `snapshots/${snapshot.snapshotter}`, id: snapshot.name };
  }
  for (const ingest of state.ingests) if (ingest.live) yield { type: 'ingests', id: ingest.ref };
}

/**
 * Everything reachable from the roots: leases that live and have not expired with what they list, images that have not
 * expired, content and snapshots labelled `containerd.io/gc.root*`, and live ingests; then along labels, image targets,
 * snapshot parents and the digests that ingests expect. Edges to what does not exist are dead, not errors. No I/O.
 */
export function mark(state: GcState, now: number): Reachable {
  const leases = new Set<string>();
  for (const lease of state.leases) if (lease.live && !isExpired(lease.labels, now)) leases.add(lease.id);
  const edges = edgesOf(state);
  const full = new Set<string>();
  const flat = new Set<string>();
  const pending = [...rootsOf(state, leases, now)];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const key = keyOf(node.type, node.id);
    if (full.has(key)) continue;
    if (node.flat === true && flat.has(key)) continue;
    (node.flat === true ? flat : full).add(key);
    pending.push(...edges.of(node));
  }
  return {
    has: (type, id) => full.has(keyOf(type, id)) || flat.has(keyOf(type, id)),
    lease: (id) => leases.has(id),
  };
}
