import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  mountAttributes,
  parseMountOptions,
  renameLowers,
  splitLowers,
  unescapeOverlay,
} from '../../../../src/platform/kernel/mount-options.ts';
import { escapeOverlayPath } from '../../../support/overlay-path.ts';

test('flags are set and cleared in order; the rest is data', () => {
  assert.deepEqual(parseMountOptions(['rbind', 'ro']), {
    flags: 4096 | 16384 | 1,
    propagation: [],
    data: [],
  });
  assert.deepEqual(parseMountOptions(['ro', 'rw', 'nosuid', 'nodev', 'noexec', 'exec']).flags, 2 | 4);
  assert.deepEqual(parseMountOptions(['defaults', 'relatime', 'strictatime']).flags, (1 << 21) | (1 << 24));
  assert.deepEqual(parseMountOptions(['index=off', 'ro', 'lowerdir=/a', '', 'userxattr', 'toString']), {
    flags: 1,
    propagation: [],
    data: ['index=off', 'lowerdir=/a', 'userxattr', 'toString'],
  });
  assert.deepEqual(parseMountOptions(['rprivate', 'shared']).propagation, [(1 << 18) | 16384, 1 << 20]);
  assert.deepEqual(parseMountOptions(['lowerdir=/é']).data, ['lowerdir=/\xc3\xa9']);
});

test('mount(2) flags become fsmount(2) attributes', () => {
  assert.equal(mountAttributes(parseMountOptions(['ro', 'nosuid', 'nodev', 'noexec']).flags), 0xf);
  assert.equal(mountAttributes(parseMountOptions(['noatime', 'nodiratime']).flags), 0x90);
  assert.equal(mountAttributes(parseMountOptions(['sync', 'relatime']).flags), 0);
});

test('lower directories are split at bare colons', () => {
  assert.deepEqual(splitLowers('/a:/b:/c'), ['/a', '/b', '/c']);
  assert.deepEqual(splitLowers('/a\\:b:/c\\\\:/d'), ['/a\\:b', '/c\\\\', '/d']);
  assert.deepEqual(splitLowers(''), []);
});

test('escaped paths come back, whatever is in them', () => {
  for (const path of ['/a', '/a,b', '/a:b', '/a\\b', '/\\:,\\\\', '/ab\\', '/a\nb']) {
    assert.deepEqual(splitLowers(`${escapeOverlayPath(path)}:/next`).map(unescapeOverlay), [path, '/next']);
  }
});

test('lower directories get short names, other options stay', () => {
  const seen: string[] = [];
  const short = renameLowers(['upperdir=/u', 'lowerdir=/a\\:b:/c', 'ro'], (lower) => `/${seen.push(lower)}`);
  assert.deepEqual(short, ['upperdir=/u', 'lowerdir=/1:/2', 'ro']);
  assert.deepEqual(seen, ['/a:b', '/c']);
});
