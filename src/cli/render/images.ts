import type { Image } from '../../core/images/image-store.ts';
import { type ImageStatus, isComplete } from '../../core/images/inspect.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { CheckRow, ImageRow } from '../views/images.ts';
import { goJson, goTime, type Json, sorted } from './go-json.ts';
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

/** `ctr images list`; where that is wider than a terminal of `columns`, what fits: see `shortTable`. */
export function renderImages(rows: readonly ImageRow[], columns?: number): string {
  const full = fullTable(rows);
  const fits = columns === undefined || full.split('\n').every((line) => line.trimEnd().length <= columns);
  return fits ? full : shortTable(rows, columns);
}

const SHORT_DIGEST = 12;

/** Names as Docker shortens them, beginnings of digests, sizes, and as many platforms as there is room for. A name without room is cut in its middle. */
function shortTable(rows: readonly ImageRow[], columns: number): string {
  const cells = rows.map(({ image, size, platforms = [] }) => ({
    name: safe(familiarName(image.name)),
    digest: image.target.digest.replace(/^.*?:/, '').slice(0, SHORT_DIGEST),
    size: binarySize(size),
    platforms: platforms.map(safe),
  }));
  const widthOf = (texts: readonly string[]): number => Math.max(0, ...texts.map((text) => text.length));
  const sizes = Math.max('SIZE'.length, widthOf(cells.map(({ size }) => size)));
  const rest = columns - SHORT_DIGEST - sizes - 3;
  const names = Math.max(3, Math.min(rest, widthOf(['REF', ...cells.map(({ name }) => name)])));
  const room = rest - names;
  const lines = cells.map(({ name, digest, size, platforms }) => [
    middle(name, names),
    digest,
    size,
    ...(room > 8 ? [asManyAs(platforms, room)] : []),
  ]);
  const header = ['REF', 'DIGEST', 'SIZE', ...(room > 8 ? ['PLATFORMS'] : [])];
  return align([header, ...lines].map((line) => `${line.join('\t')}\n`).join(''));
}

/** `docker.io/library/alpine:3` as people write it; the whole name where a command would take the short one for another image. */
function familiarName(name: string): string {
  const short = name.replace(/^docker\.io\/(?:library\/(?=[^/]+$))?/, '');
  return short === name || isNameOf(short, name) ? short : name;
}

function isNameOf(short: string, name: string): boolean {
  try {
    return parseReference(short).name === name;
  } catch {
    return false;
  }
}

function middle(text: string, room: number): string {
  if (text.length <= room) return text;
  const end = Math.floor((room - 1) / 2);
  return `${text.slice(0, room - 1 - end)}\u2026${text.slice(text.length - end)}`;
}

/** `linux/amd64 +3`. */
function asManyAs(platforms: readonly string[], room: number): string {
  if (platforms.length === 0) return '-';
  for (let count = platforms.length; count > 0; count--) {
    const more = count < platforms.length ? ` +${platforms.length - count}` : '';
    const text = `${platforms.slice(0, count).join(',')}${more}`;
    if (text.length <= room) return text;
  }
  return `${platforms.length}`;
}

function fullTable(rows: readonly ImageRow[]): string {
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

/** The record of an image as JSON; `target` is the descriptor. */
export function imageJson({ name, target, labels, createdAt, updatedAt }: Image): {
  readonly [key: string]: Json;
} {
  const { mediaType, digest, size } = target;
  return {
    name,
    target: { mediaType, digest, size },
    createdAt: goTime(createdAt),
    updatedAt: goTime(updatedAt),
    labels: sorted(labels),
  };
}

/** `platforms` is null where they cannot be told; `size` is of the compressed bytes that are here. */
export function renderImagesJson(rows: readonly ImageRow[]): string {
  const images = rows.map(({ image, size, platforms }) => ({
    ...imageJson(image),
    size,
    platforms: platforms ?? null,
  }));
  return `${goJson({ v: 1, type: 'images', images })}\n`;
}

/** `status` is null where the check itself failed; sizes and numbers are of blobs. */
export function renderChecksJson(rows: readonly CheckRow[]): string {
  const images = rows.map(({ image, status, unpacked }) => ({
    ...imageJson(image),
    status: status === undefined ? null : wordOf(status),
    present: status?.present.map(({ digest }) => digest) ?? [],
    required: status?.available === true ? status.required.map(({ digest }) => digest) : null,
    unpacked,
  }));
  return `${goJson({ v: 1, type: 'checks', images })}\n`;
}

function wordOf(status: ImageStatus): string {
  if (!status.available) return 'unavailable';
  return isComplete(status) ? 'complete' : 'incomplete';
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
  const word = wordOf(status);
  if (!status.available) return [`${word} (${status.present.length}/?)`, `${here}/?`];
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
