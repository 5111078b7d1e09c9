/** Many processes, one store: each byte is fetched once and each layer extracted once, even beside a process that has stopped. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { describe as explain } from '../support/exec.ts';
import { anyFlavour, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';
import { noise } from '../support/small-image.ts';

const LAYERS = 6;
const PROCESSES = 10;

describe('many processes on one store', { skip: needs({ root: true }) || anyFlavour.skip }, () => {
  let registry: TestRegistry;
  let image: string;

  before(async () => {
    registry = await startRegistry();
    const layer = (n: number) => ({
      entries: Array.from({ length: 40 }, (_, i) => ({
        name: `d${n}/${i}`,
        data: noise(n * 100 + i, 50_000),
      })),
    });
    const built = await buildImage({ layers: Array.from({ length: LAYERS }, (_, n) => layer(n)) });
    registry.push('t/app', '1', built);
    image = `${registry.host}/t/app:1`;
  });
  after(() => registry[Symbol.asyncDispose]());

  const bytesOfBlobs = (): number =>
    registry.requests.filter(({ path }) => path.includes('/blobs/')).reduce((sum, { sent }) => sum + sent, 0);
  const extractions = (outputs: readonly string[]): number =>
    outputs.reduce((sum, text) => sum + [...text.matchAll(/^layer .*: extracted/gm)].length, 0);

  const pulls = async (root: string, spaces: readonly string[]): Promise<string[]> => {
    const { run } = hawser(anyFlavour, root);
    const pull = (space: string) => run(['--namespace', space, 'pull', '--progress', 'plain', image]);
    const results = await Promise.all(spaces.map(pull));
    for (const result of results) assert.equal(result.code, 0, explain(result));
    return results.map(({ stdout, stderr }) => stdout + stderr);
  };

  test('ten pulls of one image: one download, one extraction of each layer', async () => {
    await using dir = scratch();
    registry.requests.length = 0;
    const outputs = await pulls(
      dir.path,
      Array.from({ length: PROCESSES }, () => 'default'),
    );
    assert.equal(extractions(outputs), LAYERS);
    const once = bytesOfBlobs();
    await using alone = scratch();
    registry.requests.length = 0;
    await pulls(alone.path, ['default']);
    assert.equal(once, bytesOfBlobs());
    assert.deepEqual(readdirSync(`${dir.path}/run`), []);
  });

  test('two namespaces at once: one download', async () => {
    await using dir = scratch();
    registry.requests.length = 0;
    const outputs = await pulls(dir.path, ['one', 'two']);
    assert.equal(extractions(outputs), 2 * LAYERS, 'each namespace has snapshots of its own');
    const both = bytesOfBlobs();
    await using alone = scratch();
    registry.requests.length = 0;
    await pulls(alone.path, ['one']);
    assert.equal(both, bytesOfBlobs());
  });

  test('a pull that was stopped in the middle holds up nobody for longer than the stall limit', async () => {
    await using dir = scratch();
    const { run } = hawser(anyFlavour, dir.path);
    let stopped: ChildProcess | undefined;
    const started = (child: ChildProcess): void => {
      stopped = child;
      const stop = (): void => {
        if (child.exitCode !== null) return;
        if (snapshotsIn(dir.path) > 0) {
          child.kill('SIGSTOP');
          // Whoever is stopped in the middle of a transaction keeps all others out.
          if (!isLocked(join(dir.path, 'hawser.db'))) return;
          child.kill('SIGCONT');
        }
        setTimeout(stop, 2);
      };
      stop();
    };
    const first = run(['pull', '--progress', 'plain', image], { started });
    while (snapshotsIn(dir.path) === 0 && stopped?.exitCode === null)
      await new Promise((r) => setTimeout(r, 5));
    const second = await run(['pull', '--timeout-stall', '2s', '--progress', 'plain', image]);
    assert.equal(second.code, 0, explain(second));
    stopped?.kill('SIGCONT');
    const resumed = await first;
    assert.equal(resumed.code, 0, explain(resumed));
  });
});

/** How many snapshot directories there are. */
function snapshotsIn(root: string): number {
  try {
    return readdirSync(`${root}/snapshots/overlayfs`).length;
  } catch {
    return 0;
  }
}

function isLocked(path: string): boolean {
  const db = new DatabaseSync(path, { timeout: 100 });
  try {
    db.exec('BEGIN IMMEDIATE; ROLLBACK');
    return false;
  } catch {
    return true;
  } finally {
    db.close();
  }
}
