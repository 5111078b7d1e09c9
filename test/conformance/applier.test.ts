/** Layers through the local backend with real workers: blob to snapshot to mount. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openLocalBackend } from '../../src/backends/local/open.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';
import { viewMounts } from '../support/snapshot-mounts.ts';
import { addBlob, digestOf } from '../support/stores.ts';

let shared: Promise<Runtime> | undefined;

function runtime(): Promise<Runtime> {
  shared ??= defaultRuntime();
  return shared;
}

after(async () => {
  if (shared !== undefined) await (await shared).workers[Symbol.asyncDispose]();
});

function tarOf(dir: string, make: (dir: string) => void): Uint8Array {
  fs.mkdirSync(dir, { mode: 0o755 });
  make(dir);
  return new Uint8Array(execFileSync('tar', ['-C', dir, '--format=pax', '--numeric-owner', '-cf', '-', '.']));
}

const WAYS = ['overlayfs', 'native'].flatMap((name) => [
  { name, blind: false },
  { name, blind: true },
]);

for (const { name, blind } of WAYS) {
  test(`two layers through ${name}, ${blind ? 'blind' : 'in order'}: diff IDs, tree, usage, sync`, {
    skip: needs({ root: true, tools: ['tar'] }),
  }, async () => {
    const host = await runtime();
    const dir = scratch();
    const backend = await openLocalBackend(host, { root: `${dir.path}/store`, namespace: 'default' });
    try {
      const sn = backend.snapshotter(name);
      const first = tarOf(`${dir.path}/one`, (at) => {
        fs.chmodSync(at, 0o750);
        fs.mkdirSync(`${at}/etc`);
        fs.writeFileSync(`${at}/etc/kept`, 'kept');
        fs.writeFileSync(`${at}/etc/gone`, 'gone');
        fs.chmodSync(`${at}/etc/kept`, 0o4711);
      });
      const second = tarOf(`${dir.path}/two`, (at) => {
        fs.chmodSync(at, 0o750);
        fs.mkdirSync(`${at}/etc`);
        fs.writeFileSync(`${at}/etc/.wh.gone`, '');
        fs.writeFileSync(`${at}/new`, 'new');
      });
      const layers = [
        {
          tar: first,
          blob: new Uint8Array(gzipSync(first)),
          type: 'application/vnd.oci.image.layer.v1.tar+gzip',
        },
        {
          tar: second,
          blob: new Uint8Array(zstdCompressSync(second)),
          type: 'application/vnd.oci.image.layer.v1.tar+zstd',
        },
      ];
      let parent = '';
      for (const [i, { tar, blob, type }] of layers.entries()) {
        const digest = await addBlob(backend, blob);
        const snapshot = await sn.prepare(`extract-${i}`, blind ? '' : parent);
        const applied = await backend.applier.apply(
          { mediaType: type, digest, size: blob.length },
          snapshot,
          {
            below: blind ? 'unknown' : 'mounts',
          },
        );
        assert.equal(applied.record !== undefined, blind);
        if (applied.record !== undefined) {
          assert.equal(await sn.rebase?.(`extract-${i}`, parent, applied.record), undefined);
          assert.equal((await sn.stat(`extract-${i}`)).parent, parent);
        }
        assert.deepEqual([applied.digest, applied.size], [digestOf(tar), tar.length]);
        await sn.commit(`layer-${i}`, `extract-${i}`);
        parent = `layer-${i}`;
      }
      await backend.sync();
      assert.ok((await sn.usage('layer-0')).inodes >= 4);
      const target = `${dir.path}/mnt`;
      fs.mkdirSync(target);
      const mounter = await host.mounter();
      await mounter.mount(await viewMounts(sn, 'view', parent), target);
      try {
        assert.deepEqual(fs.readdirSync(`${target}/etc`), ['kept']);
        assert.equal((fs.statSync(`${target}/etc/kept`).mode & 0o7777).toString(8), '4711');
        assert.equal((fs.statSync(target).mode & 0o7777).toString(8), '750');
        assert.equal(fs.readFileSync(`${target}/new`, 'utf8'), 'new');
      } finally {
        await mounter.unmount(target);
      }
    } finally {
      await backend[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    }
  });
}
