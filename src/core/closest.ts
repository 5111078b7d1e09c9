/**
 * The known word that `word` is with one slip of the fingers (a letter too many, too few, wrong, or two in each other's place), two slips
 * from seven letters on; undefined for none. A word that is farther may mean something else: `push` is not `pull`.
 */
export function closest(word: string, known: readonly string[]): string | undefined {
  const most = word.length < 2 ? 0 : word.length < 7 ? 1 : 2;
  let best: string | undefined;
  let least = most + 1;
  for (const candidate of known) {
    const far = distance(word.slice(0, 64), candidate);
    if (far < least) {
      least = far;
      best = candidate;
    }
  }
  return best;
}

/** Edit distance in which neighbours that changed places are one edit (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swap = isSwap(a, i, b, j) ? (before[j - 2] ?? 0) + 1 : change;
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The last two letters of both beginnings changed places. */
function isSwap(a: string, i: number, b: string, j: number): boolean {
  return i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
}
