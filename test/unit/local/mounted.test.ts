/** What a mount shows of a store is not deleted, by whatever path the store or the mount was reached. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import { type LocalBackend, openLocalBackend } from '../../../src/backends/local/open.ts';
import { HawserError, hintOf, kindOf, reasonOf } from '../../../src/core/errors.ts';
import type { MountPoint } from '../../../src/core/ports/mounter.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { needs } from '../../support/needs.ts';
import { unmountBelow } from '../../support/scratch.ts';
import { tempDir } from '../../support/tmp.ts';

const skip = needs({ root: true, tools: ['mount', 'umount'] });

const mount = (...args: string[]): void => void execFileSync('mount', args);

async function opened<T>(
  root: string,
  body: (backend: LocalBackend) => Promise<T>,
  runtime: Runtime = bareRuntime(),
): Promise<T> {
  const backend = await openLocalBackend(runtime, { root, namespace: 'testing' });
  try {
    return await body(backend);
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}

function forget(root: string): void {
  for (const file of fs.readdirSync(root)) if (file.startsWith('hawser.db')) fs.rmSync(`${root}/${file}`);
}

/** A committed snapshot with two above it, `mine` and `other`; returns the mounts of `mine`. */
async function fill(backend: LocalBackend, name: string) {
  const sn = backend.snapshotter(name);
  await sn.prepare('below', '');
  await sn.commit('base', 'below');
  await sn.prepare('mine', 'base');
  await sn.prepare('other', 'base');
  return await sn.mounts('mine');
}

interface Way {
  /** Makes what leads to the store; returns the paths of the store when it is filled and when it is collected. */
  prepare(dir: string): readonly [first: string, then: string];
  /** Once the user's directory is mounted. */
  after?(place: string): void;
}

const link = (dir: string): void => {
  fs.mkdirSync(`${dir}/real`);
  fs.symlinkSync('real', `${dir}/link`);
};

const WAYS: Readonly<Record<string, Way>> = {
  'at a plain path': { prepare: (dir) => [`${dir}/store`, `${dir}/store`] },
  'on a bind mount': {
    prepare: (dir) => {
      for (const name of ['real', 'bound']) fs.mkdirSync(`${dir}/${name}`);
      mount('--bind', `${dir}/real`, `${dir}/bound`);
      return [`${dir}/bound/store`, `${dir}/bound/store`];
    },
  },
  'below a symlink': {
    prepare: (dir) => {
      link(dir);
      return [`${dir}/link/store`, `${dir}/link/store`];
    },
  },
  'below a symlink, and collected by its own path': {
    prepare: (dir) => {
      link(dir);
      return [`${dir}/link/store`, `${dir}/real/store`];
    },
  },
  'at its own path, and collected below a symlink': {
    prepare: (dir) => {
      link(dir);
      return [`${dir}/real/store`, `${dir}/link/store`];
    },
  },
  'with snapshots on a file system of their own': {
    prepare: (dir) => {
      fs.mkdirSync(`${dir}/store/snapshots`, { recursive: true });
      fs.chmodSync(`${dir}/store`, 0o700);
      mount('-t', 'tmpfs', '-o', 'mode=700', 'none', `${dir}/store/snapshots`);
      return [`${dir}/store`, `${dir}/store`];
    },
  },
  'with a space and a hash in its path': {
    prepare: (dir) => [`${dir}/c d#`, `${dir}/c d#`],
  },
  'and another mount covers it': {
    prepare: (dir) => [`${dir}/store`, `${dir}/store`],
    after: (place) => mount('-t', 'tmpfs', 'none', place),
  },
};

for (const [where, way] of Object.entries(WAYS)) {
  for (const name of ['overlayfs', 'native']) {
    test(`${name}: what a user wrote to a mount of a store ${where} outlives a collection without a record`, {
      skip,
    }, async () => {
      const temp = tempDir();
      const dir = temp.path;
      try {
        const [first, then] = way.prepare(dir);
        const mounts = await opened(first, (backend) => fill(backend, name));
        const place = `${dir}/place`;
        fs.mkdirSync(place);
        await (await bareRuntime().mounter()).mount(mounts, place);
        fs.writeFileSync(`${place}/of a user`, 'data');
        way.after?.(place);
        const err = await opened(then, (one) => failure(one.snapshotter(name).remove('mine')));
        assert.equal(reasonOf(err, 'mounted')?.at, place);
        forget(first);
        await opened(then, (backend) => backend.collect());
        if (way.after !== undefined) execFileSync('umount', [place]);
        assert.equal(fs.readFileSync(`${place}/of a user`, 'utf8'), 'data');
        // The native snapshotter's trees are whole: what they were copied from is not needed.
        const left = name === 'native' ? ['2'] : ['1', '2'];
        assert.deepEqual(fs.readdirSync(`${first}/snapshots/${name}`).sort(), left);
      } finally {
        await unmountBelow(dir);
        temp[Symbol.dispose]();
      }
    });
  }
}

for (const name of ['overlayfs', 'native']) {
  test(`${name}: what is mounted of another store keeps nothing of this one`, { skip }, async () => {
    const temp = tempDir();
    const dir = temp.path;
    try {
      const mounts = await opened(`${dir}/other`, (backend) => fill(backend, name));
      await opened(`${dir}/store`, (backend) => fill(backend, name));
      fs.mkdirSync(`${dir}/place`);
      await (await bareRuntime().mounter()).mount(mounts, `${dir}/place`);
      await opened(`${dir}/store`, (one) => one.snapshotter(name).remove('mine'));
      forget(`${dir}/store`);
      await opened(`${dir}/store`, (backend) => backend.collect());
      assert.deepEqual(fs.readdirSync(`${dir}/store/snapshots/${name}`), []);
    } finally {
      await unmountBelow(dir);
      temp[Symbol.dispose]();
    }
  });
}

for (const name of ['overlayfs', 'native']) {
  test(`${name}: where the mounts cannot be read, only what a layer is extracted to is removed`, {
    skip,
  }, async () => {
    const temp = tempDir();
    try {
      const base = bareRuntime();
      const mounts = () => Promise.reject(new HawserError('NotFound', 'no /proc here'));
      const blind = { ...base, mounter: async () => ({ ...(await base.mounter()), mounts }) };
      const left = () => fs.readdirSync(`${temp.path}/snapshots/${name}`).sort();
      await opened(temp.path, (backend) => fill(backend, name));
      await opened(
        temp.path,
        async (backend) => {
          const sn = backend.snapshotter(name);
          for (const key of ['mine', 'other']) {
            const err = await failure(sn.remove(key));
            assert.equal(kindOf(err), 'FailedPrecondition', String(err));
            assert.match(err.message, new RegExp(`^removing the snapshot "${key}": .*no /proc here`));
            assert.match(hintOf(err) ?? '', /\/proc/);
            assert.equal((await sn.stat(key)).name, key);
          }
          await sn.prepare('extract-1-abcd sha256:x', 'base');
          assert.deepEqual(left(), ['1', '2', '3', '4']);
          await sn.remove('extract-1-abcd sha256:x');
        },
        blind,
      );
      assert.deepEqual(left(), ['1', '2', '3']);
      await opened(temp.path, (backend) => backend.snapshotter(name).remove('mine'));
      assert.deepEqual(left(), ['1', '3']);
    } finally {
      temp[Symbol.dispose]();
    }
  });
}

test('the look at the mounts of a machine grows with their number, not with its square', {
  skip,
}, async () => {
  const temp = tempDir();
  try {
    const base = bareRuntime();
    const count = 2_000;
    let looks = 0;
    const lines = Array.from({ length: count }, (_, index) => ({
      type: 'ext4',
      source: '/dev/sda1',
      root: `/snapshots/of/${index + 100}`,
      get point() {
        looks++;
        return `/place/${index}`;
      },
      options: [],
    }));
    const mounter = async () => ({ ...(await base.mounter()), mounts: async () => lines });
    await opened(temp.path, (backend) => fill(backend, 'native'));
    await opened(temp.path, (backend) => backend.snapshotter('native').remove('mine'), { ...base, mounter });
    assert.ok(looks > 0 && looks < 10 * count, `${looks} looks`);
  } finally {
    temp[Symbol.dispose]();
  }
});

test('overlays of many layers, named by descriptors, keep what no record knows, of their own store', {
  skip,
}, async () => {
  const temp = tempDir();
  const dir = temp.path;
  try {
    const sources = { [`${dir}/store`]: ['1', '2', '3'], [`${dir}/other`]: [] };
    await opened(`${dir}/other`, (backend) => fill(backend, 'overlayfs'));
    for (const [source, left] of Object.entries(sources)) {
      const root = `${dir}/store`;
      fs.rmSync(root, { recursive: true, force: true });
      await opened(root, (backend) => fill(backend, 'overlayfs'));
      const line: MountPoint = {
        type: 'overlay',
        source: `${source}/snapshots/overlayfs/9/fs`,
        root: '/',
        point: '/place',
        options: ['ro', 'lowerdir=/proc/self/fd/7:/proc/self/fd/8'],
      };
      const base = bareRuntime();
      const mounter = async () => ({ ...(await base.mounter()), mounts: async () => [line] });
      const runtime = { ...base, mounter };
      await opened(root, (backend) => backend.snapshotter().remove('mine'), runtime);
      assert.deepEqual(fs.readdirSync(`${root}/snapshots/overlayfs`), ['1', '3']);
      await opened(root, (backend) => backend.snapshotter().prepare('again', 'base'), runtime);
      forget(root);
      await opened(root, (backend) => backend.collect(), runtime);
      assert.deepEqual(
        fs.readdirSync(`${root}/snapshots/overlayfs`),
        left.length === 0 ? [] : ['1', '3', '4'],
      );
    }
  } finally {
    temp[Symbol.dispose]();
  }
});
