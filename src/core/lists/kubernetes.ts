/** Kubernetes manifests: every `image` at any depth, in pods and in resources of operators. */
import { isMapping, type Mapping, textOf } from './fields.ts';
import type { ListBuilder } from './list.ts';

/** Levels of nodes, and nodes of one document: aliases make few nodes of a text many nodes of its value. */
const MAX_DEPTH = 100;
const MAX_NODES = 1_000_000;

/**
 * Adds the texts of all keys `image`, and of `image.reference` (image volumes). Definitions of resources are left out: there `image` is
 * the name of a field.
 */
export function addImageKeys(list: ListBuilder, document: Mapping, at: string): void {
  if (document.kind === 'CustomResourceDefinition') return;
  const name = isMapping(document.metadata) ? textOf(document.metadata.name) : undefined;
  const place = `${at}, ${String(document.kind)}${name === undefined ? '' : ` ${name}`}`;
  const walk = new NodeWalk(document);
  for (let value = walk.next(); value !== undefined; value = walk.next()) {
    if (isMapping(value)) {
      if (isDefinition(value)) continue;
      addImage(list, value.image, place);
    }
    if (walk.push(Array.isArray(value) ? value : Object.values(value))) continue;
    list.refuse(place, 'it is too large, or nested too deeply');
    return;
  }
}

/** Visits the mappings and lists of a value, parents first. */
class NodeWalk {
  readonly #open: { readonly value: object; readonly depth: number }[];
  #depth = 0;
  #nodes = 1;

  constructor(root: object) {
    this.#open = [{ value: root, depth: 0 }];
  }

  next(): object | undefined {
    const next = this.#open.pop();
    this.#depth = next?.depth ?? 0;
    return next?.value;
  }

  /** The children of the last one. The first comes last, and is taken first. False for too many nodes, or too deep ones. */
  push(values: readonly unknown[]): boolean {
    const depth = this.#depth + 1;
    for (const value of [...values].reverse()) {
      if (typeof value !== 'object' || value === null) continue;
      if (++this.#nodes > MAX_NODES || depth > MAX_DEPTH) return false;
      this.#open.push({ value, depth });
    }
    return true;
  }
}

function isDefinition({ kind, apiVersion }: Mapping): boolean {
  return kind === 'CustomResourceDefinition' && textOf(apiVersion) !== undefined;
}

function addImage(list: ListBuilder, image: unknown, place: string): void {
  const text = textOf(image) ?? (isMapping(image) ? textOf(image.reference) : undefined);
  if (text !== undefined) list.add(text, place);
}
