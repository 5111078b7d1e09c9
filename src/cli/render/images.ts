import { isComplete } from '../../core/images/inspect.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { CheckRow, ImageRow } from '../views/images.ts';
import { align } from './tabwriter.ts';
import { safe } from './text.ts';
import { binarySize } from './units.ts';

/** `k=v`, sorted by key, comma-joined; `-` for none. */
export function labelCell(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.keys(labels)
    .sort()
    .map((key) => `${key}=${labels[key]}`);
  return pairs.length === 0 ? '-' : pairs.join(',');
}

/** `ctr images list`. */
export function renderImages(rows: readonly ImageRow[]): string {
  const lines = rows.map(({ image, size, platforms }) => [
    image.name,
    image.target.mediaType,
    image.target.digest,
    binarySize(size),
    platforms === undefined || platforms.length === 0 ? '-' : platforms.join(','),
    labelCell(image.labels),
  ]);
  return table(['REF', 'TYPE', 'DIGEST', 'SIZE', 'PLATFORMS', 'LABELS'], lines);
}

/** `ctr images check`: '' without images. The last cell of a row is not padded, as in ctr. */
export function renderChecks(rows: readonly CheckRow[]): string {
  if (rows.length === 0) return '';
  const lines = rows.map((row) => {
    const { name, target } = row.image;
    return [name, target.mediaType, target.digest, ...statusCells(row), String(row.unpacked)];
  });
  const header = 'REF\tTYPE\tDIGEST\tSTATUS\tSIZE\tUNPACKED\t\n';
  return align(header + lines.map((cells) => `${cells.map(safe).join('\t')}\n`).join(''));
}

function statusCells(row: CheckRow): [status: string, size: string] {
  const { status } = row;
  if (status === undefined) return ['error', '-'];
  const here = binarySize(total(status.present));
  if (!status.available) return [`unavailable (${status.present.length}/?)`, `${here}/?`];
  const word = isComplete(status) ? 'complete' : 'incomplete';
  return [
    `${word} (${status.present.length}/${status.required.length})`,
    `${here}/${binarySize(total(status.required))}`,
  ];
}

function total(descs: readonly Descriptor[]): number {
  return descs.reduce((sum, desc) => sum + desc.size, 0);
}

/** A table with every cell padded, as ctr's tables of images and snapshots. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return align([header, ...rows].map((cells) => `${cells.map(safe).join('\t')}\t\n`).join(''));
}
