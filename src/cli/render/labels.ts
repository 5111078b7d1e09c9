import type { Labels } from '../../core/content/content-store.ts';
import { goJson, sorted } from './go-json.ts';
import { labelCell } from './images.ts';
import { safe } from './text.ts';

/** `k=v,k=v`, as `ctr images label` prints them; '' for none. */
export function renderLabels(of: string, labels: Labels, json: boolean): string {
  if (json) return `${goJson({ v: 1, type: 'labels', of, labels: sorted(labels) })}\n`;
  return Object.keys(labels).length === 0 ? '' : `${safe(labelCell(labels))}\n`;
}
