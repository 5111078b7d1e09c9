/** A snapshot that a repair replaces, while others build above it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import { reasonOf } from '../../../src/core/errors.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { withStore } from '../../support/stores.ts';

const ROOT = { skip: needs({ root: true }) };

/** A committed snapshot with one file. */
async function layer(backend: LocalBackend, snapshotter: string, name: string): Promise<void> {
  const one = backend.snapshotter(snapshotter);
  await one.prepare(`${name} key`, '');
  const [mount] = await one.mounts(`${name} key`);
  fs.writeFileSync(`${mount?.source}/file`, name);
  await one.commit(name, `${name} key`);
}

/** What a snapshot above shows of the file. */
async function shown(backend: LocalBackend, snapshotter: string, key: string): Promise<string> {
  const [mount] = await backend.snapshotter(snapshotter).mounts(key);
  const lower = mount?.options.find((option) => option.startsWith('lowerdir='))?.slice('lowerdir='.length);
  return fs.readFileSync(`${lower ?? mount?.source}/file`, 'utf8');
}

/** A runtime that runs `hooks.run` once: when the directory of the snapshot is made, or when its files are. */
function interrupted(when: 'before' | 'after'): { runtime: Runtime; hooks: { run?: () => Promise<void> } } {
  const hooks: { run?: () => Promise<void> } = {};
  const fire = async (): Promise<void> => {
    const { run } = hooks;
    delete hooks.run;
    await run?.();
  };
  const base = bareRuntime();
  const workers = Object.assign(Object.create(base.workers), {
    copyTree: async (...args: Parameters<Runtime['workers']['copyTree']>) => {
      if (when === 'before') await fire();
      await base.workers.copyTree(...args);
      if (when === 'after') await fire();
    },
  });
  const mkdir: Runtime['fs']['mkdir'] = async (path, ...more) => {
    if (when === 'before' && path.endsWith('/fs')) await fire();
    await base.fs.mkdir(path, ...more);
    if (when === 'after' && path.endsWith('/work')) await fire();
  };
  return { runtime: { ...base, workers, fs: { ...base.fs, mkdir } }, hooks };
}

for (const snapshotter of ['native', 'overlayfs']) {
  for (const when of ['before', 'after'] as const) {
    test(
      `${snapshotter}: a parent replaced ${when} its files are read: the new one is used`,
      ROOT,
      async () => {
        const { runtime, hooks } = interrupted(when);
        await withStore(
          async ({ backend, open, root }) => {
            for (const name of ['base', 'base+repair']) await layer(backend, snapshotter, name);
            const repairing = (await open()).snapshotter(snapshotter);
            hooks.run = async () => await repairing.replace?.('base', 'base+repair');
            await backend.snapshotter(snapshotter).prepare('work', 'base');
            assert.equal(hooks.run, undefined, 'the parent was replaced meanwhile');
            assert.equal(await shown(backend, snapshotter, 'work'), 'base+repair');
            assert.equal(
              fs.readdirSync(`${root}/snapshots/${snapshotter}`).length,
              2,
              'nothing is left over',
            );
          },
          { runtime },
        );
      },
    );
  }

  test(
    `${snapshotter}: a live process that works above, however high, keeps a snapshot from being replaced`,
    ROOT,
    async () => {
      await withStore(async ({ backend, open }) => {
        for (const name of ['base', 'base+repair']) await layer(backend, snapshotter, name);
        const other = await open();
        const theirs = other.snapshotter(snapshotter);
        await theirs.prepare('key', 'base');
        await theirs.commit('child', 'key');
        await theirs.prepare('work', 'child');
        const mine = backend.snapshotter(snapshotter);
        const err = await rejectsWith(
          'Unavailable',
          mine.replace?.('base', 'base+repair') ?? Promise.resolve(),
        );
        assert.notEqual(reasonOf(err, 'busy'), undefined);
        assert.equal((await mine.stat('base+repair')).kind, 'Committed');
        await other[Symbol.asyncDispose]();
        await mine.replace?.('base', 'base+repair');
        await rejectsWith('NotFound', mine.stat('base+repair'));
        assert.equal((await mine.stat('child')).parent, 'base');
      });
    },
  );
}
