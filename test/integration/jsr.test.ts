/** The package as `deno publish` would send it: documented, with all that the library loads and no more than a library. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry } from '../registry/registry.ts';
import { exec, execOk } from '../support/exec.ts';
import { PAGES } from '../support/readme.ts';
import { deno, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

const PREFIX = `file://${repository}/`;
/** Deno loads the worker by its URL, so that no import leads to it. */
const ENTRIES = ['src/mod.ts', 'src/web.ts', 'src/entry/worker.ts'];

describe('the JSR package', () => {
  let temp: Scratch;
  let env: NodeJS.ProcessEnv;
  /** Of the repository, as `deno publish` lists them. */
  let published: string[];

  before(async () => {
    temp = scratch();
    env = { ...process.env, DENO_DIR: join(temp.path, 'deno'), NO_COLOR: '1' };
    const { stderr } = await execOk(deno, ['publish', '--dry-run', '--allow-dirty'], {
      cwd: repository,
      env,
    });
    published = [...stderr.matchAll(/^ +file:\/\/(\S+)/gm)].map(([, path = '']) =>
      path.slice(repository.length + 1),
    );
  });
  after(async () => {
    await temp[Symbol.asyncDispose]();
  });

  test('everything that a program can name is documented, and every type that is named is exported', async () => {
    const { code, stderr } = await exec(deno, ['doc', '--lint', 'src/mod.ts', 'src/web.ts'], {
      cwd: repository,
      env,
    });
    assert.equal(code, 0, stderr);
  });

  test('npm run docs makes a page of each verb', async () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      scripts: { docs: string };
    };
    const [, ...words] = scripts.docs.split(' ');
    const pages = join(temp.path, 'docs');
    const args = words.map((word) => word.replace('build/docs', pages));
    await execOk(deno, args, { cwd: repository, env });
    for (const page of ['~/pull.html', '~/files.html', '~/ImageFile.html', 'web/~/open.html'])
      assert.match(readFileSync(join(pages, page), 'utf8'), /<html/, page);
  });

  test('it holds the library and the guides, without the command line, tests and tools', () => {
    const others = published.filter((path) => !/^src\/(?!cli\/).*\.ts$|^wasm\/.*\.generated\.ts$/.test(path));
    assert.deepEqual(others.sort(), [...PAGES, 'LICENSE', 'deno.json'].sort());
    assert.ok(!published.includes('src/entry/hawser.ts'));
  });

  test('every module that the library can load is published', async () => {
    for (const entry of ENTRIES) {
      const { stdout } = await execOk(deno, ['info', '--json', entry], { cwd: repository, env });
      const { modules } = JSON.parse(stdout) as { modules: readonly { readonly specifier: string }[] };
      const loaded = modules.map(({ specifier }) => specifier).filter((one) => one.startsWith(PREFIX));
      const own = loaded
        .map((one) => one.slice(PREFIX.length))
        .filter((path) => !path.startsWith('node_modules/'));
      assert.ok(own.length > 20);
      assert.deepEqual(
        own.filter((path) => !published.includes(path)),
        [],
      );
    }
  });

  test('it has the version of the npm package', () => {
    const [one, other] = ['package.json', 'deno.json'].map(
      (name) => (JSON.parse(readFileSync(join(repository, name), 'utf8')) as { version: string }).version,
    );
    assert.equal(one, other);
  });

  test('its files alone fetch and unpack an image', async () => {
    const home = join(temp.path, 'published');
    for (const path of published) {
      mkdirSync(dirname(join(home, path)), { recursive: true });
      copyFileSync(join(repository, path), join(home, path));
    }
    // JSR replaces the names of npm packages; here they are found as usual.
    copyFileSync(join(repository, 'package.json'), join(home, 'package.json'));
    symlinkSync(join(repository, 'node_modules'), join(home, 'node_modules'));
    const registry = await startRegistry();
    try {
      const layers = [{ entries: [{ name: 'etc/motd', data: 'hello\n' }], compression: 'zstd' as const }];
      const reference = registry.push('a/b', 'v1', await buildImage({ layers }));
      writeFileSync(
        join(home, 'main.ts'),
        `import { fetch, openStore, unpackRootfs } from './src/mod.ts';
const store = await openStore({ root: ${JSON.stringify(join(temp.path, 'store'))} });
await fetch(${JSON.stringify(reference)}, { store });
await unpackRootfs(${JSON.stringify(reference)}, ${JSON.stringify(join(temp.path, 'tree'))}, { store, owner: 'ours' });
await store[Symbol.asyncDispose]();\n`,
      );
      await execOk(deno, ['run', '-A', '--quiet', 'main.ts'], { cwd: home, env });
      assert.equal(readFileSync(join(temp.path, 'tree/etc/motd'), 'utf8'), 'hello\n');
    } finally {
      await registry[Symbol.asyncDispose]();
    }
  });
});
