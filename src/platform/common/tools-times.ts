/** Times that node:fs cannot set, by touch(1). */
import type { TimeSpec } from '../../core/ports/syscalls.ts';
import { handle, runTool } from './tools-run.ts';

/** node:fs takes doubles, and Node takes a negative one for now. */
export function plain(time: TimeSpec): boolean {
  return time.nsec === 0 && time.sec >= 0;
}

/** `-c`: by the path of a descriptor, without opening what is behind it. */
export function touch(fd: number, atime: TimeSpec, mtime: TimeSpec, doing: string): void {
  const a = touchDate(atime);
  const m = touchDate(mtime);
  const path = handle(fd);
  if (a === m) {
    runTool('touch', ['-c', '-d', a, path], doing);
  } else {
    runTool('touch', ['-c', '-a', '-d', a, path], doing);
    runTool('touch', ['-c', '-m', '-d', m, path], doing);
  }
}

/** Seconds with a fraction, as a decimal number: one second before the epoch and 5 ns is `@-0.999999995`. */
export function touchDate({ sec, nsec }: TimeSpec): string {
  const negative = sec < 0 && nsec > 0;
  const whole = negative ? -(sec + 1) : sec;
  const part = negative ? 1_000_000_000 - nsec : nsec;
  return `@${negative ? '-' : ''}${whole}.${String(part).padStart(9, '0')}`;
}
