import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waysOf } from '../../../src/backends/containerd/version.ts';

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
