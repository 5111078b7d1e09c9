/** What is written for the user: never into the store, and never a device that could not be made. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { HawserError } from '../../src/core/errors.ts';
import type { Syscalls } from '../../src/core/ports/syscalls.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { exportImages, openStore } from '../../src/mod.ts';
import { buildImage } from '../registry/image.ts';
import { startRegistry } from '../registry/registry.ts';
import { rejectsWith } from '../support/bench.ts';
import { runHere } from '../support/command-line.ts';
import { tempDir } from '../support/tmp.ts';

interface World {
  readonly dir: string;
  readonly root: string;
  readonly ref: string;
  go(...args: readonly string[]): Promise<{ readonly code: number; readonly err: string }>;
}

const image = await buildImage({
  layers: [
    {
      entries: [
        { name: 'hawser.db', data: 'none' },
        { name: 'content/', type: 'directory', mode: 0o755 },
        { name: 'content/su', data: 'evil', mode: 0o4755 },
        { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 },
        { name: 'disk', type: 'block-device', devmajor: 8, devminor: 0 },
      ],
    },
  ],
});

/** With an image in a store. */
async function withWorld(
  body: (world: World) => Promise<void>,
  changes: Partial<Runtime> = {},
): Promise<void> {
  const dir = tempDir();
  const registry = await startRegistry();
  const runtime = { ...(await defaultRuntime()), ...changes };
  const root = join(dir.path, 'root');
  const go: World['go'] = (...args) => runHere(runtime, root, args);
  try {
    const ref = registry.push('a/out', '1', image);
    const fetched = await go('content', 'fetch', '--progress', 'none', ref);
    assert.equal(fetched.code, 0, fetched.err);
    await body({ dir: dir.path, root, ref, go });
  } finally {
    await registry.close();
    dir[Symbol.dispose]();
  }
}

/** SQLite's companions of the database come and go. */
const seen = (root: string): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/-(?:wal|shm)$/.test(name))
    .sort();

test('nothing is written into the store, under whatever name the store is given', async () => {
  await withWorld(async ({ dir, root, ref, go }) => {
    symlinkSync(root, join(dir, 'alias'));
    symlinkSync(dir, join(dir, 'above'));
    const before = seen(root);
    const quiet = ['--progress', 'none'];
    for (const store of [root, join(dir, 'alias'), join(dir, 'above/root'), `${root}/../root`]) {
      const database = readFileSync(join(root, 'hawser.db'));
      const rows = [
        ['cp', '--force', `${ref}:/hawser.db`, store],
        ['cp', '--force', `${ref}:/content/su`, join(store, 'content')],
        ['cp', '--force', `${ref}:/content`, store],
        ['unpack', ref, '--tar', join(store, 'hawser.db')],
        ['unpack', ref, '--tar', join(store, 'new.tar.gz')],
        ['unpack', ...quiet, ref, '--force', '--rootfs', join(store, 'new')],
        ['bundle', ...quiet, ref, join(store, 'new')],
        ['export', join(store, 'hawser.db'), ref],
        ['export', join(store, 'new.tar'), ref],
        ['export', `${store}/`, ref],
        ['export', `${join(store, 'new')}/`, ref],
        ['pull', ...quiet, '--trace', join(store, 'hawser.db'), ref],
        ['pull', ...quiet, '--report', join(store, 'content/new.html'), ref],
        ['images', 'verify', '--resume', join(store, 'new')],
        ['content', 'verify', '--resume', join(store, 'new')],
      ];
      for (const row of rows) {
        const { code, err } = await go(...row);
        assert.ok(code !== 0 && /the store is /.test(err), `${row.join(' ')}: ${code} ${err}`);
        assert.deepEqual(seen(root), before, row.join(' '));
      }
      assert.equal(Buffer.compare(readFileSync(join(root, 'hawser.db')), database), 0, store);
    }
    const store = await openStore({ root });
    try {
      for (const to of [{ file: join(root, 'hawser.db') }, { directory: root }])
        await rejectsWith('FailedPrecondition', /the store is /, exportImages([ref], { store, to }));
    } finally {
      await store[Symbol.asyncDispose]();
    }
    for (const row of [
      ['cp', `${ref}:/content/su`, dir],
      ['cp', '--force', `${ref}:/content/su`, `${root}/..`],
      ['export', `${root}/../img.tar`, ref],
      ['pull', ...quiet, '--trace', `${root}/content/../../trace.json`, ref],
    ]) {
      const { code, err } = await go(...row);
      assert.ok(!err.includes('the store is '), `${row.join(' ')}: ${code} ${err}`);
    }
    for (const out of [`${root}/../root/new.tar`, `${dir}/../${basename(dir)}/root/content/new.tar`]) {
      assert.match((await go('export', out, ref)).err, /the store is /, out);
      assert.equal(existsSync(out), false);
    }
  });
});

test('cp of a device that may not be made says so, and leaves nothing', async () => {
  const real = await (await defaultRuntime()).syscalls();
  const mknod = (): never => {
    throw new HawserError('PermissionDenied', 'mknod: operation not permitted');
  };
  const syscalls = async (): Promise<Syscalls> =>
    new Proxy(real, {
      get: (target, name) => {
        if (name === 'mknod') return mknod;
        const value = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  await withWorld(
    async ({ dir, ref, go }) => {
      const to = join(dir, 'to');
      mkdirSync(to);
      for (const [path, what] of [
        ['/null', 'a character device'],
        ['/disk', 'a block device'],
      ]) {
        const { code, err } = await go('cp', `${ref}:${path}`, to);
        assert.equal(code, 1);
        assert.match(err, new RegExp(`Cannot copy ${path}: it is ${what}[^\\n]*\\nhint: .*root`));
        assert.deepEqual(readdirSync(to), []);
      }
    },
    { syscalls },
  );
});
