import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { InfoProvider, Provider } from '../../../src/core/content/content-store.ts';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import { manifestFor } from '../../../src/core/images/find-manifest.ts';
import {
  chainIdOf,
  imagePlatforms,
  imageSize,
  imageStatus,
  imageTree,
} from '../../../src/core/images/inspect.ts';
import type { Descriptor, Platform } from '../../../src/core/oci/descriptor.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../../../src/core/oci/media-types.ts';
import { only } from '../../../src/core/platforms/match.ts';

const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
const ARM: Platform = { os: 'linux', architecture: 'arm', variant: 'v7' };
const hashers = { create: (name: string) => wrapHash(createHash(name)) };

function wrapHash(hash: ReturnType<typeof createHash>) {
  return { update: (bytes: Uint8Array) => void hash.update(bytes), digest: () => hash.digest('hex') };
}

class MemoryStore implements Provider, InfoProvider {
  readonly blobs: Map<string, Uint8Array> = new Map();

  put(value: unknown, mediaType: string, platform?: Platform): Descriptor {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length, ...(platform ? { platform } : {}) };
  }

  #get(digest: string): Uint8Array {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new HawserError('NotFound', `content ${digest}: not found`);
    return bytes;
  }

  async info(digest: Descriptor['digest']) {
    return { digest, size: this.#get(digest).length, createdAt: 0, updatedAt: 0, labels: {} };
  }

  async open(digest: Descriptor['digest']) {
    return new Blob([new Uint8Array(this.#get(digest))]).stream();
  }
}

/** An image of one layer. */
function image(store: MemoryStore, platform: Platform, told: boolean) {
  const layer = store.put(`layer ${platform.architecture}`, OCI_LAYER);
  const config = store.put(
    {
      os: platform.os,
      architecture: platform.architecture,
      variant: platform.variant,
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    },
    OCI_CONFIG,
  );
  const body = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
  return { layer, config, manifest: store.put(body, OCI_MANIFEST, told ? platform : undefined) };
}

function stored(told = true) {
  const store = new MemoryStore();
  const amd64 = image(store, AMD64, told);
  const arm = image(store, ARM, told);
  const attestation = {
    ...store.put({ a: 1 }, OCI_MANIFEST),
    platform: { os: 'unknown', architecture: 'unknown' },
  };
  const manifests = told ? [arm.manifest, amd64.manifest, attestation] : [arm.manifest, amd64.manifest];
  const index = store.put({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }, OCI_INDEX);
  return { store, amd64, arm, index };
}

for (const told of [true, false]) {
  test(`inspect: the manifest of a platform that the ${told ? 'index' : 'config'} tells`, async () => {
    const { store, amd64, arm, index } = stored(told);
    assert.equal((await manifestFor(store, index, only(AMD64))).desc.digest, amd64.manifest.digest);
    assert.equal((await manifestFor(store, index, only(ARM))).desc.digest, arm.manifest.digest);
    await assert.rejects(
      manifestFor(store, index, only({ os: 'windows', architecture: 'amd64' })),
      (err) => isKind(err, 'NotFound') && /no match for platform in manifest sha256:/.test(String(err)),
    );
    assert.deepEqual(await imagePlatforms(store, index), ['linux/amd64', 'linux/arm/v7']);
  });
}

const noMatch = async (
  store: Provider,
  index: Descriptor,
): Promise<{ hint: string | undefined; read: string[] }> => {
  const read: string[] = [];
  const watched: Provider = {
    open: (digest, call) => {
      read.push(digest);
      return store.open(digest, call);
    },
  };
  let hint: string | undefined;
  await assert.rejects(
    manifestFor(watched, index, only({ os: 'windows', architecture: 'amd64' })),
    (err: HawserError) => {
      hint = err.hint;
      return isKind(err, 'NotFound') && err.message.startsWith('no match for platform');
    },
  );
  return { hint, read };
};

test('inspect: without a match the hint names the platforms of the index, which alone is read', async () => {
  const { store, index } = stored();
  const { hint, read } = await noMatch(store, index);
  assert.equal(hint, 'The image has: linux/amd64, linux/arm/v7. Choose with --platform');
  assert.deepEqual(read, [index.digest]);
  const windows = { os: 'windows', architecture: 'arm64', osVersion: '10.0.17763.1' };
  const versioned = { ...image(store, AMD64, false).manifest, platform: windows };
  const listed = {
    mediaType: versioned.mediaType,
    digest: versioned.digest,
    size: versioned.size,
    platform: { os: 'windows', architecture: 'arm64', 'os.version': '10.0.17763.1' },
  };
  const other = store.put({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [listed] }, OCI_INDEX);
  assert.equal(
    (await noMatch(store, other)).hint,
    'The image has: windows(10.0.17763.1)/arm64. Choose with --platform',
  );
});

test('inspect: an index without platforms is not called empty where its manifests, or their configs, are absent', async () => {
  for (const part of ['manifest', 'config'] as const) {
    const { store, amd64, arm, index } = stored(false);
    store.blobs.delete(arm[part].digest);
    assert.equal((await noMatch(store, index)).hint, 'The image has: linux/amd64. Choose with --platform');
    store.blobs.delete(amd64[part].digest);
    assert.equal(
      (await noMatch(store, index)).hint,
      'Not all images that the index lists are in the store: pull the one for this platform',
    );
  }
});

test('inspect: a target that is a manifest is taken whatever the platform', async () => {
  const { store, arm } = stored();
  const { platform: _, ...target } = arm.manifest;
  assert.equal((await manifestFor(store, target, only(AMD64))).desc.digest, target.digest);
  assert.deepEqual(await imagePlatforms(store, target), ['linux/arm/v7']);
});

test('inspect: the size is that of the way to one platform, and of the target alone when documents are absent', async () => {
  const { store, amd64, index } = stored();
  const want = index.size + amd64.manifest.size + amd64.config.size + amd64.layer.size;
  assert.deepEqual(await imageSize(store, index, only(AMD64)), { size: want, missing: undefined });
  store.blobs.delete(amd64.manifest.digest);
  const { size, missing } = await imageSize(store, index, only(AMD64));
  assert.equal(size, index.size);
  assert.ok(isKind(missing, 'NotFound'));
});

test('inspect: the status counts config and layers', async () => {
  const { store, amd64, index } = stored();
  const status = async () => {
    const { available, required, present } = await imageStatus(store, index, only(AMD64));
    return [available, present.length, required.length];
  };
  assert.deepEqual(await status(), [true, 2, 2]);
  store.blobs.delete(amd64.layer.digest);
  assert.deepEqual(await status(), [true, 1, 2]);
  store.blobs.delete(amd64.manifest.digest);
  assert.deepEqual(await status(), [false, 0, 1]);
});

test('inspect: the chain ID of one layer is its diff ID', async () => {
  const { store, amd64, index } = stored();
  assert.equal(await chainIdOf({ store, hashers }, index, only(AMD64)), amd64.layer.digest);
});

test('inspect: the tree shows what is absent', async () => {
  const { store, arm, index } = stored(false);
  store.blobs.delete(arm.manifest.digest);
  const { children } = await imageTree(store, index);
  assert.deepEqual(
    children.map((child) => [child.present, child.children.length]),
    [
      [false, 0],
      [true, 2],
    ],
  );
});
