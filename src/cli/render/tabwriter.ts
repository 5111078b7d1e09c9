/**
 * Go's text/tabwriter, without its filter flags: a tab ends a cell; a column is a run of lines that have that cell, and is
 * as wide as its widest cell. Text after the last tab of a line is not part of any column.
 */

export interface TabFormat {
  readonly minWidth: number;
  readonly tabWidth: number;
  readonly padding: number;
  readonly padChar: ' ' | '\t';
}

/** ctr's format of images, leases and snapshots. */
export const SPACES: TabFormat = { minWidth: 1, tabWidth: 8, padding: 1, padChar: ' ' };

/** ctr's format of content. */
export const TABS: TabFormat = { minWidth: 1, tabWidth: 8, padding: 1, padChar: '\t' };

type Cells = readonly string[];

/** Aligns `text`, lines of tab-terminated cells. Widths are numbers of code points, as in Go. */
export function align(text: string, format: TabFormat = SPACES): string {
  const lines = text.split('\n').map((line) => line.split('\t'));
  const out: string[] = [];
  block(lines, 0, lines.length, [], format, out);
  return out.join('\n');
}

/** Writes the lines `from` to `to`, whose first columns have `widths`: finds the runs of the next column. */
function block(
  lines: readonly Cells[],
  from: number,
  to: number,
  widths: readonly number[],
  format: TabFormat,
  out: string[],
): void {
  const column = widths.length;
  let written = from;
  for (let at = from; at < to; at++) {
    if (!hasColumn(lines[at], column)) continue;
    writeLines(lines, written, at, widths, format, out);
    const start = at;
    let width = format.minWidth;
    for (; at < to && hasColumn(lines[at], column); at++) {
      width = Math.max(width, lengthOf(lines[at]?.[column] ?? '') + format.padding);
    }
    block(lines, start, at, [...widths, width], format, out);
    written = at;
  }
  writeLines(lines, written, to, widths, format, out);
}

function hasColumn(line: Cells | undefined, column: number): boolean {
  return line !== undefined && column < line.length - 1;
}

function writeLines(
  lines: readonly Cells[],
  from: number,
  to: number,
  widths: readonly number[],
  format: TabFormat,
  out: string[],
): void {
  for (const line of lines.slice(from, to)) {
    out.push(line.map((cell, i) => cell + pad(lengthOf(cell), widths[i], format)).join(''));
  }
}

function pad(have: number, width: number | undefined, format: TabFormat): string {
  if (width === undefined) return '';
  if (format.padChar === ' ') return ' '.repeat(width - have);
  const stop = Math.ceil(width / format.tabWidth) * format.tabWidth;
  return '\t'.repeat(Math.ceil((stop - have) / format.tabWidth));
}

function lengthOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
