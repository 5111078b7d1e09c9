/** Milliseconds of the longest timer of a runtime: a longer one would fire at once. */
export const LONGEST_TIMER: number = 2 ** 31 - 1;

export type Timer = ReturnType<typeof setTimeout>;

/** `setTimeout`; a time that no timer takes becomes the longest (24 days). */
export function startTimer(milliseconds: number, then: () => void): Timer {
  return setTimeout(then, Math.min(milliseconds, LONGEST_TIMER));
}
