/** The verbs for what is in a store, through the library, on this runtime: into snapshots, a directory, a bundle. */
import assert from 'node:assert/strict';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { bundle, fetch, unpack, unpackRootfs } from '../../src/mod.ts';
import { buildImage } from '../registry/image.ts';
import { image, rejectsWith, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';

const OVERLAY = { skip: needs({ root: true }) };

test('what was fetched is unpacked later: into snapshots, a directory, a bundle', OVERLAY, async () => {
  await withBench(async ({ store, registry, events }) => {
    const tree = ['etc', 'etc/name', 'only-later'];
    const config = { config: { Cmd: ['/run'], User: '7:8' } };
    const ref = registry.push('a/later', 'v1', await image('later', { config }));
    await rejectsWith('NotFound', /not found/, unpack(ref, { store }));
    await fetch(ref, { store });
    const first = await unpack(ref, { store, onProgress: (event) => events.push(event) });
    assert.equal((await store.snapshotter().stat(first.unpacked[0]?.chainId ?? '')).kind, 'Committed');
    assert.deepEqual((await unpack(ref, { store })).unpacked, first.unpacked);
    assert.deepEqual(await store.leases.list(), []);

    const dir = join(store.root, '../tree');
    const made = await unpackRootfs(ref, dir, { store });
    assert.equal(made.dir, dir);
    assert.deepEqual((readdirSync(dir, { recursive: true }) as string[]).sort(), tree);
    await rejectsWith('AlreadyExists', /not empty/, unpackRootfs(ref, dir, { store }));
    await rejectsWith('FailedPrecondition', /the store is/, bundle(ref, join(store.root, 'b'), { store }));

    const target = join(dir, '../bundle');
    await bundle(ref, target, { store });
    assert.deepEqual((readdirSync(join(target, 'rootfs'), { recursive: true }) as string[]).sort(), tree);
    const { process } = JSON.parse(readFileSync(join(target, 'config.json'), 'utf8'));
    assert.deepEqual([process.args, process.user], [['/run'], { uid: 7, gid: 8, additionalGids: [8] }]);
    assert.deepEqual(readdirSync(join(dir, '..')).sort(), ['bundle', 'root', 'tree']);
  });
});

test('an image with a layer missing is not unpacked, and the layer is named', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const pushed = await image('gone');
    const ref = registry.push('a/gone', 'v1', pushed);
    await fetch(ref, { store });
    const layer = pushed.layers[1]?.digest ?? '';
    await store.content.delete(parseDigest(layer));
    const dir = join(store.root, '../tree');
    const message = new RegExp(`layer 2 of 2 \\(${layer}\\) is not in the store`);
    await rejectsWith('NotFound', message, unpack(ref, { store }));
    await rejectsWith('NotFound', message, unpackRootfs(ref, dir, { store }));
    assert.deepEqual(readdirSync(join(store.root, '..')), ['root']);
  });
});

test('setuid programs and devices where every user reaches them: a warning', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const temp = join(store.root, '..');
    chmodSync(temp, 0o755);
    const rows = [
      { entry: { name: 'su', data: 'x', mode: 0o4755 }, mode: 0o755, warns: true },
      { entry: { name: 'wall', data: 'x', mode: 0o2755 }, mode: 0o755, warns: true },
      { entry: { name: 'su', data: 'x', mode: 0o4755 }, mode: 0o700, warns: false },
      { entry: { name: 'plain', data: 'x', mode: 0o755 }, mode: 0o755, warns: false },
      { entry: { name: 'tmp/', type: 'directory' as const, mode: 0o2777 }, mode: 0o755, warns: false },
      {
        entry: { name: 'null', type: 'character-device' as const, devmajor: 1, devminor: 3, mode: 0o666 },
        mode: 0o755,
        warns: true,
      },
    ];
    for (const [at, { entry, mode, warns }] of rows.entries()) {
      const root = { name: './', type: 'directory' as const, mode };
      const pushed = await buildImage({ layers: [{ entries: [root, entry] }] });
      const ref = registry.push('a/setuid', `v${at}`, pushed);
      await fetch(ref, { store });
      const warnings: string[] = [];
      const dir = join(temp, `tree${at}`);
      await unpackRootfs(ref, dir, {
        store,
        onProgress: (event) => void (event.type === 'warning' && warnings.push(event.message)),
      });
      assert.equal(
        warnings.some((text) => /every user of this machine/.test(text)),
        warns,
        `row ${at}`,
      );
    }
  });
});

test('a directory is not made of layers that are not what the config says', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const rootfs = { type: 'layers', diff_ids: [`sha256:${'1'.repeat(64)}`, `sha256:${'2'.repeat(64)}`] };
    const ref = registry.push('a/wrong', 'v1', await image('wrong', { config: { rootfs } }));
    await fetch(ref, { store });
    const work = unpackRootfs(ref, join(store.root, '../tree'), { store });
    await rejectsWith('DataLoss', /layer 1 .*wrong diff id/, work);
    assert.deepEqual(readdirSync(join(store.root, '..')), ['root']);
  });
});

test(
  'what makes directories and bundles is held by the same scopes: links of an image lead nowhere outside (H100)',
  OVERLAY,
  async () => {
    await withBench(async ({ store, registry }) => {
      const outside = join(store.root, '../canary');
      mkdirSync(join(outside, 'etc'), { recursive: true });
      const secret = join(outside, 'etc/passwd');
      writeFileSync(secret, 'evil:x:4242:4242::/:/bin/sh\n', { mode: 0o400 });
      const seen = () => {
        const { ino, mode, uid, gid, size, mtimeNs, ctimeNs } = lstatSync(secret, { bigint: true });
        return [
          { ino, mode, uid, gid, size, mtimeNs, ctimeNs },
          readFileSync(secret, 'utf8'),
          readdirSync(outside),
        ];
      };
      const before = seen();
      const up = `${'../'.repeat(40)}${outside.slice(1)}`;
      const pushed = await buildImage({
        layers: [
          {
            entries: [
              { name: 'etc', type: 'symlink', linkname: `${outside}/etc` },
              { name: 'up', type: 'symlink', linkname: up },
            ],
          },
          {
            entries: [
              { name: 'up/etc/planted', data: 'x' },
              { name: `${up}/etc/climbed`, data: 'x' },
              { name: 'etc/.wh.passwd', data: '' },
            ],
          },
        ],
        config: { config: { Cmd: ['/run'], User: 'evil', WorkingDir: '/up/etc' } },
      });
      const ref = registry.push('a/hostile', 'v1', pushed);
      await fetch(ref, { store });
      const dir = join(store.root, '../tree');
      await unpackRootfs(ref, dir, { store });
      assert.ok(lstatSync(join(dir, 'etc')).isSymbolicLink());
      assert.equal(readFileSync(join(dir, outside, 'etc/planted'), 'utf8'), 'x');
      assert.equal(readFileSync(join(dir, outside, 'etc/climbed'), 'utf8'), 'x');
      // The name is looked up in the image's own tree, where nobody is called so.
      await rejectsWith('NotFound', /evil/, bundle(ref, join(dir, '../bundle'), { store }));
      assert.deepEqual(seen(), before);
    });
  },
);
