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
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value: document, depth: 0 }];
  let nodes = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next;
    if (++nodes > MAX_NODES || depth > MAX_DEPTH) {
      list.refuse(place, 'it is too large, or nested too deeply');
      return;
    }
    if (Array.isArray(value)) push(open, value, depth);
    else if (isMapping(value)) {
      if (isDefinition(value)) continue;
      addImage(list, value.image, place);
      push(open, Object.values(value), depth);
    }
  }
}

/** The first one comes last, and is taken first. */
function push(
  open: { readonly value: unknown; readonly depth: number }[],
  values: readonly unknown[],
  depth: number,
): void {
  for (const value of [...values].reverse())
    if (typeof value === 'object' && value !== null) open.push({ value, depth: depth + 1 });
}

function isDefinition({ kind, apiVersion }: Mapping): boolean {
  return kind === 'CustomResourceDefinition' && textOf(apiVersion) !== undefined;
}

function addImage(list: ListBuilder, image: unknown, place: string): void {
  const text = textOf(image) ?? (isMapping(image) ? textOf(image.reference) : undefined);
  if (text !== undefined) list.add(text, place);
}
