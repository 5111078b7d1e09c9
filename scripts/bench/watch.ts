/** What a program and all that it starts take of the machine, by looking at /proc while it runs. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Usage {
  /** Bytes: the highest resident sizes (VmHWM) of all processes, summed; the program's own pages of its file are in it. */
  readonly peakRss: number;
  /** Bytes: the highest sum of memory that is in no file (Anonymous), of those looked at. */
  readonly peakAnonymous: number;
  readonly processes: number;
}

const INTERVAL_MS = 20;

/** Looks until `stop` is called. The high-water marks are the kernel's own: only a process's very end can be missed. */
export function watch(pid: number): { stop(): Usage } {
  const highs = new Map<number, number>();
  let peakAnonymous = 0;
  const look = (): void => {
    let anonymous = 0;
    for (const one of tree(pid)) {
      const high = kibibytes(`/proc/${one}/status`, 'VmHWM');
      if (high > 0) highs.set(one, Math.max(highs.get(one) ?? 0, high));
      anonymous += kibibytes(`/proc/${one}/smaps_rollup`, 'Anonymous');
    }
    peakAnonymous = Math.max(peakAnonymous, anonymous);
  };
  look();
  const timer = setInterval(look, INTERVAL_MS);
  return {
    stop: () => {
      clearInterval(timer);
      const peakRss = [...highs.values()].reduce((sum, one) => sum + one, 0);
      return { peakRss, peakAnonymous, processes: highs.size };
    },
  };
}

/** A process and its descendants. */
function tree(pid: number): number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const children = tasks.flatMap((task) => {
      const text = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8');
      return text.split(' ').filter((word) => word !== '');
    });
    return [pid, ...children.flatMap((child) => tree(Number(child)))];
  } catch {
    return [];
  }
}

function kibibytes(path: string, name: string): number {
  try {
    const text = readFileSync(path, 'utf8');
    return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
