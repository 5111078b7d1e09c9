/** What `npm run release` makes: all files, sums, the install script, the executable for arm64, the image of hawser itself; again. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { CACHES } from '../../scripts/loaders.ts';
import { buildImage, buildTar } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { exec, execOk } from '../support/exec.ts';
import { flavour } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { startDockerRegistry } from '../support/real-registry.ts';
import { node26, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { fewLetters, gzipInBlocks } from '../support/small-blocks.ts';

const release = join(repository, 'dist/release');
const arm64 = join(repository, 'dist/hawser-linux-arm64');

function absent(): string | false {
  if (existsSync(join(release, 'SHA256SUMS')) && existsSync(arm64)) return false;
  if (process.env.CI === 'true') throw new Error('Under CI the release must be built');
  return 'npm run release has not been run';
}

describe('a release', { skip: absent() }, () => {
  let temp: Scratch;

  before(() => {
    temp = scratch();
  });
  after(async () => {
    await temp[Symbol.asyncDispose]();
  });

  test('it has every file that is published', () => {
    const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      version: string;
    };
    const machines = ['x64', 'arm64'].map((name) => `hawser-linux-${name}.gz`);
    const packages = [
      'hawser.mjs',
      `hawser-${version}.tgz`,
      `hawser-${version}-oci.tar`,
      ...machines,
      'install.sh',
    ];
    const shell = ['hawser.1', 'hawser.bash', '_hawser', 'hawser.fish'];
    const papers = ['SHA256SUMS', 'THIRD-PARTY-NOTICES.txt', 'sbom.cdx.json'];
    const caches = CACHES.map((name) => `code-cache-${name}`);
    assert.deepEqual(readdirSync(release).sort(), [...packages, ...shell, ...papers, ...caches].sort());
  });

  test('SHA256SUMS has every file, and the sums hold', async () => {
    const listed = readFileSync(join(release, 'SHA256SUMS'), 'utf8').trim().split('\n');
    const names = listed.map((line) => line.replace(/^[0-9a-f]{64} {2}/, ''));
    assert.deepEqual(
      names,
      readdirSync(release)
        .filter((name) => name !== 'SHA256SUMS')
        .sort(),
    );
    await execOk('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: release });
  });

  for (const shell of [['sh'], ['busybox', 'sh']]) {
    const skip = needs({ tools: [shell[0] as string] });
    test(`install.sh installs with ${shell.join(' ')}, and refuses a file that was changed`, {
      skip,
    }, async () => {
      const from = join(temp.path, `from-${shell.length}`);
      mkdirSync(from);
      for (const name of ['SHA256SUMS', 'install.sh', 'hawser-linux-x64.gz', 'hawser-linux-arm64.gz'])
        copyFileSync(join(release, name), join(from, name));
      const [file = '', ...args] = [...shell, join(from, 'install.sh'), '--to'];
      const right = await execOk(file, [...args, join(temp.path, `to-${shell.length}`)]);
      assert.match(right.stdout, /^hawser \d+\.\d+\.\d+ /);
      appendFileSync(join(from, 'hawser-linux-x64.gz'), 'x');
      const wrong = await exec(file, [...args, join(temp.path, 'never')]);
      assert.equal(wrong.code, 1);
      assert.match(wrong.stderr, /nothing was installed/);
      assert.equal(existsSync(join(temp.path, 'never')), false);
    });
  }

  test('install.sh leaves what is there when the new file does not start', async () => {
    const from = join(temp.path, 'from-odd');
    const to = join(temp.path, 'to-odd');
    mkdirSync(from);
    mkdirSync(to);
    copyFileSync(join(release, 'install.sh'), join(from, 'install.sh'));
    const name = process.arch === 'arm64' ? 'hawser-linux-arm64.gz' : 'hawser-linux-x64.gz';
    writeFileSync(join(from, name), gzipSync('#!/bin/sh\nexit 1\n'));
    const { stdout } = await execOk('sha256sum', [name], { cwd: from });
    writeFileSync(join(from, 'SHA256SUMS'), stdout);
    writeFileSync(join(to, 'hawser'), 'old');
    const wrong = await exec('sh', [join(from, 'install.sh'), '--to', to]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /does not run here: nothing was installed/);
    assert.deepEqual(readdirSync(to), ['hawser']);
    assert.equal(readFileSync(join(to, 'hawser'), 'utf8'), 'old');
  });

  test('a build in another folder, with the code caches of the release, gives the same bytes, and no path of either', async () => {
    const copy = mkdtempSync(join(repository, 'build/elsewhere-'));
    after(() => rmSync(copy, { recursive: true }));
    const left = ['node_modules', 'dist', 'build', '.git'];
    for (const name of readdirSync(repository).filter((one) => !left.includes(one)))
      cpSync(join(repository, name), join(copy, name), { recursive: true });
    // Modules have names by their places, seen from the folder that is built.
    await execOk('cp', ['-al', realpathSync(join(repository, 'node_modules')), join(copy, 'node_modules')]);
    const caches = join(temp.path, 'caches');
    mkdirSync(caches);
    for (const name of CACHES) copyFileSync(join(release, `code-cache-${name}`), join(caches, name));
    const env = { ...process.env, HAWSER_CODE_CACHES: caches };
    await execOk(node26, [join(copy, 'scripts/build.ts')], { cwd: temp.path, env, timeout: 600_000 });
    const built = readdirSync(join(copy, 'dist'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(copy, 'dist', name)).isFile(),
    );
    assert.ok(built.includes('hawser-linux-x64') && built.includes('hawser.mjs') && built.length > 100);
    for (const name of built) {
      const bytes = readFileSync(join(copy, 'dist', name));
      assert.ok(
        bytes.equals(readFileSync(join(repository, 'dist', name))),
        `${name} (or the sources are newer than the release)`,
      );
      for (const path of [copy, repository])
        assert.equal(bytes.includes(path), false, `${path} is in ${name}`);
    }
  });

  describe('the executable for arm64', { skip: needs({ tools: ['qemu-aarch64-static'] }) }, () => {
    let registry: TestRegistry;
    before(async () => {
      registry = await startRegistry();
    });
    after(async () => {
      await registry[Symbol.asyncDispose]();
    });

    test('it fetches and unpacks under qemu', async () => {
      const file = { name: 'etc/motd', data: 'hello\n', mode: 0o640 };
      const zstd = { compression: 'zstd', entries: [{ ...file, name: 'etc/issue' }] } as const;
      const letters = fewLetters(1_500_000);
      const tar = await buildTar([{ name: 'letters', data: letters }]);
      // The stream of the codec suite that ISA-L for arm64 did not decode.
      const blocks = { tar, packed: gzipInBlocks(tar, 257, 256) };
      const image = await buildImage({ layers: [{ entries: [file] }, zstd, blocks] });
      const reference = registry.push('sample', 'latest', image);
      const run = (...args: string[]) =>
        execOk('qemu-aarch64-static', [arm64, '--root', join(temp.path, 'arm-store'), ...args]);
      assert.match((await run('--version')).stdout, /linux\/arm64/);
      await run('content', 'fetch', '--platform', 'linux/amd64', '--progress', 'none', reference);
      const tree = join(temp.path, 'arm-tree');
      await run('unpack', reference, '--platform', 'linux/amd64', '--rootfs', tree);
      assert.equal(readFileSync(join(tree, 'etc/issue'), 'utf8'), 'hello\n');
      assert.equal(Buffer.compare(readFileSync(join(tree, 'letters')), letters), 0);
    });
  });

  const tools = ['docker-registry', 'skopeo', 'runc'];
  test('the image of hawser runs as a container', { skip: needs({ root: true, tools }) }, async () => {
    const archive = readdirSync(release).find((name) => name.endsWith('-oci.tar')) ?? '';
    const registry = await startDockerRegistry();
    try {
      const target = `docker://${registry.host}/hawser:1`;
      const source = `oci-archive:${join(release, archive)}`;
      await execOk('skopeo', ['copy', '--quiet', '--all', '--dest-tls-verify=false', source, target]);
      const program = flavour('binary').file ?? '';
      const [store, dir] = ['image-store', 'bundle'].map((name) => join(temp.path, name)) as [string, string];
      await execOk(program, ['--root', store, 'bundle', '--plain-http', `${registry.host}/hawser:1`, dir]);
      const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')) as {
        process: { args: string[] };
      };
      assert.deepEqual(config.process.args, ['/hawser']);
      const { stdout } = await execOk('runc', ['run', '--bundle', dir, `hawser-image-${process.pid}`]);
      assert.match(stdout, /hawser/);
    } finally {
      await registry.close();
    }
  });
});
