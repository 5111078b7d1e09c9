/** Times that node:fs cannot set, by touch(1). */
import { type BigIntStats, closeSync } from 'node:fs';
import type { TimeSpec } from '../../core/ports/syscalls.ts';
import { handle, requireTool, runTool } from './tools-run.ts';

/** node:fs takes doubles, and Node takes a negative one for now. */
export function plain(time: TimeSpec): boolean {
  return time.nsec === 0 && time.sec >= 0;
}

/** `-c`: without opening what the last arguments name (`Node.args` of tools-reach.ts). */
export function touch(target: readonly string[], atime: TimeSpec, mtime: TimeSpec, doing: string): void {
  const a = touchDate(atime);
  const m = touchDate(mtime);
  if (a === m) {
    runTool('touch', ['-c', '-d', a, ...target], doing);
  } else {
    runTool('touch', ['-c', '-a', '-d', a, ...target], doing);
    runTool('touch', ['-c', '-m', '-d', m, ...target], doing);
  }
}

/** How many descriptors may wait. */
const MAX_WAITING = 64;

/**
 * Times of regular files that wait to be set, so that one xargs(1) sets many: xargs starts a tool in a tenth of the time that
 * this process takes. Each waits with an O_PATH descriptor of its own, whatever becomes of the name.
 */
export class WaitingTimes {
  readonly #waiting = new Map<string, { fd: number; atime: TimeSpec; mtime: TimeSpec }>();

  /** Takes the descriptor over. */
  add(fd: number, stat: BigIntStats, atime: TimeSpec, mtime: TimeSpec): void {
    if (this.holds(stat)) this.flush();
    this.#waiting.set(keyOf(stat), { fd, atime, mtime });
    if (this.#waiting.size >= MAX_WAITING) this.flush();
  }

  get empty(): boolean {
    return this.#waiting.size === 0;
  }

  holds(stat: BigIntStats): boolean {
    return this.#waiting.has(keyOf(stat));
  }

  /** Before a call that changes a file's times: sets those that wait for the file. `stat` is asked only when some wait. */
  settle(stat: () => BigIntStats): void {
    if (!this.empty && this.holds(stat())) this.flush();
  }

  flush(): void {
    if (this.empty) return;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    try {
      const doing = `setting the times of ${waiting.length} files`;
      const args = waiting.flatMap(({ fd, atime, mtime }) => {
        const [a, m] = [touchDate(atime), touchDate(mtime)];
        const both = ['-c', '-d', m, handle(fd)];
        return a === m ? both : ['-ca', '-d', a, handle(fd), '-cm', '-d', m, handle(fd)];
      });
      const input = args.map((arg) => `${arg}\0`).join('');
      runTool('xargs', ['-0', '-n', '4', requireTool('touch', doing)], doing, input);
    } finally {
      for (const { fd } of waiting) closeSync(fd);
    }
  }
}

function keyOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** Seconds with a fraction, as a decimal number: one second before the epoch and 5 ns is `@-0.999999995`. */
export function touchDate({ sec, nsec }: TimeSpec): string {
  const negative = sec < 0 && nsec > 0;
  const whole = negative ? -(sec + 1) : sec;
  const part = negative ? 1_000_000_000 - nsec : nsec;
  return `@${negative ? '-' : ''}${whole}.${String(part).padStart(9, '0')}`;
}
