import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  childrenOf,
  documentType,
  MAX_CHILDREN,
  MAX_MANIFEST_BYTES,
  parseIndex,
  parseManifest,
} from '../../../src/core/oci/documents.ts';
import {
  DOCKER_CONFIG,
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_UNSIGNED,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from '../../../src/core/oci/media-types.ts';
import { encode, fake, layer, pointer, refuses } from './support.ts';

const config = { mediaType: OCI_CONFIG, digest: fake('c'), size: 5 };
const manifest = (more: object = {}): Record<string, unknown> => ({
  schemaVersion: 2,
  config,
  layers: [layer('1'), layer('2')],
  ...more,
});
const index = (more: object = {}): Record<string, unknown> => ({
  schemaVersion: 2,
  manifests: [
    {
      mediaType: OCI_MANIFEST,
      digest: fake('a'),
      size: 7,
      platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
    },
  ],
  ...more,
});
const asManifest = (value: unknown, type = OCI_MANIFEST): unknown =>
  parseManifest(encode(value), pointer(type));
const asIndex = (value: unknown, type = OCI_INDEX): unknown => parseIndex(encode(value), pointer(type));

test('a manifest', () => {
  const parsed = parseManifest(
    encode(
      manifest({
        mediaType: OCI_MANIFEST,
        artifactType: 'application/x',
        subject: { ...config, digest: fake('b') },
        annotations: { k: 'v' },
        unknown: { deep: [1] },
      }),
    ),
    pointer(OCI_MANIFEST),
  );
  assert.equal(parsed.mediaType, OCI_MANIFEST);
  assert.equal(parsed.artifactType, 'application/x');
  assert.deepEqual(parsed.config, config);
  assert.deepEqual(parsed.layers, [layer('1'), layer('2')]);
  assert.equal(parsed.subject?.digest, fake('b'));
  assert.equal(parsed.annotations.k, 'v');
  assert.equal(parsed.annotations.toString, undefined, 'annotations have no prototype');
});

test('an index', () => {
  const parsed = parseIndex(encode(index({ annotations: { k: 'v' } })), pointer(OCI_INDEX));
  assert.equal(parsed.manifests.length, 1);
  assert.deepEqual(parsed.manifests[0]?.platform, { os: 'linux', architecture: 'arm', variant: 'v7' });
  assert.equal(parsed.annotations.k, 'v');
});

test('children: the config first, then the layers; the entries of an index; else none', () => {
  const digests = (value: unknown, type: string): string[] =>
    childrenOf(encode(value), pointer(type)).map((child) => child.digest);
  for (const type of [OCI_MANIFEST, DOCKER_MANIFEST]) {
    assert.deepEqual(digests(manifest(), type), [fake('c'), fake('1'), fake('2')]);
  }
  for (const type of [OCI_INDEX, DOCKER_INDEX]) assert.deepEqual(digests(index(), type), [fake('a')]);
  const subject = { ...config, digest: fake('b') };
  assert.deepEqual(digests(manifest({ subject }), OCI_MANIFEST), [fake('c'), fake('1'), fake('2')]);
  assert.deepEqual(digests(index({ subject }), OCI_INDEX), [fake('a')], 'what it refers to is no child');
  assert.deepEqual(digests('not json', OCI_LAYER_GZIP), []);
  assert.deepEqual(digests(manifest(), 'application/x'), []);
});

test('null and absent lists are empty, as Go writes them', () => {
  assert.deepEqual(childrenOf(encode(manifest({ layers: null })), pointer(OCI_MANIFEST)).length, 1);
  assert.deepEqual(
    childrenOf(encode({ config, annotations: null, subject: null }), pointer(OCI_MANIFEST)).length,
    1,
  );
  assert.deepEqual(childrenOf(encode({ schemaVersion: 2, manifests: null }), pointer(OCI_INDEX)), []);
});

test('Docker and OCI may be mixed within a class', () => {
  asManifest(manifest({ mediaType: DOCKER_MANIFEST }), OCI_MANIFEST);
  asManifest(manifest({ mediaType: OCI_MANIFEST }), DOCKER_MANIFEST);
  asIndex(index({ mediaType: DOCKER_INDEX }), OCI_INDEX);
});

test('a document of another class is refused in containerd words (H20)', () => {
  const found = (what: string): RegExp =>
    new RegExp(`^children: invalid desc ${fake('d')}: media-type: ${what.replace(/[.+()]/g, '\\$&')}$`);
  const notManifest = found(`expected manifest but found index (${OCI_MANIFEST})`);
  const notIndex = found(`expected index but found manifest (${OCI_INDEX})`);
  for (const more of [
    { manifests: [] },
    { manifests: null },
    { Manifests: [] },
    { mediaType: OCI_INDEX },
    { mediaType: DOCKER_INDEX },
  ]) {
    refuses(() => asManifest(manifest(more)), notManifest);
  }
  for (const more of [
    { config },
    { config: null },
    { layers: [] },
    { LAYERS: null },
    { mediaType: OCI_MANIFEST },
    { mediaType: DOCKER_MANIFEST },
  ]) {
    refuses(() => asIndex(index(more)), notIndex);
  }
  const schema1 = found('schema 1 not supported');
  refuses(() => asManifest(manifest({ fsLayers: [] })), schema1);
  refuses(() => asManifest(manifest({ FSLAYERS: null })), schema1);
  refuses(() => asIndex(index({ fsLayers: [] })), schema1);
  refuses(() => asManifest(manifest({ mediaType: DOCKER_SCHEMA1 })), schema1);
  refuses(() => childrenOf(encode(manifest()), pointer(OCI_INDEX)), notIndex);
  refuses(() => childrenOf(encode(index()), pointer(OCI_MANIFEST)), notManifest);
});

test('hostile manifests are refused with the digest and the field (H21, H23, H24)', () => {
  const bad: readonly (readonly [unknown, RegExp])[] = [
    [[], /must be an object/],
    [null, /must be an object/],
    ['"x"', /must be an object/],
    [{ schemaVersion: 2, layers: [] }, /config: must be an object/],
    [manifest({ config: null }), /config: must be an object/],
    [manifest({ config: [] }), /config: must be an object/],
    [manifest({ schemaVersion: 1 }), /schemaVersion: must be 2/],
    [manifest({ schemaVersion: '2' }), /schemaVersion: must be 2/],
    [manifest({ layers: {} }), /layers: must be an array/],
    [manifest({ layers: [null] }), /layers\[0\]: must be an object/],
    [manifest({ layers: [layer('1'), 'x'] }), /layers\[1\]: must be an object/],
    [
      manifest({ layers: [layer('1', { digest: 'sha256:../../x' })] }),
      /layers\[0\]\.digest: .*invalid checksum digest format/,
    ],
    [manifest({ layers: [layer('1'), layer('1', { size: 11 })] }), /listed with the sizes 10 and 11/],
    [manifest({ layers: [{ ...config, size: 6 }] }), /listed with the sizes 5 and 6/],
    [manifest({ annotations: { a: 1 } }), /annotations\["a"\]: must be a string/],
    [manifest({ annotations: { a: null } }), /annotations\["a"\]: must be a string/],
    [manifest({ annotations: [] }), /annotations: must be an object/],
    [manifest({ mediaType: 2 }), /mediaType: must be a string/],
    [manifest({ mediaType: 'a\u001b[31m' }), /mediaType: must be printable/],
    [manifest({ subject: { digest: 'x' } }), /subject\.mediaType/],
    [
      manifest({ layers: Array(MAX_CHILDREN + 1).fill(layer('1')) }),
      /layers: has 10001 entries, more than 10000/,
    ],
    ['{', /not valid JSON/],
    ['{"a":1,"a":1}', /duplicate key/],
  ];
  for (const [value, message] of bad) {
    refuses(() => asManifest(value), message);
    refuses(() => asManifest(value), new RegExp(fake('d')));
  }
});

test('hostile indexes are refused with the digest and the field (H21, H23, H26)', () => {
  refuses(() => asIndex({ manifests: [null] }), /index sha256:d+: manifests\[0\]: must be an object/);
  refuses(() => asIndex({ manifests: 'x' }), /manifests: must be an array/);
  refuses(() => asIndex({ manifests: Array(MAX_CHILDREN + 1).fill(layer('1')) }), /more than 10000/);
  assert.ok(asIndex({ manifests: Array(MAX_CHILDREN).fill(layer('1')) }));
});

test('the size cap is checked before reading (H22)', () => {
  const big = new Uint8Array(MAX_MANIFEST_BYTES + 1).fill(0x20);
  for (const parse of [parseManifest, parseIndex]) {
    refuses(() => parse(big, pointer(OCI_MANIFEST)), /8388609 bytes, more than 8388608/);
  }
  const text = JSON.stringify(manifest());
  assert.ok(asManifest(text + ' '.repeat(MAX_MANIFEST_BYTES - text.length)));
});

test('sniffing', () => {
  const cases: readonly (readonly [unknown, string | undefined])[] = [
    [manifest(), OCI_MANIFEST],
    [manifest({ config: { ...config, mediaType: DOCKER_CONFIG } }), DOCKER_MANIFEST],
    [manifest({ mediaType: DOCKER_MANIFEST }), DOCKER_MANIFEST],
    [manifest({ config: null }), OCI_MANIFEST],
    [index(), OCI_INDEX],
    [index({ mediaType: DOCKER_INDEX }), DOCKER_INDEX],
    [{ schemaVersion: 1, fsLayers: [], signatures: [] }, DOCKER_SCHEMA1],
    [{ schemaVersion: 1, fsLayers: [] }, DOCKER_SCHEMA1_UNSIGNED],
    [{ mediaType: 'text/html' }, undefined],
    [{ rootfs: {} }, undefined],
    ['<html>', undefined],
    [[], undefined],
  ];
  for (const [value, type] of cases)
    assert.equal(documentType(encode(value), ''), type, JSON.stringify(value));
});
