/** The test registry's images are what they claim to be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { buildImage, buildIndex } from '../../registry/image.ts';
import { sha256 } from '../../registry/registry.ts';

test('buildImage: digests, sizes and diff IDs fit', async () => {
  const entries = [
    { name: 'dir', type: 'directory' as const },
    { name: 'dir/a', data: 'hello', mode: 0o4755 },
  ];
  const image = await buildImage({
    layers: [{ entries }, { entries, compression: 'zstd' }, { entries, compression: 'none' }],
    config: { config: { Cmd: ['/a'] } },
  });
  const unpack = [gunzipSync, zstdDecompressSync, (bytes: Uint8Array) => bytes];
  image.layers.forEach((layer, index) => {
    const bytes = image.blobs.get(layer.digest) ?? assert.fail('no blob');
    assert.equal(sha256(bytes), layer.digest);
    assert.equal(bytes.length, layer.size);
    assert.equal(sha256(unpack[index]?.(bytes) ?? assert.fail()), image.diffIds[index]);
  });
  const manifest = JSON.parse(new TextDecoder().decode(image.root.bytes));
  const config = JSON.parse(new TextDecoder().decode(image.blobs.get(manifest.config.digest)));
  assert.deepEqual(config.rootfs.diff_ids, image.diffIds);
  assert.deepEqual(config.config.Cmd, ['/a']);
  assert.equal(config.architecture, 'amd64');
  const index = JSON.parse(new TextDecoder().decode(buildIndex([image]).root.bytes));
  assert.equal(index.manifests[0].digest, image.root.digest);
  assert.deepEqual(index.manifests[0].platform, { os: 'linux', architecture: 'amd64' });
});
