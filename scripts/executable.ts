/**
 * The one executable: the running Node with the bundle inside
 * (nodejs.org/api/single-executable-applications.html). Node's own `useCodeCache` keeps what compiles at once, which is
 * few functions. Ours keep all of the worker's, and of the main script those that a pull calls, and those that other commands call:
 * a cache of all would be twice as large, and reading it twice as long. What they are an executable tells that is made first, and
 * pulls.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { cacheOfAll, checkCache, type Script, train } from './code-cache.ts';
import { CACHES, LOADER, PLAIN_LOADER, RECORDER, SCRIPTS, scriptOf, workerLoader } from './loaders.ts';
import { hasCompiler } from './static/link.ts';
import type { Machine } from './static/machine.ts';
import { makeStatic } from './static/make-static.ts';

/** A part of the program: its text, and what the bundle has in its place. */
export interface Packed {
  readonly text: string;
  readonly packed: string;
}

/** The bundle as hawser.mjs has it, and the part of it that becomes a file of the executable. */
export interface Program {
  readonly code: string;
  readonly containerd: Packed;
}

const DATA_URL = 'data:text/javascript;base64,';

/** A module as a function of all it imports. */
function asFunction(module: string, filename: string): Script {
  const [head, createRequire] = /^import\{createRequire as ([\w$]+)\}from"module";/.exec(module) ?? [];
  if (head === undefined || createRequire === undefined)
    throw new Error(`The bundle of ${filename} does not begin as it did`);
  const body = module.slice(head.length).replaceAll('import.meta.url', JSON.stringify(`file:///${filename}`));
  return { source: `(function (${createRequire}) {"use strict";${body}\n})`, filename };
}

interface Scripts {
  readonly main: Script;
  readonly worker: Script;
  readonly containerd: Script;
}

/** Takes the worker, a data: URL in the main bundle, and the containerd backend out of it. */
function split({ code, containerd }: Program, cached: boolean): Scripts {
  const [before, after] = halves(halves(code, containerd.packed).join(''), DATA_URL);
  const encoded = /^[\w+/=]+/.exec(after)?.[0];
  if (encoded === undefined) throw new Error('The bundle does not have its worker as it did');
  const loader = `data:text/javascript,${encodeURIComponent(workerLoader(cached))}`;
  return {
    main: asFunction(`${before}${loader}${after.slice(encoded.length)}`, 'hawser.mjs'),
    worker: asFunction(Buffer.from(encoded, 'base64').toString(), 'hawser-worker.mjs'),
    containerd: { source: containerd.text, filename: 'containerd.cjs' },
  };
}

function halves(text: string, at: string): [string, string] {
  const [before, after, ...more] = text.split(at);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error('The bundle does not have its parts as it did');
  return [before, after];
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
    // V8 begins with 1 MiB for young objects, and collects twice before a command has begun: 6 ms of processor time.
    execArgv: [
      '--disable-warning=ExperimentalWarning',
      '--disable-sigusr1',
      '--max-semi-space-size=2',
      '--min-semi-space-size=2',
    ],
    execArgvExtension: 'none',
  };
  writeFileSync(join(scratch, 'sea.json'), JSON.stringify(sea));
  execFileSync(process.execPath, ['--build-sea', 'sea.json'], {
    cwd: scratch,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  chmodSync(join(scratch, output), 0o755);
}

/** The files of the three scripts; of two (`cached`) also V8's caches of all their functions. */
function writeScripts(program: Program, scratch: string, cached: boolean): void {
  const scripts = split(program, cached);
  const write = (name: string, data: string | Uint8Array) => writeFileSync(join(scratch, name), data);
  for (const [name, { source }] of Object.entries(scripts)) write(`${name}.js`, source);
  if (!cached || EARLIER !== undefined) return;
  for (const name of ['worker', 'containerd'] as const) write(`${name}.bin`, cacheOfAll(scripts[name]));
}

/**
 * A directory with the caches of an earlier build of the same source. V8 makes its caches anew each time, and not the same;
 * with these the build gives the same bytes again.
 */
const EARLIER: string | undefined = process.env.HAWSER_CODE_CACHES;

/** Writes main.bin and few.bin: what a pull calls, and what other commands call, compiled. */
async function cacheMain(scratch: string): Promise<void> {
  const path = (name: string): string => join(scratch, name);
  assemble(RECORDER, [...SCRIPTS, 'worker.bin'], 'hawser-trained', scratch);
  const caches = { transfers: path('main.bin'), others: path('few.bin') };
  await train(path('hawser-trained'), path('trained-store'), caches);
  rmSync(path('hawser-trained'));
}

/** For this machine's processor, with V8's caches; dynamically linked. Returns the path. */
async function assembleHere(program: Program, scratch: string): Promise<string> {
  const path = (name: string): string => join(scratch, name);
  writeScripts(program, scratch, true);
  if (EARLIER === undefined) await cacheMain(scratch);
  else for (const name of CACHES) copyFileSync(join(EARLIER, name), path(name));
  for (const name of CACHES) checkCache(path(scriptOf(name)), path(name));
  assemble(LOADER, [...SCRIPTS, ...CACHES], 'hawser-dynamic', scratch);
  return path('hawser-dynamic');
}

/** For another processor; dynamically linked. Returns the path. */
function assembleThere(program: Program, { machine, node }: Target, scratch: string): string {
  writeScripts(program, scratch, false);
  const name = `hawser-dynamic-${machine.name}`;
  assemble(PLAIN_LOADER, SCRIPTS, name, scratch, node);
  return join(scratch, name);
}

/**
 * Writes `output` and says whether it is static; without a compiler it is dynamically linked. `scratch`: a directory for what goes into the executable.
 */
export async function makeExecutable(
  program: Program,
  target: Target,
  output: string,
  scratch: string,
): Promise<'static' | 'dynamic'> {
  const { machine } = target;
  const dynamic =
    machine.name === process.arch
      ? await assembleHere(program, scratch)
      : assembleThere(program, target, scratch);
  const linkage = hasCompiler(machine) ? 'static' : 'dynamic';
  if (linkage === 'static') makeStatic(dynamic, output, machine, join(scratch, `static-${machine.name}`));
  else copyFileSync(dynamic, output);
  rmSync(dynamic);
  return linkage;
}
