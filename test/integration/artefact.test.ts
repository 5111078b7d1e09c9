/**
 * What is shipped works alone: one file in an empty directory, an empty environment, and the whole repository hidden under
 * an empty file system, so that nothing of it can be in reach.
 */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ExecResult, execOk } from '../support/exec.ts';
import { type Flavour, flavour, oneFile } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { node22, node26, repository } from '../support/runtimes.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { smallImage } from '../support/small-image.ts';
import { readTree } from '../support/tree.ts';

const SIZE = { layers: 3, bytes: 300_000, files: 20 };
const TOOLS = ['docker-registry', 'skopeo', 'unshare', 'mount', 'getfattr'];

const CASES: readonly { name: string; which: Flavour; runtime?: string }[] = [
  { name: 'the bundle on Node 26', which: oneFile, runtime: node26 },
  { name: 'the bundle on Node 22', which: oneFile, runtime: node22 },
  { name: 'the executable', which: flavour('binary') },
];

describe('an artefact alone', { skip: needs({ root: true, tools: TOOLS }) }, () => {
  let registry: RealRegistry;
  let temp: Scratch;

  before(async () => {
    temp = scratch();
    registry = await startDockerRegistry();
    await registry.push(`${await smallImage(temp.path, SIZE)}:small`, 'small:1');
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  for (const { name, which, runtime } of CASES) {
    test(`${name} pulls and unpacks`, { skip: which.skip }, async () => {
      await using dir = scratch();
      const [tools, cwd] = ['tools', 'empty'].map((part) => join(dir.path, part)) as [string, string];
      for (const path of [tools, cwd]) mkdirSync(path);
      const file = copy(which.file ?? '', tools);
      const command = runtime === undefined ? [file] : [copy(runtime, tools), file];
      const run = (...args: string[]): Promise<ExecResult> =>
        alone(cwd, [...command, '--root', join(dir.path, 'store'), ...args]);

      const decoders =
        which.name === 'binary'
          ? /^gzip: ISA-L .*\nzstd: Zstandard .*$/m
          : /^gzip: zlib .*\nzstd: Zstandard .*$/m;
      assert.match((await run('version', '--verbose')).stdout, decoders);
      assert.match((await run('--version')).stdout, /^hawser \d+\.\d+\.\d+ \(/);
      for (const snapshotter of ['overlayfs', 'native']) {
        const image = `${registry.host}/small:1`;
        const pulled = await run('images', 'pull', '--snapshotter', snapshotter, image);
        assert.doesNotMatch(pulled.stderr, /warning/i, 'no runtime warnings');
        assert.equal((await run('images', 'ls', '-q')).stdout, `${image}\n`);
        const listed = await run('snapshots', '--snapshotter', snapshotter, 'ls');
        assert.equal(listed.stdout.match(/ Committed/g)?.length, SIZE.layers);
      }
      const native = join(dir.path, 'store/snapshots/native');
      const trees = await Promise.all(readdirSync(native).map((id) => readTree(join(native, id))));
      const tree = trees.find((one) => one.has('layer2/noise'));
      assert.ok(tree !== undefined, 'the top layer');
      assert.equal(tree.get('layer2/noise')?.size, SIZE.bytes);
      assert.equal(tree.get('layer1/noise')?.uid, 1001);
      assert.equal(tree.get('layer1/0'), undefined, 'removed by the layer above');
      assert.equal(tree.get('layer2/0')?.type, 'file');
      assert.deepEqual(readdirSync(cwd), [], 'nothing is written to the working directory');
    });
  }
});

function copy(file: string, dir: string): string {
  const path = join(dir, basename(file));
  copyFileSync(realpathSync(file), path);
  chmodSync(path, 0o755);
  return path;
}

/** Runs it with no environment but PATH, where the repository is an empty directory. */
function alone(cwd: string, command: readonly string[]): Promise<ExecResult> {
  const script = 'mount -t tmpfs hidden "$0" && cd "$1" && shift && exec env -i PATH=/usr/bin:/bin "$@"';
  return execOk('unshare', ['--mount', 'sh', '-c', script, repository, cwd, ...command]);
}
