import type { Labels } from '../content/content-store.ts';
import { backReferences, type GcNode, references } from './references.ts';

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
    /** Not durable yet, and the process that writes or wrote it lives. */
    readonly live?: boolean | undefined;
  }[];
  /** `live`: being written, or young enough to be resumed. */
  readonly ingests: readonly {
    readonly ref: string;
    readonly expected: string | undefined;
    readonly live: boolean;
  }[];
  /** Of a containerd. `holds`: the snapshot, and what the labels refer to. */
  readonly containers?: readonly { readonly id: string; readonly holds: readonly GcNode[] }[];
}

export function nodeKey(type: string, id: string): string {
  return `${type}\0${id}`;
}

/** The edges out of every node, worked out once. */
export class Graph {
  readonly #full = new Map<string, GcNode[]>();
  readonly #flat = new Map<string, GcNode[]>();

  constructor(state: GcState) {
    for (const image of state.images) {
      const node: GcNode = { type: 'images', id: image.name };
      this.#add(nodeKey(node.type, node.id), { type: 'content', id: image.digest }, true);
      this.#label(node, image.labels);
    }
    for (const blob of state.content) this.#label({ type: 'content', id: blob.digest }, blob.labels);
    for (const snapshot of state.snapshots) {
      const node: GcNode = { type: `snapshots/${snapshot.snapshotter}`, id: snapshot.name };
      if (snapshot.parent !== '') {
        this.#add(nodeKey(node.type, node.id), { type: node.type, id: snapshot.parent }, true);
      }
      this.#label(node, snapshot.labels);
    }
    for (const ingest of state.ingests) {
      if (ingest.expected === undefined) continue;
      this.#add(nodeKey('ingests', ingest.ref), { type: 'content', id: ingest.expected });
    }
  }

  /** `always` edges count for flat nodes too (a snapshot's parent, an image's target). */
  #add(from: string, to: GcNode, always = false): void {
    const table = always ? this.#flat : this.#full;
    const known = table.get(from);
    if (known === undefined) table.set(from, [to]);
    else known.push(to);
  }

  #label(node: GcNode, labels: Labels): void {
    const key = nodeKey(node.type, node.id);
    for (const next of references(labels)) this.#add(key, next);
    for (const parent of backReferences(labels)) this.#add(nodeKey(parent.type, parent.id), node);
  }

  /** What the node keeps. */
  *of(node: GcNode): Generator<GcNode> {
    const key = nodeKey(node.type, node.id);
    for (const next of this.#flat.get(key) ?? []) yield node.flat === true ? { ...next, flat: true } : next;
    if (node.flat !== true) yield* this.#full.get(key) ?? [];
  }

  /** The node and all that the node keeps, directly or not, whether it exists or not: by key. */
  reach(from: GcNode): Map<string, GcNode> {
    const found = new Map([[nodeKey(from.type, from.id), from]]);
    // Grows while it is gone through.
    for (const node of found.values()) {
      for (const next of this.of(node)) {
        const key = nodeKey(next.type, next.id);
        if (!found.has(key)) found.set(key, next);
      }
    }
    return found;
  }
}
