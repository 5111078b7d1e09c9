import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson } from '../../../src/core/oci/json.ts';
import { MAX_URL_LENGTH, MAX_URLS, parseDescriptor } from '../../../src/core/oci/parse-descriptor.ts';
import { sha256 } from '../../registry/registry.ts';
import { encode, fake, layer, refuses } from './support.ts';

const parse = (value: unknown): ReturnType<typeof parseDescriptor> =>
  parseDescriptor(parseJson(encode(value), 'x'), 'index.json: manifests[0]');
/** A descriptor with the size written literally. */
const sized = (size: string): string =>
  JSON.stringify(layer('1', { size: 0 })).replace('"size":0', `"size":${size}`);

test('the least', () => assert.deepEqual(parse(layer('1')), layer('1')));

test('the most', () => {
  const parsed = parse({
    ...layer('1', { size: 2, data: 'e30=' }),
    platform: {
      os: 'windows',
      architecture: 'amd64',
      variant: '',
      'os.version': '10.0.17763',
      'os.features': ['win32k', 'a', 'win32k'],
      features: ['docker has these'],
    },
    annotations: { __proto__x: '1' },
    urls: ['https://a/b'],
    artifactType: 'application/y',
    other: null,
  });
  assert.deepEqual(parsed.data, new Uint8Array([0x7b, 0x7d]));
  assert.deepEqual(parsed.platform, {
    os: 'windows',
    architecture: 'amd64',
    osVersion: '10.0.17763',
    osFeatures: ['a', 'win32k'],
  });
  assert.deepEqual(parsed.urls, ['https://a/b']);
  assert.equal(parsed.artifactType, 'application/y');
  assert.ok(!('other' in parsed));
});

test('an annotation __proto__ stays data (H27)', () => {
  const { annotations } = parse(JSON.stringify(layer('1')).replace('{', '{"annotations":{"__proto__":"x"},'));
  assert.deepEqual(Object.entries(annotations ?? {}), [['__proto__', 'x']]);
  assert.equal(({} as Record<string, unknown>)['0'], undefined);
});

test('sizes are integers from 0 to 2^53-1 (H23)', () => {
  assert.equal(parse(sized('0')).size, 0);
  assert.ok(Object.is(parse(sized('-0')).size, 0));
  assert.equal(parse(sized('9007199254740991')).size, 9007199254740991);
  for (const bad of [
    '-1',
    '1.5',
    '1e400',
    '-1e400',
    '"10"',
    '9007199254740992',
    '9007199254740993',
    '1e30',
    'null',
    'true',
    '[1]',
    '{}',
  ]) {
    refuses(
      () => parse(sized(bad)),
      /^Cannot use index\.json: manifests\[0\]\.size: must be an integer from 0 to 2\^53-1$/,
    );
  }
  refuses(() => parse({ mediaType: 'a/b', digest: fake('1') }), /size: must be/);
});

test('digests are checked before any use (H21)', () => {
  const bad: readonly (readonly [unknown, RegExp])[] = [
    ['sha256:../../x', /invalid checksum digest format/],
    [`sha256:${'A'.repeat(64)}`, /invalid checksum digest format/],
    ['sha256:abc', /invalid checksum digest length/],
    [`md5:${'0'.repeat(32)}`, /unsupported digest algorithm/],
    [`constructor:${'0'.repeat(32)}`, /unsupported digest algorithm/],
    ['', /invalid checksum digest format/],
    // The shape of go-digest: lower case, no empty part of the algorithm, something after the colon.
    ...[
      'sha256:',
      `:${'0'.repeat(64)}`,
      '0'.repeat(64),
      `SHA256:${'0'.repeat(64)}`,
      'a++b:c',
      'a+:c',
      'a:b%',
    ].map((digest) => [digest, /invalid checksum digest format/] as const),
    // image-spec registers blake3 too; neither Node nor Deno has it.
    ...['sha256+b64u:_-=', 'a.b-c_d:0', `blake3:${'0'.repeat(64)}`].map(
      (digest) => [digest, /unsupported digest algorithm/] as const,
    ),
    [`sha256:${'0'.repeat(63)}`, /invalid checksum digest length/],
    [`sha384:${'0'.repeat(64)}`, /invalid checksum digest length/],
    [`sha512:${'0'.repeat(129)}`, /invalid checksum digest length/],
    [null, /must be a string/],
    [7, /must be a string/],
    [undefined, /must be a string/],
  ];
  for (const [digest, message] of bad) {
    refuses(() => parse(layer('1', { digest })), /^Cannot use index\.json: manifests\[0\]\.digest: /);
    refuses(() => parse(layer('1', { digest })), message);
  }
  for (const [algorithm, digits] of [
    ['sha256', 64],
    ['sha384', 96],
    ['sha512', 128],
  ] as const) {
    const digest = `${algorithm}:${'0'.repeat(digits)}`;
    assert.equal(parse(layer('1', { digest })).digest, digest);
  }
});

test('media types', () => {
  for (const mediaType of [undefined, null, '', 5, 'a\nb', 'ä/b', 'x'.repeat(256)]) {
    refuses(() => parse(layer('1', { mediaType })), /manifests\[0\]\.mediaType: must be/);
  }
});

test('inline data is decoded, and refused when its length or its base64 is wrong (H32)', () => {
  const data = (text: unknown, size: number): unknown => parse(layer('1', { data: text, size }));
  assert.ok(data('', 0));
  assert.ok(data('AAECAw==', 4));
  for (const bad of ['e30', 'e3=0', '====', 'e3 0', 'e30=\n', 'e_0=', '\u00e9AAA']) {
    refuses(() => data(bad, 2), /data: (must be base64|holds)/);
  }
  refuses(() => data('e30=', 3), /data: holds 2 bytes where size says 3/);
  refuses(() => data(5, 3), /data: must be a string/);
});

test('urls are limited', () => {
  assert.equal(parse(layer('1', { urls: Array(MAX_URLS).fill('u') })).urls?.length, MAX_URLS);
  refuses(() => parse(layer('1', { urls: Array(MAX_URLS + 1).fill('u') })), /urls: has 65 entries/);
  refuses(() => parse(layer('1', { urls: ['u'.repeat(MAX_URL_LENGTH + 1)] })), /urls\[0\]: longer/);
  refuses(() => parse(layer('1', { urls: [null] })), /urls\[0\]: must be a string/);
  refuses(() => parse(layer('1', { urls: 'x' })), /urls: must be an array/);
  assert.ok(!('urls' in parse(layer('1', { urls: null }))));
});

test('platforms', () => {
  assert.ok(!('platform' in parse(layer('1', { platform: null }))));
  assert.ok(!('platform' in parse(layer('1', { platform: {} }))));
  assert.deepEqual(parse(layer('1', { platform: { architecture: 'amd64' } })).platform, {
    os: '',
    architecture: 'amd64',
  });
  refuses(() => parse(layer('1', { platform: 'linux/amd64' })), /platform: must be an object/);
  refuses(() => parse(layer('1', { platform: { os: 1 } })), /platform\.os: must be a string/);
  refuses(() => parse(layer('1', { platform: { os: 'a\u001b[2J' } })), /platform\.os: must be printable/);
  refuses(
    () => parse(layer('1', { platform: { os: 'x', 'os.features': [null] } })),
    /platform\.os\.features\[0\]/,
  );
});

test('found by fuzzing: control characters of a digest or a key do not come into messages', () => {
  refuses(() => parse(layer('1', { digest: '\u001b[2J\u009b' })), /digest "\\x1b\[2J\\x9b"/);
  refuses(() => parse(layer('1', { annotations: { '\u0085k': 1 } })), /annotations\["\\x85k"\]/);
  refuses(() => parseJson(encode('{"\u0085":1,"\u0085":2}'), 'x'), /duplicate key "\\x85"/);
});

test('the empty document of image-spec, inline', () => {
  const digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
  const { data } = parse(
    layer('1', { mediaType: 'application/vnd.oci.empty.v1+json', digest, size: 2, data: 'e30=' }),
  );
  assert.equal(new TextDecoder().decode(data), '{}');
  assert.equal(sha256(data ?? new Uint8Array()), digest);
});
