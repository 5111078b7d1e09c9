/** `content/` is an OCI image layout that other tools read as it is. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { rejectsWith } from '../../support/bench.ts';
import { execOk } from '../../support/exec.ts';
import { needs } from '../../support/needs.ts';
import { addBlob, bytesOf, digestOf, withStore } from '../../support/stores.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** A small image; the same each time but for `note`. */
async function addImage(backend: LocalBackend, name: string, note = ''): Promise<string> {
  const tar = new Uint8Array(1024);
  const layer = new Uint8Array(gzipSync(tar));
  const layerDigest = await addBlob(backend, layer).catch(() => digestOf(layer));
  const config = bytesOf(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      author: note,
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    }),
  );
  const configDigest = await addBlob(backend, config);
  const manifest = bytesOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: configDigest,
        size: config.length,
      },
      layers: [
        { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: layerDigest, size: layer.length },
      ],
    }),
  );
  const digest = await addBlob(backend, manifest);
  await backend.images.put(name, { mediaType: MANIFEST, digest, size: manifest.length }, {});
  return digest;
}

interface Index {
  manifests: { digest: string; annotations: Record<string, string> }[];
}

function index(root: string): Index {
  return JSON.parse(fs.readFileSync(`${root}/content/index.json`, 'utf8')) as Index;
}

test('index.json follows the records of all namespaces; default has precedence', async () => {
  await withStore(async ({ backend, open, root }) => {
    const fallback = await open('default');
    const name = 'docker.io/library/busybox:1.36';
    const mine = await addImage(backend, name, 'mine');
    assert.deepEqual(
      index(root).manifests.map((one) => one.digest),
      [mine],
    );
    const theirs = await addImage(fallback, name, 'theirs');
    const other = await addImage(backend, 'other:1', 'other');
    assert.deepEqual(
      index(root).manifests.map((one) => [one.annotations['org.opencontainers.image.ref.name'], one.digest]),
      [
        [name, theirs],
        ['other:1', other],
      ],
    );
    await fallback.images.delete(name);
    assert.equal(index(root).manifests[0]?.digest, mine);
    await backend.images.delete(name);
    assert.deepEqual(
      index(root).manifests.map((one) => one.digest),
      [other],
    );
  });
});

test('many changes at once end with the newest index.json', async () => {
  await withStore(async ({ backend, open, root }) => {
    const digest = await addImage(backend, 'base');
    const others = [backend, await open(), await open('other')];
    await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        others[i % 3]?.images.put(
          `image-${i}`,
          { mediaType: MANIFEST, digest: digest as never, size: 10 },
          {},
        ),
      ),
    );
    assert.equal(index(root).manifests.length, 31);
    assert.deepEqual(fs.readdirSync(`${root}/content`).sort(), [
      'blobs',
      'index.json',
      'ingest',
      'oci-layout',
    ]);
  });
});

test('skopeo reads an image by its name', { skip: needs({ tools: ['skopeo'] }) }, async () => {
  await withStore(async ({ backend, root }) => {
    const name = 'docker.io/library/busybox:1.36';
    const digest = await addImage(backend, name);
    await addImage(backend, 'another:1', 'another');
    const { stdout } = await execOk('skopeo', ['inspect', `oci:${root}/content:${name}`]);
    assert.equal((JSON.parse(stdout) as { Digest: string }).Digest, digest);
    await execOk('skopeo', ['copy', '--insecure-policy', `oci:${root}/content:${name}`, `dir:${root}-copy`]);
    assert.ok(fs.existsSync(`${root}-copy/manifest.json`));
  });
});

test('umoci reads an image by its name', { skip: needs({ tools: ['umoci'] }) }, async () => {
  await withStore(async ({ backend, root }) => {
    await addImage(backend, 'docker.io/library/busybox:1.36');
    const image = `${root}/content:docker.io/library/busybox:1.36`;
    const { stdout } = await execOk('umoci', ['stat', '--image', image, '--json']);
    assert.ok(Array.isArray((JSON.parse(stdout) as { history: unknown[] | null }).history ?? []));
  });
});

test('a damaged record of an image hinders no other: its entry stays in index.json, the store opens, nothing is collected', async () => {
  await withStore(async ({ backend, open, root }) => {
    const lost = await addImage(backend, 'lost:1', 'lost');
    await addImage(backend, 'kept:1', 'kept');
    const db = new DatabaseSync(`${root}/hawser.db`);
    db.exec("UPDATE images SET digest = 'sha256:x' WHERE name = 'lost:1'");
    db.close();
    const other = await addImage(backend, 'other:1', 'other');
    const theirs = await addImage(await open('default'), 'theirs:1', 'theirs');
    await backend.images.delete('kept:1');
    const reopened = await open();
    const entries = index(root).manifests.map(
      (one) => [one.annotations['io.containerd.image.name'], one.digest] as const,
    );
    assert.deepEqual(entries, [
      ['lost:1', lost],
      ['other:1', other],
      ['theirs:1', theirs],
    ]);
    await rejectsWith('DataLoss', /image lost:1 is damaged/, reopened.collect());
    assert.equal((await reopened.content.info(parseDigest(lost))).digest, lost);
    assert.match((await reopened.checkRecords?.()) ?? '', /sha256:x/);
    fs.rmSync(`${root}/content/index.json`);
    await open();
    assert.deepEqual(
      index(root).manifests.map(({ digest }) => digest),
      [other, theirs],
    );
    await reopened.images.put('lost:1', (await reopened.images.get('other:1')).target, {});
    assert.equal(index(root).manifests[0]?.digest, other, 'a new record is right again');
  });
});
