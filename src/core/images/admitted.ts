/**
 * The label of an image record that says which entries of an index have come in by that name, where nobody vouches for the index. The same
 * index may have come in whole by another name: labels of content do not tell.
 */
import type { Labels } from '../content/content-store.ts';
import { labelBytes, MAX_LABEL_BYTES } from '../content/labels.ts';
import type { Digest } from '../oci/digest.ts';

/** The digest of the index, then those of entries, comma-separated: of a record that names another digest by now the label says nothing. */
const ADMITTED = 'hawser/admitted';

/** No label: all that the index lists. */
export const ALL_ADMITTED: Labels = { [ADMITTED]: '' };

/** What the label of a record of `root` holds beside what `before`, the labels of that record, has. As many entries as a label may hold. */
export function admittedLabel(root: Digest, entries: Iterable<string>, before: Labels = {}): Labels {
  let value: string = root;
  for (const entry of new Set([...entries, ...(admittedIn(root, before) ?? [])])) {
    const longer = `${value},${entry}`;
    if (labelBytes(ADMITTED, longer) > MAX_LABEL_BYTES) break;
    value = longer;
  }
  return { [ADMITTED]: value };
}

/** Those that a user may take off a record without letting in what was not. */
export function otherLabels(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => key !== ADMITTED));
}

/** The digests of the entries that have come in with `root`, by the labels of a record. Undefined: all. */
export function admittedIn(root: Digest, labels: Labels): ReadonlySet<string> | undefined {
  const [index, ...entries] = (labels[ADMITTED] ?? '').split(',');
  return index === root ? new Set(entries) : undefined;
}
