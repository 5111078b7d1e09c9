import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind, messageOf } from '../../src/core/errors.ts';
import { S_IFCHR } from '../../src/core/ports/syscalls.ts';
import { createFfiSyscalls } from '../../src/platform/kernel/ffi-syscalls.ts';
import { createToolsSyscalls } from '../../src/platform/kernel/tools-syscalls.ts';
import { syscallsSuite } from '../suites/syscalls.ts';
import { ENOSYS, EPERM, hasFfi, libcWithoutProc, oldLibc, refusingLibc } from '../support/ffi.ts';
import { isDeno, needs } from '../support/needs.ts';
import { openSyscalls as open } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

syscallsSuite('tools', {
  open: () => open('tools'),
  utf8Only: isDeno,
  // Deno's node:fs gives times in milliseconds.
  timeUnit: isDeno ? 1_000_000 : 1,
});

syscallsSuite('tools by path', {
  open: () => createToolsSyscalls({ utf8Only: true, byPath: true }),
  utf8Only: true,
  timeUnit: isDeno ? 1_000_000 : 1,
  keepsHandles: false,
});

if (hasFfi()) {
  syscallsSuite('ffi', { open: () => open('ffi'), utf8Only: false, timeUnit: 1 });
  syscallsSuite('ffi before Linux 6.6', {
    open: () => createFfiSyscalls(oldLibc('sysFchmodat2')),
    utf8Only: false,
    timeUnit: 1,
  });
  const newer = ['sysStatx', 'sysFchmodat2', 'sysRenameat2', 'sysListxattrat'] as const;
  for (const [errno, number] of Object.entries({ ENOSYS, EPERM })) {
    syscallsSuite(`ffi behind a seccomp filter that answers ${errno} to newer calls`, {
      open: () => createFfiSyscalls(refusingLibc(number, ...newer)),
      utf8Only: false,
      timeUnit: 1,
      exchanges: false,
    });
  }
  syscallsSuite('ffi without /proc', {
    open: () => createFfiSyscalls(libcWithoutProc()),
    utf8Only: false,
    timeUnit: 1,
    symlinkXattrs: false,
  });
  syscallsSuite('ffi without /proc before Linux 6.6', {
    open: () => createFfiSyscalls(libcWithoutProc('sysFchmodat2', 'sysListxattrat')),
    utf8Only: false,
    timeUnit: 1,
    symlinkXattrs: false,
  });

  const SKIP = { skip: needs({ root: true, tools: ['setfattr'] }) };

  test(
    'without /proc, attributes of symlinks and devices are read where there are none, and else need it',
    SKIP,
    () => {
      const tmp = tempDir();
      const withProc = open('ffi');
      const sys = createFfiSyscalls(libcWithoutProc());
      const dir = sys.openRoot(tmp.path);
      try {
        sys.symlink('x', dir, 'link');
        sys.mknod(dir, 'null', S_IFCHR | 0o600, 1, 3);
        for (const name of ['link', 'null']) {
          assert.deepEqual(sys.listxattr(dir, name), []);
          assert.equal(sys.getxattr(dir, name, 'trusted.a'), undefined);
          const value = Uint8Array.of(1);
          assert.throws(() => sys.setxattr(dir, name, 'trusted.a', value), needsProc(name));
          withProc.setxattr(dir, name, 'trusted.a', value);
          assert.throws(() => sys.listxattr(dir, name), needsProc(name));
          assert.throws(() => sys.getxattr(dir, name, 'trusted.a'), needsProc(name));
        }
      } finally {
        sys.closeDir(dir);
        tmp[Symbol.dispose]();
      }
    },
  );
}

function needsProc(name: string) {
  return (err: unknown) =>
    isKind(err, 'FailedPrecondition') &&
    messageOf(err).includes(name) &&
    /\/proc.* not mounted/.test(messageOf(err));
}
