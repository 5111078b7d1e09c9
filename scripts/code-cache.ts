/** V8's caches of compiled functions, and the commands that find out which functions a cache should have. */
import { execFile, execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import process from 'node:process';
import { promisify } from 'node:util';
import v8 from 'node:v8';
import vm from 'node:vm';
import { buildImage, noise, type TestImage } from '../test/registry/image.ts';
import { startRegistry } from '../test/registry/registry.ts';

/** A text that is one function of `createRequire`, and the name that it has in stacks. */
export interface Script {
  readonly source: string;
  readonly filename: string;
}

/**
 * All functions. The flag decides what is compiled, and must be as V8 finds it later: a cache made under other flags is
 * not taken.
 */
export function cacheOfAll({ source, filename }: Script): Uint8Array {
  v8.setFlagsFromString('--no-lazy');
  try {
    const script = new vm.Script(source, { filename });
    v8.setFlagsFromString('--lazy');
    return script.createCachedData();
  } finally {
    v8.setFlagsFromString('--lazy');
  }
}

/** Fails unless a V8 that has done nothing else takes the cache for the script; one that it does not take would go unnoticed. */
export function checkCache(script: string, cache: string): void {
  const check = `const { readFileSync } = require('node:fs');
const cachedData = readFileSync(${JSON.stringify(cache)});
const source = readFileSync(${JSON.stringify(script)}, 'latin1');
process.exit(new (require('node:vm').Script)(source, { cachedData }).cachedDataRejected ? 1 : 0);`;
  try {
    execFileSync(process.execPath, ['-e', check], { stdio: 'inherit' });
  } catch (err) {
    throw new Error(`V8 does not take the code cache of ${script}`, { cause: err });
  }
}

const MAX_TRAINING_MS = 60_000;

/** Commands that move no image. Each is typed often, or completes what is typed. */
const OTHERS: readonly (readonly string[])[] = [
  ['--version'],
  ['help'],
  ['help', 'pull'],
  ['images', 'ls'],
  ['images', 'ls', '-q'],
  ['content', 'ls'],
  ['snapshots', 'ls'],
];

/**
 * Has the program pull (as root; fetch for others) from a registry on loopback, into `store`, and then run other commands there. The
 * program adds what it compiles to the file that CODE_CACHE names.
 */
export async function train(
  program: string,
  store: string,
  caches: { readonly transfers: string; readonly others: string },
): Promise<void> {
  for (const path of [store, ...Object.values(caches)]) rmSync(path, { recursive: true, force: true });
  const registry = await startRegistry();
  const run = async (cache: string, args: readonly string[]): Promise<void> => {
    const env = { ...process.env, CODE_CACHE: cache };
    await promisify(execFile)(program, ['--root', store, ...args], { timeout: MAX_TRAINING_MS, env });
  };
  try {
    const reference = registry.push('sample', 'latest', await sample());
    const verb = process.getuid?.() === 0 ? ['pull'] : ['content', 'fetch'];
    await run(caches.transfers, [...verb, '--progress', 'none', reference]);
    for (const args of OTHERS) await run(caches.others, args);
  } finally {
    await registry[Symbol.asyncDispose]();
    rmSync(store, { recursive: true, force: true });
  }
}

/** Small layers, one of them with zstd, and one for a worker. */
async function sample(): Promise<TestImage> {
  const file = (name: string, data: string | Uint8Array) => ({ name, data, mode: 0o644 });
  return await buildImage({
    layers: [
      { entries: [file('etc/motd', 'first\n'), { name: 'etc/link', type: 'symlink', linkname: 'motd' }] },
      { compression: 'zstd', entries: [file('etc/.wh.motd', ''), file('etc/issue', 'second\n')] },
      { entries: [file('data/noise.bin', noise(1 << 20))] },
    ],
  });
}
