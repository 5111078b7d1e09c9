/** What the executable, and a worker in it, runs first: scripts that take the program and V8's caches out of the executable. */

/** V8's caches of compiled functions, by the names of the executable's assets. */
export const CACHES: readonly string[] = ['main.bin', 'few.bin', 'worker.bin', 'containerd.bin'];

export const SCRIPTS: readonly string[] = ['main.js', 'worker.js', 'containerd.js'];

/** The script that a cache is of. */
export function scriptOf(cache: string): string {
  return cache === 'few.bin' ? 'main.js' : cache.replace(/\.bin$/, '.js');
}

/**
 * Commands that move images. What others call is an eighth of what a pull does, and reading the cache costs by its size. A word that
 * is no command, but a value, costs time only.
 */
const TRANSFERS = 'pull|fetch|unpack|bundle|bootstrap|import|copy|push';

/** `require` of an executable knows what Node has built in, and costs less than one of createRequire for each module. */
const run = (options: string): string => `const script = new Script(getAsset('main.js', 'utf8'), ${options});
script.runInThisContext()(() => require);
`;

/** A cache that V8 does not take costs only time; building fails then. */
export const LOADER: string = `const { getAsset, getRawAsset } = require('node:sea');
const { Script } = require('node:vm');
const moves = process.argv.some((word) => /^(?:${TRANSFERS})$/.test(word));
const cachedData = new Uint8Array(getRawAsset(moves ? 'main.bin' : 'few.bin'));
${run("{ filename: 'hawser.mjs', cachedData }")}`;

/** The same for another processor than this one: V8 takes no cache from here. */
export const PLAIN_LOADER: string = `const { getAsset } = require('node:sea');
const { Script } = require('node:vm');
${run("{ filename: 'hawser.mjs' }")}`;

/** The same of the executable that is trained: what was compiled before, and what the program compiles, is in the file CODE_CACHE when it ends. */
export const RECORDER: string = `const { getAsset } = require('node:sea');
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');
const cache = process.env.CODE_CACHE;
const cachedData = existsSync(cache) ? readFileSync(cache) : undefined;
process.on('exit', () => writeFileSync(cache, script.createCachedData()));
${run("{ filename: 'hawser.mjs', cachedData }")}`;

/** What a worker runs, in the place of the bundled worker. */
export const workerLoader = (cached: boolean): string => `import { getAsset, getRawAsset } from 'node:sea';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
const require = createRequire('file:///hawser-worker.mjs');
const options = { filename: 'hawser-worker.mjs'${cached ? ", cachedData: new Uint8Array(getRawAsset('worker.bin'))" : ''} };
const script = new Script(getAsset('worker.js', 'utf8'), options);
script.runInThisContext()(() => require);
`;
