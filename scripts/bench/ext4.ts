/** A file system of its own for stores: ext4 in a loop file. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SIZE_GIB = 24;

/** Made below `dir`, mounted until disposed. Needs root. */
export function ext4(dir: string): { readonly path: string } & Disposable {
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
    [Symbol.dispose]: () => {
      sh('umount', path);
      rmSync(file);
      rmSync(path, { recursive: true });
    },
  };
}
