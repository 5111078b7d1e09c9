/** Round trips of archives with crane, oras, regctl and podman: equal digests both ways. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry } from '../registry/registry.ts';
import { type CarryWorld, GOLDEN_NAME, targetOf, withCarryWorld } from '../support/carry-world.ts';
import { exec, execOk } from '../support/exec.ts';
import { amd64, INDEX_DIGEST } from '../support/golden-image.ts';
import { hawser, quickest } from '../support/hawser.ts';
import { findTool, needs, requirePeer } from '../support/needs.ts';
import { digestOf } from '../support/stores.ts';

function peer(name: string): string | false {
  if (findTool(name) !== undefined) return false;
  requirePeer(name);
  return `needs ${name}`;
}

/** What hawser records of what the peer wrote. */
async function importedAs(
  { path }: CarryWorld,
  file: string,
  ...flags: readonly string[]
): Promise<string | undefined> {
  const store = hawser(quickest, path(`store-of-${file}`));
  await store.ok('import', '--no-unpack', ...flags, path(file));
  return await targetOf(store, GOLDEN_NAME);
}

/** For what comes with a tag only. */
const BASE = ['--base-name', 'registry.example/t/img'];

test('oras reads an export as it is, and hawser what oras copies', { skip: peer('oras') }, () =>
  withCarryWorld(async (world) => {
    const { path, full } = world;
    await full.ok('export', path('a.tar'), GOLDEN_NAME);
    const tags = await execOk('oras', ['repo', 'tags', '--oci-layout', path('a.tar')]);
    assert.equal(tags.stdout.trim(), '1');
    const raw = await execOk('oras', ['manifest', 'fetch', '--oci-layout', `${path('a.tar')}:1`]);
    assert.equal(digestOf(new TextEncoder().encode(raw.stdout)), INDEX_DIGEST);
    const to = ['--to-oci-layout', `${path('o')}:1`];
    await execOk('oras', ['copy', '--from-oci-layout', `${path('a.tar')}:1`, ...to]);
    assert.equal(await importedAs(world, 'o', '--all-platforms', ...BASE), INDEX_DIGEST);
  }),
);

test('regctl imports an export, and hawser what regctl exports', { skip: peer('regctl') }, () =>
  withCarryWorld(async (world) => {
    const { path, full } = world;
    await full.ok('export', path('a.tar'), GOLDEN_NAME);
    const layout = `ocidir://${path('r')}:1`;
    await execOk('regctl', ['image', 'import', layout, path('a.tar')]);
    const { stdout } = await execOk('regctl', ['manifest', 'head', layout]);
    assert.equal(stdout.trim(), INDEX_DIGEST);
    await execOk('regctl', ['image', 'export', layout, path('x.tar')]);
    // regctl's name for the image is where the layout was.
    assert.equal(await importedAs(world, 'x.tar', '--all-platforms', '--name', GOLDEN_NAME), INDEX_DIGEST);
    assert.equal(await importedAs(world, 'r', '--all-platforms', ...BASE), INDEX_DIGEST);
  }),
);

test('crane pushes an export, and hawser imports what crane pulls', { skip: peer('crane') }, () =>
  withCarryWorld(async (world) => {
    const { path } = world;
    const registry = await startRegistry();
    try {
      const image = await buildImage({ layers: [{ entries: [{ name: 'f', data: 'x' }] }] });
      const ref = registry.push('t/img', '1', image);
      for (const format of ['oci', 'tarball']) {
        await execOk('crane', ['pull', '--insecure', '--format', format, ref, path(format)]);
        const store = hawser(quickest, path(`of-${format}`));
        // crane names nothing in a layout.
        const named = format === 'oci' ? ['--name', ref] : [];
        await store.ok('import', '--no-unpack', ...named, path(format));
        const target = await targetOf(store, ref);
        if (format === 'oci') assert.equal(target, image.root.digest);
        await store.ok('export', '--format', 'docker', path(`${format}.tar`), ref);
        await execOk('crane', ['validate', '--tarball', path(`${format}.tar`)]);
      }
    } finally {
      await registry.close();
    }
  }),
);

test(
  'podman loads an export, and hawser imports what podman saves in either form',
  { skip: needs({ root: true, tools: ['podman'] }) },
  () =>
    withCarryWorld(async (world) => {
      const { path, full } = world;
      await full.ok('export', path('a.tar'), GOLDEN_NAME);
      const own = ['--root', path('pr'), '--runroot', path('pn'), '--storage-driver', 'vfs'];
      const podman = (...args: readonly string[]) => execOk('podman', [...own, ...args]);
      try {
        await podman('load', '-q', '-i', path('a.tar'));
        const id = (await podman('image', 'inspect', '--format', '{{.Id}}', GOLDEN_NAME)).stdout.trim();
        assert.equal(`sha256:${id}`, digestOf(amd64.config), 'the same config, so the same layers');
        for (const format of ['oci-archive', 'docker-archive']) {
          await podman('save', '-q', '--format', format, '-o', path(`${format}.tar`), GOLDEN_NAME);
          const store = hawser(quickest, path(`of-${format}`));
          await store.ok('import', '--no-unpack', path(`${format}.tar`));
          const { stdout } = await store.ok('images', 'inspect', '--content', GOLDEN_NAME);
          assert.ok(stdout.includes(digestOf(amd64.config)), stdout);
        }
      } finally {
        await exec('podman', [...own, 'system', 'reset', '-f']);
      }
    }),
);
