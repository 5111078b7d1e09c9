/** Directories for the user on file systems with rules of their own: a mount point, overlayfs, FUSE. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hintOf, kindOf } from '../../../src/core/errors.ts';
import { makeOutput } from '../../../src/core/output/output-directory.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { needs } from '../../support/needs.ts';
import { type Scratch, scratch } from '../../support/scratch.ts';

interface Bench {
  readonly temp: Scratch;
  readonly target: string;
  readonly warnings: string[];
  make(force: boolean): Promise<string>;
}

/** `target`: a directory `mnt`, at which `mount` mounts, with `below` it. */
async function withMount(
  mount: (mnt: string, temp: string) => void,
  below: string,
  body: (bench: Bench) => Promise<void>,
): Promise<void> {
  const temp = scratch();
  const mnt = join(temp.path, 'mnt');
  fs.mkdirSync(mnt);
  const warnings: string[] = [];
  const target = join(mnt, below);
  const build = async (path: string): Promise<void> => {
    fs.mkdirSync(path, 0o755);
    fs.mkdirSync(join(path, 'etc'));
    fs.writeFileSync(join(path, 'etc/new'), 'new');
  };
  const make = (force: boolean) =>
    makeOutput(bareRuntime(), target, { force, keepOut: [], warn: (text) => warnings.push(text) }, build);
  try {
    mount(mnt, temp.path);
    await body({ temp, target, warnings, make });
  } finally {
    await temp[Symbol.asyncDispose]();
  }
}

const listed = (dir: string) => (fs.readdirSync(dir, { recursive: true }) as string[]).sort();
const tmpfs = (mnt: string) => void execFileSync('mount', ['-t', 'tmpfs', 'hawser-test', mnt]);

test('an empty mount point is filled', {
  skip: needs({ root: true, tools: ['mount', 'umount'] }),
}, async () => {
  for (const made of [[], ['mnt/lost+found']]) {
    await withMount(tmpfs, '', async ({ temp, target, warnings, make }) => {
      const { dev } = fs.statSync(target);
      for (const path of made) fs.mkdirSync(join(temp.path, path));
      await make(false);
      assert.equal(fs.statSync(target).dev, dev);
      assert.deepEqual(listed(temp.path), ['mnt', 'mnt/etc', 'mnt/etc/new', ...made]);
      assert.deepEqual(warnings, []);
      assert.match((await failure(make(true))).message, /something is mounted at/);
    });
  }
});

test('on overlayfs a directory of a lower layer cannot be moved: it stays, and that is said', {
  skip: needs({ root: true, tools: ['mount', 'umount'] }),
}, async () => {
  const overlay = (mnt: string, temp: string): void => {
    // Not every file system can be below an overlay.
    const base = join(temp, 'base');
    fs.mkdirSync(base);
    tmpfs(base);
    for (const name of ['lower/out', 'upper', 'work']) fs.mkdirSync(join(base, name), { recursive: true });
    fs.writeFileSync(join(base, 'lower/out/precious'), 'old');
    const options = `redirect_dir=off,lowerdir=${base}/lower,upperdir=${base}/upper,workdir=${base}/work`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, mnt]);
  };
  await withMount(overlay, 'out', async ({ temp, target, make, warnings }) => {
    const err = await failure(make(true));
    assert.deepEqual(
      [kindOf(err), /Cannot replace/.test(err.message)],
      ['FailedPrecondition', true],
      String(err),
    );
    assert.match(hintOf(err) ?? '', /Remove what is in .* yourself/);
    assert.deepEqual(listed(join(temp.path, 'mnt')), ['out', 'out/precious']);
    fs.rmSync(join(target, 'precious'));
    await make(true);
    assert.deepEqual(listed(join(temp.path, 'mnt')), ['out', 'out/etc', 'out/etc/new']);
    assert.deepEqual(warnings, []);
  });
});

test('on FUSE nothing is left beside the directory', {
  skip:
    needs({ root: true, tools: ['bindfs', 'umount'] }) ||
    (fs.existsSync('/dev/fuse') ? false : 'needs /dev/fuse'),
}, async () => {
  const bindfs = (mnt: string, temp: string): void => {
    fs.mkdirSync(join(temp, 'behind'));
    execFileSync('bindfs', [join(temp, 'behind'), mnt]);
  };
  await withMount(bindfs, 'out', async ({ temp, warnings, make }) => {
    const seen = () => listed(join(temp.path, 'behind'));
    await make(false);
    assert.deepEqual([seen(), warnings], [['out', 'out/etc', 'out/etc/new'], []]);
    fs.writeFileSync(join(temp.path, 'behind/out/old'), '');
    await make(true);
    assert.deepEqual([seen(), warnings], [['out', 'out/etc', 'out/etc/new'], []]);
  });
});
