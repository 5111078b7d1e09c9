/** The display of a pull as lines: ctr 1.6's table, with the layer count of unpacking, and below it one line about all. */
import { overallLine } from './overall.ts';
import type { BlobRow, ProgressState, UnpackRow } from './progress-state.ts';
import { fetchedBytes } from './progress-state.ts';
import { align } from './tabwriter.ts';
import { safe } from './text.ts';
import { binarySize, paddedSize } from './units.ts';

export interface FrameOptions {
  /** Milliseconds since the start. */
  readonly elapsed: number;
  /** Longer lines are cut. Not given: no line is cut. */
  readonly columns?: number | undefined;
  readonly colour: boolean;
  /** The most lines; what is left out is counted in one of them. Not given: any number. */
  readonly lines?: number | undefined;
  /** Bytes a second, now. */
  readonly rate?: number | undefined;
  /** No time left is told of it. */
  readonly early?: boolean;
}

const BAR = 40;
const MIN_BAR = 12;
/** In fewer columns no row has room for a bar. */
const NARROW = 64;
/** What follows a bar: ` 998.0 KiB/1023.9 MiB`. A bar has the same length with it and without. */
const SIZES = 21;
/** The longest status: `downloading`. */
const STATUS = 11;
const GREEN = '\u001b[32m';
const RESET = '\u001b[0m';
/** A digest, and its beginning. */
const DIGEST = /(sha\d+:[0-9a-f]{12})[0-9a-f]+/;
const SGR = /\u001b\[[0-9;]*m/g;

/**
 * How much a line says: `full` digests; `short` ones, heading and time outside of the table; `narrow`: percentages in place of bars.
 */
type Form = 'full' | 'short' | 'narrow';

/** Lines without newlines, each at most `columns` wide. */
export function frame(state: ProgressState, opts: FrameOptions): string[] {
  const { columns } = opts;
  const full = layout(state, opts, BAR, 'full');
  if (columns === undefined) return full;
  if (widest(full) <= columns) return full.map((line) => line.trimEnd());
  const short = layout(state, opts, BAR, 'short');
  // The heading and the lines below the table may be cut.
  const bars = short.slice(1).map((line) => line.slice(0, line.lastIndexOf('|') + 1));
  const bar = Math.min(BAR, BAR + columns - SIZES - widest(bars));
  const isNarrow = columns < NARROW || bar < MIN_BAR;
  const fit = layout(state, opts, isNarrow ? MIN_BAR : bar, isNarrow ? 'narrow' : 'short');
  return fit.map((line) => cut(line.trimEnd(), columns));
}

function layout(state: ProgressState, opts: FrameOptions, bar: number, form: Form): string[] {
  const name = (key: string) => safe(form === 'full' ? key : key.replace(DIGEST, '$1'));
  const draw: Draw = (share) => (form === 'narrow' ? '' : progressBar(share, bar, opts.colour));
  const [first = '', ...images] = headRows(state, name, draw).map((row) =>
    form === 'full' ? row : withoutTable(row),
  );
  const overall = overallLine(state, opts);
  // Of all blobs, so that no column moves when others are shown.
  const width = Math.max(0, ...[...state.blobs.keys()].map((key) => visibleWidth(name(key)))) + 1;
  const last = [
    ...(state.syncing ? ['syncing'] : []),
    ...(state.waiting === undefined ? [] : [state.waiting]),
    ...(overall === undefined ? [] : [overall]),
  ];
  // The first row and the time are always there.
  const room = (opts.lines ?? Number.POSITIVE_INFINITY) - 2 - last.length;
  if (room < 3) return (last.length > 0 ? last : [first]).slice(-Math.max(1, opts.lines ?? 1));
  const unpacks = shownUnpacks(state).map((row) => unpackLine(row, form === 'narrow' ? undefined : name));
  const few = Math.floor(room / 3);
  const [shownImages, moreImages] = atMost(images, few, 'images');
  const [shownUnpacked, moreUnpacked] = atMost(unpacks, few, 'platforms');
  const rest = room - shownImages.length - moreImages.length - shownUnpacked.length - moreUnpacked.length;
  const { shown, hidden } = choose(state, rest);
  const rows = [
    first,
    ...shownImages,
    ...shown.map(([key, row]) =>
      form === 'narrow'
        ? narrowRow(name(key), row, state)
        : blobRow(`${name(key)}:`.padEnd(width), row, state, draw),
    ),
    timeRow(state, opts, form),
  ];
  const lines = align(rows.join('\n')).split('\n');
  lines.splice(1 + shownImages.length, 0, ...moreImages);
  if (hidden > 0) lines.splice(-1, 0, `(${hidden} more)`);
  return [...lines, ...shownUnpacked, ...moreUnpacked, ...last];
}

/** The first rows, and a line that counts the others. */
function atMost(
  rows: readonly string[],
  most: number,
  name: string,
): [shown: readonly string[], more: string[]] {
  if (rows.length <= most) return [rows, []];
  const shown = rows.slice(0, Math.max(0, most - 1));
  return [shown, [`(${rows.length - shown.length} more ${name})`]];
}

type Draw = (share: number) => string;

/** The image, or all images and those in work. */
function headRows(state: ProgressState, name: (key: string) => string, draw: Draw): string[] {
  if (state.images !== undefined) return imageRows(state.images, name, draw);
  const resolved = state.root !== undefined;
  return [`${name(state.name)}:\t${resolved ? 'resolved' : 'resolving'}\t${draw(resolved ? 1 : 0)}\t`];
}

function blobRow(name: string, row: BlobRow, state: ProgressState, draw: Draw): string {
  const cells = isMoving(row) ? `${paddedSize(row.offset)}/${binarySize(row.size)}\t` : '';
  return `${name}\t${statusOf(row, state).padEnd(STATUS)}\t${draw(shareOf(row))}\t${cells}`;
}

/** After a failure nothing moves. */
function statusOf(row: BlobRow, { ended }: ProgressState): string {
  return ended && isMoving(row) ? 'stopped' : row.status;
}

/** `layer 6382e1a7c1c6  43% downloading`. */
function narrowRow(name: string, row: BlobRow, state: ProgressState): string {
  return `${name.replace(/-sha\d+:/, ' ').padEnd(21)} ${percent(shareOf(row))} ${statusOf(row, state)}`;
}

/** `3 images: 1 done |+++---|`. */
function withoutTable(row: string): string {
  return row.replaceAll('\t', ' ').trimEnd();
}

function timeRow(state: ProgressState, opts: FrameOptions, form: Form): string {
  const seconds = opts.elapsed / 1000;
  const bytes = fetchedBytes(state);
  const rate = seconds > 0 ? Math.trunc(bytes / seconds) : 0;
  const elapsed = `elapsed: ${seconds.toFixed(1).padEnd(4)}s`;
  const total = `total: ${paddedSize(bytes)}`;
  if (form === 'full') return `${elapsed}\t${total}\t(${binarySize(rate)}/s)\t`;
  return `${elapsed} ${total}${form === 'narrow' ? '' : ` (${binarySize(rate)}/s)`}`;
}

/** Of many images only those that go on. */
function shownUnpacks({ images, unpacks }: ProgressState): readonly UnpackRow[] {
  return images === undefined ? unpacks : unpacks.filter((row) => images.open.has(row.image ?? ''));
}

/** A row for all images, and one for each that is in work. */
function imageRows(
  { count, open, done, failed }: NonNullable<ProgressState['images']>,
  name: (key: string) => string,
  draw: Draw,
): string[] {
  const ended = done + failed;
  const state = failed > 0 ? `${ended} ended, ${failed} failed` : `${ended} done`;
  const all = `${count} images:\t${state}\t${draw(count > 0 ? ended / count : 1)}\t`;
  return [all, ...[...open].map((image) => `${name(image)}:\tin work\t\t`)];
}

/** Leaves out rows where there are more than `room`, of which one then says how many: finished and waiting ones, the earliest first. */
function choose(state: ProgressState, room: number): { shown: [string, BlobRow][]; hidden: number } {
  const all = [...state.blobs];
  let excess = all.length - room + 1;
  if (excess <= 1) return { shown: all, hidden: 0 };
  const drop = new Set<string>();
  for (const statuses of [['done', 'exists', 'mounted'], ['waiting'], ['committing', ...MOVING]]) {
    for (const [key, row] of all) {
      if (excess > 0 && statuses.includes(row.status)) {
        drop.add(key);
        excess--;
      }
    }
  }
  return { shown: all.filter(([key]) => !drop.has(key)), hidden: drop.size };
}

const MOVING: readonly string[] = ['following', 'downloading', 'uploading'];

function isMoving({ status }: BlobRow): boolean {
  return MOVING.includes(status);
}

function shareOf(row: BlobRow): number {
  if (row.status === 'waiting') return 0;
  if (isMoving(row)) return row.size > 0 ? row.offset / row.size : 0;
  return 1;
}

function percent(share: number): string {
  return `${Math.floor(100 * Math.min(1, Math.max(0, share)))}%`.padStart(4);
}

/** `|++++----|`: `width` columns, bars included. */
export function progressBar(share: number, width: number, colour: boolean): string {
  const room = width - 2;
  const done = Math.floor(room * Math.min(1, Math.max(0, share)));
  const [on, off] = colour ? [GREEN, RESET] : ['', ''];
  return `|${on}${'+'.repeat(done)}${off}${'-'.repeat(room - done)}|`;
}

/** With the share of all layers that is done. Without `name` the line says it first, as the end may be cut. */
function unpackLine(row: UnpackRow, name: ((key: string) => string) | undefined): string {
  const { platform, target, image, chainId, ready, current, count } = row;
  const what = safe(name === undefined ? (image ?? platform) : platform);
  const line = `unpacking ${what}${name === undefined ? '' : ` ${name(target)}...`}`;
  if (chainId !== undefined || count === 0) return line;
  const done = [...current.values()].reduce((sum, share) => sum + share, ready.size);
  const layers = `${ready.size}/${count} layers (${percent(done / count).trim()})`;
  return name === undefined ? `${layers} of ${what}` : `${line} ${layers}`;
}

/** The number of columns that a line takes: escapes take none, and what a terminal may draw wide two. */
export function visibleWidth(line: string): number {
  let width = 0;
  for (const char of line.replace(SGR, '')) width += widthOf(char);
  return width;
}

/** From Hangul on letters may be wide (Unicode TR 11); box drawing and the like are not. */
function widthOf(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  return code >= 0x1100 && !(code >= 0x1e00 && code < 0x2e80) ? 2 : 1;
}

function widest(lines: readonly string[]): number {
  return lines.reduce((most, line) => Math.max(most, visibleWidth(line.trimEnd())), 0);
}

/** Cuts a line to `columns`. Escapes stay whole, so colour always ends. */
export function cut(line: string, columns: number): string {
  if (visibleWidth(line) <= columns) return line;
  let out = '';
  let room = columns;
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith('\u001b')) {
      out += part;
      continue;
    }
    for (const char of part) {
      room -= widthOf(char);
      if (room < 0) break;
      out += char;
    }
  }
  return out;
}
