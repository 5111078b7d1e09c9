import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { openLocalBackend } from '../../../src/backends/local/open.ts';
import { HawserError, hintOf, messageOf } from '../../../src/core/errors.ts';
import { applyTarget } from '../../../src/core/layers/apply-by-worker.ts';
import type { ApplyJob, HeldDir } from '../../../src/core/layers/workers.ts';
import type { Mount } from '../../../src/core/ports/mounter.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { halfDone } from '../../support/half-done.ts';
import { needs } from '../../support/needs.ts';
import { prepareMounts, viewMounts } from '../../support/snapshot-mounts.ts';
import { addBlob, digestOf, someBytes, withStore } from '../../support/stores.ts';

const skip = needs({ root: true });
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

test('overlayfs: the mounts of containerd 1.6, option by option', { skip }, async () => {
  await withStore(async ({ backend, root }) => {
    const sn = backend.snapshotter('overlayfs');
    const dir = `${root}/snapshots/overlayfs`;
    const index = fs.existsSync('/sys/module/overlay/parameters/index') ? ['index=off'] : [];
    const overlay = (options: string[]): Mount[] => [
      { type: 'overlay', source: 'overlay', options: [...index, ...options] },
    ];
    assert.deepEqual(await prepareMounts(sn, 'k1', ''), [
      { type: 'bind', source: `${dir}/1/fs`, options: ['rw', 'rbind'] },
    ]);
    assert.deepEqual(await viewMounts(sn, 'v0', ''), [
      { type: 'bind', source: `${dir}/2/fs`, options: ['ro', 'rbind'] },
    ]);
    await sn.commit('c1', 'k1');
    assert.deepEqual(await viewMounts(sn, 'v1', 'c1'), [
      { type: 'bind', source: `${dir}/1/fs`, options: ['ro', 'rbind'] },
    ]);
    const active = overlay([`workdir=${dir}/4/work`, `upperdir=${dir}/4/fs`, `lowerdir=${dir}/1/fs`]);
    assert.deepEqual(await prepareMounts(sn, 'k2', 'c1'), active);
    assert.deepEqual(await sn.mounts('k2'), active);
    await sn.commit('c2', 'k2');
    assert.deepEqual(await viewMounts(sn, 'v2', 'c2'), overlay([`lowerdir=${dir}/4/fs:${dir}/1/fs`]));
    const modes = ['4', '4/fs', '4/work'].map((path) =>
      (fs.statSync(`${dir}/${path}`).mode & 0o7777).toString(8),
    );
    assert.deepEqual(modes, ['700', '755', '711']);
  });
});

test('native: bind mounts of whole trees', { skip }, async () => {
  await withStore(async ({ backend, root }) => {
    const sn = backend.snapshotter('native');
    const dir = `${root}/snapshots/native`;
    assert.deepEqual(await prepareMounts(sn, 'k', ''), [
      { type: 'bind', source: `${dir}/1`, options: ['rbind', 'rw'] },
    ]);
    await sn.commit('c', 'k');
    assert.deepEqual(await viewMounts(sn, 'v', 'c'), [
      { type: 'bind', source: `${dir}/1`, options: ['rbind', 'ro'] },
    ]);
    assert.deepEqual(await sn.usage('v'), { size: 0, inodes: 0 });
    assert.deepEqual(await prepareMounts(sn, 'k2', 'c'), [
      { type: 'bind', source: `${dir}/3`, options: ['rbind', 'rw'] },
    ]);
  });
});

test('one name in two namespaces and two snapshotters is four snapshots', { skip }, async () => {
  await withStore(async ({ backend, open }) => {
    for (const one of [backend, await open('other')]) {
      for (const name of one.snapshotterNames) await one.snapshotter(name).prepare('same', '');
    }
    assert.equal((await backend.snapshotter('native').list()).length, 1);
  });
});

test('an abort at the look at a reserved directory leaves nothing staged', { skip }, async () => {
  const runtime = bareRuntime();
  const watched = { ...runtime, fs: { ...runtime.fs } };
  const stop = new AbortController();
  await withStore(
    async ({ backend, root }) => {
      let looks = 0;
      watched.fs.stat = async (path, call) => {
        if (!/\/overlayfs\/\d+$/.test(path)) return await runtime.fs.stat(path, call);
        looks++;
        stop.abort(new HawserError('Canceled', 'interrupted'));
        return await runtime.fs.stat(path, call);
      };
      await rejectsWith(
        'Canceled',
        backend.snapshotter('overlayfs').prepare('k', '', { signal: stop.signal }),
      );
      assert.ok(looks > 0);
      assert.deepEqual(halfDone(root), []);
    },
    { runtime: watched },
  );
});

test('without the capability the error says what to do', async () => {
  const runtime = bareRuntime();
  let held = '00000000000000c1';
  const status = (): Uint8Array => new TextEncoder().encode(`Name:\tx\nCapEff:\t${held}\n`);
  const weak = { ...runtime, fs: { ...runtime.fs } };
  weak.fs.readFile = async (path, limit, call) =>
    path === '/proc/self/status' ? status() : await runtime.fs.readFile(path, limit, call);
  await withStore(
    async ({ backend }) => {
      const overlay = await rejectsWith(
        'FailedPrecondition',
        backend.snapshotter('overlayfs').prepare('k', ''),
      );
      assert.match(messageOf(overlay), /(?:not root \(this process|root here) lacks CAP_SYS_ADMIN/);
      assert.equal(/run as root/i.test(hintOf(overlay) ?? ''), runtime.host.uid !== 0);
      assert.match(hintOf(overlay) ?? '', /--snapshotter native/);
      held = '00000000000000c0';
      const neither = await rejectsWith(
        'FailedPrecondition',
        backend.snapshotter('overlayfs').prepare('k', ''),
      );
      assert.doesNotMatch(hintOf(neither) ?? '', /native/);
      const native = await rejectsWith('FailedPrecondition', backend.snapshotter('native').prepare('k', ''));
      assert.match(messageOf(native), /CAP_CHOWN/);
      assert.deepEqual(await backend.snapshotter('native').list(), []);
    },
    { runtime: weak },
  );
});

test('a failed preparation leaves nothing', { skip }, async () => {
  const runtime = bareRuntime();
  const failing = { ...runtime, workers: { ...runtime.workers } };
  await withStore(
    async ({ backend, root }) => {
      const sn = backend.snapshotter('native');
      await sn.prepare('k', '');
      await sn.commit('c', 'k');
      failing.workers.copyTree = async () => {
        throw new Error('disk on fire');
      };
      await assert.rejects(sn.prepare('k2', 'c'), /Cannot make snapshot "k2": disk on fire/);
      assert.deepEqual(fs.readdirSync(`${root}/snapshots/native`), ['1']);
      assert.deepEqual(
        (await sn.list()).map((one) => one.name),
        ['c'],
      );
      failing.workers.copyTree = runtime.workers.copyTree;
      await sn.prepare('k2', 'c');
    },
    { runtime: failing },
  );
});

test('of many that prepare or commit one name at once, one wins', { skip }, async () => {
  await withStore(async ({ backend, open }) => {
    const all = [backend.snapshotter(), (await open()).snapshotter()];
    const tries = await Promise.allSettled(Array.from({ length: 6 }, (_, i) => all[i % 2]?.prepare('k', '')));
    assert.equal(tries.filter((one) => one.status === 'fulfilled').length, 1);
    for (let i = 0; i < 4; i++) await backend.snapshotter().prepare(`k-${i}`, '');
    const commits = await Promise.allSettled(
      Array.from({ length: 4 }, (_, i) => all[i % 2]?.commit('chain', `k-${i}`)),
    );
    assert.equal(commits.filter((one) => one.status === 'fulfilled').length, 1);
    await backend.collect();
  });
});

test('layers applied but never made durable are not trusted after another boot', { skip }, async () => {
  const base = bareRuntime();
  let boot = 'boot-1';
  const times = { wait: 0, inflate: 0, verify: 0, apply: 0 };
  const jobs: ApplyJob[] = [];
  const synced: string[] = [];
  const runtime = {
    ...base,
    fs: {
      ...base.fs,
      readFile: async (...args: Parameters<typeof base.fs.readFile>) =>
        args[0].endsWith('/boot_id')
          ? new TextEncoder().encode(`${boot}\n`)
          : await base.fs.readFile(...args),
    },
    workers: {
      ...base.workers,
      apply: async (job: ApplyJob) => {
        jobs.push(job);
        const diffId = digestOf(new Uint8Array());
        return { diffId, size: 0, entries: 0, times, warnings: ['w'], privileged: false, record: null };
      },
      syncfs: async (dirs: readonly (string | HeldDir)[]) => {
        synced.push(...dirs.map((dir) => (typeof dir === 'string' ? dir : dir.path)));
      },
    },
  };
  await withStore(
    async ({ backend, root, open }) => {
      const sn = backend.snapshotter();
      const blob = someBytes(2000);
      const layer = { mediaType: LAYER, digest: await addBlob(backend, blob), size: 2000 };
      const extract = async (name: string, parent: string): Promise<void> => {
        const applied = await backend.applier.apply(layer, await sn.prepare(`k-${name}`, parent));
        assert.deepEqual(applied, {
          digest: digestOf(new Uint8Array()),
          size: 0,
          entries: 0,
          times,
          warnings: ['w'],
          privileged: false,
          record: undefined,
        });
        await sn.commit(name, `k-${name}`);
      };
      await extract('safe', '');
      assert.deepEqual([jobs[0]?.mode, jobs[0]?.root], ['flat', `${root}/snapshots/overlayfs/1/fs`]);
      await backend.sync();
      assert.deepEqual(synced, [`${root}/snapshots`]);
      await extract('lost', 'safe');
      assert.deepEqual(
        [jobs[1]?.mode, jobs[1]?.blobSize, jobs[1]?.lowers],
        ['overlay', 2000, [`${root}/snapshots/overlayfs/1/fs`]],
      );
      await sn.prepare('extract-1-abcd sha256:above', 'lost');
      await sn.prepare('mine', 'safe');
      await open();
      assert.equal((await sn.list()).length, 4);
      boot = 'boot-2';
      await open();
      assert.deepEqual(
        (await sn.list()).map((one) => one.name),
        ['mine', 'safe'],
      );
    },
    { runtime },
  );
});

test('what a layer is applied to', () => {
  const overlay = { upper: '/u', lowers: ['/b', '/a'] };
  assert.deepEqual(applyTarget(overlay), { root: '/u', lowers: ['/b', '/a'], mode: 'overlay' });
  const plain = { upper: '/s', lowers: [] };
  assert.deepEqual(applyTarget(plain), { root: '/s', lowers: [], mode: 'flat' });
  assert.deepEqual(applyTarget(plain, 'none'), { root: '/s', lowers: [], mode: 'overlay' });
  assert.deepEqual(applyTarget(plain, 'unknown'), { root: '/s', lowers: [], mode: 'blind' });
  for (const lowers of [[], ['/s'], ['/b', '/a']]) {
    assert.throws(() => applyTarget({ lowers }), /it takes an active snapshot/);
  }
});

test('a read-only opening sees what is there', { skip }, async () => {
  await withStore(async ({ backend, root, runtime }) => {
    await backend.snapshotter().prepare('k', '');
    const reader = await openLocalBackend(runtime, { root, namespace: 'testing', readOnly: true });
    assert.equal((await reader.snapshotter().mounts('k')).length, 1);
    assert.ok((await reader.snapshotter().usage('k')).inodes >= 1);
    await rejectsWith('FailedPrecondition', reader.snapshotter().remove('k'));
    await reader[Symbol.asyncDispose]();
  });
});
