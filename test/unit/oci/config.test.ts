import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_CONFIG_BYTES, parseConfig } from '../../../src/core/oci/config.ts';
import { OCI_CONFIG } from '../../../src/core/oci/media-types.ts';
import { encode, fake, pointer, refuses } from './support.ts';

const parse = (value: unknown): ReturnType<typeof parseConfig> =>
  parseConfig(encode(value), pointer(OCI_CONFIG));

test('a configuration', () => {
  const parsed = parse({
    created: '2026-01-02T03:04:05Z',
    author: 'A',
    os: 'linux',
    architecture: 'arm64',
    variant: 'v8',
    config: {
      User: '1000:1000',
      Env: ['PATH=/bin', 'A=b'],
      Entrypoint: ['/init'],
      Cmd: 'sh',
      WorkingDir: '/w',
      Labels: { a: 'b', 'containerd.io/gc.root': 'x' },
      StopSignal: 'SIGTERM',
      ExposedPorts: { '80/tcp': {} },
      Volumes: { '../..': {} },
      Healthcheck: { Test: ['NONE'] },
    },
    rootfs: { type: 'layers', diff_ids: [fake('1'), fake('2')] },
    history: [
      { created: 'x', created_by: 'ADD', comment: 'c', author: 'a' },
      { created_by: 'ENV', empty_layer: true },
    ],
  });
  assert.deepEqual(parsed.platform, { os: 'linux', architecture: 'arm64', variant: 'v8' });
  assert.equal(parsed.rootfsType, 'layers');
  assert.deepEqual(parsed.diffIds, [fake('1'), fake('2')]);
  assert.deepEqual(parsed.history, [
    { created: 'x', createdBy: 'ADD', comment: 'c', author: 'a', emptyLayer: false },
    { createdBy: 'ENV', emptyLayer: true },
  ]);
  const { Labels, ...run } = parsed.config;
  assert.deepEqual({ ...Labels }, { a: 'b', 'containerd.io/gc.root': 'x' });
  assert.deepEqual(run, {
    User: '1000:1000',
    Env: ['PATH=/bin', 'A=b'],
    Entrypoint: ['/init'],
    Cmd: ['sh'],
    WorkingDir: '/w',
    StopSignal: 'SIGTERM',
    ExposedPorts: ['80/tcp'],
    Volumes: ['../..'],
  });
  assert.equal(parsed.created, '2026-01-02T03:04:05Z');
  assert.equal(parsed.author, 'A');
});

test('what is absent or null is absent', () => {
  const empty = { rootfsType: '', diffIds: [], history: [], config: {} };
  assert.deepEqual(parse({}), empty);
  assert.deepEqual(parse({ rootfs: null, history: null, config: null, os: null, created: null }), empty);
  assert.deepEqual(
    parse({ rootfs: { diff_ids: null }, config: { Env: null, Cmd: null, Volumes: null } }),
    empty,
  );
  assert.deepEqual(parse({ os: '', architecture: '' }), empty);
});

test('a BuildKit cache config has no diff IDs (H24)', () => {
  const cache = { layers: [{ blob: fake('1'), parent: -1 }], records: [{ digest: fake('2') }] };
  assert.deepEqual(parse(cache).diffIds, []);
});

test('hostile configurations are refused with the digest and the field (H24)', () => {
  const bad: readonly (readonly [unknown, RegExp])[] = [
    ['null', /must be an object/],
    ['[]', /must be an object/],
    [{ rootfs: [] }, /rootfs: must be an object/],
    [{ rootfs: { diff_ids: [null] } }, /rootfs\.diff_ids\[0\]: must be a string/],
    [{ rootfs: { diff_ids: ['sha256:x'] } }, /rootfs\.diff_ids\[0\]: .*invalid checksum digest length/],
    [{ rootfs: { diff_ids: 'x' } }, /rootfs\.diff_ids: must be an array/],
    [{ rootfs: { diff_ids: Array(10_001).fill(fake('1')) } }, /more than 10000/],
    [{ rootfs: { type: 1 } }, /rootfs\.type: must be a string/],
    [{ history: [null] }, /history\[0\]: must be an object/],
    [{ history: [{ empty_layer: 'yes' }] }, /history\[0\]\.empty_layer: must be a boolean/],
    [{ config: { Env: ['a', 1] } }, /config\.Env\[1\]: must be a string/],
    [{ config: { Entrypoint: {} } }, /config\.Entrypoint: must be an array/],
    [{ config: { Labels: { a: 1 } } }, /config\.Labels\["a"\]: must be a string/],
    [{ config: { Volumes: [] } }, /config\.Volumes: must be an object/],
    [{ config: { User: 0 } }, /config\.User: must be a string/],
    [{ os: {} }, /os: must be a string/],
    [{ architecture: 'a\u0007' }, /architecture: must be printable/],
    ['{"os":"linux","os":"windows"}', /duplicate key "os"/],
  ];
  for (const [value, message] of bad) {
    refuses(() => parse(value), message);
    refuses(() => parse(value), new RegExp(`config ${fake('d')}`));
  }
});

test('a user id beyond 32 bits is text like any other (H28)', () => {
  assert.equal(parse({ config: { User: '4294967296' } }).config.User, '4294967296');
});

test('a config over the size limit is refused before it is parsed (H22)', () => {
  refuses(
    () => parseConfig(new Uint8Array(MAX_CONFIG_BYTES + 1), pointer(OCI_CONFIG)),
    /8388609 bytes, more than 8388608/,
  );
});
