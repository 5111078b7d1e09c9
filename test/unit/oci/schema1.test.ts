/** Docker's schema 1 (spec/remote.md 6.9): the golden set, and every way a document can be wrong. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { convert, type LayerState } from '../../../src/core/images/schema1.ts';
import { type Digest, parseDigest } from '../../../src/core/oci/digest.ts';
import {
  DOCKER_LAYER,
  DOCKER_LAYER_GZIP,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_UNSIGNED,
} from '../../../src/core/oci/media-types.ts';
import { parseSchema1, type Schema1, schema1Payload } from '../../../src/core/oci/schema1.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { encode, fake, refuses } from './support.ts';

const golden = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/schema1', name)));
const sha256 = (bytes: Uint8Array): Digest =>
  parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const hashers = createHashers();
const [A, B, EMPTY] = ['layer-a', 'layer-b', 'layer-empty'].map((name) => sha256(golden(`${name}.tar.gz`)));

const GOLDEN: Readonly<Record<string, LayerState>> = {
  [A ?? '']: full(A ?? fake('a'), 139, '6c9e5f16eac6d663c9f0f8b88789f726cb944cd356a24c5802e14cdd18121ec5'),
  [B ?? '']: full(B ?? fake('b'), 141, 'f3bae0f80a39b2d64c0ee5525b62c18f1868af6a5813c498ad774bb0e2b54b1b'),
};

function full(digest: Digest, size: number, diffId: string, mediaType = DOCKER_LAYER_GZIP): LayerState {
  return { empty: false, desc: { mediaType, digest, size }, diffId: parseDigest(`sha256:${diffId}`) };
}

test('schema 1: the signature is taken off', () => {
  const payload = schema1Payload(golden('served.json'), DOCKER_SCHEMA1);
  assert.equal(text(payload), text(golden('payload.json')));
  assert.match(sha256(payload), /^sha256:72c6e5f9.*6c96$/);
  assert.equal(schema1Payload(payload, DOCKER_SCHEMA1_UNSIGNED), payload);
});

test('schema 1: the golden image is converted to the same bytes as containerd converts it to', () => {
  const payload = golden('payload.json');
  const schema1 = parseSchema1(payload, sha256(payload));
  assert.deepEqual(
    schema1.layers.map(({ blobSum, knownEmpty }) => [blobSum, knownEmpty]),
    [
      [A, false],
      [B, false],
      [EMPTY, true],
    ],
  );
  const made = convert(schema1, (sum) => GOLDEN[sum] ?? { empty: true }, hashers);
  assert.equal(text(made.configBytes), text(golden('converted-config.json')));
  assert.equal(text(made.manifestBytes), text(golden('converted-manifest.json')));
  assert.deepEqual(
    [made.config.digest, made.config.size, made.manifest.digest, made.manifest.size],
    [
      'sha256:d2312eadc990e14d1ee9a322de2a84807d259b3d02f82fcb13346ea178807a35',
      915,
      'sha256:080e9abeb216a83651ed5731c6a3f598c095658654c58b46cb5a79788445a168',
      652,
    ],
  );
});

type Entry = Readonly<Record<string, unknown>>;

/** Newest first, as in the document. */
function manifest(entries: readonly (readonly [string, Entry])[], more: object = {}): Uint8Array {
  return encode({
    schemaVersion: 1,
    fsLayers: entries.map(([digit]) => ({ blobSum: fake(digit) })),
    history: entries.map(([, entry]) => ({ v1Compatibility: JSON.stringify(entry) })),
    ...more,
  });
}

const parse = (bytes: Uint8Array): Schema1 => parseSchema1(bytes, fake('d'));
const emptiness = (schema1: Schema1): boolean[] => schema1.layers.map(({ knownEmpty }) => knownEmpty);

test('schema 1: throwaway says whether a layer is empty, else Size does, else it must be looked at', () => {
  const entries: [string, Entry][] = [
    ['1', { throwaway: true, Size: 9 }],
    ['2', { throwaway: false, Size: 0 }],
    ['3', { Size: 0 }],
    ['4', { Size: 7 }],
    ['5', {}],
  ];
  assert.deepEqual(emptiness(parse(manifest(entries))), [false, false, true, false, true]);
});

test('schema 1: of one blob in several entries the newest decides', () => {
  const twice: [string, Entry][] = [
    ['1', { throwaway: true }],
    ['1', { throwaway: false }],
  ];
  assert.deepEqual(emptiness(parse(manifest(twice))), [true, true]);
});

test('schema 1: a blob that turns out empty has no diff ID; one that is not compressed is a plain tar', () => {
  const schema1 = parse(manifest([['1', {}], ['2', {}], ['1', {}]])); // biome-ignore format: one document
  const plain = full(fake('1'), 5, 'e'.repeat(64), DOCKER_LAYER);
  const made = convert(schema1, (sum) => (sum === fake('1') ? plain : { empty: true }), hashers);
  const config = JSON.parse(text(made.configBytes));
  assert.deepEqual(config.rootfs.diff_ids, [`sha256:${'e'.repeat(64)}`, `sha256:${'e'.repeat(64)}`]);
  const time = { created: '0001-01-01T00:00:00Z' };
  assert.deepEqual(config.history, [time, { ...time, empty_layer: true }, time]);
  const { layers } = JSON.parse(text(made.manifestBytes));
  assert.deepEqual(layers.map((layer: { mediaType: string }) => layer.mediaType), [DOCKER_LAYER, DOCKER_LAYER]); // biome-ignore format: one list
});

test('schema 1: what the config keeps, in the order of Go, and what it drops', () => {
  const newest = {
    created: '2020-01-02T03:04:05.120000000+02:00',
    author: 'a\b\u2028',
    architecture: 'arm',
    variant: 'v7',
    os: 'linux',
    'os.version': '1',
    'os.features': ['f'],
    docker_version: '1.8',
    config: {
      Hostname: 'h',
      ArgsEscaped: true,
      StopSignal: 'SIGKILL',
      Labels: { b: '2', a: '1' },
      WorkingDir: '/w',
      Volumes: { '/z': {}, '/y': {} },
      Cmd: [],
      Entrypoint: ['/e'],
      ExposedPorts: { '80/tcp': {} },
      User: 'u',
      Env: null,
    },
  };
  const made = convert(parse(manifest([['1', newest]])), () => ({ empty: true }), hashers);
  const config = text(made.configBytes);
  assert.ok(config.includes('"a\\u0008\\u2028"'));
  const { created, rootfs, history, ...rest } = JSON.parse(config);
  assert.equal(created, '2020-01-02T03:04:05.12+02:00');
  assert.deepEqual(rootfs, { type: 'layers', diff_ids: [] });
  assert.deepEqual(history, [{ created, author: 'a\b\u2028', empty_layer: true }]);
  const names = 'author,architecture,variant,os,os.version,os.features,config';
  assert.equal(Object.keys(rest).join(), names);
  const run = 'User,ExposedPorts,Entrypoint,Volumes,WorkingDir,Labels,StopSignal,ArgsEscaped';
  assert.equal(Object.keys(rest.config).join(), run);
  assert.equal(Object.keys(rest.config.Volumes).join(), '/y,/z');
  assert.equal(Object.keys(rest.config.Labels).join(), 'a,b');
});

const WRONG: Readonly<Record<string, [Uint8Array, RegExp]>> = {
  'more blobs than history': [manifest([['1', {}]], { fsLayers: [] }), /history and layer mismatch/],
  'no layers at all': [manifest([]), /history and layer mismatch/],
  'no history': [encode({ schemaVersion: 1, fsLayers: [] }), /history and layer mismatch/],
  'also a manifest (H20)': [manifest([['1', {}]], { layers: [] }), /another schema/],
  'also an index (H20)': [manifest([['1', {}]], { Manifests: null }), /another schema/],
  'another version': [manifest([['1', {}]], { schemaVersion: 2 }), /schemaVersion: must be 1/],
  'a digest that is none (H21)': [manifest([], { fsLayers: [{ blobSum: 'sha256:../../x' }] }), /blobSum/],
  'a history that is no JSON (H27)': [manifest([], { fsLayers: [{ blobSum: fake('1') }], history: [{ v1Compatibility: '{}x' }] }), /trailing data/], // biome-ignore format: one row
  'a history that is no text': [manifest([], { history: [{ v1Compatibility: {} }] }), /must be a string/],
  'a throwaway that is no boolean': [manifest([['1', { throwaway: 'x' }]]), /throwaway: must be a boolean/],
  'a command that is no list': [manifest([['1', { container_config: { Cmd: 'x' } }]]), /must be an array/],
  'a time that is none': [manifest([['1', { created: 'yesterday' }]]), /RFC 3339/],
};

for (const [what, [bytes, message]] of Object.entries(WRONG)) {
  test(`schema 1 is refused: ${what}`, () => refuses(() => parse(bytes), message));
}

const encoded = (value: unknown): string => btoa(JSON.stringify(value));
const signed = (head: unknown): Uint8Array<ArrayBuffer> =>
  new Uint8Array(encode({ signatures: [{ protected: head }] }));

const UNSIGNED: Readonly<Record<string, [unknown, RegExp]>> = {
  'no protected header': [undefined, /must be base64url/],
  'a header that is not base64url': ['a+b/', /must be base64url/],
  'a header of an impossible length': ['abcde', /must be base64url/],
  'a length beyond the document': [
    encoded({ formatLength: 9999, formatTail: 'fQ' }),
    /is 9999, the document has/,
  ],
  'a negative length': [encoded({ formatLength: -1, formatTail: 'fQ' }), /must be a whole number/],
  'a length that is none': [encoded({ formatLength: '1', formatTail: 'fQ' }), /must be a whole number/],
  'no tail': [encoded({ formatLength: 1 }), /must be base64url/],
};

for (const [what, [head, message]] of Object.entries(UNSIGNED)) {
  test(`schema 1's signature is refused: ${what}`, () => {
    refuses(() => schema1Payload(signed(head), DOCKER_SCHEMA1), message);
  });
}

test('schema 1: a signed type without signatures is refused', () => {
  for (const document of [{}, { signatures: [] }, { signatures: null }]) {
    refuses(() => schema1Payload(new Uint8Array(encode(document)), DOCKER_SCHEMA1), /no signatures/);
  }
});
