/**
 * The one executable: the running Node with the bundle inside
 * (nodejs.org/api/single-executable-applications.html). Node's own `useCodeCache` keeps what compiles at once, which is
 * few functions; ours has all of them compiled, so that a start compiles nothing.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import v8 from 'node:v8';
import vm from 'node:vm';

const FILENAME = 'hawser.mjs';

/** What Node runs. A cache that V8 does not take (none is known) costs only time. */
const LOADER = `const { getAsset, getRawAsset } = require('node:sea');
const { Script } = require('node:vm');
const cachedData = new Uint8Array(getRawAsset('cache'));
const script = new Script(getAsset('source', 'utf8'), { filename: '${FILENAME}', cachedData });
script.runInThisContext()(require('node:module').createRequire);
`;

/** The module as a function of all it imports, in ASCII: text of one byte a character is read and scanned fastest. */
function asFunction(module: string): string {
  const [head, createRequire] = /^import\{createRequire as ([\w$]+)\}from"module";/.exec(module) ?? [];
  if (head === undefined || createRequire === undefined)
    throw new Error('The bundle does not begin as it did');
  const body = module.slice(head.length).replaceAll('import.meta.url', JSON.stringify(`file:///${FILENAME}`));
  const ascii = body.replaceAll(
    /[^\x00-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `(function (${createRequire}) {"use strict";${ascii}\n})`;
}

/** The flag decides what is compiled, and must be as V8 finds it later: a cache made under other flags is not taken. */
function codeCache(source: string): Uint8Array {
  v8.setFlagsFromString('--no-lazy');
  try {
    const script = new vm.Script(source, { filename: FILENAME });
    v8.setFlagsFromString('--lazy');
    return script.createCachedData();
  } finally {
    v8.setFlagsFromString('--lazy');
  }
}

/** `module`: the text of the bundle. `scratch`: a directory for what goes into the executable. */
export function makeExecutable(module: string, output: string, scratch: string): void {
  const path = (name: string): string => join(scratch, name);
  const source = asFunction(module);
  writeFileSync(path('loader.cjs'), LOADER);
  writeFileSync(path('source.js'), source);
  writeFileSync(path('cache.bin'), codeCache(source));
  const sea = {
    main: path('loader.cjs'),
    output,
    assets: { source: path('source.js'), cache: path('cache.bin') },
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
