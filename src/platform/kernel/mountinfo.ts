import type { MountPoint } from '../../core/ports/mounter.ts';

/** The lines of proc_pid_mountinfo(5), in mount order. */
export function parseMountLines(text: string): MountPoint[] {
  const out: MountPoint[] = [];
  for (const line of text.split('\n')) {
    const [left = '', right = ''] = line.split(' - ', 2);
    const [, , , root, point] = left.split(' ', 5);
    const [type = '', source = '', options = ''] = right.split(' ');
    if (root === undefined || point === undefined) continue;
    out.push({
      point: decodeOctal(point),
      root: decodeOctal(root),
      type,
      source: decodeOctal(source),
      options: options.split(',').map(decodeOctal),
    });
  }
  return out;
}

/** The mount points alone. */
export function parseMountinfo(text: string): string[] {
  return parseMountLines(text).map(({ point }) => point);
}

/** The kernel escapes single bytes, all below 0x80 (space, tab, newline, backslash, #). */
function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Those at or below the directory `real`, once each, with `real` put as `given`. */
export function pointsBelow(points: readonly string[], real: string, given: string): string[] {
  const base = real === '/' ? '' : real;
  const start = given === '/' ? '' : given;
  const out = new Set<string>();
  for (const point of points) {
    if (point === real) out.add(given);
    else if (point.startsWith(`${base}/`)) out.add(start + point.slice(base.length));
  }
  return [...out];
}
