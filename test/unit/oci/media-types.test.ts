import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blobKind } from '../../../src/core/content/blob-key.ts';
import { refKey } from '../../../src/core/content/ref-key.ts';
import { isKind } from '../../../src/core/errors.ts';
import { childLabels } from '../../../src/core/images/gc-labels.ts';
import { checkLayerType } from '../../../src/core/layers/layer-type.ts';
import {
  isConfigType,
  isImageConfigType,
  isIndexType,
  isLayerType,
  isManifestType,
  isSchema1Type,
} from '../../../src/core/oci/media-types.ts';
import { fake } from './support.ts';

const predicates = {
  isIndexType,
  isManifestType,
  isSchema1Type,
  isConfigType,
  isImageConfigType,
  isLayerType,
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
  [`${OCI}.layer.nondistributable.v1.tar`, 'isLayerType'],
  [`${OCI}.layer.nondistributable.v1.tar+zstd`, 'isLayerType'],
  [`${OCI}.layer.anything`, 'isLayerType'],
  [`${OCI}.layer.nondistributable.v1.tar+gzip`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.diff.tar`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.diff.tar.gzip`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.diff.tar.zstd`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.diff.tar.gzip+encrypted`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.diff.tar.bzip2`, ''],
  [`${DOCKER}.image.rootfs.foreign.diff.tar`, 'isLayerType'],
  [`${DOCKER}.image.rootfs.foreign.diff.tar.gzip`, 'isLayerType'],
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

const MADE = `application/vnd.containerd.container`;

/**
 * spec/remote.md 7, a row for each of its types: the prefix of its ref key, its GC label, and what unpacking does where it
 * stands among the layers. containerd decompresses by the type (DiffCompression, in brackets; `sniff`: Docker's plain
 * type, whose compression it looks for). Here every type that is known is unpacked by what the bytes are: types are
 * wrong in the wild, and the diff ID is checked either way. Refused: what is no tar to us, told before it is read.
 */
const SECTION_7: readonly (readonly [string, string, string, 'unpacked' | 'encrypted' | 'refused' | '-'])[] =
  [
    [`${OCI}.index.v1+json`, 'index', '0', '-'],
    [`${DOCKER}.distribution.manifest.list.v2+json`, 'index', '0', '-'],
    [`${OCI}.manifest.v1+json`, 'manifest', 'm.0', '-'],
    [`${DOCKER}.distribution.manifest.v2+json`, 'manifest', 'm.0', '-'],
    [`${DOCKER}.distribution.manifest.v1+prettyjws`, 'unknown', '0', '-'],
    [`${OCI}.config.v1+json`, 'config', 'config', '-'],
    [`${DOCKER}.container.image.v1+json`, 'config', 'config', '-'],
    [`${MADE}.criu.checkpoint.criu.tar`, 'config', 'config', '-'],
    [`${MADE}.checkpoint.config.v1+proto`, 'config', 'config', '-'],
    [`${OCI}.layer.v1.tar`, 'layer', 'l.0', 'unpacked'], // ""
    [`${OCI}.layer.v1.tar+gzip`, 'layer', 'l.0', 'unpacked'], // gzip
    [`${OCI}.layer.v1.tar+zstd`, 'layer', 'l.0', 'unpacked'], // zstd
    [`${OCI}.layer.nondistributable.v1.tar`, 'layer', 'l.0', 'unpacked'],
    [`${OCI}.layer.nondistributable.v1.tar+gzip`, 'layer', 'l.0', 'unpacked'],
    [`${OCI}.layer.nondistributable.v1.tar+zstd`, 'layer', 'l.0', 'unpacked'],
    [`${OCI}.layer.v1.tar+encrypted`, 'layer', 'l.0', 'encrypted'], // "", then a stream processor
    [`${OCI}.layer.v1.tar+gzip+encrypted`, 'layer', 'l.0', 'encrypted'], // gzip, then a stream processor
    [`${OCI}.layer.v1.tar+zstd+encrypted`, 'layer', 'l.0', 'encrypted'],
    [`${OCI}.layer.of-the-future`, 'layer', 'l.0', 'refused'],
    [`${OCI}.layer.v1.tar+lz4`, 'layer', 'l.0', 'refused'],
    [`${DOCKER}.image.rootfs.diff.tar`, 'layer', 'l.0', 'unpacked'], // sniff
    [`${DOCKER}.image.rootfs.diff.tar.gzip`, 'layer', 'l.0', 'unpacked'], // gzip
    [`${DOCKER}.image.rootfs.diff.tar.gzip+x`, 'layer', 'l.0', 'refused'], // "": a tar, which it cannot be
    [`${DOCKER}.image.rootfs.diff.tar.zstd`, 'layer', 'l.0', 'unpacked'], // zstd; 1.6 does not know it
    [`${DOCKER}.image.rootfs.foreign.diff.tar`, 'layer', 'l.0', 'unpacked'],
    [`${DOCKER}.image.rootfs.foreign.diff.tar.gzip`, 'layer', 'l.0', 'unpacked'],
    ['application/vnd.erofs.layer.v1', 'layer', 'l.0', 'refused'], // not implemented
    ['application/vnd.in-toto+json', 'attestation', '0', '-'],
    ['application/octet-stream', 'unknown', '0', '-'],
    ['application/vnd.oci.empty.v1+json', 'unknown', '0', '-'],
    ['application/x.any', 'unknown', '0', '-'],
  ];

for (const [mediaType, prefix, label, unpacking] of SECTION_7) {
  test(`section 7: ${mediaType}`, () => {
    // `urls` make no layer of anything (image-spec descriptor.md).
    const desc = { mediaType, digest: fake('a'), size: 1, urls: ['https://h/x.tar.gz'] };
    assert.equal(refKey(desc), `${prefix}-${desc.digest}`);
    assert.deepEqual(childLabels([desc]), { [`containerd.io/gc.ref.content.${label}`]: desc.digest });
    assert.equal(isLayerType(mediaType), unpacking !== '-');
    if (unpacking === 'unpacked') return checkLayerType(mediaType);
    const message = unpacking === 'encrypted' ? /the layer is encrypted/ : /no processor for media-type/;
    assert.throws(
      () => checkLayerType(mediaType),
      (err) => isKind(err, 'NotImplemented') && message.test((err as Error).message),
    );
  });
}

/** What people are told that a blob is; containerd's refs call most of these unknown. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  manifest: [
    `${OCI}.manifest.v1+json`,
    `${DOCKER}.distribution.manifest.v1+prettyjws`,
    'application/vnd.oci.artifact.manifest.v1+json',
  ],
  index: [`${OCI}.index.v1+json`],
  layer: [`${OCI}.layer.v1.tar+gzip`, `${DOCKER}.image.rootfs.diff.tar.gzip`],
  config: [
    `${OCI}.config.v1+json`,
    'application/vnd.oci.empty.v1+json',
    'application/vnd.cncf.helm.config.v1+json',
    'application/vnd.dev.cosign.artifact.config.v1+json',
  ],
  signature: [
    'application/vnd.dev.cosign.simplesigning.v1+json',
    'application/jose+json',
    'application/cose',
    'application/vnd.cncf.notary.signature',
  ],
  bundle: [
    'application/vnd.dev.sigstore.bundle.v0.3+json',
    'application/vnd.dev.sigstore.bundle+json;version=0.2',
  ],
  attestation: ['application/vnd.in-toto+json', 'application/vnd.dsse.envelope.v1+json'],
  sbom: ['application/spdx+json', 'text/spdx', 'application/vnd.cyclonedx+json', 'application/vnd.syft+json'],
  blob: ['application/octet-stream', 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', 'a/b', ''],
};

test('what people are told that a blob is', () => {
  for (const [kind, types] of Object.entries(KINDS))
    for (const type of types) assert.equal(blobKind(type), kind, type);
});
