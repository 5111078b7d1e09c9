/** The README's library example, as it stands there, on Node and Deno: with the built package and from the sources. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from '../support/exec.ts';
import { needs } from '../support/needs.ts';
import { deno, node22, node26, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';

/** The first TypeScript block of the README. */
function example(): string {
  const readme = readFileSync(join(repository, 'README.md'), 'utf8');
  const block = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? '';
  assert.ok(block.includes("from 'hawser'"), 'the README has an example');
  return block;
}

describe('the library', { skip: needs({ root: true }) }, () => {
  let registry: TestRegistry;
  let temp: Scratch;
  let dir: string;
  let reference: string;

  before(async () => {
    registry = await startRegistry();
    temp = scratch();
    mkdirSync(join(repository, 'build'), { recursive: true });
    // Inside the package, so that its name means the package itself.
    dir = mkdtempSync(join(repository, 'build/library-'));
    const image = await buildImage({ layers: [{ entries: [{ name: 'hello', data: 'world' }] }] });
    reference = registry.push('lib/hello', '1', image);
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true });
  });

  const program = (name: string): { path: string; root: string } => {
    const root = join(temp.path, name);
    const text = example()
      .replaceAll('/var/lib/hawser', root)
      .replace(/docker\.io[^']*/, reference);
    assert.ok(text.includes(root) && text.includes(reference), 'the example names a root and a reference');
    const path = join(dir, `${name}.mts`);
    writeFileSync(path, text);
    return { path, root };
  };
  const check = (stdout: string): void => {
    assert.match(stdout, /sha256:[0-9a-f]{64} sha256:[0-9a-f]{64}/);
  };

  for (const [name, node] of [
    ['26', node26],
    ['22', node22],
  ] as const) {
    test(`Node ${name}, the built package`, async () => {
      const { path } = program(`node${name}`);
      check((await execOk(node, ['--disable-warning=ExperimentalWarning', path])).stdout);
    });
  }

  test('Deno, the sources', async () => {
    const { path } = program('deno');
    check((await execOk(deno, ['run', '-A', '--quiet', path])).stdout);
  });

  test('the declarations of the built package are complete', async () => {
    const { path } = program('types');
    writeFileSync(
      join(dir, 'tsconfig.json'),
      JSON.stringify({
        extends: join(repository, 'tsconfig.json'),
        compilerOptions: {
          noEmit: true,
          skipLibCheck: false,
          types: [],
          customConditions: [],
          rootDir: repository,
        },
        include: [path],
      }),
    );
    await execOk(join(repository, 'node_modules/.bin/tsc'), ['-p', join(dir, 'tsconfig.json')]);
  });
});
