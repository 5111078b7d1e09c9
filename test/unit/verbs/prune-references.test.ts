/** Whose layers `content prune references` lets go of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseReferences } from '../../../src/core/verbs/prune-references.ts';
import { flipBit } from '../../support/damage.ts';
import { amd64, INDEX_TYPE, index, MANIFEST_TYPE, putBlob, storeGolden } from '../../support/golden-image.ts';
import { digestOf, withStore } from '../../support/stores.ts';

test('the layers of manifests go, the indexes that an index numbers stay', async () => {
  await withStore(async ({ backend }) => {
    await storeGolden(backend, []);
    const inner = { mediaType: INDEX_TYPE, digest: digestOf(index), size: index.length };
    const other = { ...inner, digest: digestOf(amd64.manifest), size: amd64.manifest.length };
    const manifests = [inner, other];
    const body = JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests });
    const outer = await putBlob(backend, new TextEncoder().encode(body), INDEX_TYPE);
    const keys = Object.keys((await backend.content.info(outer.digest)).labels);
    assert.deepEqual(keys.sort(), ['containerd.io/gc.ref.content.0', 'containerd.io/gc.ref.content.1']);
    const { goes, left } = await chooseReferences(backend, { all: true });
    assert.deepEqual([goes.has(outer.digest), left.includes(outer.digest)], [false, false]);
    const layers = ['containerd.io/gc.ref.content.l.0', 'containerd.io/gc.ref.content.l.1'];
    assert.deepEqual(goes.get(digestOf(amd64.manifest)), layers);
  });
});

test('of a manifest that cannot be read the layers stay', async () => {
  await withStore(async ({ backend }) => {
    const { digest } = await putBlob(backend, amd64.manifest, MANIFEST_TYPE);
    assert.ok((await chooseReferences(backend, { all: true })).goes.has(digest));
    flipBit({ path: backend.content.blobPath(digest), byte: 3, bit: 1 });
    assert.ok(!(await chooseReferences(backend, { all: true })).goes.has(digest));
  });
});
