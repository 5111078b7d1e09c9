/**
 * A disk whose power can be cut: ext4 in a loop file. A cut stops the program, copies the file once the disk is quiet, kills the
 * program, and mounts the copy in the place of the disk, which replays the journal. What was only in memory is gone then.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MIB = 96;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Journals differ in the order that data and names reach the disk in. */
export const MODES: readonly string[] = ['data=ordered', 'data=writeback', 'data=ordered,commit=1'];

export class CuttableDisk {
  readonly #dir: string;
  #boot = 0;
  #cuts = 0;

  /** `dir` has to be on a file system of its own (tmpfs), and holds the files of the disk. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  get path(): string {
    return join(this.#dir, 'disk');
  }

  get #file(): string {
    return join(this.#dir, `disk-${this.#cuts}.img`);
  }

  async format(): Promise<void> {
    fs.mkdirSync(this.path, { recursive: true });
    await run('truncate', ['--size', `${MIB}M`, this.#file]);
    await run('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', this.#file]);
    await run('tune2fs', ['-O', 'has_journal', this.#file]);
  }

  /** Mounts the disk for a new boot. */
  async start(mode: string): Promise<void> {
    this.#boot++;
    const id = `00000000-0000-4000-8000-${String(this.#boot).padStart(12, '0')}\n`;
    fs.writeFileSync(join(this.#dir, 'boot_id'), id);
    await run('mount', ['-o', `loop,${mode}`, this.#file, this.path]);
  }

  /** The command as it is run under this boot, in a mount namespace of its own. */
  command(command: readonly string[]): [string, ...string[]] {
    const script = `mount --bind ${join(this.#dir, 'boot_id')} ${BOOT_ID} && exec "$@"`;
    return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...command];
  }

  /** False when the disk did not become quiet, or the copy is no file system: then the disk is as it was. */
  async cut(pid: number): Promise<boolean> {
    signal(pid, 'SIGSTOP');
    const [before, after] = [this.#file, join(this.#dir, `disk-${this.#cuts + 1}.img`)];
    const quiet = await quietCopy(before, after);
    signal(pid, 'SIGKILL');
    await this.stop();
    if (!quiet || !(await isSound(after))) {
      fs.rmSync(after, { force: true });
      return false;
    }
    this.#cuts++;
    fs.rmSync(before);
    return true;
  }

  async stop(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await run('umount', [this.path]);
        return;
      } catch (err) {
        if (tries === 50) throw err;
        await sleep(50);
      }
    }
  }
}

function signal(pid: number, name: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // The program has ended.
  }
}

/** Two copies that are equal: nothing was written between. */
async function quietCopy(from: string, to: string): Promise<boolean> {
  const second = `${to}.2`;
  try {
    for (let tries = 0; tries < 20; tries++) {
      await run('cp', ['--sparse=always', from, to]);
      await run('cp', ['--sparse=always', from, second]);
      const same = await run('cmp', ['-s', to, second]).then(
        () => true,
        () => false,
      );
      if (same) return true;
    }
    return false;
  } finally {
    fs.rmSync(second, { force: true });
  }
}

/** Whether the journal, replayed on a copy, leaves a file system without errors. */
async function isSound(file: string): Promise<boolean> {
  const copy = `${file}.fsck`;
  try {
    await run('cp', ['--sparse=always', file, copy]);
    await run('e2fsck', ['-p', copy]).catch(() => {});
    return await run('e2fsck', ['-f', '-n', copy]).then(
      () => true,
      () => false,
    );
  } finally {
    fs.rmSync(copy, { force: true });
  }
}

/** Writes some file of a tree to the disk now and then, as the kernel may at any moment; ends with the signal. */
export async function writeBackAtRandom(
  root: string,
  random: () => number,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    const files = fs.existsSync(root) ? safeList(root) : [];
    const file = files[Math.floor(random() * files.length)];
    if (file !== undefined) await run('sync', ['-d', file]).catch(() => {});
    await sleep(5 + random() * 40);
  }
}

function safeList(root: string): string[] {
  try {
    return fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name));
  } catch {
    // A directory went meanwhile.
    return [];
  }
}
