import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerLabels, waysOf } from '../../../src/backends/containerd/version.ts';

test('containerd version: what ctr of that version does', () => {
  for (const [version, allMetadata, namesLayers] of [
    ['1.6.20~ds1', false, false],
    ['v1.7.11', false, false],
    ['v2.0.0', true, false],
    ['2.2.9', true, false],
    ['2.3.0-rc.1', true, true],
    ['2.4.2+unknown', true, true],
    ['3.0.0', true, true],
    ['', false, false],
    ['main', false, false],
  ] as const) {
    assert.deepEqual(waysOf(version), { allMetadata, namesLayers }, version);
  }
});

test('containerd version: a snapshot is labelled by the annotations for snapshotters, and from 2.3 on with the layer’s ids', () => {
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
  const layer = { diffId: 'sha256:d', parent: 'sha256:p', annotations };
  assert.deepEqual(layerLabels(layer, waysOf('2.4.2')), {
    'containerd.io/snapshot/stargz.toc': 'x',
    'containerd.io/snapshot/diff-id': 'sha256:d',
    'containerd.io/snapshot/parent-chain-id': 'sha256:p',
  });
  assert.deepEqual(
    layerLabels(
      { ...layer, parent: '', annotations: { 'containerd.io/snapshot/parent-chain-id': 'x' } },
      waysOf('2.3'),
    ),
    {
      'containerd.io/snapshot/diff-id': 'sha256:d',
    },
  );
  assert.deepEqual(
    layerLabels({ ...layer, annotations: { 'containerd.io/snapshot/a': 'b' } }, waysOf('1.6')),
    {
      'containerd.io/snapshot/a': 'b',
    },
  );
});
