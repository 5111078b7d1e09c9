/** `deno run` with no more permissions than docs/runtimes.md says: a sandbox that fetches, and one that also unpacks. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { exec, describe as explain } from '../support/exec.ts';
import { needs } from '../support/needs.ts';
import { deno, repository } from '../support/runtimes.ts';

const bundle: string = join(repository, 'dist/hawser.mjs');

function unbuilt(): string | false {
  if (existsSync(bundle)) return false;
  assert.notEqual(process.env.CI, 'true', 'under CI the bundle must be there');
  return 'dist/hawser.mjs is not built';
}

describe('deno run with few permissions', { skip: unbuilt() }, () => {
  let registry: TestRegistry;
  let dir: string;
  let reference: string;

  before(async () => {
    registry = await startRegistry();
    // Not in HAWSER_TEST_TMP: below /dev, Deno grants nothing less than everything.
    dir = mkdtempSync(join(tmpdir(), 'hawser-sandbox-'));
    cpSync(bundle, join(dir, 'hawser.mjs'));
    reference = registry.push(
      's/box',
      '1',
      await buildImage({ layers: [{ entries: [{ name: 'a', data: 'b' }] }] }),
    );
  });
  after(async () => {
    await registry.close();
    rmSync(dir, { recursive: true });
  });

  const run = (permissions: readonly string[], args: readonly string[]) =>
    exec(deno, ['run', '--quiet', '--no-prompt', ...permissions, join(dir, 'hawser.mjs'), ...args]);

  test('one directory, one host, the environment and the user id are enough to fetch and to list', async () => {
    const permissions = [
      `--allow-read=${dir}`,
      `--allow-write=${dir}`,
      '--allow-net=127.0.0.1',
      '--allow-env',
      '--allow-sys=uid',
    ];
    const root = ['--root', join(dir, 'fetched')];
    const fetched = await run(permissions, [...root, 'content', 'fetch', reference]);
    assert.equal(fetched.code, 0, explain(fetched));
    const listed = await run(permissions, [...root, 'images', 'ls', '-q']);
    assert.equal(listed.stdout, `${reference}\n`, explain(listed));
  });

  test('on a terminal it asks for no more permissions', { skip: needs({ tools: ['script'] }) }, async () => {
    const flags = `--allow-read=${dir} --allow-write=${dir} --allow-net=127.0.0.1 --allow-env --allow-sys=uid`;
    const args = `--root ${join(dir, 'terminal')} content fetch ${reference}`;
    const line = `${deno} run --quiet ${flags} ${join(dir, 'hawser.mjs')} ${args}`;
    const done = await exec('script', ['-qec', line, '/dev/null'], { timeout: 60_000 });
    assert.doesNotMatch(done.stdout, /Deno requests/);
    assert.equal(done.code, 0, explain(done));
  });

  test('without the environment it says so, without a stack', async () => {
    const result = await run([], ['version']);
    assert.equal(result.code, 1, explain(result));
    assert.match(result.stderr, /^hawser: cannot start: .*--allow-env.*\nhint: Run Deno with --allow-env\n$/);
  });

  test('without a permission it says so, exit 1', async () => {
    const result = await run(['--allow-env'], ['--root', join(dir, 'denied'), 'content', 'fetch', reference]);
    assert.equal(result.code, 1, explain(result));
    assert.match(result.stderr, /^hawser: .*--allow-read/m);
  });

  test('what docs/runtimes.md lists is enough to pull', { skip: needs({ root: true }) }, async () => {
    const names = ['read', 'write', 'net', 'env', 'sys', 'ffi', 'run'];
    const permissions = names.map((name) => `--allow-${name}`);
    const pulled = await run(permissions, ['--root', join(dir, 'pulled'), 'pull', reference]);
    assert.equal(pulled.code, 0, explain(pulled));
  });
});
