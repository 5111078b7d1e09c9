/** proc_pid_mountinfo(5): the mount points, in mount order, with \ooo decoded. */
export function parseMountinfo(text: string): string[] {
  const out: string[] = [];
  for (const line of text.split('\n')) {
    const point = line.split(' ', 5)[4];
    if (point !== undefined) out.push(decodeOctal(point));
  }
  return out;
}

/** The kernel escapes single bytes, all below 0x80 (space, tab, newline, backslash, #). */
function decodeOctal(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
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
