/** Commands of the executable under strace, which makes one system call of them fail (`-e inject`). */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { exec } from './exec.ts';
import { type Errno, errnosOf } from './fault-points.ts';
import type { Engine, Ran } from './fault-world.ts';
import type { Flavour } from './hawser.ts';

/** In each thread the `nth` call of this system call, counted from 1, whatever the call is about. */
export interface SyscallPoint {
  readonly syscall: string;
  readonly nth: number;
  readonly errno: Errno;
}

/** System calls with their kind in fault-points.ts, which says the errors that they can have. */
const SYSCALLS: Readonly<Record<string, string>> = {
  openat: 'fs.open',
  read: 'fs.read',
  pread64: 'fs.read',
  write: 'fs.write',
  pwrite64: 'fs.write',
  writev: 'fs.write',
  fsync: 'fs.sync',
  fdatasync: 'fs.sync',
  syncfs: 'fs.sync',
  ftruncate: 'fs.write',
  rename: 'fs.rename',
  renameat: 'fs.rename',
  renameat2: 'fs.rename',
  mkdir: 'fs.mkdir',
  mkdirat: 'fs.mkdir',
  unlink: 'fs.remove',
  unlinkat: 'fs.remove',
  rmdir: 'fs.remove',
  linkat: 'fs.link',
  symlinkat: 'fs.symlink',
  mknodat: 'fs.mknod',
  fchmod: 'fs.chmod',
  fchmodat: 'fs.chmod',
  chmod: 'fs.chmod',
  fchownat: 'fs.chown',
  utimensat: 'fs.utimes',
  mount: 'mounter.mount',
  fsopen: 'mounter.mount',
  fsconfig: 'mounter.mount',
  fsmount: 'mounter.mount',
  move_mount: 'mounter.mount',
  umount2: 'mounter.unmount',
};

export function straceEngine({ command }: Flavour): Engine<SyscallPoint> {
  const trace = async (root: string, args: readonly string[], how: readonly string[]): Promise<Ran> => {
    const line = [...how, ...command, '--root', root, ...args];
    const { code, stdout, stderr } = await exec('strace', ['-f', '-qq', ...line], { timeout: 120_000 });
    return { code: code ?? 255, out: stdout, err: stderr, first: [] };
  };
  const run = async (root: string, args: readonly string[], point?: SyscallPoint): Promise<Ran> => {
    if (point === undefined) {
      const [file, ...before] = command;
      const { code, stdout, stderr } = await exec(file, [...before, '--root', root, ...args]);
      return { code: code ?? 255, out: stdout, err: stderr, first: [] };
    }
    const { syscall, nth, errno } = point;
    const log = `${dirname(root)}.strace`;
    const inject = ['-e', `trace=${syscall}`, '-e', `inject=${syscall}:error=${errno}:when=${nth}`];
    const ran = await trace(root, args, ['-o', log, ...inject]);
    const injected = readFileSync(log, 'utf8').includes('(INJECTED)');
    return { ...ran, first: injected ? [''] : [] };
  };
  return {
    run,
    points: async (dir, root, args, few) => {
      const log = `${dir}.strace`;
      const names = Object.keys(SYSCALLS).join(',');
      const ran = await trace(root, args, ['-y', '-o', log, '-e', `trace=${names}`]);
      if (ran.code !== 0) throw new Error(`undisturbed: ${ran.err}`);
      return pointsOf(readFileSync(log, 'utf8'), dir, few);
    },
    show: ({ syscall, nth, errno }) => `${errno} at ${syscall} ${nth}`,
    dropLost: () => {},
  };
}

/** The calls of a log that are about `dir`, each by its number in its thread. */
function pointsOf(log: string, dir: string, few: boolean): SyscallPoint[] {
  const counts = new Map<string, number>();
  const found = new Map<string, Set<number>>();
  for (const line of log.split('\n')) {
    const [, thread, syscall = ''] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (!(syscall in SYSCALLS)) continue;
    const key = `${thread} ${syscall}`;
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    if (line.includes(join(dir, '/')) || line.includes(`${dir}>`) || syscall.startsWith('fs')) {
      found.set(syscall, (found.get(syscall) ?? new Set()).add(nth));
    }
  }
  return [...found].sort().flatMap(([syscall, nths], turn) => {
    const errnos = errnosOf(SYSCALLS[syscall] ?? '');
    const all = [...nths].sort((a, b) => a - b);
    const some = few ? [all[(turn * 7) % all.length] ?? 1] : all;
    const errors = few ? [errnos[turn % errnos.length] ?? ('EIO' as const)] : errnos;
    return some.flatMap((nth) => errors.map((errno) => ({ syscall, nth, errno })));
  });
}
