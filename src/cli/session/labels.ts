import type { Labels } from '../../core/content/content-store.ts';
import { labelsOf } from './transfer.ts';

/** The labels to set, and ('') those to remove. `current`: with `all`, what is not given is removed. */
export function labelChanges(texts: readonly string[], current: Labels, all: boolean): Labels {
  const given = labelsOf(texts, 'a label');
  if (!all) return given;
  return { ...Object.fromEntries(Object.keys(current).map((key) => [key, ''])), ...given };
}
