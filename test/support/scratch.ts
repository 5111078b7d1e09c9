/** Directories for stores and mounts: on tmpfs where there is one, and with whatever is mounted below them undone at the end. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { exec, execOk } from './exec.ts';

export interface Scratch extends AsyncDisposable {
  readonly path: string;
}

/** A fresh directory under `base`; not given: HAWSER_TEST_TMP, else /dev/shm, else the system's. */
export function scratch(name = 'hawser-it-', base: string = tempBase()): Scratch {
  const path = mkdtempSync(join(base, name));
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await unmountBelow(path);
      // rm, not fs.rm: names that are not UTF-8 are lost on Deno.
      await execOk('rm', ['-rf', '--one-file-system', path]);
    },
  };
}

function tempBase(): string {
  return process.env.HAWSER_TEST_TMP ?? (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
}

/** Unmounts everything at and below a directory, innermost first. */
export async function unmountBelow(dir: string): Promise<void> {
  for (const target of mountsBelow(dir).reverse()) await exec('umount', ['--lazy', target]);
}

/** Mount points at and below a directory, in the order they were mounted. */
export function mountsBelow(dir: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal) => byteOf(octal)))
    .filter((target) => target === dir || target.startsWith(`${dir}/`));
}

function byteOf(octal: string): string {
  return String.fromCharCode(Number.parseInt(octal, 8));
}
