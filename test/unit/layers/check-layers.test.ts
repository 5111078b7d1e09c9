/** Unpacked layers against their blobs: what every way of unpacking makes is right, and each change of it is found. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HawserError } from '../../../src/core/errors.ts';
import { checkLayers } from '../../../src/core/layers/check-layers.ts';
import type { CheckJob, LayerCheck } from '../../../src/core/layers/workers.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { lazyCodecs } from '../../../src/platform/process/lazy.ts';
import { openBlob } from '../../../src/platform/threads/blob-reader.ts';
import { device, dir, fifo, file, hard, layer, sym, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { chosenSeed } from '../../support/seed.ts';
import { tempDir } from '../../support/tmp.ts';
import { randomStack } from '../archive/random-layers.ts';
import { ownDirectory, syscallsHere, WAY_NAMES, WAYS, type WayName } from '../archive/ways.ts';

const skip = needs({ root: true, tools: ['setfattr'] });
const hashers = createHashers();
const codecs = lazyCodecs();
const clock = createClock();
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const deps = { hashers, codecs, clock, openBlob, turn };

interface Unpacked {
  readonly job: CheckJob;
  check(): Promise<LayerCheck[]>;
}

/** Unpacks a stack one way; undefined when the stack is refused. */
function unpack(root: string, way: WayName, layers: readonly Uint8Array[]): Unpacked | undefined {
  const sys = syscallsHere();
  const spot = { layers: join(root, 'layers'), view: join(root, 'view') };
  for (const path of [root, spot.layers, spot.view]) fs.mkdirSync(path, { mode: 0o755 });
  fs.utimesSync(spot.view, 0, 0);
  const checked: CheckJob['layers'][number][] = [];
  for (const [index, tar] of layers.entries()) {
    try {
      WAYS[way].layer(sys, spot, index, tar);
    } catch {
      return undefined;
    }
    const blob = join(root, `${index}.tar`);
    fs.writeFileSync(blob, tar);
    const last = index === layers.length - 1;
    checked.push({
      blob,
      blobSize: tar.length,
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      diffId: `sha256:${createHash('sha256').update(tar).digest('hex')}`,
      parent: index - 1,
      // A flat way has one tree, which is the last layer's.
      tree: WAYS[way].mounts ? ownDirectory(spot, index) : last ? spot.view : null,
    });
  }
  const stacking = WAYS[way].mounts ? 'overlay' : 'flat';
  const limits = { codec: 'auto', maxBytes: 2 ** 40, maxRatio: 0 } as const;
  const job: CheckJob = { layers: checked, stacking, devices: true, rate: 0, ...limits };
  return { job, check: () => checkLayers(job, { ...deps, syscalls: sys }) };
}

for (const way of WAY_NAMES) {
  test(`${way}: what was unpacked is right`, { skip }, async (t) => {
    const seed = chosenSeed();
    // Without FFI each attribute is a program.
    const count = syscallsHere().provider === 'ffi' ? 60 : 4;
    t.diagnostic(`HAWSER_SEED=${seed}`);
    await inTemp(async (temp) => {
      let whole = 0;
      for (let n = 0; n < count; n++) {
        const layers = randomStack(seed + n).map((entries) => layer(...entries));
        const unpacked = unpack(join(temp, String(n)), way, layers);
        if (unpacked === undefined) continue;
        whole++;
        for (const [at, { problems, error }] of (await unpacked.check()).entries()) {
          assert.deepEqual(
            { at, problems, error },
            { at, problems: [], error: null },
            `HAWSER_SEED=${seed + n}`,
          );
        }
      }
      assert.ok(whole > count / 4, `only ${whole} stacks were unpacked`);
    });
  });
}

const LOWER = layer(
  dir('d', { mode: 0o750, mtime: '5' }),
  file('d/f', 'content', { uid: 3, gid: 4, xattrs: { 'user.k': 'v' } }),
  file('d/gone', 'x'),
  file('d/one', 'linked'),
  hard('d/two', 'd/one'),
  sym('s', 'd/f'),
  fifo('p'),
  device('null', 'c', 1, 3),
  file('big', 'b'.repeat(3_000_000)),
);
const UPPER = layer(wh('d/gone'), file('d/new', 'new'));

/** What may become of an unpacked tree, in the upper layer's directory or in the lower one's. */
const DAMAGE: Readonly<Record<string, readonly [number, string, (tree: string) => void]>> = {
  'a flipped bit': [0, 'content', (tree) => flip(`${tree}/d/f`)],
  'a flipped bit far inside': [0, 'content', (tree) => flip(`${tree}/big`, 2_500_000)],
  'a file cut off': [
    0,
    'content',
    (tree) => keepingTime(`${tree}/big`, (path) => fs.truncateSync(path, 100)),
  ],
  'another owner': [0, 'owner', (tree) => fs.lchownSync(`${tree}/d/f`, 3, 5)],
  'another owner of a symlink': [0, 'owner', (tree) => fs.lchownSync(`${tree}/s`, 1, 0)],
  'another mode': [0, 'mode', (tree) => fs.chmodSync(`${tree}/d/f`, 0o4644)],
  'another mode of a directory': [0, 'mode', (tree) => fs.chmodSync(`${tree}/d`, 0o755)],
  'another mode of the root': [0, 'mode', (tree) => fs.chmodSync(tree, 0o777)],
  'another time': [0, 'time', (tree) => fs.utimesSync(`${tree}/d/f`, 1, 2)],
  'another time of a directory': [0, 'time', (tree) => fs.utimesSync(`${tree}/d`, 1, 6)],
  'another value of an attribute': [0, 'xattr', (tree) => xattr(`${tree}/d/f`, 'user.k', 'w')],
  'an attribute more': [0, 'xattr', (tree) => xattr(`${tree}/d/f`, 'user.x', 'y')],
  'a file that is gone': [0, 'missing', (tree) => inTime(`${tree}/d`, () => fs.rmSync(`${tree}/d/f`))],
  'a file more': [1, 'extra', (tree) => inTime(`${tree}/d`, () => fs.writeFileSync(`${tree}/d/more`, ''))],
  'a whiteout that is gone': [1, 'missing', (tree) => inTime(`${tree}/d`, () => fs.rmSync(`${tree}/d/gone`))],
  'a file in the place of a directory': [
    1,
    'type',
    (tree) => {
      inTime(tree, () => {
        fs.rmSync(`${tree}/d`, { recursive: true });
        fs.writeFileSync(`${tree}/d`, '');
      });
    },
  ],
  'another target': [
    0,
    'target',
    (tree) => {
      const at = fs.lstatSync(`${tree}/s`);
      inTime(tree, () => {
        fs.rmSync(`${tree}/s`);
        fs.symlinkSync('d/g', `${tree}/s`);
        fs.lutimesSync(`${tree}/s`, at.atime, at.mtime);
      });
    },
  ],
  'two names that are two files': [
    0,
    'link',
    (tree) =>
      inTime(`${tree}/d`, () => {
        const { mtime } = fs.statSync(`${tree}/d/one`);
        fs.copyFileSync(`${tree}/d/one`, `${tree}/d/copy`);
        fs.chmodSync(`${tree}/d/copy`, fs.statSync(`${tree}/d/one`).mode & 0o7777);
        fs.renameSync(`${tree}/d/copy`, `${tree}/d/two`);
        fs.utimesSync(`${tree}/d/two`, mtime, mtime);
      }),
  ],
  'no tree': [0, 'missing', (tree) => fs.rmSync(tree, { recursive: true })],
};

async function inTemp(body: (path: string) => Promise<void>): Promise<void> {
  const temp = tempDir();
  try {
    await body(temp.path);
  } finally {
    temp[Symbol.dispose]();
  }
}

function flip(path: string, at = 3): void {
  keepingTime(path, () => {
    const fd = fs.openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    fs.readSync(fd, byte, 0, 1, at);
    fs.writeSync(fd, Buffer.of(byte.readUInt8() ^ 1), 0, 1, at);
    fs.closeSync(fd);
  });
}

function keepingTime(path: string, change: (path: string) => void): void {
  const { atime, mtime } = fs.statSync(path);
  change(path);
  fs.utimesSync(path, atime, mtime);
}

function inTime(dir: string, change: () => void): void {
  keepingTime(dir, change);
}

function xattr(path: string, key: string, value: string): void {
  execFileSync('setfattr', ['-n', key, '-v', value, path]);
}

for (const [title, [index, what, damage]] of Object.entries(DAMAGE)) {
  test(`damage is found: ${title}`, { skip }, async () => {
    await inTemp(async (temp) => {
      const unpacked = unpack(join(temp, 'stack'), 'overlay', [LOWER, UPPER]);
      assert.ok(unpacked);
      const before = await unpacked.check();
      assert.deepEqual(
        before.map(({ problems }) => problems),
        [[], []],
      );
      damage(unpacked.job.layers[index]?.tree ?? '');
      const after = await unpacked.check();
      const found = after.map(({ problems }) => problems.map((problem) => problem.what));
      const want = index === 0 ? [[what], []] : [[], [what]];
      assert.deepEqual(found, want, JSON.stringify(after));
    });
  });
}

test('damage of a whole tree (native) is found, in what comes from the layers below too', {
  skip,
}, async () => {
  for (const path of ['d/f', 'd/new']) {
    await inTemp(async (temp) => {
      const unpacked = unpack(join(temp, 'stack'), 'flat', [LOWER, UPPER]);
      assert.ok(unpacked);
      flip(`${unpacked.job.layers[1]?.tree}/${path}`, 1);
      const [, top] = await unpacked.check();
      assert.deepEqual(
        top?.problems.map((one) => [one.path, one.what]),
        [[`/${path}`, 'content']],
      );
    });
  }
});

test('a damaged blob says so, and the layers above cannot be checked', { skip }, async () => {
  await inTemp(async (temp) => {
    const unpacked = unpack(join(temp, 'stack'), 'overlay', [LOWER, UPPER]);
    assert.ok(unpacked);
    flip(unpacked.job.layers[0]?.blob ?? '', LOWER.length - 1_000_000);
    const [lower, upper] = await unpacked.check();
    assert.equal(lower?.error?.kind, 'DataLoss');
    assert.equal(upper?.error?.kind, 'FailedPrecondition');
  });
});

test('more differences than are told one by one are counted', { skip }, async () => {
  await inTemp(async (temp) => {
    const files = Array.from({ length: 150 }, (_, n) => file(`f${n}`, 'x'));
    const unpacked = unpack(join(temp, 'stack'), 'overlay', [layer(...files)]);
    assert.ok(unpacked);
    for (let n = 0; n < 150; n++) flip(`${unpacked.job.layers[0]?.tree}/f${n}`, 0);
    const [only] = await unpacked.check();
    assert.deepEqual([only?.problems.length, only?.more], [100, 50]);
  });
});

test('the disk is read no faster than asked, and an abort ends the check', { skip }, async () => {
  await inTemp(async (temp) => {
    const unpacked = unpack(join(temp, 'stack'), 'overlay', [LOWER, UPPER]);
    assert.ok(unpacked);
    let slept = 0;
    const waiting = {
      ...clock,
      // However long the reading takes.
      monotonic: () => 0,
      sleep: async (ms: number) => {
        slept = Math.max(slept, ms);
      },
    };
    const job = { ...unpacked.job, rate: 1_000_000 };
    const read = { ...deps, clock: waiting, syscalls: syscallsHere() };
    await checkLayers(job, read);
    assert.ok(slept > 5900 && slept < 6500, `6 MB at 1 MB/s: ${slept} ms`);
    const reason = new Error('enough');
    const stopped = checkLayers(
      { ...job, rate: 1000 },
      { ...read, clock },
      { signal: AbortSignal.abort(reason) },
    );
    await assert.rejects(stopped, (err) => err === reason);
  });
});

test('what hawser lacks or may not do is no damage of the tree', { skip }, async () => {
  await inTemp(async (temp) => {
    const unpacked = unpack(join(temp, 'x'), 'overlay', [LOWER, layer(file('e', 'y'))]);
    assert.ok(unpacked !== undefined);
    const sys = syscallsHere();
    const refusing = (err: Error): Promise<LayerCheck[]> => {
      const openRoot = (path: string) => {
        if (path === unpacked.job.layers[0]?.tree) throw err;
        return sys.openRoot(path);
      };
      const syscalls = new Proxy(sys, {
        get: (target, key) => {
          const value = Reflect.get(target, key);
          if (key === 'openRoot') return openRoot;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return checkLayers(unpacked.job, { ...deps, syscalls });
    };
    const lacking = new HawserError('FailedPrecondition', 'the tool getfattr is not in /bin');
    await assert.rejects(refusing(lacking), /getfattr/);
    const reason = { type: 'errno', errno: 'EACCES' } as const;
    const [lower, upper] = await refusing(new HawserError('PermissionDenied', 'no', { reason }));
    assert.deepEqual([lower?.problems, lower?.error?.kind], [[], 'PermissionDenied']);
    assert.deepEqual([upper?.problems, upper?.error], [[], null]);
    const sector = { type: 'errno', errno: 'EIO' } as const;
    const [broken] = await refusing(new HawserError('Internal', 'bad sector', { reason: sector }));
    assert.equal(broken?.problems[0]?.what, 'missing');
  });
});
