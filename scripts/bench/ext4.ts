/** A file system of its own for stores: ext4 in a loop file. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SIZE_GIB = 24;

/** `refresh` gives back what was removed: else the loop file grows from run to run, and each pays for new blocks. */
export interface Ext4 extends Disposable {
  readonly path: string;
  readonly refresh: () => void;
}

/** Made below `dir`, mounted until disposed. Needs root. */
export function ext4(dir: string): Ext4 {
  const file = join(dir, 'ext4.img');
  const path = join(dir, 'ext4');
  mkdirSync(path, { recursive: true });
  const sh = (command: string, ...args: string[]) =>
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  writeFileSync(file, '');
  sh('truncate', '--size', `${SIZE_GIB}G`, file);
  sh('mkfs.ext4', '-q', '-F', file);
  sh('mount', '-o', 'loop', file, path);
  return {
    path,
    refresh: () => {
      sh('fstrim', path);
      sh('sync');
    },
    [Symbol.dispose]: () => {
      sh('umount', path);
      rmSync(file);
      rmSync(path, { recursive: true });
    },
  };
}
