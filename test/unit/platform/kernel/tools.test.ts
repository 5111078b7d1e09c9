import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errnoOf } from '../../../../src/core/errors.ts';
import { chooseProvider } from '../../../../src/platform/kernel/choose.ts';
import { errnoOfText } from '../../../../src/platform/kernel/errno.ts';
import { fsError } from '../../../../src/platform/kernel/fs-error.ts';
import { requireTool, runTool, runToolAsync } from '../../../../src/platform/kernel/tools-run.ts';
import { touchDate } from '../../../../src/platform/kernel/tools-times.ts';
import { parseXattrs } from '../../../../src/platform/kernel/tools-xattr.ts';
import { isDeno } from '../../../support/needs.ts';

test('a missing tool is named, with the package that brings it', async () => {
  assert.throws(() => requireTool('no-such-tool', 'doing it'), {
    kind: 'FailedPrecondition',
    message: /^doing it: the tool no-such-tool is not in \/usr\/bin/,
    hint: /Install the package no-such-tool/,
  });
  await assert.rejects(runToolAsync('no-such-tool', [], 'doing it', errnoOfText), {
    kind: 'FailedPrecondition',
  });
});

test('a failing tool is an error of the kind that it printed', async () => {
  assert.throws(() => runTool('ls', ['--', '/no/such/path'], 'looking'), {
    kind: 'NotFound',
    message: 'looking: no such file or directory (ENOENT)',
  });
  assert.throws(() => runTool('ls', ['--no-such-option'], 'looking'), {
    kind: 'Internal',
    message: /^looking: .*ls: unrecognized option/,
  });
  await assert.rejects(runToolAsync('ls', ['--', '/no/such/path'], 'looking', errnoOfText), {
    kind: 'NotFound',
  });
});

test('a tool that takes too long is ended, and the error says so; one that another ends is told by the signal', async () => {
  const sleeping = runToolAsync('sleep', ['60'], 'mounting', errnoOfText, { timeLimit: 50 });
  await assert.rejects(sleeping, {
    kind: 'DeadlineExceeded',
    message: 'mounting: sleep took over 0.05 s',
    hint: /file system/,
  });
  const ended = { kind: 'Internal', message: 'mounting: perl was ended by SIGTERM' };
  const suicide = ['-e', 'kill TERM, $$; sleep 9'];
  await assert.rejects(runToolAsync('perl', suicide, 'mounting', errnoOfText), ended);
  assert.throws(() => runTool('perl', suicide, 'mounting'), ended);
});

test('a tool gets no shell, an environment of ours and no input', () => {
  assert.equal(runTool('printf', ['%s', '$(id) * "'], 'printing'), '$(id) * "');
  const env = runTool('env', [], 'printing').trim().split('\n');
  // Deno adds its own environment to what spawnSync is given.
  if (!isDeno) assert.equal(env.length, 2);
  for (const want of ['LC_ALL=C', 'PATH=/usr/bin:/bin:/usr/sbin:/sbin']) assert.ok(env.includes(want), want);
  assert.equal(runTool('cat', [], 'reading'), '');
});

test('times are decimal numbers of seconds', () => {
  assert.equal(touchDate({ sec: 0, nsec: 0 }), '@0.000000000');
  assert.equal(touchDate({ sec: 5, nsec: 6 }), '@5.000000006');
  assert.equal(touchDate({ sec: -1, nsec: 0 }), '@-1.000000000');
  assert.equal(touchDate({ sec: -1, nsec: 5 }), '@-0.999999995');
  assert.equal(touchDate({ sec: -2, nsec: 500_000_000 }), '@-1.500000000');
});

test('what getfattr prints is parsed to byte strings', () => {
  const printed = [
    '# file: /proc/1/fd/3',
    'security.capability=0sAQAAAoA=',
    'user.a\\075b\\012\\134=0sAP8=',
    'user.empty=0s',
    'user.none',
    'user.\\377=0sAQ==',
    '',
  ].join('\n');
  assert.deepEqual(
    [...parseXattrs(printed)],
    [
      ['security.capability', new Uint8Array([1, 0, 0, 2, 0x80])],
      ['user.a=b\n\\', new Uint8Array([0, 0xff])],
      ['user.empty', new Uint8Array(0)],
      ['user.none', new Uint8Array(0)],
      ['user.\xff', new Uint8Array([1])],
    ],
  );
});

test('node:fs errors and denied permissions get kinds', () => {
  const enoent = Object.assign(new Error('ENOENT: x'), { code: 'ENOENT' });
  assert.equal(fsError(enoent, 'reading "f"').message, 'reading "f": no such file or directory (ENOENT)');
  assert.equal(fsError(enoent, 'x').cause, enoent);
  const denied = Object.assign(new Error('Requires read access'), { name: 'NotCapable' });
  assert.deepEqual(
    [fsError(denied, 'x').kind, errnoOf(fsError(denied, 'x'))],
    ['PermissionDenied', 'EACCES'],
  );
  assert.equal(fsError(Object.assign(new Error('y'), { code: 'ERR_INVALID_ARG' }), 'x').kind, 'Internal');
  const ours = fsError(enoent, 'first');
  assert.equal(fsError(ours, 'second'), ours);
});

test('FFI is taken when there is one, unless the tools are preferred', () => {
  const make = { ffi: (libc: string) => `ffi ${libc}`, tools: () => 'tools' };
  assert.equal(
    chooseProvider(undefined, () => 'c', make),
    'ffi c',
  );
  assert.equal(
    chooseProvider('ffi', () => 'c', make),
    'ffi c',
  );
  assert.equal(
    chooseProvider('tools', () => 'c', make),
    'tools',
  );
  assert.equal(
    chooseProvider(undefined, () => undefined, make),
    'tools',
  );
  assert.throws(() => chooseProvider('ffi', () => undefined, make), {
    kind: 'FailedPrecondition',
    hint: /--allow-ffi/,
  });
});
