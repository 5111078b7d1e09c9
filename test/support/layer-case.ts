/** The form of the layer cases, and the entries that they share. */
import { dir, file } from './layer-builder.ts';
import type { LayerEntry } from './reference-tree.ts';
import type { TreeEntry } from './tree.ts';

/** A stack of layers and the one right result. */
export interface Case {
  readonly layers: readonly (readonly LayerEntry[])[];
  readonly want?: readonly string[];
  /** Every way fails with an InvalidArgument that says this. */
  readonly fails?: RegExp;
  readonly attributes?: Readonly<Record<string, Partial<TreeEntry>>>;
  readonly warns?: RegExp;
  /** Thousands of calls: not where each starts a program. */
  readonly deep?: true;
  /** Names in the last layer's own directory. */
  readonly upper?: readonly string[];
}

/** The title of a case: its name, its outcome, and last its tag: `a malformed PAX record: refused (H71)`. */
export function caseTitle(name: string, { fails }: { readonly fails?: RegExp | undefined }): string {
  const tag = / \([A-Z]\d+(?:, [A-Z]\d+)*\)$/.exec(name)?.[0] ?? '';
  const bare = name.slice(0, name.length - tag.length);
  return `${bare}: ${fails === undefined ? 'unpacked by the rules' : 'refused'}${tag}`;
}

export const layer = (...entries: readonly LayerEntry[]): readonly LayerEntry[] => entries;

export const A: readonly LayerEntry[] = layer(dir('a/'), file('a/old', 'old'));
export const D: readonly LayerEntry[] = layer(
  dir('d', { mode: 0o700, uid: 5, gid: 6, mtime: '77.5', xattrs: { 'user.k': 'v' } }),
  file('d/x', 'x'),
  dir('d/e', { mode: 0o711 }),
  file('d/e/y', 'y'),
);
export const lowerD: Partial<TreeEntry> = {
  mode: '700',
  uid: 5,
  gid: 6,
  mtime: '77500000000',
  xattrs: { 'user.k': '0x76' },
};
export const DEFAULT: Partial<TreeEntry> = { mode: '755', uid: 0, gid: 0, mtime: '0', xattrs: {} };
