/** Ranges of a file's bytes that a disk has lost. */
import fs from 'node:fs';

export type Range = readonly [start: number, end: number];

/** The parts of the first range that are not in the second. */
export function without([start, end]: Range, [from, to]: Range): Range[] {
  const rest: Range[] = [
    [start, Math.min(end, from)],
    [Math.max(start, to), end],
  ];
  return rest.filter(([a, b]) => a < b);
}

/** Writes zeros over the bytes; a file that is gone or shorter has nothing more to lose. */
export function zero(path: string, [start, end]: Range): void {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  const length = Math.min(stat?.size ?? 0, end) - start;
  if (stat === undefined || length <= 0) return;
  fs.chmodSync(path, 0o600);
  const file = fs.openSync(path, 'r+');
  fs.writeSync(file, new Uint8Array(length), 0, length, start);
  fs.closeSync(file);
  fs.chmodSync(path, stat.mode & 0o7777);
}
