import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../../src/core/errors.ts';
import type { Mount } from '../../../src/core/ports/mounter.ts';
import { checkMountable } from '../../../src/core/snapshots/mountable.ts';

const mount = (type: string, source: string, ...options: string[]): Mount => ({ type, source, options });

test('mounts that the kernel makes as they are', () => {
  for (const mounts of [
    [mount('bind', '/s/1/fs', 'rw', 'rbind')],
    [mount('overlay', 'overlay', 'index=off', 'lowerdir=/s/2/fs:/s/1/fs')],
    [mount('ext4', '/dev/mapper/thin-1', 'ro')],
    [mount('erofs', '/s/1/layer.erofs', 'ro')],
    [],
  ])
    checkMountable(mounts, 'x');
});

test('mounts that take a loop device or containerd’s mount manager are refused, with a way out', () => {
  for (const odd of [
    mount('erofs', '/s/1/layer.erofs', 'ro', 'loop'),
    mount('loop', '/s/1/img'),
    mount('format/overlay', 'overlay', 'lowerdir={{ overlay 0 1 }}'),
    mount('mkdir/bind', '/s/1'),
    mount('ext4', '/s/1/img', 'X-containerd.mkfs.size=1'),
    mount('bind', '{{ mount 0 }}', 'rbind'),
  ]) {
    assert.throws(
      () => checkMountable([mount('bind', '/s', 'ro'), odd], 'erofs'),
      (err) => {
        assert.ok(isKind(err, 'NotImplemented'));
        assert.match(
          String(err),
          /snapshot of "erofs": its .* mounts need a loop device or containerd's mount manager/,
        );
        return true;
      },
    );
  }
});
