/** Whether a file system can hold overlayfs snapshots is found out before the first layer, and told with what to do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OverlayDriver } from '../../../src/backends/local/snapshots/overlayfs.ts';
import { requireWhiteouts } from '../../../src/backends/local/snapshots/whiteouts.ts';
import { hintOf, isKind, kindOf, messageOf } from '../../../src/core/errors.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { errnoError } from '../../../src/platform/kernel/errno.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { hasFfi } from '../../support/ffi.ts';
import { intercept } from '../../support/intercept.ts';
import { needs } from '../../support/needs.ts';
import { unmountBelow } from '../../support/scratch.ts';
import { openSyscalls } from '../../support/this-runtime.ts';
import { tempDir } from '../../support/tmp.ts';

/** `errno` of a call with a certain argument. */
type Failure = readonly [call: keyof Syscalls, errno: string, argument?: string];

function failing(failures: readonly Failure[]): Syscalls {
  return intercept(openSyscalls(), (name, args: readonly unknown[]) => {
    for (const [call, errno, argument] of failures) {
      if (call === name && (argument === undefined || args.includes(argument)))
        throw errnoError(errno, 'trying');
    }
  });
}

const TRUSTED = 'trusted.overlay.opaque';
const refused = (errno: string) => (err: unknown) =>
  isKind(err, 'FailedPrecondition') &&
  messageOf(err).includes(`(${errno})`) &&
  /--snapshotter native/.test(hintOf(err) ?? '');
const thrown = (kind: string) => (err: unknown) => kindOf(err) === kind;

const CASES: readonly (readonly [string, readonly Failure[], ((err: unknown) => boolean) | undefined])[] = [
  ['nothing fails', [], undefined],
  ['overlayfs refuses whiteouts', [['mknod', 'EPERM']], refused('EPERM')],
  ['FUSE has no devices', [['mknod', 'ENOSYS']], refused('ENOSYS')],
  ['there are no attributes', [['setxattr', 'ENOTSUP']], refused('ENOTSUP')],
  ['in a user namespace: user.* serves', [['setxattr', 'EPERM', TRUSTED]], undefined],
  ['neither trusted.* nor user.*', [['setxattr', 'EPERM']], refused('EPERM')],
  ['a full disk is a full disk', [['mknod', 'ENOSPC']], thrown('ResourceExhausted')],
  ['an error of the disk', [['mknod', 'EIO']], thrown('Internal')],
];

for (const [name, failures, expected] of CASES) {
  const skip = hasFfi() ? needs({ root: true }) : 'needs FFI';
  test(`the probe of a file system: ${name}`, { skip }, () => {
    const tmp = tempDir();
    try {
      const probe = () => requireWhiteouts(failing(failures), tmp.path);
      if (expected === undefined) probe();
      else assert.throws(probe, expected);
      assert.deepEqual(fs.readdirSync(tmp.path), []);
    } finally {
      tmp[Symbol.dispose]();
    }
  });
}

test('a store on overlayfs: snapshots of overlayfs are refused, views are not', {
  skip: needs({ root: true, tools: ['mount'] }),
}, async () => {
  const tmp = tempDir();
  try {
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'none', tmp.path]).status, 0);
    const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((one) =>
      join(tmp.path, one),
    );
    for (const path of [lower, upper, work, merged]) fs.mkdirSync(path ?? '');
    const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    const ran = spawnSync('mount', ['-t', 'overlay', 'overlay', '-o', options, `${merged}`]);
    assert.equal(ran.status, 0, String(ran.stderr));
    const driver = new OverlayDriver(bareRuntime(), merged ?? '');
    const dir = join(merged ?? '', '1');
    await assert.rejects(driver.create({ kind: 'Active', dir, parents: [] }), refused('EPERM'));
    await driver.create({ kind: 'View', dir: join(merged ?? '', '2'), parents: [] });
  } finally {
    await unmountBelow(tmp.path);
    tmp[Symbol.dispose]();
  }
});

test('a file system is probed once a process', { skip: needs({ root: true }) }, async () => {
  const tmp = tempDir();
  try {
    const runtime = bareRuntime();
    let made = 0;
    const sys = await runtime.syscalls();
    const counting = intercept(sys, (name) => {
      if (name === 'mknod') made++;
    });
    const driver = new OverlayDriver({ ...runtime, syscalls: async () => counting }, tmp.path);
    for (const id of ['1', '2', '3']) {
      await driver.create({ kind: 'Active', dir: join(tmp.path, id), parents: [] });
      assert.deepEqual(fs.readdirSync(join(tmp.path, id)).sort(), ['fs', 'work']);
    }
    assert.equal(made, 1);
  } finally {
    tmp[Symbol.dispose]();
  }
});
