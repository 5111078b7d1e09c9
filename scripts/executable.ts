/**
 * The one executable: the running Node with the bundle inside
 * (nodejs.org/api/single-executable-applications.html). Node's own `useCodeCache` keeps what compiles at once, which is
 * few functions. Ours keeps all of the worker's, and of the main script those that a pull calls: a cache of all would be
 * twice as large, and reading it twice as long. What they are an executable tells that is made first, and pulls.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { cacheOfAll, checkCache, type Script, train } from './code-cache.ts';
import { hasCompiler } from './static/link.ts';
import type { Machine } from './static/machine.ts';
import { makeStatic } from './static/make-static.ts';

/** What Node runs. A cache that V8 does not take costs only time; building fails then. */
const LOADER = `const { getAsset, getRawAsset } = require('node:sea');
const { createRequire } = require('node:module');
const { Script } = require('node:vm');
const cachedData = new Uint8Array(getRawAsset('main.bin'));
const script = new Script(getAsset('main.js', 'utf8'), { filename: 'hawser.mjs', cachedData });
script.runInThisContext()(createRequire);
`;

/** The same for another processor than this one: V8 takes no cache from here. */
const PLAIN_LOADER = `const { getAsset } = require('node:sea');
const { createRequire } = require('node:module');
const { Script } = require('node:vm');
const script = new Script(getAsset('main.js', 'utf8'), { filename: 'hawser.mjs' });
script.runInThisContext()(createRequire);
`;

/** The same of the executable that pulls first. When it ends, it writes what is compiled by then. */
const recorder = (cache: string): string => `const { getAsset } = require('node:sea');
const { createRequire } = require('node:module');
const { Script } = require('node:vm');
const script = new Script(getAsset('main.js', 'utf8'), { filename: 'hawser.mjs' });
process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(cache)}, script.createCachedData()));
script.runInThisContext()(createRequire);
`;

/** What a worker runs, in the place of the bundled worker. */
const workerLoader = (cached: boolean): string => `import { getAsset, getRawAsset } from 'node:sea';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
const options = { filename: 'hawser-worker.mjs'${cached ? ", cachedData: new Uint8Array(getRawAsset('worker.bin'))" : ''} };
const script = new Script(getAsset('worker.js', 'utf8'), options);
script.runInThisContext()(createRequire);
`;

const DATA_URL = 'data:text/javascript;base64,';

/** A module as a function of all it imports. */
function asFunction(module: string, filename: string): Script {
  const [head, createRequire] = /^import\{createRequire as ([\w$]+)\}from"module";/.exec(module) ?? [];
  if (head === undefined || createRequire === undefined)
    throw new Error(`The bundle of ${filename} does not begin as it did`);
  const body = module.slice(head.length).replaceAll('import.meta.url', JSON.stringify(`file:///${filename}`));
  return { source: `(function (${createRequire}) {"use strict";${body}\n})`, filename };
}

/** Takes the worker, a data: URL in the main bundle, out of it. */
function split(module: string, cached: boolean): { readonly main: Script; readonly worker: Script } {
  const [before, after, ...more] = module.split(DATA_URL);
  const encoded = /^[\w+/=]+/.exec(after ?? '')?.[0];
  if (before === undefined || after === undefined || encoded === undefined || more.length > 0)
    throw new Error('The bundle does not have its worker as it did');
  const loader = `data:text/javascript,${encodeURIComponent(workerLoader(cached))}`;
  return {
    main: asFunction(`${before}${loader}${after.slice(encoded.length)}`, 'hawser.mjs'),
    worker: asFunction(Buffer.from(encoded, 'base64').toString(), 'hawser-worker.mjs'),
  };
}

/** A Node executable to put the program into. */
export interface Target {
  readonly machine: Machine;
  /** Path of the Node executable. */
  readonly node: string;
}

/** An executable of the loader and the files `assets` in `scratch`. Paths are relative: --build-sea writes them into its output. */
function assemble(
  loader: string,
  assets: readonly string[],
  output: string,
  scratch: string,
  node: string = process.execPath,
): void {
  writeFileSync(join(scratch, 'loader.cjs'), loader);
  const sea = {
    main: 'loader.cjs',
    executable: node,
    output,
    assets: Object.fromEntries(assets.map((name) => [name, name])),
    disableExperimentalSEAWarning: true,
    // No inspector by SIGUSR1, which every local user could speak to; none by NODE_OPTIONS either (execArgvExtension).
    execArgv: ['--disable-warning=ExperimentalWarning', '--disable-sigusr1', '--max-semi-space-size=2'],
    execArgvExtension: 'none',
  };
  writeFileSync(join(scratch, 'sea.json'), JSON.stringify(sea));
  execFileSync(process.execPath, ['--build-sea', 'sea.json'], {
    cwd: scratch,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  chmodSync(join(scratch, output), 0o755);
}

function writeScripts(module: string, scratch: string, cached: boolean): void {
  const { main, worker } = split(module, cached);
  writeFileSync(join(scratch, 'main.js'), main.source);
  writeFileSync(join(scratch, 'worker.js'), worker.source);
  if (cached && CACHES === undefined) writeFileSync(join(scratch, 'worker.bin'), cacheOfAll(worker));
}

/**
 * A directory with the main.bin and worker.bin of an earlier build of the same source. V8 makes its caches anew each time,
 * and not the same; with these the build gives the same bytes again.
 */
const CACHES: string | undefined = process.env.HAWSER_CODE_CACHES;

/** Writes main.bin: what a pull calls, compiled. */
async function cacheMain(scratch: string): Promise<void> {
  const path = (name: string): string => join(scratch, name);
  assemble(recorder(path('main.bin')), ['main.js', 'worker.js', 'worker.bin'], 'hawser-trained', scratch);
  await train(path('hawser-trained'), path('trained-store'));
  rmSync(path('hawser-trained'));
}

/** For this machine's processor, with V8's caches; dynamically linked. Returns the path. */
async function assembleHere(module: string, scratch: string): Promise<string> {
  const path = (name: string): string => join(scratch, name);
  writeScripts(module, scratch, true);
  if (CACHES === undefined) await cacheMain(scratch);
  else for (const name of ['main.bin', 'worker.bin']) copyFileSync(join(CACHES, name), path(name));
  for (const name of ['main', 'worker']) checkCache(path(`${name}.js`), path(`${name}.bin`));
  assemble(LOADER, ['main.js', 'worker.js', 'worker.bin', 'main.bin'], 'hawser-dynamic', scratch);
  return path('hawser-dynamic');
}

/** For another processor; dynamically linked. Returns the path. */
function assembleThere(module: string, { machine, node }: Target, scratch: string): string {
  writeScripts(module, scratch, false);
  const name = `hawser-dynamic-${machine.name}`;
  assemble(PLAIN_LOADER, ['main.js', 'worker.js'], name, scratch, node);
  return join(scratch, name);
}

/**
 * Writes `output` and says whether it is static; without a compiler it is dynamically linked. `module`: the text of the
 * bundle. `scratch`: a directory for what goes into the executable.
 */
export async function makeExecutable(
  module: string,
  target: Target,
  output: string,
  scratch: string,
): Promise<'static' | 'dynamic'> {
  const { machine } = target;
  const dynamic =
    machine.name === process.arch
      ? await assembleHere(module, scratch)
      : assembleThere(module, target, scratch);
  const linkage = hasCompiler(machine) ? 'static' : 'dynamic';
  if (linkage === 'static') makeStatic(dynamic, output, machine, join(scratch, `static-${machine.name}`));
  else copyFileSync(dynamic, output);
  rmSync(dynamic);
  return linkage;
}
