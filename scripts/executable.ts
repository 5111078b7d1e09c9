/**
 * The one executable: the running Node with the bundle inside
 * (nodejs.org/api/single-executable-applications.html). Node's own `useCodeCache` keeps what compiles at once, which is
 * few functions. Ours keeps all of the worker's, and of the main script those that a pull calls: a cache of all would be
 * twice as large, and reading it twice as long. What they are an executable tells that is made first, and pulls.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { cacheOfAll, checkCache, type Script, train } from './code-cache.ts';

/** What Node runs. A cache that V8 does not take costs only time; building fails then. */
const LOADER = `const { getAsset, getRawAsset } = require('node:sea');
const { createRequire } = require('node:module');
const { Script } = require('node:vm');
const cachedData = new Uint8Array(getRawAsset('main.bin'));
const script = new Script(getAsset('main.js', 'utf8'), { filename: 'hawser.mjs', cachedData });
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
const WORKER_LOADER = `import { getAsset, getRawAsset } from 'node:sea';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
const cachedData = new Uint8Array(getRawAsset('worker.bin'));
const script = new Script(getAsset('worker.js', 'utf8'), { filename: 'hawser-worker.mjs', cachedData });
script.runInThisContext()(createRequire);
`;

const DATA_URL = 'data:text/javascript;base64,';

/** A module as a function of all it imports, in ASCII: text of one byte a character is read and scanned fastest. */
function asFunction(module: string, filename: string): Script {
  const [head, createRequire] = /^import\{createRequire as ([\w$]+)\}from"module";/.exec(module) ?? [];
  if (head === undefined || createRequire === undefined)
    throw new Error(`The bundle of ${filename} does not begin as it did`);
  const body = module.slice(head.length).replaceAll('import.meta.url', JSON.stringify(`file:///${filename}`));
  const ascii = body.replaceAll(
    /[^\x00-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return { source: `(function (${createRequire}) {"use strict";${ascii}\n})`, filename };
}

/** Takes the worker, a data: URL in the main bundle, out of it. */
function split(module: string): { readonly main: Script; readonly worker: Script } {
  const [before, after, ...more] = module.split(DATA_URL);
  const encoded = /^[\w+/=]+/.exec(after ?? '')?.[0];
  if (before === undefined || after === undefined || encoded === undefined || more.length > 0)
    throw new Error('The bundle does not have its worker as it did');
  const loader = `data:text/javascript,${encodeURIComponent(WORKER_LOADER)}`;
  return {
    main: asFunction(`${before}${loader}${after.slice(encoded.length)}`, 'hawser.mjs'),
    worker: asFunction(Buffer.from(encoded, 'base64').toString(), 'hawser-worker.mjs'),
  };
}

/** An executable of the loader and the files `assets` in `scratch`. */
function assemble(loader: string, assets: readonly string[], output: string, scratch: string): void {
  const path = (name: string): string => join(scratch, name);
  writeFileSync(path('loader.cjs'), loader);
  const sea = {
    main: path('loader.cjs'),
    output,
    assets: Object.fromEntries(assets.map((name) => [name, path(name)])),
    disableExperimentalSEAWarning: true,
    execArgv: ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=2'],
    execArgvExtension: 'none',
  };
  writeFileSync(path('sea.json'), JSON.stringify(sea));
  execFileSync(process.execPath, ['--build-sea', path('sea.json')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  chmodSync(output, 0o755);
}

/** `module`: the text of the bundle. `scratch`: a directory for what goes into the executable. */
export async function makeExecutable(module: string, output: string, scratch: string): Promise<void> {
  const path = (name: string): string => join(scratch, name);
  const { main, worker } = split(module);
  writeFileSync(path('main.js'), main.source);
  writeFileSync(path('worker.js'), worker.source);
  writeFileSync(path('worker.bin'), cacheOfAll(worker));
  const common = ['main.js', 'worker.js', 'worker.bin'];
  assemble(recorder(path('main.bin')), common, path('hawser-trained'), scratch);
  await train(path('hawser-trained'), path('trained-store'));
  rmSync(path('hawser-trained'));
  for (const name of ['main', 'worker']) checkCache(path(`${name}.js`), path(`${name}.bin`));
  assemble(LOADER, [...common, 'main.bin'], output, scratch);
}
