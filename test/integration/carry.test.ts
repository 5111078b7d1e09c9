/** Archives there and back: hawser's with ctr 1.6 and 2, skopeo, umoci and crane, and theirs with hawser; digests stay. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { GOLDEN_NAME, targetOf, withCarryWorld } from '../support/carry-world.ts';
import { installations, startContainerd } from '../support/containerd.ts';
import { exec, execOk } from '../support/exec.ts';
import { amd64, INDEX_DIGEST } from '../support/golden-image.ts';
import { hawser, quickest } from '../support/hawser.ts';
import { findTool, needs } from '../support/needs.ts';
import { digestOf } from '../support/stores.ts';

/** Of the amd64 image as a Docker archive of expanded layers. */
const DOCKER_DIGEST = 'sha256:0763c762f1694db62691ae3e0b1f695962bc871cdfdbaa9089a160acafcd6ea7';

for (const installation of installations)
  describe(`with ${installation.name}`, { skip: needs({ root: true, tools: ['containerd', 'ctr'] }) }, () => {
    test('A5: of a sparse image, ctr takes all platforms of a flat or rewritten index, not of a kept one', () =>
      withCarryWorld(async ({ path, full }) => {
        const daemon = await startContainerd(undefined, '', installation);
        try {
          for (const form of ['flat', 'rewrite', 'keep'] as const) {
            await full.ok('export', '--platform', 'linux/amd64', '--index', form, path('a.tar'), GOLDEN_NAME);
            const taken = daemon.ctr('-n', form, 'images', 'import', '--all-platforms', path('a.tar'));
            if (form === 'keep') await assert.rejects(taken, /not found/);
            else await taken;
          }
        } finally {
          await daemon.close();
        }
      }));

    test('an export is imported by ctr, and what ctr exports by hawser', () =>
      withCarryWorld(async ({ path, full, empty }) => {
        const daemon = await startContainerd(undefined, '', installation);
        try {
          await full.ok('export', path('a.tar'), GOLDEN_NAME);
          await daemon.ctr('images', 'import', '--all-platforms', path('a.tar'));
          assert.match(
            (await daemon.ctr('images', 'ls')).stdout,
            new RegExp(`${GOLDEN_NAME} .*${INDEX_DIGEST}`),
          );
          await daemon.ctr('images', 'check');
          const { stderr } = await full.ok(
            'export',
            '--lacks',
            daemon.socket,
            path('delta.tar'),
            GOLDEN_NAME,
          );
          assert.match(stderr, /left out.* \(3 layers\)/);
          await daemon.ctr('images', 'rm', '--sync', GOLDEN_NAME);
          const after = await full.ok('export', '--lacks', daemon.socket, path('whole.tar'), GOLDEN_NAME);
          assert.match(after.stderr, /left out.* \(0 layers\)/, 'what containerd has collected is carried');
          await daemon.ctr('images', 'import', '--all-platforms', path('whole.tar'));
          await daemon.ctr('images', 'export', '--all-platforms', path('b.tar'), GOLDEN_NAME);
          await empty.ok('import', '--no-unpack', '--all-platforms', path('b.tar'));
          assert.equal(await targetOf(empty, GOLDEN_NAME), INDEX_DIGEST);
          await full.ok('export', '--format', 'docker', path('d.tar'), GOLDEN_NAME);
          await daemon.ctr('-n', 'other', 'images', 'import', path('d.tar'));
          const ours = hawser(quickest, path('docker'));
          await ours.ok('import', '--no-unpack', path('d.tar'));
          const digest = (await targetOf(ours, GOLDEN_NAME)) ?? 'none';
          assert.match((await daemon.ctr('-n', 'other', 'images', 'ls')).stdout, new RegExp(digest));
          const [file, ...before] = quickest.command;
          const at = [...before, '--address', daemon.socket, '-n', 'third'];
          await execOk(file, [...at, 'import', '--no-unpack', '--all-platforms', path('a.tar')]);
          await execOk(file, [...at, 'export', path('c.tar'), GOLDEN_NAME]);
          assert.deepEqual((await execOk('cmp', [path('a.tar'), path('c.tar')])).stdout, '');
        } finally {
          await daemon.close();
        }
      }));
  });

test(
  'skopeo and umoci read an export, and hawser what they write',
  {
    skip: needs({ tools: ['skopeo', 'umoci'] }),
  },
  () =>
    withCarryWorld(async ({ path, full, empty }) => {
      await full.ok('export', path('a.tar'), GOLDEN_NAME);
      await full.ok('export', `${path('layout')}/`, GOLDEN_NAME);
      const { stdout } = await execOk('skopeo', ['inspect', '--raw', `oci-archive:${path('a.tar')}:1`]);
      assert.equal(digestOf(new TextEncoder().encode(stdout)), INDEX_DIGEST);
      assert.equal((await execOk('umoci', ['ls', '--layout', path('layout')])).stdout.trim(), '1');
      await full.ok(
        'export',
        '--index',
        'flat',
        '--platform',
        'linux/amd64',
        `${path('flat')}/`,
        GOLDEN_NAME,
      );
      await execOk('umoci', ['tag', '--image', `${path('flat')}:1`, '2']);
      const ofUmoci = hawser(quickest, path('store-umoci'));
      await ofUmoci.ok('import', '--no-unpack', path('flat'));
      assert.equal(await targetOf(ofUmoci, GOLDEN_NAME), digestOf(amd64.manifest));
      const copies = [
        [`oci-archive:${path('s.tar')}:${GOLDEN_NAME}`, 's.tar', INDEX_DIGEST],
        [`oci:${path('s')}:${GOLDEN_NAME}`, 's', INDEX_DIGEST],
      ] as const;
      for (const [to, name, digest] of copies) {
        await execOk('skopeo', ['copy', '-q', '--all', `oci:${path('layout')}:1`, to]);
        const store = hawser(quickest, path(`store-${name}`));
        await store.ok('import', '--no-unpack', '--all-platforms', path(name));
        assert.equal(await targetOf(store, GOLDEN_NAME), digest);
      }
      const amd = ['--override-arch', 'amd64', '--override-os', 'linux'];
      await execOk('skopeo', [
        'copy',
        '-q',
        ...amd,
        `oci:${path('layout')}:1`,
        `docker-archive:${path('d.tar')}:${GOLDEN_NAME}`,
      ]);
      await empty.ok('import', '--no-unpack', path('d.tar'));
      assert.equal(await targetOf(empty, GOLDEN_NAME), DOCKER_DIGEST);
      await execOk('skopeo', ['copy', '-q', '--all', `oci:${path('layout')}:1`, `dir:${path('all')}`]);
      const other = hawser(quickest, path('in-place'));
      const listed = (await full.ok('files', 'ls', '-R', '--platform', 'linux/amd64', GOLDEN_NAME)).stdout;
      for (const source of [`docker-archive:${path('d.tar')}:${GOLDEN_NAME}`, `dir:${path('all')}`]) {
        const asked = ['--platform', 'linux/amd64', source];
        assert.equal((await other.ok('files', 'ls', '-R', ...asked)).stdout, listed, source);
        const rootfs = path(`rootfs-${source.length}`);
        await other.ok('unpack', ...asked, '--rootfs', rootfs);
        const { stdout } = await execOk('find', [rootfs, '-type', 'f', '-printf', '/%P\n']);
        const [file = ''] = stdout.split('\n');
        const copied = path(`cp-${source.length}`);
        mkdirSync(copied);
        await other.ok('cp', '--platform', 'linux/amd64', `${source}:${file}`, `${copied}/`);
        await execOk('cmp', [`${rootfs}${file}`, join(copied, basename(file))]);
      }
      await full.ok('export', '--format', 'docker', path('e.tar'), GOLDEN_NAME);
      const back = await execOk('skopeo', [
        'inspect',
        '--raw',
        '--config',
        `docker-archive:${path('e.tar')}`,
      ]);
      assert.equal(digestOf(new TextEncoder().encode(back.stdout)), digestOf(amd64.config));
    }),
);

test(
  'crane takes an export, and one of Docker’s form',
  { skip: findTool('crane') ? false : 'needs crane' },
  () =>
    withCarryWorld(async ({ path, full }) => {
      for (const format of ['oci', 'docker']) {
        await full.ok('export', '--format', format, path(`${format}.tar`), GOLDEN_NAME);
        assert.match(
          (await execOk('crane', ['validate', '--tarball', path(`${format}.tar`)])).stderr,
          /PASS|^$/,
        );
      }
    }),
);

test('through a pipe: standard output is the archive and nothing else', () =>
  withCarryWorld(async ({ path, full, empty }) => {
    const [file, ...before] = quickest.command;
    const out = await full.run(['export', '-', GOLDEN_NAME]);
    assert.equal(out.code, 0, out.stderr);
    writeFileSync(path('p.tar'), out.raw);
    await full.ok('export', path('a.tar'), GOLDEN_NAME);
    await execOk('cmp', [path('p.tar'), path('a.tar')]);
    const line = [file, ...before, '--root', path('empty'), 'import', '--no-unpack', '--all-platforms', '-'];
    await execOk('sh', ['-c', `cat ${path('p.tar')} | ${line.map((word) => `'${word}'`).join(' ')}`]);
    assert.equal(await targetOf(empty, GOLDEN_NAME), INDEX_DIGEST);
    const closed = await exec('sh', [
      '-c',
      `${[file, ...before].join(' ')} --root ${path('full')} export - ${GOLDEN_NAME} | true`,
    ]);
    assert.equal(closed.code, 0);
  }));
