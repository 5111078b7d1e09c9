import type { Namespace } from '../../core/content/namespace-store.ts';
import { goJson, sorted } from './go-json.ts';
import { labelCell, table } from './images.ts';

/** `ctr namespaces list`. */
export function renderNamespaces(namespaces: readonly Namespace[]): string {
  return table(
    ['NAME', 'LABELS'],
    namespaces.map(({ name, labels }) => [name, labelCell(labels) === '-' ? '' : labelCell(labels)]),
  );
}

export function renderNamespacesJson(namespaces: readonly Namespace[]): string {
  const all = namespaces.map(({ name, labels }) => ({ name, labels: sorted(labels) }));
  return `${goJson({ v: 1, type: 'namespaces', namespaces: all })}\n`;
}
