/** What the snapshot of a layer is labelled with inside a containerd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerLabels } from '../../../src/backends/containerd/layer-labels.ts';
import { waysOf } from '../../../src/backends/containerd/version.ts';

test('containerd labels, C1: a snapshot is labelled by the annotations for snapshotters, and from 2.3 on with the layer’s ids', () => {
  const annotations = {
    'containerd.io/snapshot/stargz.toc': 'x',
    'containerd.io/snapshot/uidmapping': '0:100000:65536',
    'containerd.io/snapshot/gidmapping': '0:100000:65536',
    'containerd.io/snapshot/diff-id': 'forged',
    'containerd.io/snapshot/parent-chain-id': 'forged',
    'containerd.io/snapshot/long': 'ü'.repeat(2100),
    'containerd.io/snapshot/empty': '',
    'containerd.io/snapshot.ref': 'forged',
    'containerd.io/gc.root': 'now',
    'org.opencontainers.image.title': 'a',
  };
  const layer = { diffId: 'sha256:d', parent: 'sha256:p', annotations, image: undefined };
  assert.deepEqual(layerLabels(layer, waysOf('2.4.2'), false), {
    'containerd.io/snapshot/stargz.toc': 'x',
    'containerd.io/snapshot/diff-id': 'sha256:d',
    'containerd.io/snapshot/parent-chain-id': 'sha256:p',
  });
  assert.deepEqual(
    layerLabels(
      { ...layer, parent: '', annotations: { 'containerd.io/snapshot/parent-chain-id': 'x' } },
      waysOf('2.3'),
      false,
    ),
    {
      'containerd.io/snapshot/diff-id': 'sha256:d',
    },
  );
  assert.deepEqual(
    layerLabels({ ...layer, annotations: { 'containerd.io/snapshot/a': 'b' } }, waysOf('1.6'), false),
    {
      'containerd.io/snapshot/a': 'b',
    },
  );
});

test('containerd labels: a snapshotter that may fetch by itself is told of the image, whatever the image says', () => {
  const digests = Array.from({ length: 70 }, (_, i) => `sha256:${String(i).padStart(64, '0')}`);
  const [digest = ''] = digests;
  const image = { name: 'r.example/a/b:1', manifest: 'sha256:m', layers: digests.slice(0, 2) };
  const annotations = { 'containerd.io/snapshot/cri.image-ref': 'forged', 'containerd.io/snapshot/a': 'b' };
  const layer = { diffId: 'sha256:d', parent: '', annotations, image };
  const { 'containerd.io/snapshot/cri.image-layers': listed, ...labels } = layerLabels(
    layer,
    waysOf('1.6'),
    true,
  );
  assert.equal(listed, digests.slice(0, 2).join(','));
  assert.deepEqual(labels, {
    'containerd.io/snapshot/a': 'b',
    'containerd.io/snapshot/cri.image-ref': 'r.example/a/b:1',
    'containerd.io/snapshot/cri.layer-digest': digest,
    'containerd.io/snapshot/cri.manifest-digest': 'sha256:m',
  });
  const labelled = (change: Partial<typeof image>) =>
    layerLabels({ ...layer, image: { ...image, ...change } }, waysOf('1.6'), true);
  const many = labelled({ layers: digests })['containerd.io/snapshot/cri.image-layers'] ?? '';
  // 39 bytes of the key, 71 of a digest, and the commas.
  assert.equal(many.split(',').length, Math.floor((4096 - 39 + 1) / 72));
  const both = `r.example/a/b:1@${digest}`;
  const ref = 'containerd.io/snapshot/cri.image-ref';
  assert.equal(labelled({ name: both })[ref], `r.example/a/b@${digest}`);
  assert.equal(labelled({ name: 'no reference' })[ref], 'no reference');
  assert.deepEqual(layerLabels({ ...layer, image: undefined }, waysOf('1.6'), true), annotations);
  assert.deepEqual(layerLabels(layer, waysOf('1.6'), false), annotations);
});
