/** Roots of other systems, made by tests, for programs that are run there by chroot. */
import { copyFileSync, mkdirSync, openSync, readSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { execOk } from './exec.ts';
import { flavour } from './hawser.ts';
import { findTool, needs } from './needs.ts';

export interface Root {
  readonly name: string;
  readonly tools: readonly string[];
  /** Whether there is a shell with what a shell needs. */
  readonly shell: boolean;
  make(dir: string): Promise<void>;
}

export const EMPTY: Root = { name: 'an empty root', tools: [], shell: false, make: async () => {} };

/** With all commands of busybox. */
export const BUSYBOX: Root = {
  name: 'busybox',
  tools: ['busybox'],
  shell: true,
  make: async (dir) => {
    const busybox = findTool('busybox') ?? '';
    place(busybox, dir, 'bin/busybox');
    const { stdout } = await execOk(busybox, ['--list']);
    for (const name of stdout.split('\n')) if (!['', 'busybox'].includes(name)) link(dir, name);
  },
};

export const MUSL: Root = {
  name: 'a root with musl',
  tools: ['musl-gcc'],
  shell: false,
  make: async (dir) => place('/lib/ld-musl-x86_64.so.1', dir),
};

/** As Alpine is: busybox and musl. */
export const ALPINE_LIKE: Root = {
  name: 'busybox and musl',
  tools: [...BUSYBOX.tools, ...MUSL.tools],
  shell: true,
  make: async (dir) => {
    await BUSYBOX.make(dir);
    await MUSL.make(dir);
  },
};

/** Takes a minute. */
export const debian = (suite: string, ...packages: readonly string[]): Root => ({
  name: `Debian ${suite}`,
  tools: ['mmdebstrap'],
  shell: true,
  make: async (dir) => {
    const more = packages.length === 0 ? [] : [`--include=${packages.join(',')}`];
    const args = ['--variant=essential', '--mode=root', ...more, suite, dir];
    await execOk('mmdebstrap', args, { timeout: 300_000 });
  },
});

/** Whether tests are to make roots of Debian. */
export const wantsDebian: boolean = process.env.HAWSER_DEBIAN_ROOTS === '1';

/** Why the executable cannot be tried in a root. */
export function skipRoot(root: Root): string | false {
  const binary = flavour('binary');
  if (binary.skip !== false) return binary.skip;
  if (!isStatic(binary.file ?? '')) return 'the executable was built without a compiler: it is not static';
  return needs({ root: true, tools: root.tools });
}

/** PT_INTERP among the program headers says that a dynamic loader is needed. */
function isStatic(path: string): boolean {
  const bytes = Buffer.alloc(4096);
  readSync(openSync(path, 'r'), bytes);
  const [at, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(56)];
  return !Array.from({ length: count }, (_, n) => bytes.readUInt32LE(at + n * 56)).includes(3);
}

function place(file: string, dir: string, as: string = file): void {
  const path = join(dir, as);
  mkdirSync(dirname(path), { recursive: true });
  copyFileSync(file, path);
}

function link(dir: string, name: string): void {
  symlinkSync('busybox', join(dir, 'bin', name));
}
