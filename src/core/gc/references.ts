import type { Labels } from '../content/content-store.ts';

/**
 * Something in a namespace that can be kept or collected. `flat`: its labels are not followed (lease label
 * `containerd.io/gc.flat`).
 */
export interface GcNode {
  /** Which kind of record. */
  readonly type: 'content' | 'images' | 'ingests' | `snapshots/${string}`;
  /** A digest, the name of an image, a ref, the key or name of a snapshot. */
  readonly id: string;
  /** Labels are not followed. */
  readonly flat?: boolean | undefined;
}

const PREFIX = 'containerd.io/';
const ROOT = `${PREFIX}gc.root`;
export const GC_FLAT_LABEL: string = `${PREFIX}gc.flat`;

/** `gc.ref.content`, `gc.ref.content.<any>` and `gc.ref.content/<any>` alike; `gc.ref.contentbad` is none of them. */
function named(rest: string, word: string): boolean {
  return rest === word || rest.startsWith(`${word}.`) || rest.startsWith(`${word}/`);
}

/** The grammar that follows `gc.ref.` and `gc.bref.`: `content`, `image`, `snapshot.<snapshotter>`, each with any tail. */
function target(rest: string, value: string): GcNode | undefined {
  if (value === '') return undefined;
  if (named(rest, 'content')) return { type: 'content', id: value };
  if (named(rest, 'image')) return { type: 'images', id: value };
  const snapshotter = /^snapshot\.([^/]+)(?:\/.*)?$/s.exec(rest)?.[1];
  return snapshotter === undefined ? undefined : { type: `snapshots/${snapshotter}`, id: value };
}

function* labelled(labels: Labels, prefix: string): Generator<GcNode> {
  for (const [key, value] of Object.entries(labels)) {
    if (!key.startsWith(prefix)) continue;
    const node = target(key.slice(prefix.length), value);
    if (node !== undefined) yield node;
  }
}

/** The nodes that a node with these labels keeps. */
export function references(labels: Labels): Generator<GcNode> {
  return labelled(labels, `${PREFIX}gc.ref.`);
}

/** The nodes that keep a node with these labels (`containerd.io/gc.bref.*` on a child names the parent). */
export function backReferences(labels: Labels): Generator<GcNode> {
  return labelled(labels, `${PREFIX}gc.bref.`);
}

/** Any label whose key starts `containerd.io/gc.root`, whatever its value, if not empty. */
export function isRoot(labels: Labels): boolean {
  return Object.entries(labels).some(([key, value]) => key.startsWith(ROOT) && value !== '');
}

/** The `containerd.io/gc.expire` time has passed. A value that is no RFC 3339 time never passes, as in containerd. */
export function isExpired(labels: Labels, now: number): boolean {
  const text = labels[`${PREFIX}gc.expire`];
  if (text === undefined) return false;
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/i.test(text)) return false;
  return Date.parse(text) <= now;
}
