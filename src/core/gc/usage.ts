/** What takes room in a store, whole and image by image. No I/O. */
import { Graph, nodeKey } from './graph.ts';
import type { GcNode } from './references.ts';
import { planCollection, type Survey, type SurveyedNamespace } from './survey.ts';

/** How many, and their bytes. */
export interface Sum {
  /** How many. */
  readonly count: number;
  /** Their bytes. */
  readonly bytes: number;
}

/** What one image takes. */
export interface ImageUsage {
  /** The namespace of its record. */
  readonly namespace: string;
  /** The name of its record. */
  readonly name: string;
  /** Bytes of the blobs that are here. */
  readonly content: number;
  /** Bytes of the unpacked layers. */
  readonly snapshots: number;
  /** The part of both that no other image refers to. */
  readonly unique: number;
  /** The part of both that other images refer to, too. */
  readonly shared: number;
}

/** What a store takes. */
export interface StoreUsage {
  /** Image by image. */
  readonly images: readonly ImageUsage[];
  /** The blobs; one that several namespaces have counts once. */
  readonly content: Sum;
  /** The unpacked layers, and what is written over them. */
  readonly snapshots: Sum;
  /** Downloads that are under way or were interrupted. */
  readonly partial: Sum;
  /** Files without a record. */
  readonly strays: Sum;
  /** Bytes of the database and of the store's other files. */
  readonly records: number;
  /** Bytes of all that. */
  readonly total: number;
  /** Bytes that a collection would free now. */
  readonly reclaimable: number;
}

/** What an image reaches, with its bytes: by a key that two namespaces share for one blob. */
type Parts = ReadonlyMap<string, { readonly type: GcNode['type']; readonly bytes: number }>;

function partsOf(graph: Graph, { name: namespace, bytes }: SurveyedNamespace, image: string): Parts {
  const parts = new Map<string, { type: GcNode['type']; bytes: number }>();
  for (const [key, { type }] of graph.reach({ type: 'images', id: image })) {
    const size = bytes.get(key);
    if (size === undefined) continue;
    parts.set(type === 'content' ? key : `${namespace}\0${key}`, { type, bytes: size });
  }
  return parts;
}

function sum(sizes: Iterable<number>): Sum {
  let [count, bytes] = [0, 0];
  for (const size of sizes) {
    count++;
    bytes += size;
  }
  return { count, bytes };
}

function imageUsages(namespaces: readonly SurveyedNamespace[]): ImageUsage[] {
  const images = namespaces.flatMap((one) => {
    const graph = new Graph(one.state);
    return one.state.images.map(({ name }) => ({
      namespace: one.name,
      name,
      parts: partsOf(graph, one, name),
    }));
  });
  const users = new Map<string, number>();
  for (const { parts } of images) for (const key of parts.keys()) users.set(key, (users.get(key) ?? 0) + 1);
  return images.map(({ namespace, name, parts }) => {
    const usage = { content: 0, snapshots: 0, unique: 0, shared: 0 };
    for (const [key, { type, bytes }] of parts) {
      if (type === 'content') usage.content += bytes;
      else if (type.startsWith('snapshots/')) usage.snapshots += bytes;
      else continue;
      usage[users.get(key) === 1 ? 'unique' : 'shared'] += bytes;
    }
    return { namespace, name, ...usage };
  });
}

/** The sizes of all records of a type; a blob that several namespaces have counts once. */
function sizesOf({ namespaces }: Survey, isWanted: (type: string) => boolean): number[] {
  const sizes = new Map<string, number>();
  for (const { name, bytes } of namespaces) {
    for (const [key, size] of bytes) {
      const type = key.slice(0, key.indexOf('\0'));
      if (isWanted(type)) sizes.set(type === 'content' ? key : nodeKey(name, key), size);
    }
  }
  return [...sizes.values()];
}

/** Bytes of all that a store has. */
export function totalOf(survey: Survey): number {
  const { content, snapshots, partial, strays } = sumsOf(survey);
  return content.bytes + snapshots.bytes + partial.bytes + strays.bytes + survey.records;
}

function sumsOf(survey: Survey): Pick<StoreUsage, 'content' | 'snapshots' | 'partial' | 'strays'> {
  const content = sum(sizesOf(survey, (type) => type === 'content'));
  const snapshots = sum(sizesOf(survey, (type) => type.startsWith('snapshots/')));
  const partial = sum(sizesOf(survey, (type) => type === 'ingests'));
  const strays = sum(survey.strays.map(({ bytes }) => bytes));
  return { content, snapshots, partial, strays };
}

export function usageOf(survey: Survey): StoreUsage {
  return {
    images: imageUsages(survey.namespaces),
    ...sumsOf(survey),
    records: survey.records,
    total: totalOf(survey),
    reclaimable: planCollection(survey).bytes,
  };
}
