import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isConfigType,
  isImageConfigType,
  isIndexType,
  isLayerType,
  isManifestType,
  isNonDistributable,
  isSchema1Type,
} from '../../../src/core/oci/media-types.ts';

const predicates = {
  isIndexType,
  isManifestType,
  isSchema1Type,
  isConfigType,
  isImageConfigType,
  isLayerType,
  isNonDistributable,
};
const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker';

/** Each type with the predicates that hold for it. */
const table: readonly (readonly [string, string])[] = [
  [`${OCI}.index.v1+json`, 'isIndexType'],
  [`${DOCKER}.distribution.manifest.list.v2+json`, 'isIndexType'],
  [`${OCI}.manifest.v1+json`, 'isManifestType'],
  [`${DOCKER}.distribution.manifest.v2+json`, 'isManifestType'],
  [`${DOCKER}.distribution.manifest.v1+prettyjws`, 'isSchema1Type'],
  [`${DOCKER}.distribution.manifest.v1+json`, 'isSchema1Type'],
  [`${OCI}.config.v1+json`, 'isConfigType isImageConfigType'],
  [`${DOCKER}.container.image.v1+json`, 'isConfigType isImageConfigType'],
  ['application/vnd.containerd.container.criu.checkpoint.criu.tar', 'isConfigType'],
  ['application/vnd.containerd.container.checkpoint.config.v1+proto', 'isConfigType'],
  [`${OCI}.layer.v1.tar`, 'isLayerType'],
  [`${OCI}.layer.v1.tar+gzip`, 'isLayerType'],
  [`${OCI}.layer.v1.tar+zstd`, 'isLayerType'],
  [`${OCI}.layer.v1.tar+gzip+encrypted`, 'isLayerType'],
  [`${OCI}.layer.v1.tar+encrypted`, 'isLayerType'],
  [`${OCI}.layer.nondistributable.v1.tar`, 'isLayerType isNonDistributable'],
  [`${OCI}.layer.nondistributable.v1.tar+zstd`, 'isLayerType isNonDistributable'],
  [`${OCI}.layer.anything`, 'isLayerType'],
  [`${OCI}.layer.nondistributable.v1.tar+gzip`, 'isLayerType isNonDistributable'],
  [`${DOCKER}.image.rootfs.diff.tar`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.diff.tar.gzip`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.diff.tar.zstd`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.foreign.diff.tar`, 'isLayerType isNonDistributable'],
  [`${DOCKER}.image.rootfs.foreign.diff.tar.gzip`, 'isLayerType isNonDistributable'],
  ['application/vnd.erofs.layer.v1', 'isLayerType'],
  ['application/vnd.in-toto+json', ''],
  ['application/octet-stream', ''],
  ['application/vnd.oci.empty.v1+json', ''],
  ['application/json', ''],
  ['', ''],
];

for (const [type, expected] of table) {
  test(`the media type ${type || '(none)'}`, () => {
    const holding = Object.entries(predicates).flatMap(([name, holds]) => (holds(type) ? [name] : []));
    assert.deepEqual(holding.sort(), expected.split(' ').filter(Boolean).sort());
  });
}
