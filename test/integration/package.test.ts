/** The package as `npm publish` would send it: small, whole, and installed into an empty project that uses it on every runtime. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from '../support/exec.ts';
import { oneFile } from '../support/hawser.ts';
import { findTool, needs, requirePeer } from '../support/needs.ts';
import { type NpmRegistry, startNpmRegistry } from '../support/npm-registry.ts';
import { Commands, PAGES } from '../support/readme.ts';
import { deno, node22, node26, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const skip = oneFile.skip || needs({ tools: ['npm', 'npx', 'tar', 'sh'] });
const bun = findTool('bun');
if (bun === undefined) requirePeer('bun');
/** Bytes. The library is modules; hawser.mjs has all of them and all packages in it; the guides are an eighth of a megabyte. */
const MAX_PACKED = 1_800_000;
const MAX_LIBRARY = 1_900_000;
const MAX_UNPACKED = 5_450_000;
const QUIET = '--disable-warning=ExperimentalWarning';

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** A program: its arguments are a reference, a directory for a store, and one that it unpacks the image into. */
const program = (from: string): string => `import { fetch, isKind, openStore, unpackRootfs } from '${from}';
const [reference, root, tree] = globalThis.process.argv.slice(2);
const store = await openStore({ root });
try {
  await fetch(reference, { store });
  await unpackRootfs(reference, tree, { store, owner: 'ours' });
} catch (err) {
  console.log(isKind(err, 'Internal'), err);
} finally {
  await store[Symbol.asyncDispose]();
}
`;

describe('the npm package', { skip }, () => {
  let temp: Scratch;
  let packed: Packed;
  let tarball: Buffer;
  let npm: NpmRegistry;
  let images: TestRegistry;
  let reference: string;
  let app: string;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    temp = scratch();
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', temp.path];
    packed = (JSON.parse((await execOk('npm', args, { cwd: repository })).stdout) as Packed[])[0] as Packed;
    const file = join(temp.path, packed.filename);
    tarball = readFileSync(file);
    npm = await startNpmRegistry(file, temp.path);
    env = {
      ...process.env,
      npm_config_registry: npm.url,
      NPM_CONFIG_REGISTRY: npm.url,
      npm_config_cache: join(temp.path, 'npm-cache'),
      DENO_DIR: join(temp.path, 'deno'),
    };
    app = join(temp.path, 'app');
    mkdirSync(app);
    writeFileSync(join(app, 'package.json'), '{"private":true,"type":"module"}');
    await execOk('npm', ['install', '--no-audit', '--no-fund', 'hawser'], { cwd: app, env });
    images = await startRegistry();
    const layers = [
      { entries: [{ name: 'etc/motd', data: 'first\n' }] },
      { entries: [{ name: 'etc/motd', data: 'second\n' }], compression: 'zstd' as const },
    ];
    reference = images.push('a/b', 'v1', await buildImage({ layers }));
    writeFileSync(join(app, 'main.js'), program('hawser'));
  });
  after(async () => {
    await images?.[Symbol.asyncDispose]();
    await npm?.[Symbol.asyncDispose]();
    await temp[Symbol.asyncDispose]();
  });

  /** Runs the program above, and looks at what it unpacked. */
  async function unpacks(file: string, ...args: string[]): Promise<void> {
    const [root, tree] = [join(temp.path, 'store'), join(temp.path, 'tree')];
    for (const old of [root, tree]) rmSync(old, { recursive: true, force: true });
    const { stdout } = await execOk(file, [...args, reference, root, tree], { cwd: app, env });
    assert.equal(stdout, '');
    assert.equal(readFileSync(join(tree, 'etc/motd'), 'utf8'), 'second\n');
  }

  test('it holds the library, the one file, the schemas, the guides, the manual page and completions, and not the executable', () => {
    const allowed =
      /^dist\/(?:lib|shell)\/|^schema\/\w+\.v1\.json$|^docs\/[\w-]+\.md$|^dist\/hawser\.mjs$|^(package\.json|README\.md|LICENSE)$/;
    const paths = packed.files.map(({ path }) => path);
    assert.deepEqual(
      paths.filter((path) => !allowed.test(path)),
      [],
    );
    for (const page of PAGES) assert.ok(paths.includes(page), page);
    for (const name of ['documents', 'progress']) assert.ok(paths.includes(`schema/${name}.v1.json`), name);
    for (const name of ['hawser.1', 'hawser.bash', '_hawser', 'hawser.fish'])
      assert.ok(paths.includes(`dist/shell/${name}`), name);
  });

  test('it is small', () => {
    const library = packed.files.filter(({ path }) => path.startsWith('dist/lib/'));
    const bytes = library.reduce((sum, { size }) => sum + size, 0);
    assert.ok(library.length > 100 && bytes < MAX_LIBRARY, `${bytes} bytes of library`);
    assert.ok(packed.size < MAX_PACKED, `${packed.size} bytes packed`);
    assert.ok(packed.unpackedSize < MAX_UNPACKED, `${packed.unpackedSize} bytes unpacked`);
  });

  test('publint has nothing to say', async () => {
    const { buffer, byteOffset, byteLength } = tarball;
    const data = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
    const { messages, pkg } = await publint({ pack: { tarball: data }, strict: true });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    );
  });

  test('the types are right by "Are the types wrong?", for ES modules', async () => {
    const result = await checkPackage(createPackageFromTarballData(tarball));
    assert.ok(result.types !== false, 'it has types');
    assert.deepEqual(Object.keys(result.entrypoints), [
      ...['.', './web', './worker', './schema/documents.v1.json', './schema/progress.v1.json'],
      './package.json',
    ]);
    // The package has ES modules only (require loads them from Node 22.12 on), and no files for resolvers older than "exports".
    const others = ['node10', 'node16-cjs'];
    const problems = result.problems.filter(
      (one) => !('resolutionKind' in one && others.includes(one.resolutionKind)),
    );
    assert.deepEqual(problems, []);
  });

  for (const [name, options] of [
    ['NodeNext, ES2022', { module: 'nodenext', target: 'es2022' }],
    ['a bundler, ESNext', { module: 'esnext', moduleResolution: 'bundler', target: 'esnext' }],
  ] as const) {
    test(`it compiles without @types/node and with every library checked: ${name}`, async () => {
      const dir = join(app, options.target);
      mkdirSync(dir);
      writeFileSync(
        join(dir, 'main.ts'),
        `import { type Digest, HawserError, isKind, openStore, parseDigest, pull, type PullResult, type Store } from 'hawser';
const digest: Digest = parseDigest('sha256:${'0'.repeat(64)}');
export async function main(signal: AbortSignal): Promise<PullResult> {
  const store: Store = await openStore({ signal });
  try {
    await store.content.info(digest).catch((err: unknown) => isKind(err, 'NotFound') || err instanceof HawserError);
    return await pull('alpine', { store, platforms: 'all', onProgress: (event) => event.type });
  } finally {
    await store[Symbol.asyncDispose]();
  }
}
// @ts-expect-error
openStore({ rot: 1 });
`,
      );
      writeFileSync(
        join(dir, 'web.ts'),
        "import { open } from 'hawser/web';\nexport const stream: ReadableStream<Uint8Array> = await open('alpine', '/etc/motd');\n",
      );
      const compilerOptions = { ...options, strict: true, skipLibCheck: false, types: [], noEmit: true };
      for (const file of ['main.ts', 'web.ts']) {
        writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
        await execOk(join(repository, 'node_modules/.bin/tsc'), ['-p', dir]);
      }
    });
  }

  for (const [name, file, ...args] of [
    ['Node 26', node26, QUIET],
    ['Node 22', node22, QUIET],
    ['Deno', deno, 'run', '-A', '--quiet', '--node-modules-dir=manual'],
  ] as const) {
    test(`${name} imports it by its name, fetches and unpacks`, () => unpacks(file, ...args, 'main.js'));
  }

  test('Deno checks its types', async () => {
    const text =
      "import { openStore, type Store } from 'hawser';\nexport const store: Store = await openStore();\n";
    writeFileSync(join(app, 'checked.ts'), text);
    await execOk(deno, ['check', '--quiet', '--node-modules-dir=manual', 'checked.ts'], { cwd: app, env });
  });

  test(
    'Bun imports it by its name, fetches and unpacks',
    {
      skip: bun === undefined && 'bun is not installed',
    },
    () => unpacks(bun ?? '', 'main.js'),
  );

  test('Deno runs it as npm:hawser, without a project', async () => {
    const dir = join(temp.path, 'no-project');
    mkdirSync(dir);
    writeFileSync(join(dir, 'main.js'), program('npm:hawser'));
    await unpacks(deno, 'run', '-A', '--quiet', join(dir, 'main.js'));
    const { stdout } = await execOk(deno, ['run', '-A', '--quiet', 'npm:hawser', '--version'], {
      cwd: dir,
      env,
    });
    assert.match(stdout, /^hawser \d+\.\d+\.\d+ \(deno /);
  });

  for (const [name, node] of [
    ['Node 26', node26],
    ['Node 22', node22],
  ] as const) {
    const on = (): NodeJS.ProcessEnv => ({ ...env, PATH: `${dirname(node)}${delimiter}${env.PATH}` });

    test(`npx runs it in a project and in an empty directory, on ${name}`, async () => {
      const inProject = await execOk('npx', ['hawser', '--version'], { cwd: app, env: on() });
      assert.match(inProject.stdout, /^hawser \d+\.\d+\.\d+ \(node /);
      const empty = join(temp.path, `empty-${name}`);
      mkdirSync(empty);
      const alone = await execOk('npx', ['--yes', 'hawser', 'images', 'ls', '--root', join(empty, 'store')], {
        cwd: empty,
        env: on(),
      });
      assert.match(alone.stdout, /^REF +TYPE +DIGEST/);
    });

    test(`require loads it on ${name}`, async () => {
      const script = "const { openStore } = require('hawser'); console.log(typeof openStore)";
      const { stdout } = await execOk(node, [QUIET, '--input-type=commonjs', '-e', script], { cwd: app });
      assert.equal(stdout, 'function\n');
    });
  }

  test("the guide's esbuild command makes a bundle that fetches and unpacks, on Node 26 and 22", async () => {
    const commands = new Commands('docs/library.md', 'integration/package.test.ts');
    const command = commands.take('Bundle a program').join('\n');
    assert.deepEqual(commands.left(), []);
    const path = `${join(repository, 'node_modules/.bin')}${delimiter}${env.PATH}`;
    await execOk('sh', ['-e', '-c', command], { cwd: app, env: { ...env, PATH: path } });
    for (const node of [node26, node22]) await unpacks(node, QUIET, 'out/app.js');
    rmSync(join(app, 'out/worker.js'));
    await assert.rejects(
      unpacks(node26, QUIET, 'out/app.js'),
      /Bundle hawser\/worker as that file beside your program/,
    );
  });
});
