import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { machineOf } from '../../../../src/platform/kernel/libc.ts';
import { parseMountinfo, pointsBelow } from '../../../../src/platform/kernel/mountinfo.ts';
import { checkName, checkRoot } from '../../../../src/platform/kernel/names.ts';
import {
  decodeDirents,
  decodeStatx,
  encodeTimes,
  makeDev,
  STATX_SIZE,
  splitNul,
} from '../../../../src/platform/kernel/stat.ts';

test('makeDev agrees with the kernel', () => {
  assert.equal(makeDev(1, 3), fs.statSync('/dev/null', { bigint: true }).rdev);
  assert.equal(makeDev(0, 0), 0n);
  // glibc bits/sysmacros.h by hand.
  assert.equal(makeDev(0xfff, 0xfffff), 0xfffffffn | (0xf0n << 24n));
  assert.equal(makeDev(10, 257), 0x100a01n);
  assert.equal(makeDev(0x12345, 0x678), (0x12000n << 32n) | 0x600000n | 0x34500n | 0x78n);
});

test('times before the epoch and far ones are two 64-bit fields', () => {
  const view = new DataView(new ArrayBuffer(32));
  for (const sec of [0, 1, -1, 2 ** 31, 2 ** 33, -(2 ** 31), -(2 ** 40) - 7, Number.MAX_SAFE_INTEGER]) {
    encodeTimes(view, { sec, nsec: 999_999_999 }, { sec: -sec, nsec: 0 });
    assert.equal(view.getBigInt64(0, true), BigInt(sec));
    assert.equal(view.getBigInt64(8, true), 999_999_999n);
    assert.equal(view.getBigInt64(16, true), BigInt(-sec));
    assert.equal(view.getBigInt64(24, true), 0n);
  }
});

test('statx is decoded by the offsets of linux/stat.h', () => {
  const view = new DataView(new ArrayBuffer(STATX_SIZE));
  view.setUint32(16, 3, true);
  view.setUint32(20, 4294967294, true);
  view.setUint32(24, 6, true);
  view.setUint16(28, 0o104755, true);
  view.setBigUint64(32, 2n ** 63n + 1n, true);
  view.setBigUint64(40, 2n ** 40n + 5n, true);
  view.setBigUint64(48, 2n ** 33n, true);
  view.setBigInt64(64, -1n, true);
  view.setUint32(72, 5, true);
  view.setBigInt64(112, 2n ** 33n, true);
  view.setUint32(120, 999_999_999, true);
  view.setUint32(128, 300, true);
  view.setUint32(132, 70000, true);
  view.setUint32(136, 254, true);
  view.setUint32(140, 1, true);
  assert.deepEqual(decodeStatx(view), {
    mode: 0o104755,
    uid: 4294967294,
    gid: 6,
    size: 2 ** 40 + 5,
    nlink: 3,
    dev: '254:1',
    ino: '9223372036854775809',
    rdevMajor: 300,
    rdevMinor: 70000,
    atime: { sec: -1, nsec: 5 },
    mtime: { sec: 2 ** 33, nsec: 999_999_999 },
    blocks: 2 ** 33,
  });
});

test('directory records give names without the dots', () => {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const name of ['.', 'a', '..', '\xff\x80', '...', 'n'.repeat(30)]) {
    const size = (19 + name.length + 1 + 7) & ~7;
    view.setUint16(at + 16, size, true);
    for (let i = 0; i < name.length; i++) bytes[at + 19 + i] = name.charCodeAt(i);
    at += size;
  }
  const out: string[] = [];
  decodeDirents(bytes, view, at, out);
  assert.deepEqual(out, ['a', '\xff\x80', '...', 'n'.repeat(30)]);
  assert.deepEqual(splitNul(new Uint8Array([97, 0, 0xff, 98, 0, 99, 0]), 5), ['a', '\xffb']);
  assert.deepEqual(splitNul(new Uint8Array(4), 0), []);
});

test('mount points are decoded and found below a path', () => {
  const points = parseMountinfo(
    [
      '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
      '30 22 0:5 / /a\\040b/c\\134d rw - tmpfs tmpfs rw',
      '31 22 0:6 / /store rw shared:1 - tmpfs tmpfs rw',
      '32 31 0:7 / /store/x rw - tmpfs tmpfs rw',
      '33 31 0:7 / /store/x rw - tmpfs tmpfs rw',
      '34 22 0:7 / /storeroom rw - tmpfs tmpfs rw',
      '',
    ].join('\n'),
  );
  assert.deepEqual(points, ['/', '/a b/c\\d', '/store', '/store/x', '/store/x', '/storeroom']);
  assert.deepEqual(pointsBelow(points, '/store', '/store'), ['/store', '/store/x']);
  assert.deepEqual(pointsBelow(points, '/store', '/link/to'), ['/link/to', '/link/to/x']);
  assert.deepEqual(pointsBelow(points, '/sto', '/sto'), []);
  assert.equal(pointsBelow(points, '/', '/').length, 5);
});

test('names and roots are checked', () => {
  for (const good of ['a', '...', '.a', '-', '\xff', ' ', '\n']) checkName(good);
  for (const bad of ['', '.', '..', 'a/b', 'a\0', '\u0100', '\ud800']) {
    assert.throws(() => checkName(bad), { kind: 'InvalidArgument' });
  }
  assert.equal(checkRoot('/a/b//'), '/a/b');
  assert.equal(checkRoot('///'), '/');
  assert.equal(checkRoot('/é'), '/\xc3\xa9');
  for (const bad of ['', 'a', './a', '/a\0'])
    assert.throws(() => checkRoot(bad), { kind: 'InvalidArgument' });
});

test('machines have their own open flags', () => {
  assert.deepEqual(machineOf('x64'), machineOf('x86_64'));
  assert.deepEqual(machineOf('arm64'), machineOf('aarch64'));
  assert.equal(machineOf('x64')?.O_DIRECTORY, 0o200000);
  assert.equal(machineOf('arm64')?.O_DIRECTORY, 0o40000);
  for (const other of ['mips', 'arm', 's390x', '']) assert.equal(machineOf(other), undefined);
});
