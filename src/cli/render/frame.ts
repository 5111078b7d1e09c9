/** The display of a pull as lines: ctr 1.6's table, with the layer count of unpacking. */
import type { BlobRow, ProgressState, UnpackRow } from './progress-state.ts';
import { fetchedBytes } from './progress-state.ts';
import { align } from './tabwriter.ts';
import { safe } from './text.ts';
import { binarySize, offsetSize, totalSize } from './units.ts';

export interface FrameOptions {
  /** Milliseconds since the start. */
  readonly elapsed: number;
  /** Longer lines are cut. Not given: no line is cut. */
  readonly columns?: number | undefined;
  readonly colour: boolean;
  /** The most rows of blobs shown; see `choose`. */
  readonly maxRows?: number;
}

const BAR = 40;
const MIN_BAR = 12;
const GREEN = '\u001b[32m';
const RESET = '\u001b[0m';
const SGR = /\u001b\[[0-9;]*m/g;

/** Lines without newlines, each at most `columns` wide. */
export function frame(state: ProgressState, opts: FrameOptions): string[] {
  const { columns } = opts;
  const full = layout(state, opts, BAR, false);
  if (columns === undefined) return full;
  if (widest(full) <= columns) return full.map((line) => line.trimEnd());
  const short = layout(state, opts, BAR, true);
  const over = widest(short) - columns;
  const fit = over <= 0 ? short : layout(state, opts, Math.max(MIN_BAR, BAR - over), true);
  return fit.map((line) => cut(line.trimEnd(), columns));
}

function layout(state: ProgressState, opts: FrameOptions, bar: number, short: boolean): string[] {
  const name = (key: string) => safe(short ? key.replace(/(sha\d+:[0-9a-f]{12})[0-9a-f]+/, '$1') : key);
  const resolved = state.root !== undefined;
  const draw = (share: number) => progressBar(share, bar, opts.colour);
  const one = `${name(state.name)}:\t${resolved ? 'resolved' : 'resolving'}\t${draw(resolved ? 1 : 0)}\t`;
  const rows = state.images === undefined ? [one] : imageRows(state.images, name, draw);
  const { shown, hidden } = choose(state, opts.maxRows ?? Number.POSITIVE_INFINITY);
  for (const [key, row] of shown) {
    const sizes = isMoving(row);
    const cells = sizes ? `${offsetSize(row.offset)}/${binarySize(row.size)}\t` : '';
    rows.push(`${name(key)}:\t${row.status}\t${draw(shareOf(row))}\t${cells}`);
  }
  const seconds = opts.elapsed / 1000;
  const bytes = fetchedBytes(state);
  const rate = seconds > 0 ? Math.trunc(bytes / seconds) : 0;
  rows.push(
    `elapsed: ${seconds.toFixed(1).padEnd(4)}s\ttotal: ${totalSize(bytes)}\t(${binarySize(rate)}/s)\t`,
  );
  const lines = align(rows.join('\n')).split('\n');
  if (hidden > 0) lines.splice(-1, 0, `(${hidden} more)`);
  return [
    ...lines,
    ...shownUnpacks(state).map((row) => unpackLine(row, name)),
    ...(state.syncing ? ['syncing'] : []),
    ...(state.waiting === undefined ? [] : [state.waiting]),
  ];
}

/** Of many images only those that go on. */
function shownUnpacks({ images, unpacks }: ProgressState): readonly UnpackRow[] {
  return images === undefined ? unpacks : unpacks.filter((row) => images.open.has(row.image ?? ''));
}

/** A row for all images, and one for each that is in work. */
function imageRows(
  { count, open, done, failed }: NonNullable<ProgressState['images']>,
  name: (key: string) => string,
  draw: (share: number) => string,
): string[] {
  const ended = done + failed;
  const state = failed > 0 ? `${ended} ended, ${failed} failed` : `${ended} done`;
  const all = `${count} images:\t${state}\t${draw(count > 0 ? ended / count : 1)}\t`;
  return [all, ...[...open].map((image) => `${name(image)}:\tin work\t\t`)];
}

/** Leaves out rows beyond `most`: finished and waiting ones, the earliest first. */
function choose(state: ProgressState, most: number): { shown: [string, BlobRow][]; hidden: number } {
  const all = [...state.blobs];
  let excess = all.length - most;
  if (excess <= 0) return { shown: all, hidden: 0 };
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

/** `|++++----|`: `width` columns, bars included. */
export function progressBar(share: number, width: number, colour: boolean): string {
  const room = width - 2;
  const done = Math.floor(room * Math.min(1, Math.max(0, share)));
  const [on, off] = colour ? [GREEN, RESET] : ['', ''];
  return `|${on}${'+'.repeat(done)}${off}${'-'.repeat(room - done)}|`;
}

function unpackLine(row: UnpackRow, name: (key: string) => string): string {
  const line = `unpacking ${safe(row.platform)} ${name(row.target)}...`;
  if (row.chainId !== undefined) return line;
  const part = row.current === undefined ? '' : ` (${Math.min(100, Math.floor(row.current.share * 100))}%)`;
  return row.count === 0 ? line : `${line} ${row.ready.size}/${row.count} layers${part}`;
}

/** The number of columns that a line takes: escapes take none. */
export function visibleWidth(line: string): number {
  return [...line.replace(SGR, '')].length;
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
    const kept = [...part].slice(0, room);
    out += kept.join('');
    room -= kept.length;
  }
  return out;
}
