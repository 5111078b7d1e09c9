/** What the numbers were measured on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg, release, totalmem } from 'node:os';
import { findTool } from '../../test/support/needs.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly os: string;
  /** Of the last minute, when the measuring began: what else was going on. */
  readonly load: number;
}

export function machine(): Machine {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(read('/proc/cpuinfo'))?.[1] ?? 'unknown';
  const os = /^PRETTY_NAME="?([^"\n]*)/m.exec(read('/etc/os-release'))?.[1] ?? 'unknown';
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  return { cpu, cores: availableParallelism(), memoryGiB, kernel: release(), os, load: loadavg()[0] ?? 0 };
}

/** The first line that a program says of its version, without its own name. */
export function versionOf(file: string, ...args: readonly string[]): string {
  const path = file.includes('/') ? file : findTool(file);
  if (path === undefined) return 'absent';
  try {
    const text = execFileSync(path, args.length > 0 ? args : ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return text.split('\n')[0]?.trim() ?? '';
  } catch (err) {
    return `unknown (${String(err).split('\n')[0]})`;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
