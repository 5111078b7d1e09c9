import { readFileSync } from 'node:fs';
import type { Creation } from '../../core/ports/syscalls.ts';

/** The owner and umask of what this process makes (proc_pid_status(5)). `undefined` where /proc cannot be read. */
export function readCreation(): Creation | undefined {
  let status: string;
  try {
    status = readFileSync('/proc/self/status', 'latin1');
  } catch {
    return undefined;
  }
  // Real, effective, saved and file system ids: the last are those of new files.
  const id = (name: string): number =>
    Number(new RegExp(`^${name}:(?:\\s+\\d+){3}\\s+(\\d+)$`, 'm').exec(status)?.[1] ?? Number.NaN);
  const umask = Number.parseInt(/^Umask:\s+([0-7]+)$/m.exec(status)?.[1] ?? '', 8);
  const creation = { uid: id('Uid'), gid: id('Gid'), umask };
  return Object.values(creation).some(Number.isNaN) ? undefined : creation;
}
