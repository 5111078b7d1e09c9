/** Relative paths of flags and of the environment are below the working directory, whatever the variable PWD says. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { describe, exec } from '../support/exec.ts';
import { eachRuntime } from '../support/hawser.ts';
import { scratch } from '../support/scratch.ts';
import { serveImage, startStaticRegistry } from '../support/static-registry.ts';

for (const which of eachRuntime) {
  test(`paths/${which.name}: relative to the working directory, not to PWD`, {
    skip: which.skip,
  }, async () => {
    await using temp = scratch();
    await using registry = await startStaticRegistry();
    await serveImage(registry);
    const [here, lie] = ['here', 'lie'].map((name) => join(temp.path, name)) as [string, string];
    for (const dir of [here, lie, join(lie, 'out')]) mkdirSync(dir);
    writeFileSync(join(lie, 'out/precious'), '');
    const image = `${registry.host}/x:1`;
    const run = async (env: Record<string, string | undefined>, ...args: string[]): Promise<string> => {
      const [file, ...before] = which.command;
      const done = await exec(file, [...before, ...args], {
        cwd: here,
        env: { ...process.env, PWD: lie, ...env },
      });
      assert.equal(done.code, 0, describe(done));
      return done.stdout;
    };
    const quiet = ['--progress', 'none'];
    await run(
      {},
      '--root',
      's1',
      'content',
      'fetch',
      ...quiet,
      '--trace',
      't.json',
      '--report',
      'r.html',
      image,
    );
    assert.ok(existsSync(join(here, 's1/hawser.db')));
    assert.ok(readFileSync(join(here, 't.json')).length > 0 && readFileSync(join(here, 'r.html')).length > 0);
    assert.equal(await run({ HAWSER_ROOT: 's1' }, 'images', 'ls', '-q'), `${image}\n`);
    assert.equal(await run({ HAWSER_ROOT: 's1', PWD: undefined }, 'images', 'ls', '-q'), `${image}\n`);
    const unpack = ['--root', 's1', 'unpack', '--force', ...quiet, image, '--rootfs'];
    await run({}, ...unpack, 'out');
    await run({ PWD: undefined }, ...unpack, './out2');
    await run({}, '--root', 's1', 'bundle', ...quiet, image, '../here/bundle');
    for (const made of ['out', 'out2', 'bundle/rootfs'])
      assert.ok(readdirSync(join(here, made)).length > 0, made);
    assert.deepEqual(readdirSync(lie), ['out']);
    assert.deepEqual(readdirSync(join(lie, 'out')), ['precious']);
  });
}
