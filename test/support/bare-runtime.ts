/** The ports a store needs, without workers: for tests in processes that must start quickly. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import type { Workers } from '../../src/core/layers/workers.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { runtimeParts } from '../../src/entry/parts.ts';
import { createHashers } from '../../src/platform/codecs/hashers.ts';
import { createDatabases } from '../../src/platform/files/database.ts';
import { createFileSystem } from '../../src/platform/files/file-system.ts';
import { createClock } from '../../src/platform/process/clock.ts';
import { isDeno } from './needs.ts';

function run(file: string, ...args: string[]): string {
  const done = spawnSync(file, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${file} ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}

function absent(name: string): never {
  throw new Error(`The bare runtime has no ${name}`);
}

const workers: Workers = {
  warm: () => {},
  apply: () => absent('apply'),
  rebase: () => absent('rebase'),
  check: () => absent('check'),
  copyTree: async ({ from, to }) => void run('cp', '-a', `${from}/.`, to),
  usage: async (path) => ({
    size: Number(run('du', '-s', '--block-size=512', path).split('\t')[0]) * 512,
    inodes: Number(run('du', '-s', '--inodes', path).split('\t')[0]),
  }),
  removeTree: async (path) => void run('rm', '-rf', '--one-file-system', path),
  syncfs: async (dirs) =>
    void run('sync', '-f', ...dirs.map((dir) => (typeof dir === 'string' ? dir : dir.path))),
  [Symbol.asyncDispose]: async () => {},
};

/** `overrides` replace ports. */
export function bareRuntime(overrides: Partial<Runtime> = {}): Runtime {
  const kernel = async () => (await runtimeParts()).kernel();
  const output = { isTerminal: false, columns: () => undefined, write: async () => {} };
  return {
    host: {
      runtime: isDeno ? 'deno' : 'node',
      runtimeVersion: process.version,
      os: 'linux',
      arch: 'amd64',
      variant: '',
      pid: process.pid,
      uid: process.getuid?.() ?? 0,
      cpus: 1,
      args: [],
      cwd: () => process.cwd(),
      env: (name) => process.env[name],
      stdout: output,
      stderr: output,
      stdinIsTerminal: false,
      readLine: () => absent('standard input'),
      readBytes: () => absent('standard input'),
      onInterrupt: () => ({ [Symbol.dispose]: () => {} }),
      random: (length) => new Uint8Array(randomBytes(length)),
    },
    clock: createClock(),
    fs: createFileSystem(),
    programs: { run: () => absent('programs') },
    syscalls: async () => (await kernel()).openSyscalls(),
    mounter: async () => (await kernel()).openMounter(),
    hashers: createHashers(),
    codecs: { get: () => absent('codecs'), compressor: () => absent('codecs') },
    databases: createDatabases(),
    transports: { open: () => absent('transports') },
    servers: { listen: () => absent('servers') },
    workers,
    signatures: async () => (await import('../../src/platform/trust/checks.ts')).createSignatureChecks(),
    ...overrides,
  };
}
