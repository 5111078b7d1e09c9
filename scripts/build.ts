/**
 * Makes the artefacts in dist/: lib/ (the library: ES modules with types), hawser.mjs (one file, for Node and Deno), shell/ (the
 * manual page and completions) and hawser-linux-x64 (one executable). Fails if the bundle would need any other file beside it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { brotliCompressSync } from 'node:zlib';
import { makeExecutable, type Packed, type Program, type Target } from './executable.ts';
import { writeLibrary } from './library.ts';
import { writeShellFiles } from './shell-files.ts';
import { MACHINES } from './static/machine.ts';

const root: string = join(import.meta.dirname, '..');
const js: string = join(root, 'build/js');
const dist: string = join(root, 'dist');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

interface Bundle {
  readonly code: string;
  readonly assets: Readonly<Record<string, unknown>>;
}
type Ncc = (entry: string, options: Readonly<Record<string, unknown>>) => Promise<Bundle>;

/** One module out of an entry and all it imports, in ASCII: an ES module, or (`esm` false) the body of a CommonJS one. */
async function bundle(entry: string, filename: string, esm = true): Promise<string> {
  const ncc = createRequire(import.meta.url)('@vercel/ncc') as Ncc;
  const { code, assets } = await ncc(entry, {
    esm,
    filename,
    cache: false,
    quiet: true,
    target: 'es2024',
    minify: true,
  });
  const extra = Object.keys(assets).filter((name) => !isUnused(name));
  if (extra.length > 0)
    throw new Error(`The bundle of ${filename} is not one file: it also needs ${extra.join(', ')}`);
  return ascii(code);
}

/** V8 keeps a text of one byte a character in half the memory, and reads it faster. */
function ascii(code: string): string {
  return code.replaceAll(/[^\x00-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** ncc sets aside what might be read at run time. grpc-js reads definitions of services (xds, channelz) that only servers have. */
function isUnused(asset: string): boolean {
  return asset === 'package.json' || /\.cjs$|\.proto$|(?:^|\/)LICENSE$/.test(asset);
}

/** undici can do without HTTP/2, which we never speak: loading Node's takes 10 ms, and with it TLS and all root certificates. */
function withoutHttp2(code: string): string {
  const without = code.replace(/[\w$]+\(import\.meta\.url\)\("node:http2"\)/, '{constants:{}}');
  if (without === code) throw new Error('The bundle does not load HTTP/2 as it did');
  return without;
}

async function compile(): Promise<void> {
  rmSync(js, { recursive: true, force: true });
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', join(root, 'tsconfig.build.json')], {
    stdio: 'inherit',
  });
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  await writeLibrary(js, join(dist, 'lib'));
  for (const name of readdirSync(js, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.js')) inlineImports(join(js, name));
  }
  parserAlone(join(js, 'src/cli/grammar/words.js'));
}

/** Modules loaded late stay in the one file, still evaluated late, instead of becoming files beside it. */
function inlineImports(path: string): void {
  const text = readFileSync(path, 'utf8');
  const inlined = text.replaceAll(/\bimport\((?=['"](?!node:))/g, 'import(/* webpackMode: "eager" */ ');
  if (inlined !== text) writeFileSync(path, inlined);
}

/** Of yargs we use the parser. What its module loads beside it (locales, emoji tables) would cost a third of every start. */
function parserAlone(path: string): void {
  const text = readFileSync(path, 'utf8');
  const alone = text.replace("'yargs/helpers')).Parser", "'yargs-parser')).default");
  if (alone === text) throw new Error(`${path} does not import the parser as it did`);
  writeFileSync(path, alone);
}

/** The worker travels inside the main bundle as a data: URL, which both runtimes start workers from. */
function inlineWorker(bundled: string): void {
  // A data: URL is no base for others. Only built-in modules are resolved against it, and those are the same from anywhere.
  const code = bundled.replaceAll('import.meta.url', '"file:///hawser-worker.mjs"');
  const url = `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`;
  writeFileSync(
    join(js, 'src/entry/worker-url.js'),
    `export function workerUrl() {\n  return new URL(${JSON.stringify(url)});\n}\n`,
  );
}

/**
 * The containerd backend with gRPC is a quarter of all code, and few commands need it: it travels compressed, which costs a
 * start next to nothing, and is compiled when it is asked for. An executable has it as files of its own, with V8's cache: there
 * the compressed text is empty. An error of its copy of core is told by its kind, as from a worker. Returns the text, and as it is compressed.
 */
async function wrapContainerd(): Promise<Packed> {
  const path = join(js, 'src/backends/containerd/open.js');
  const text = `(function (module, exports, require, __dirname) {${await bundle(path, 'containerd.cjs', false)}\n})`;
  const packed = brotliCompressSync(text).toString('base64');
  writeFileSync(
    path,
    `import process from 'node:process';
import { brotliDecompressSync } from 'node:zlib';
let loaded;
function load() {
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);
  const { Script } = require('node:vm');
  const bytes = Buffer.from('${packed}', 'base64');
  const script = bytes.length > 0 ? new Script(brotliDecompressSync(bytes).toString(), { filename: 'containerd.cjs' }) : own(require, Script);
  const module = { exports: {} };
  script.runInThisContext()(module, module.exports, require, '/');
  return module.exports;
}
function own(require, Script) {
  const { getAsset, getAssetKeys, getRawAsset } = require('node:sea');
  const cachedData = getAssetKeys().includes('containerd.bin') ? new Uint8Array(getRawAsset('containerd.bin')) : undefined;
  return new Script(getAsset('containerd.js', 'utf8'), { filename: 'containerd.cjs', cachedData });
}
export function openContainerdBackend(runtime, options) {
  loaded ??= load();
  return loaded.openContainerdBackend(runtime, options);
}
`,
  );
  return { text, packed };
}

/** Few pulls ask for signatures: sigstore's libraries travel compressed likewise, and are compiled when a policy first asks. */
async function wrapSignatures(): Promise<void> {
  const path = join(js, 'src/platform/trust/checks.js');
  const text = await bundle(path, 'signatures.cjs', false);
  const packed = brotliCompressSync(`(function (module, exports, require, __dirname) {${text}\n})`).toString(
    'base64',
  );
  writeFileSync(
    path,
    `import process from 'node:process';
import { Script } from 'node:vm';
import { brotliDecompressSync } from 'node:zlib';
let loaded;
function load() {
  const { createRequire } = process.getBuiltinModule('node:module');
  const text = brotliDecompressSync(Buffer.from('${packed}', 'base64')).toString();
  const module = { exports: {} };
  new Script(text, { filename: 'signatures.cjs' }).runInThisContext()(module, module.exports, createRequire(import.meta.url), '/');
  return module.exports;
}
export function createSignatureChecks() {
  loaded ??= load();
  return loaded.createSignatureChecks();
}
`,
  );
}

/** Whether our modules import `name` when they begin. A module of undici requires node:worker_threads, too, when it is first used. */
function isLoadedAtStart(code: string, name: string): boolean {
  const call = `[\\w$]+\\(import\\.meta\\.url\\)\\("${name}"\\)`;
  const [, id] = new RegExp(`(\\d+):[\\w$]+=>\\{[\\w$]+\\.exports=${call}`).exec(code) ?? [];
  const imported = id === undefined ? call : `(?:${call}|[\\w$]+\\(${id}\\))`;
  return new RegExp(`(?:var|let|const|,)\\s*[\\w$]+=${imported}`).test(code);
}

async function bundleAll(): Promise<Program> {
  const worker = await bundle(join(js, 'src/entry/worker.js'), 'worker.mjs');
  if (worker.includes('node:tls')) throw new Error('The worker loads HTTP, which it does not need');
  inlineWorker(worker);
  const containerd = await wrapContainerd();
  await wrapSignatures();
  const code = withoutHttp2(await bundle(join(js, 'src/entry/hawser.js'), 'hawser.mjs'));
  if (isLoadedAtStart(code, 'node:worker_threads'))
    throw new Error('Every start loads what threads need, which few commands start');
  return { code, containerd };
}

function script(code: string): void {
  const path = join(dist, 'hawser.mjs');
  writeFileSync(
    path,
    `#!/usr/bin/env -S node --disable-warning=ExperimentalWarning --disable-sigusr1\n${code}`,
  );
  chmodSync(path, 0o755);
  report(path);
}

/** `hawser-linux-x64`, or for a machine of another processor (`--arm64 NODE`: an executable of Node for that one). */
async function executable(program: Program, target: Target): Promise<void> {
  const { machine } = target;
  const path = join(dist, `hawser-linux-${machine.name}`);
  const linkage = await makeExecutable(program, target, path, join(root, 'build'));
  report(path);
  if (linkage === 'dynamic')
    console.log(
      `It is dynamically linked, as its compiler is not here (Debian: apt-get install ${machine.debianPackage})`,
    );
}

function report(path: string): void {
  const mib = statSync(path).size / 2 ** 20;
  console.log(`${path.slice(root.length + 1)}  ${mib.toFixed(1)} MiB`);
}

// ncc names modules as the working directory sees them.
process.chdir(root);
await compile();
const program: Program = await bundleAll();
script(program.code);
writeShellFiles(join(dist, 'shell'), version);
if (process.platform === 'linux' && process.arch === 'x64')
  await executable(program, { machine: MACHINES.x64, node: process.execPath });
const [option, nodeThere] = process.argv.slice(2);
if (option === '--arm64' && nodeThere !== undefined)
  await executable(program, { machine: MACHINES.arm64, node: nodeThere });
console.log(`hawser ${version} built with Node ${process.version}`);
