import assert from 'node:assert/strict';
import os from 'node:os';
import process from 'node:process';
import { test } from 'node:test';
import { errnoOf } from '../../../../src/core/errors.ts';
import { errnoError, errnoName, errnoNumber, errnoOfText } from '../../../../src/platform/kernel/errno.ts';

test('numbers and names are the ones of this system', () => {
  let known = 0;
  for (const [name, number] of Object.entries(os.constants.errno)) {
    if (name === 'EOPNOTSUPP' || name === 'EWOULDBLOCK' || errnoNumber(name) === 0) continue;
    assert.equal(errnoNumber(name), number, name);
    assert.equal(errnoName(number), name);
    known++;
  }
  assert.ok(known > 25, String(known));
  assert.equal(errnoName(133), 'errno 133');
  assert.equal(errnoNumber('ENONSENSE'), 0);
});

test('kinds are those that the ports state', () => {
  const kinds: Record<string, string> = {
    ENOENT: 'NotFound',
    EEXIST: 'AlreadyExists',
    EACCES: 'PermissionDenied',
    EPERM: 'PermissionDenied',
    EROFS: 'PermissionDenied',
    ENOSPC: 'ResourceExhausted',
    EDQUOT: 'ResourceExhausted',
    EMFILE: 'ResourceExhausted',
    ENOTDIR: 'FailedPrecondition',
    EISDIR: 'FailedPrecondition',
    ENOTEMPTY: 'FailedPrecondition',
    ELOOP: 'FailedPrecondition',
    EXDEV: 'FailedPrecondition',
    ENOTSUP: 'NotImplemented',
    ENODATA: 'NotFound',
    EINVAL: 'InvalidArgument',
    ENAMETOOLONG: 'InvalidArgument',
    ERANGE: 'InvalidArgument',
    E2BIG: 'InvalidArgument',
    EIO: 'Internal',
    ENONSENSE: 'Internal',
  };
  for (const [name, kind] of Object.entries(kinds)) {
    const err = errnoError(name, 'doing it');
    assert.equal(err.kind, kind, name);
    assert.equal(errnoOf(err), name);
    assert.match(err.message, /^doing it: /);
    assert.ok(err.message.includes(name));
  }
  assert.equal(errnoOf(errnoError('EOPNOTSUPP', 'x')), 'ENOTSUP');
  for (const name of ['EPERM', 'EACCES'])
    assert.equal(/run as root/i.test(errnoError(name, 'x').hint ?? ''), process.getuid?.() !== 0);
  for (const name of ['ENOSPC', 'EPERM', 'EMFILE', 'ENFILE', 'EIO', 'EROFS', 'EDQUOT'])
    assert.ok(errnoError(name, 'x').hint !== undefined);
});

test('the errno is found in what tools print', () => {
  const cases: [string, string | undefined][] = [
    ['setfattr: /proc/1/fd/3: Operation not supported', 'ENOTSUP'],
    ["mknod: '/x': File exists\n", 'EEXIST'],
    ['setfattr: /x: No such attribute', 'ENODATA'],
    ["touch: setting times of '/x': Read-only file system", 'EROFS'],
    ['mount: /x: permission denied.\n       dmesg(1) may have more information.\n', 'EACCES'],
    ['mknod: a: File exists: nonsense', undefined],
    ['something else', undefined],
    ['', undefined],
  ];
  for (const [printed, want] of cases) assert.equal(errnoOfText(printed), want, printed);
});
