/** All that a store has, as a collection sees it; and, out of that, what a collection would remove and why the rest stays. No I/O. */
import { type GcState, nodeKey } from './graph.ts';
import { type GcCause, mark } from './mark.ts';
import type { GcNode } from './references.ts';

/** Anything that takes room or keeps something. */
export type GcType = GcNode['type'] | 'leases';

/** The type and the id of a record. */
export interface Removal {
  readonly type: GcType;
  readonly id: string;
}

/** The records of one namespace. */
export interface SurveyedNamespace {
  readonly name: string;
  /** The records, without those in `broken`. */
  readonly state: GcState;
  /**
   * A collection removes these even when something refers to them: snapshots that cannot be trusted, or that a dead process was
   * extracting into (the next opening drops both); and what is about to be removed (`withoutItems`).
   */
  readonly broken: readonly Removal[];
  /** Bytes of content, ingests and snapshots on the disk, by `nodeKey`. */
  readonly bytes: ReadonlyMap<string, number>;
}

/** A file or directory that no record of any namespace names. */
export interface Stray {
  readonly type: 'content' | 'ingests' | 'snapshots';
  /** The path below the store's root. */
  readonly id: string;
  readonly bytes: number;
  /** Of a blob's file, which stays while an ingest that stays expects the digest. */
  readonly digest?: string | undefined;
}

export interface Survey {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly namespaces: readonly SurveyedNamespace[];
  readonly strays: readonly Stray[];
  /** The types of which a file stays, although no record names it: a database was lost. Not given: none. */
  readonly kept?: ReadonlySet<Stray['type']> | undefined;
  /** Bytes of the database and of the store's other files. */
  readonly records: number;
}

/** One thing of a namespace, or ('') a file that is in none. */
export interface GcItem {
  /** The namespace of the record; '' for a file without one. */
  readonly namespace: string;
  /** Which kind; `snapshots`: a directory without a record. */
  readonly type: GcType | 'snapshots';
  /** As in `GcNode`, or the id of a lease, or a path below the store's root. */
  readonly id: string;
  /** What its removal frees: 0 for a record whose bytes something else still uses. */
  readonly bytes: number;
}

/** Something that stays. */
export interface GcKept extends GcItem {
  /** Why. */
  readonly cause: GcCause;
}

/** What a collection would remove, and what would stay. */
export interface GcPlan {
  /** What would be removed. */
  readonly goes: readonly GcItem[];
  /** What would stay, each with its reason. */
  readonly stays: readonly GcKept[];
  /** What would be freed. */
  readonly bytes: number;
}

/** Everything of a namespace that has an id, but the leases. */
function* nodesOf({ images, content, snapshots, ingests }: GcState): Generator<GcNode> {
  for (const { name } of images) yield { type: 'images', id: name };
  for (const { digest } of content) yield { type: 'content', id: digest };
  for (const { snapshotter, name } of snapshots) yield { type: `snapshots/${snapshotter}`, id: name };
  for (const { ref } of ingests) yield { type: 'ingests', id: ref };
}

interface Split {
  readonly goes: GcItem[];
  readonly stays: GcKept[];
}

function split({ name: namespace, state, broken, bytes }: SurveyedNamespace, now: number): Split {
  const keep = mark(state, now);
  const sizeOf = ({ type, id }: Removal): number => bytes.get(nodeKey(type, id)) ?? 0;
  const goes: GcItem[] = broken.map(({ type, id }) => ({ namespace, type, id, bytes: sizeOf({ type, id }) }));
  const stays: GcKept[] = [];
  for (const { id } of state.leases) {
    const item: GcItem = { namespace, type: 'leases', id, bytes: 0 };
    if (keep.lease(id)) stays.push({ ...item, cause: { root: { type: 'lease', id }, path: [] } });
    else goes.push(item);
  }
  for (const node of nodesOf(state)) {
    const item: GcItem = { namespace, type: node.type, id: node.id, bytes: sizeOf(node) };
    const cause = keep.cause(node.type, node.id);
    if (cause === undefined) goes.push(item);
    else stays.push({ ...item, cause });
  }
  return { goes, stays };
}

/** A blob's file goes with its last record, and stays while an ingest expects its digest: all that goes is counted once. */
export function planCollection({ namespaces, strays, kept, now }: Survey): GcPlan {
  const parts = namespaces.map((one) => split(one, now));
  const stays = parts.flatMap((one) => one.stays);
  const used = new Set(stays.filter(({ type }) => type === 'content').map(({ id }) => id));
  const staying = new Set(
    stays.filter(({ type }) => type === 'ingests').map(({ namespace, id }) => `${namespace}\0${id}`),
  );
  for (const { name, state } of namespaces) {
    for (const { ref, expected } of state.ingests) {
      if (expected !== undefined && staying.has(`${name}\0${ref}`)) used.add(expected);
    }
  }
  const loose = strays.filter(
    ({ type, digest }) => !kept?.has(type) && (digest === undefined || !used.has(digest)),
  );
  const freed = (item: GcItem): GcItem =>
    kept?.has('content') && item.type === 'content' ? { ...item, bytes: 0 } : onceCounted(item, used);
  const goes = parts.flatMap((one) => one.goes).map(freed);
  goes.push(...loose.map(({ type, id, bytes }) => ({ namespace: '', type, id, bytes })));
  return { goes, stays, bytes: goes.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function onceCounted(item: GcItem, used: Set<string>): GcItem {
  if (item.type !== 'content') return item;
  if (used.has(item.id)) return { ...item, bytes: 0 };
  used.add(item.id);
  return item;
}

/** The survey of the store once these records of a namespace are removed. A record that is not there has no effect. */
export function withoutItems(survey: Survey, namespace: string, removals: readonly Removal[]): Survey {
  const keys = new Set(removals.map(({ type, id }) => nodeKey(type, id)));
  const stays = (type: GcType, id: string): boolean => !keys.has(nodeKey(type, id));
  const namespaces = survey.namespaces.map((one) => {
    if (one.name !== namespace) return one;
    const { leases, images, content, snapshots, ingests } = one.state;
    const state: GcState = {
      ...one.state,
      leases: leases.filter(({ id }) => stays('leases', id)),
      images: images.filter(({ name }) => stays('images', name)),
      content: content.filter(({ digest }) => stays('content', digest)),
      snapshots: snapshots.filter(({ snapshotter, name }) => stays(`snapshots/${snapshotter}`, name)),
      ingests: ingests.filter(({ ref }) => stays('ingests', ref)),
    };
    const known = new Set([...leases.map(({ id }) => nodeKey('leases', id)), ...keysOf(one.state)]);
    const broken = [...one.broken, ...removals.filter(({ type, id }) => known.has(nodeKey(type, id)))];
    return { ...one, state, broken };
  });
  return { ...survey, namespaces };
}

function keysOf(state: GcState): string[] {
  return [...nodesOf(state)].map(({ type, id }) => nodeKey(type, id));
}
