/** The one file under Bun, where that is installed, and under Node's permission model, which it refuses. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { exec, execOk } from '../support/exec.ts';
import { oneFile } from '../support/hawser.ts';
import { findTool, requirePeer } from '../support/needs.ts';
import { node26 } from '../support/runtimes.ts';
import { scratch } from '../support/scratch.ts';
import { diffTrees, readTree } from '../support/tree.ts';

const bundle = oneFile;
const bun = findTool('bun');
if (bun === undefined) requirePeer('bun');

describe('under Bun', { skip: bundle.skip || (bun === undefined && 'bun is not installed') }, () => {
  let registry: TestRegistry;
  let reference: string;

  before(async () => {
    registry = await startRegistry();
    const file = (name: string, data: string) => ({ name, data, mode: 0o640 });
    const layers = [
      { entries: [file('etc/motd', 'first\n'), file('etc/kept', 'kept\n')] },
      { compression: 'zstd' as const, entries: [file('etc/.wh.motd', ''), file('etc/issue', 'second\n')] },
    ];
    reference = registry.push('sample', 'latest', await buildImage({ layers }));
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
  });

  test('it fetches, and unpacks the tree that Node unpacks', async () => {
    await using dir = scratch();
    const trees = [];
    for (const [name, file] of [
      ['bun', bun ?? ''],
      ['node', node26],
    ] as const) {
      const command = [bundle.file ?? '', '--root', join(dir.path, `store-${name}`)];
      await execOk(file, [...command, 'content', 'fetch', '--progress', 'none', reference]);
      const tree = join(dir.path, name);
      await execOk(file, [...command, 'unpack', reference, '--owner', 'ours', '--rootfs', tree]);
      trees.push(await readTree(tree));
    }
    const [one, other] = trees;
    assert.ok(one !== undefined && other !== undefined && one.has('etc/issue'));
    assert.deepEqual(diffTrees(one, other), []);
  });
});

test("Node's permission model is refused with the reason", { skip: bundle.skip }, async () => {
  await using dir = scratch();
  const permissions = ['--permission', '--allow-fs-read=/', `--allow-fs-write=${dir.path}`];
  const result = await exec(node26, [...permissions, bundle.file ?? '', '--root', dir.path, 'images', 'ls']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /^hawser: Node’s --permission disables fsync/m);
});
