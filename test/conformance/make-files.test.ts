/**
 * Files by one call: what is linked into the static executable (scripts/static/files.c), and what the tests have in its place
 * (support/linked-files.ts), do the same.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { errnoOf, kindOf, messageOf, notesOf } from '../../src/core/errors.ts';
import type { Dir, NewFile, Syscalls } from '../../src/core/ports/syscalls.ts';
import { createFfiSyscalls } from '../../src/platform/kernel/ffi-syscalls.ts';
import type { Libc } from '../../src/platform/kernel/libc.ts';
import { hasFfi, isStatic, libcHere } from '../support/ffi.ts';
import { failingFor, withLinkedFiles } from '../support/linked-files.ts';
import { needs } from '../support/needs.ts';
import { tempDir } from '../support/tmp.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function newFile(name: string, rest: Partial<NewFile> = {}): NewFile {
  const times = { atime: { sec: 1, nsec: 2 }, mtime: { sec: -3, nsec: 999_999_999 } };
  return {
    ...{ name, content: bytes(name), perm: 0o644, owner: undefined, mode: undefined },
    ...times,
    ...rest,
  };
}

interface Place {
  readonly sys: Syscalls;
  readonly dir: Dir;
  readonly path: string;
  make(...files: readonly NewFile[]): ReturnType<NonNullable<Syscalls['makeFiles']>>;
}

function suite(name: string, libc: () => Libc, skip: string | false): void {
  const check = (title: string, body: (place: Place) => void): void => {
    test(`files by one call, ${name}: ${title}`, { skip }, () => {
      const tmp = tempDir();
      const sys = createFfiSyscalls(libc());
      const { makeFiles } = sys;
      assert.ok(makeFiles);
      const dir = sys.openRoot(tmp.path);
      try {
        const before = readdirSync('/proc/self/fd').length;
        body({ sys, dir, path: tmp.path, make: (...files) => makeFiles(dir, files) });
        assert.equal(readdirSync('/proc/self/fd').length, before, 'descriptors stay open');
      } finally {
        sys.closeDir(dir);
        tmp[Symbol.dispose]();
      }
    });
  };

  check('content, times, mode and owner, each where it is given', ({ sys, dir, path, make }) => {
    const owner = { uid: 4_294_967_294, gid: 7 };
    const made = make(
      newFile('plain', { perm: 0o640 }),
      newFile('empty', { content: new Uint8Array() }),
      newFile('owned', { perm: 0o600, owner, mode: 0o6755 }),
      newFile('mode', { perm: 0o600, mode: 0o777 }),
      newFile('\xff\xfe', { content: new Uint8Array(3_000_000).fill(7) }),
      newFile('n'.repeat(255)),
    );
    assert.deepEqual(made, { count: 6, failed: undefined });
    const shown = ['plain', 'empty', 'owned', 'mode', '\xff\xfe', 'n'.repeat(255)].map((one) => {
      const stat = sys.lstat(dir, one);
      assert.deepEqual([stat?.atime, stat?.mtime], [newFile('').atime, newFile('').mtime]);
      return [stat?.mode.toString(8), stat?.uid, stat?.gid, stat?.size];
    });
    assert.deepEqual(shown, [
      ['100640', 0, 0, 5],
      ['100644', 0, 0, 0],
      ['106755', 4_294_967_294, 7, 5],
      ['100777', 0, 0, 4],
      ['100644', 0, 0, 3_000_000],
      ['100644', 0, 0, 255],
    ]);
    assert.equal(readFileSync(join(path, 'plain'), 'utf8'), 'plain');
  });

  check('hundreds of files, views of several buffers', ({ path, make }) => {
    const buffers = Array.from({ length: 5 }, (_, at) => new Uint8Array(1000).fill(at + 1));
    const files = Array.from({ length: 500 }, (_, at) =>
      newFile(`f${at}`, { content: buffers[at % 5]?.subarray(at, at + 3) ?? new Uint8Array() }),
    );
    assert.deepEqual(make(...files), { count: 500, failed: undefined });
    for (const [at, { name }] of files.entries())
      assert.deepEqual([...readFileSync(join(path, name))], new Array(3).fill((at % 5) + 1), name);
  });

  check('nothing is replaced or followed: up to what is in the way', ({ sys, dir, path, make }) => {
    sys.symlink('elsewhere', dir, 'b');
    assert.deepEqual(make(newFile('a'), newFile('b'), newFile('c')), { count: 1, failed: 'create' });
    assert.deepEqual(readdirSync(path).sort(), ['a', 'b']);
    assert.deepEqual(make(newFile('a')), { count: 0, failed: 'create' });
  });

  check('what is no name ends the call before it', ({ path, make }) => {
    for (const name of ['', '.', '..', 'x/y', 'x\0', '\u0100', 'n'.repeat(256)]) {
      assert.deepEqual(make(newFile('good'), newFile(name)), { count: 1, failed: 'create' });
      execFileSync('rm', [join(path, 'good')]);
    }
    assert.deepEqual(readdirSync(path), []);
  });

  check('a full disk is told with the file', ({ sys, path }) => {
    const full = join(path, 'full');
    mkdirSync(full);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', full]);
    const dir = sys.openRoot(full);
    try {
      const large = newFile('large', { content: new Uint8Array(1 << 17) });
      const made = sys.makeFiles?.(dir, [newFile('small'), large, newFile('more')]);
      assert.equal(made?.count, 1);
      assert.equal(kindOf(made?.failed), 'ResourceExhausted');
      assert.equal(
        messageOf(made?.failed),
        `writing ${JSON.stringify(`${full}/large`)}: no space left on device (ENOSPC)`,
      );
      assert.deepEqual(readdirSync(full).sort(), ['large', 'small']);
    } finally {
      sys.closeDir(dir);
      execFileSync('umount', [full]);
    }
  });
}

const root = needs({ root: true, tools: ['mount', 'umount'] });
const noFfi = hasFfi() ? false : 'the one call is reached through FFI';
suite('linked', libcHere, isStatic ? root : 'only the static executable has it');
suite('by single calls', () => withLinkedFiles(libcHere()), noFfi || root);

test('files by one call: the static executable has it, and no other program', { skip: noFfi }, () => {
  assert.equal(libcHere().linked !== undefined, isStatic);
});

for (const [doing, failed] of [
  ['create', 'create'],
  ['chown', 'describe'],
  ['chmod', 'describe'],
  ['utimes', 'describe'],
  ['write', 'EIO'],
  ['close', 'EIO'],
] as const) {
  test(`files by one call: ${doing} fails for one of three`, { skip: noFfi || root }, () => {
    const tmp = tempDir();
    const sys = createFfiSyscalls(withLinkedFiles(failingFor(libcHere(), doing, 'b', 5)));
    const dir = sys.openRoot(tmp.path);
    const files = ['a', 'b', 'c'].map((name) => newFile(name, { owner: { uid: 1, gid: 1 }, mode: 0o600 }));
    const made = sys.makeFiles?.(dir, files);
    sys.closeDir(dir);
    const left = readdirSync(tmp.path).sort();
    tmp[Symbol.dispose]();
    assert.equal(made?.count, 1);
    const told = typeof made?.failed === 'string' ? made.failed : errnoOf(made?.failed);
    assert.equal(told, failed);
    assert.deepEqual(left, doing === 'create' ? ['a'] : ['a', 'b']);
  });
}

test('files by one call: a failed close after a failed write is a note of the write', {
  skip: noFfi || root,
}, () => {
  const tmp = tempDir();
  const failing = failingFor(failingFor(libcHere(), 'close', 'b', 5), 'write', 'b', 28);
  const sys = createFfiSyscalls(withLinkedFiles(failing));
  const dir = sys.openRoot(tmp.path);
  const made = sys.makeFiles?.(dir, [newFile('a'), newFile('b'), newFile('c')]);
  sys.closeDir(dir);
  tmp[Symbol.dispose]();
  assert.equal(made?.count, 1);
  assert.equal(errnoOf(made?.failed), 'ENOSPC');
  assert.match(notesOf(made?.failed).join(), /EIO/);
});
