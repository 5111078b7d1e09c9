/** What every Syscalls provider must do, checked against node:fs and the tools of the system. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ByteString, fromUtf8 } from '../../src/core/bytes.ts';
import { errnoOf, hintOf, type Kind, kindOf, messageOf } from '../../src/core/errors.ts';
import {
  type Dir,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Syscalls,
  type TimeSpec,
} from '../../src/core/ports/syscalls.ts';
import { needs } from '../support/needs.ts';
import { tempDir } from '../support/tmp.ts';

export interface SyscallsUnderTest {
  readonly open: () => Syscalls;
  /** Names that are not UTF-8 are refused. */
  readonly utf8Only: boolean;
  /** Nanoseconds that `lstat` can tell apart. */
  readonly timeUnit: number;
  /** False: two names cannot be swapped. */
  readonly exchanges?: boolean;
  /** False: symlinks cannot be given attributes. */
  readonly symlinkXattrs?: boolean;
  /** False: a handle is refused when its path leads elsewhere. */
  readonly keepsHandles?: boolean;
}

const ROOT = { root: true, tools: ['stat', 'mknod', 'setfattr', 'getfattr', 'touch', 'mount', 'umount'] };
const NOT_UTF8: ByteString = 'a\xff\xfeb\x80';
const bytes = (...list: number[]): Uint8Array => new Uint8Array(list);
/** A version 2 capability set (linux/capability.h) with NUL and bytes of 0x80 and more in it. */
const CAPABILITY = bytes(1, 0, 0, 2, 0x80, 0xff, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

export function fails(work: () => unknown, kind: Kind, ...errnos: string[]): void {
  try {
    work();
  } catch (err) {
    const errno = errnoOf(err);
    assert.equal(kindOf(err), kind, String(err));
    if (errnos.length > 0)
      assert.ok(errnos.includes(String(errno)), `${errno} is not ${errnos.join(' or ')}`);
    return;
  }
  assert.fail(`did not fail with ${kind}`);
}

/** `stat -c FORMAT` of a path. */
function stat(format: string, path: string): string {
  const ran = spawnSync('stat', ['-c', format, '--', path], { env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } });
  assert.equal(ran.status, 0, String(ran.stderr));
  return String(ran.stdout).trim();
}

interface Place {
  readonly sys: Syscalls;
  readonly dir: Dir;
  readonly path: string;
  file(name: ByteString, content?: string): void;
}

export function syscallsSuite(name: string, under: SyscallsUnderTest): void {
  const check = (title: string, body: (place: Place) => void): void => {
    test(`syscalls ${name}: ${title}`, { skip: needs(ROOT) }, () => {
      const tmp = tempDir();
      const sys = under.open();
      const dir = sys.openRoot(tmp.path);
      const file = (file: ByteString, content = ''): void => {
        const fd = sys.createFile(dir, file, 0o600);
        sys.write(fd, new TextEncoder().encode(content));
        sys.closeFile(fd);
      };
      try {
        body({ sys, dir, path: tmp.path, file });
      } finally {
        sys.closeDir(dir);
        tmp[Symbol.dispose]();
      }
    });
  };
  nameTests(check, under);
  fileTests(check);
  entryTests(check, under);
  symlinkTests(check, under);
  attributeTests(check, under);
  xattrTests(check);
  handleTests(check, under);
  diskTests(check);
}

type Check = (title: string, body: (place: Place) => void) => void;

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (err) {
    return err;
  }
  return assert.fail('did not fail');
}

/** Runs `work` in a file system of 64 KiB, mounted in the place. */
function onFullDisk({ sys, path }: Place, work: (dir: Dir, path: string) => void): void {
  const full = join(path, 'full');
  fs.mkdirSync(full);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', full]).status, 0);
  try {
    const dir = sys.openRoot(full);
    try {
      work(dir, full);
    } finally {
      sys.closeDir(dir);
    }
  } finally {
    spawnSync('umount', [full]);
  }
}

function diskTests(check: Check): void {
  check('a full disk is told with the file that was written, wherever that is', (place) => {
    const { sys } = place;
    const block = new Uint8Array(1 << 17);
    onFullDisk(place, (dir, path) => {
      for (const write of [(fd: number) => sys.write(fd, block), (fd: number) => sys.writeAt(fd, block, 0)]) {
        const fd = sys.createFile(dir, 'large', 0o600);
        const err = thrown(() => write(fd));
        sys.closeFile(fd);
        sys.unlink(dir, 'large');
        assert.equal(kindOf(err), 'ResourceExhausted');
        assert.match(messageOf(err), new RegExp(`writing "${path}/large": no space left on device`));
        assert.equal(
          hintOf(err),
          'Free space (and inodes) on that file system; hawser df shows what takes room in the store',
        );
      }
    });
  });
}

function nameTests(check: Check, under: SyscallsUnderTest): void {
  if (under.utf8Only) {
    check('refuses names that are not UTF-8 and never makes another one', ({ sys, dir, path, file }) => {
      fails(() => file(NOT_UTF8), 'NotImplemented');
      fails(() => sys.mkdir(dir, NOT_UTF8, 0o700), 'NotImplemented');
      fails(() => sys.symlink(NOT_UTF8, dir, 'l'), 'NotImplemented');
      assert.deepEqual(fs.readdirSync(path), []);
    });
  } else {
    check('keeps names that are not UTF-8', ({ sys, dir, path, file }) => {
      file(NOT_UTF8, 'x');
      sys.mkdir(dir, `${NOT_UTF8}d`, 0o755);
      sys.symlink(`${NOT_UTF8}/\xe9`, dir, `${NOT_UTF8}l`);
      sys.mknod(dir, `${NOT_UTF8}p`, S_IFIFO | 0o600, 0, 0);
      sys.setxattr(dir, NOT_UTF8, 'user.k', bytes(1));
      sys.utimes(dir, NOT_UTF8, { sec: 1, nsec: 5 }, { sec: 2, nsec: 7 });
      sys.link(dir, NOT_UTF8, dir, `${NOT_UTF8}2`);
      sys.rename(dir, `${NOT_UTF8}2`, dir, `${NOT_UTF8}3`);
      assert.equal(sys.readlink(dir, `${NOT_UTF8}l`), `${NOT_UTF8}/\xe9`);
      assert.deepEqual(sys.getxattr(dir, NOT_UTF8, 'user.k'), bytes(1));
      const want = ['', '3', 'd', 'l', 'p'].map((end) => NOT_UTF8 + end);
      assert.deepEqual(sys.list(dir).sort(), want);
      const found = fs
        .readdirSync(path, { encoding: 'buffer' })
        .map((n) => Buffer.from(n).toString('latin1'));
      if (!('Deno' in globalThis)) assert.deepEqual(found.sort(), want);
    });
  }

  check('takes names of 255 bytes and refuses longer ones', ({ sys, dir, file }) => {
    const longest = 'n'.repeat(255);
    file(longest);
    sys.setxattr(dir, longest, 'user.k', bytes(7));
    assert.equal(sys.lstat(dir, longest)?.nlink, 1);
    assert.deepEqual(sys.list(dir), [longest]);
    sys.unlink(dir, longest);
    fails(() => file(`${longest}n`), 'InvalidArgument', 'ENAMETOOLONG');
    fails(() => file('n'.repeat(5000)), 'InvalidArgument', 'ENAMETOOLONG');
    fails(() => sys.symlink('t'.repeat(5000), dir, 'l'), 'InvalidArgument', 'ENAMETOOLONG');
  });

  check('names with spaces, quotes, dashes, newlines and UTF-8 go to tools and back', ({ sys, dir }) => {
    for (const name of ['-n', 'a b', `'"$(x)\\`, 'line\nline', fromUtf8('naïve-文'), '*']) {
      sys.mknod(dir, name, S_IFIFO | 0o600, 0, 0);
      sys.utimes(dir, name, { sec: 5, nsec: 1 }, { sec: 5, nsec: 1 });
      sys.setxattr(dir, name, 'trusted.k', bytes(1, 2));
      assert.equal((sys.lstat(dir, name)?.mode ?? 0) & S_IFMT, S_IFIFO);
      assert.deepEqual(sys.listxattr(dir, name), ['trusted.k']);
      assert.deepEqual(sys.list(dir), [name]);
      sys.unlink(dir, name);
    }
  });

  check('refuses what is not one path component, in every call', ({ sys, dir, path, file }) => {
    file('good');
    const zero: TimeSpec = { sec: 0, nsec: 0 };
    for (const bad of ['', '.', '..', 'a/b', '/', 'a\0b', '\u0100']) {
      const calls: (() => unknown)[] = [
        () => sys.openDir(dir, bad),
        () => sys.lstat(dir, bad),
        () => sys.readlink(dir, bad),
        () => sys.createFile(dir, bad, 0o600),
        () => sys.openFile(dir, bad),
        () => sys.mkdir(dir, bad, 0o700),
        () => sys.symlink('t', dir, bad),
        () => sys.link(dir, 'good', dir, bad),
        () => sys.link(dir, bad, dir, 'new'),
        () => sys.mknod(dir, bad, S_IFIFO, 0, 0),
        () => sys.rename(dir, bad, dir, 'new'),
        () => sys.rename(dir, 'good', dir, bad),
        () => sys.unlink(dir, bad),
        () => sys.rmdir(dir, bad),
        () => sys.chown(dir, bad, 0, 0),
        () => sys.chmod(dir, bad, 0o600),
        () => sys.utimes(dir, bad, zero, zero),
        () => sys.setxattr(dir, bad, 'user.k', bytes(1)),
        () => sys.removexattr(dir, bad, 'user.k'),
        () => sys.getxattr(dir, bad, 'user.k'),
        () => sys.listxattr(dir, bad),
      ];
      for (const call of calls) fails(call, 'InvalidArgument');
    }
    assert.deepEqual(fs.readdirSync(path), ['good']);
    for (const bad of ['relative', '', '/tmp\0x']) fails(() => sys.openRoot(bad), 'InvalidArgument');
  });

  check('lists more names than fit in one read of the directory', ({ sys, dir, path }) => {
    const names = Array.from({ length: 3000 }, (_, i) => `name-that-is-somewhat-long-${i}`);
    for (const name of names) fs.writeFileSync(join(path, name), '');
    assert.deepEqual(sys.list(dir).sort(), [...names].sort());
    assert.equal(sys.list(dir).length, 3000, 'a second listing starts at the beginning');
  });
}

function fileTests(check: Check): void {
  check('writes parts of many buffers, some of which have been given away since', ({ sys, dir, path }) => {
    const want: number[] = [];
    const out = sys.createFile(dir, 'f', 0o600);
    for (let i = 0; i < 300; i++) {
      const whole = new Uint8Array(i % 2 === 0 ? 40 : 70_000).fill(i);
      whole[7] = i + 1;
      for (const [from, to] of [
        [7, 9],
        [0, 3],
        [39, 40],
      ]) {
        const part = whole.subarray(from, to);
        sys.write(out, part);
        want.push(...part);
      }
      const rest = whole.subarray(9);
      if (i % 3 === 0) whole.buffer.transfer(0);
      sys.write(out, rest);
      if (rest.length > 0) want.push(...rest);
    }
    sys.closeFile(out);
    assert.deepEqual([...fs.readFileSync(join(path, 'f'))], want);
  });

  check('writes, reads, places and cuts file content', ({ sys, dir, path }) => {
    const content = new Uint8Array(3 * 1024 * 1024 + 5).map((_, i) => (i * 7) >> 3);
    const out = sys.createFile(dir, 'f', 0o600);
    sys.write(out, content.subarray(0, 100));
    sys.write(out, new Uint8Array(0));
    sys.write(out, content.subarray(100));
    sys.writeAt(out, bytes(1, 2, 3), 5);
    sys.closeFile(out);
    content.set([1, 2, 3], 5);
    assert.deepEqual(new Uint8Array(fs.readFileSync(join(path, 'f'))), content);
    const input = sys.openFile(dir, 'f');
    const got: number[] = [];
    const into = new Uint8Array(1024 * 1024);
    for (let n = sys.read(input, into), at = 0; n > 0; n = sys.read(input, into)) {
      assert.deepEqual(into.subarray(0, n), content.subarray(at, at + n));
      at += n;
      got.push(n);
    }
    sys.closeFile(input);
    assert.equal(
      got.reduce((a, b) => a + b, 0),
      content.length,
    );
    const holes = sys.createFile(dir, 'holes', 0o600);
    sys.writeAt(holes, bytes(9), 1024 * 1024);
    sys.truncateFile(holes, 4 * 1024 * 1024);
    sys.closeFile(holes);
    const found = sys.lstat(dir, 'holes');
    assert.equal(found?.size, 4 * 1024 * 1024);
    assert.ok((found?.blocks ?? Infinity) * 512 < 1024 * 1024);
  });

  check('creates exclusively and without following', ({ sys, dir, path, file }) => {
    file('f', 'old');
    fs.symlinkSync(join(path, 'nowhere'), join(path, 'dangling'));
    fails(() => sys.createFile(dir, 'f', 0o600), 'AlreadyExists', 'EEXIST');
    fails(() => sys.createFile(dir, 'dangling', 0o600), 'AlreadyExists', 'EEXIST');
    assert.equal(fs.readFileSync(join(path, 'f'), 'utf8'), 'old');
    assert.deepEqual(fs.readdirSync(path).sort(), ['dangling', 'f']);
  });

  check('opens only regular files and does not hang on a pipe', ({ sys, dir }) => {
    sys.mkdir(dir, 'd', 0o700);
    sys.mknod(dir, 'pipe', S_IFIFO | 0o600, 0, 0);
    sys.mknod(dir, 'null', S_IFCHR | 0o600, 1, 3);
    sys.symlink('/etc/passwd', dir, 'l');
    for (const name of ['d', 'pipe', 'null', 'l']) fails(() => sys.openFile(dir, name), 'FailedPrecondition');
    fails(() => sys.openFile(dir, 'absent'), 'NotFound', 'ENOENT');
  });
}

function entryTests(check: Check, under: SyscallsUnderTest): void {
  check('lstat tells type, size, links, inode; absent is undefined', ({ sys, dir, path, file }) => {
    file('f', 'hello');
    sys.link(dir, 'f', dir, 'g');
    sys.mkdir(dir, 'd', 0o755);
    sys.symlink('some/target', dir, 'l');
    const f = sys.lstat(dir, 'f');
    assert.ok(f !== undefined);
    assert.equal(f.mode & S_IFMT, S_IFREG);
    assert.equal(f.size, 5);
    assert.equal(f.nlink, 2);
    assert.equal(f.ino, stat('%i', join(path, 'f')));
    assert.equal(f.ino, sys.lstat(dir, 'g')?.ino);
    assert.equal(f.dev, sys.fstat(dir).dev);
    assert.equal(f.blocks, Number(stat('%b', join(path, 'f'))));
    assert.equal((sys.lstat(dir, 'd')?.mode ?? 0) & S_IFMT, S_IFDIR);
    assert.equal((sys.lstat(dir, 'l')?.mode ?? 0) & S_IFMT, S_IFLNK);
    assert.equal(sys.lstat(dir, 'l')?.size, 11);
    assert.equal(sys.lstat(dir, 'absent'), undefined);
    assert.equal(sys.fstat(dir).ino, stat('%i', path));
    assert.equal(sys.readlink(dir, 'l'), 'some/target');
    fails(() => sys.readlink(dir, 'f'), 'InvalidArgument', 'EINVAL');
    fails(() => sys.readlink(dir, 'absent'), 'NotFound', 'ENOENT');
  });

  check('makes whiteouts, devices with big numbers, block devices and pipes', ({ sys, dir, path, file }) => {
    const cases: [string, number, number, number][] = [
      ['whiteout', S_IFCHR, 0, 0],
      ['char', S_IFCHR, 1, 3],
      ['big', S_IFCHR, 511, 1048575],
      ['middle', S_IFCHR, 10, 257],
      ['block', S_IFBLK, 8, 300],
      ['pipe', S_IFIFO, 0, 0],
    ];
    for (const [name, type, major, minor] of cases) {
      sys.mknod(dir, name, type | 0o600, major, minor);
      const found = sys.lstat(dir, name);
      assert.ok(found !== undefined);
      assert.equal(found.mode & S_IFMT, type, name);
      if (type !== S_IFIFO) assert.deepEqual([found.rdevMajor, found.rdevMinor], [major, minor], name);
      const printed = stat('%t %T', join(path, name));
      // stat(1) of old coreutils prints only parts of big numbers.
      if (major < 256 && minor < 256) assert.equal(printed, `${major.toString(16)} ${minor.toString(16)}`);
    }
    file('f', 'kept');
    fails(() => sys.mknod(dir, 'f', S_IFCHR | 0o600, 1, 3), 'AlreadyExists', 'EEXIST');
    assert.equal(fs.readFileSync(join(path, 'f'), 'utf8'), 'kept');
    sys.link(dir, 'whiteout', dir, 'whiteout2');
    assert.equal(sys.lstat(dir, 'whiteout')?.nlink, 2);
    assert.equal(sys.list(dir).length, cases.length + 2);
  });

  check(
    'a rename that must not replace leaves what it meets; an exchange swaps two names',
    ({ sys, dir, path, file }) => {
      file('f', 'f');
      file('g', 'g');
      sys.mkdir(dir, 'empty', 0o700);
      fails(() => sys.rename(dir, 'f', dir, 'g', 'new'), 'AlreadyExists', 'EEXIST');
      sys.mkdir(dir, 'other', 0o700);
      fails(() => sys.rename(dir, 'other', dir, 'empty', 'new'), 'AlreadyExists', 'EEXIST');
      assert.equal(fs.readFileSync(join(path, 'g'), 'utf8'), 'g');
      sys.rename(dir, 'other', dir, 'moved', 'new');
      assert.equal(fs.statSync(join(path, 'moved')).isDirectory(), true);
      fails(() => sys.rename(dir, 'absent', dir, 'x', 'new'), 'NotFound', 'ENOENT');
      if (sys.provider === 'tools' || under.exchanges === false) {
        fails(() => sys.rename(dir, 'f', dir, 'empty', 'exchange'), 'NotImplemented', 'ENOSYS');
        return;
      }
      sys.rename(dir, 'f', dir, 'empty', 'exchange');
      assert.equal(fs.readFileSync(join(path, 'empty'), 'utf8'), 'f');
      assert.equal(fs.statSync(join(path, 'f')).isDirectory(), true);
      fails(() => sys.rename(dir, 'f', dir, 'absent', 'exchange'), 'NotFound', 'ENOENT');
    },
  );

  check('links, renames and removes, and says why it cannot', ({ sys, dir, path, file }) => {
    file('f', 'f');
    file('g', 'g');
    sys.mkdir(dir, 'd', 0o700);
    const d = sys.openDir(dir, 'd');
    sys.rename(dir, 'f', d, 'f');
    sys.link(d, 'f', dir, 'f2');
    sys.rename(dir, 'g', dir, 'f2');
    assert.equal(fs.readFileSync(join(path, 'f2'), 'utf8'), 'g');
    assert.equal(fs.readFileSync(join(path, 'd/f'), 'utf8'), 'f');
    fails(() => sys.mkdir(dir, 'd', 0o700), 'AlreadyExists', 'EEXIST');
    fails(() => sys.symlink('t', dir, 'd'), 'AlreadyExists', 'EEXIST');
    fails(() => sys.link(d, 'f', dir, 'f2'), 'AlreadyExists', 'EEXIST');
    fails(() => sys.link(d, 'absent', dir, 'f3'), 'NotFound', 'ENOENT');
    fails(() => sys.rename(d, 'absent', dir, 'f3'), 'NotFound', 'ENOENT');
    sys.mkdir(dir, 'empty', 0o700);
    fails(() => sys.rename(dir, 'f2', dir, 'empty'), 'FailedPrecondition', 'EISDIR', 'ENOTEMPTY');
    fails(() => sys.rename(dir, 'f2', dir, 'd'), 'FailedPrecondition', 'EISDIR', 'ENOTEMPTY');
    fails(() => sys.unlink(dir, 'empty'), 'FailedPrecondition', 'EISDIR');
    sys.rmdir(dir, 'empty');
    fails(() => sys.unlink(dir, 'd'), 'FailedPrecondition', 'EISDIR');
    fails(() => sys.rmdir(dir, 'd'), 'FailedPrecondition', 'ENOTEMPTY');
    fails(() => sys.rmdir(dir, 'f2'), 'FailedPrecondition', 'ENOTDIR');
    fails(() => sys.unlink(dir, 'absent'), 'NotFound', 'ENOENT');
    fails(() => sys.rmdir(dir, 'absent'), 'NotFound', 'ENOENT');
    fails(() => sys.openDir(dir, 'f2'), 'FailedPrecondition', 'ENOTDIR');
    fails(() => sys.openDir(dir, 'absent'), 'NotFound', 'ENOENT');
    fails(() => sys.openRoot(join(path, 'absent')), 'NotFound', 'ENOENT');
    sys.unlink(d, 'f');
    sys.closeDir(d);
    sys.rmdir(dir, 'd');
    assert.deepEqual(fs.readdirSync(path), ['f2']);
  });

  check('errors name what was being done to what', ({ sys, dir, path }) => {
    assert.throws(
      () => sys.mkdir(dir, 'x'.repeat(300), 0o700),
      (err: Error) => err.message.includes('making the directory') && err.message.includes(path),
    );
  });
}

function symlinkTests(check: Check, under: SyscallsUnderTest): void {
  check('never follows a symlink in the last component', ({ sys, dir, path, file }) => {
    file('victim', 'kept');
    fs.mkdirSync(join(path, 'house'));
    fs.chmodSync(join(path, 'victim'), 0o640);
    const before = stat('%a %u %g %h %X %Y %s', join(path, 'victim'));
    fs.symlinkSync(join(path, 'victim'), join(path, 'l'));
    fs.symlinkSync(join(path, 'house'), join(path, 'h'));
    const seven: TimeSpec = { sec: 7, nsec: 0 };
    const odd: TimeSpec = { sec: 8, nsec: 9 };
    sys.chown(dir, 'l', 12, 13);
    assert.equal(stat('%u %g', join(path, 'l')), '12 13');
    sys.utimes(dir, 'l', seven, seven);
    assert.equal(stat('%X %Y', join(path, 'l')), '7 7');
    sys.utimes(dir, 'l', seven, odd);
    assert.equal(stat('%X %.9Y', join(path, 'l')), '7 8.000000009');
    if (under.symlinkXattrs === false) {
      fails(() => sys.setxattr(dir, 'l', 'trusted.k', bytes(1)), 'FailedPrecondition');
    } else {
      sys.setxattr(dir, 'l', 'trusted.k', bytes(1));
      assert.deepEqual(sys.listxattr(dir, 'l'), ['trusted.k']);
      assert.deepEqual(sys.getxattr(dir, 'l', 'trusted.k'), bytes(1));
      assert.deepEqual(sys.listxattr(dir, 'victim'), []);
      sys.removexattr(dir, 'l', 'trusted.k');
      assert.deepEqual(sys.listxattr(dir, 'l'), []);
      fails(() => sys.setxattr(dir, 'l', 'user.k', bytes(1)), 'PermissionDenied', 'EPERM');
    }
    assert.deepEqual(sys.listxattr(dir, 'victim'), []);
    fails(() => sys.chmod(dir, 'l', 0o777), 'NotImplemented', 'ENOTSUP');
    fails(() => sys.openFile(dir, 'l'), 'FailedPrecondition', 'ELOOP');
    fails(() => sys.createFile(dir, 'l', 0o600), 'AlreadyExists');
    fails(() => sys.openDir(dir, 'h'), 'FailedPrecondition', 'ELOOP', 'ENOTDIR');
    fails(() => sys.openRoot(join(path, 'h')), 'FailedPrecondition', 'ELOOP', 'ENOTDIR');
    fails(() => sys.openRoot(`${join(path, 'h')}//`), 'FailedPrecondition', 'ELOOP', 'ENOTDIR');
    fails(() => sys.mkdir(dir, 'h', 0o700), 'AlreadyExists');
    fails(() => sys.mknod(dir, 'l', S_IFIFO | 0o600, 0, 0), 'AlreadyExists');
    fails(() => sys.rmdir(dir, 'h'), 'FailedPrecondition', 'ENOTDIR');
    sys.link(dir, 'l', dir, 'l2');
    assert.equal(sys.readlink(dir, 'l2'), join(path, 'victim'));
    sys.rename(dir, 'l2', dir, 'l3');
    sys.unlink(dir, 'l3');
    sys.unlink(dir, 'l');
    assert.equal(stat('%a %u %g %h %X %Y %s', join(path, 'victim')), before);
    assert.ok(fs.existsSync(join(path, 'house')));
  });
}

function attributeTests(check: Check, under: SyscallsUnderTest): void {
  check('sets owners and all twelve mode bits; setuid is kept', ({ sys, dir, path, file }) => {
    file('f');
    sys.mkdir(dir, 'd', 0o700);
    sys.chown(dir, 'f', 1234, 4294967294);
    sys.chmod(dir, 'f', 0o6755);
    sys.utimes(dir, 'f', { sec: 1, nsec: 0 }, { sec: 1, nsec: 0 });
    assert.equal(stat('%a %u %g', join(path, 'f')), '6755 1234 4294967294');
    const found = sys.lstat(dir, 'f');
    assert.deepEqual([found?.uid, found?.gid], [1234, 4294967294]);
    sys.chmod(dir, 'd', 0o1777);
    assert.equal(stat('%a', join(path, 'd')), '1777');
    sys.chmod(dir, 'd', 0);
    assert.equal(stat('%a', join(path, 'd')), '0');
    sys.chownDir(dir, 5, 6);
    sys.chmodDir(dir, 0o2750);
    assert.equal(stat('%a %u %g', path), '2750 5 6');
    fails(() => sys.chown(dir, 'absent', 0, 0), 'NotFound', 'ENOENT');
    fails(() => sys.chmod(dir, 'absent', 0), 'NotFound', 'ENOENT');
  });

  check('sets times before the epoch, after 2038, and with nanoseconds', ({ sys, dir, path, file }) => {
    file('f');
    const times: [TimeSpec, string][] = [
      [{ sec: 0, nsec: 0 }, '0.000000000'],
      [{ sec: 1700000000, nsec: 0 }, '1700000000.000000000'],
      [{ sec: 1700000000, nsec: 123456789 }, '1700000000.123456789'],
      [{ sec: 1700000000, nsec: 999999999 }, '1700000000.999999999'],
      [{ sec: 2 ** 33, nsec: 1 }, '8589934592.000000001'],
      [{ sec: -1, nsec: 0 }, '-1.000000000'],
      // stat(1) prints the fraction of a negative time towards zero: -1 s + 5 ns is -0.999999995.
      [{ sec: -1, nsec: 5 }, '-0.999999995'],
      [{ sec: -2147483648, nsec: 0 }, '-2147483648.000000000'],
    ];
    const seen = ({ sec, nsec }: TimeSpec): TimeSpec => ({ sec, nsec: nsec - (nsec % under.timeUnit) });
    for (const [time, want] of times) {
      sys.utimes(dir, 'f', { sec: 3, nsec: 4 }, time);
      sys.flush();
      assert.equal(stat('%.9X %.9Y', join(path, 'f')), `3.000000004 ${want}`);
      sys.utimesDir(dir, time, time);
      sys.flush();
      assert.equal(stat('%.9X %.9Y', path), `${want} ${want}`);
      if (time.sec < 0 && under.timeUnit > 1) continue;
      // What a provider puts off must not be seen by its own calls.
      sys.utimes(dir, 'f', { sec: 3, nsec: 4 }, time);
      assert.deepEqual(sys.lstat(dir, 'f')?.mtime, seen(time));
      assert.deepEqual(sys.fstat(dir).atime, seen(time));
    }
    fails(() => sys.utimes(dir, 'absent', { sec: 0, nsec: 0 }, { sec: 0, nsec: 0 }), 'NotFound', 'ENOENT');
  });
}

function xattrTests(check: Check): void {
  check('keeps binary attributes, capabilities among them', ({ sys, dir, file }) => {
    file('f');
    const big = new Uint8Array(2000).map((_, i) => i * 37);
    sys.chown(dir, 'f', 7, 7);
    sys.setxattr(dir, 'f', 'security.capability', CAPABILITY);
    sys.setxattr(dir, 'f', 'user.empty', bytes());
    sys.setxattr(dir, 'f', 'user.big', big);
    sys.setxattr(dir, 'f', 'user.a=b "c"\\d', bytes(0, 10, 0x80, 0xff));
    sys.chmod(dir, 'f', 0o755);
    assert.deepEqual(sys.getxattr(dir, 'f', 'security.capability'), CAPABILITY);
    assert.deepEqual(sys.getxattr(dir, 'f', 'user.empty'), bytes());
    assert.deepEqual(sys.getxattr(dir, 'f', 'user.big'), big);
    assert.deepEqual(sys.getxattr(dir, 'f', 'user.a=b "c"\\d'), bytes(0, 10, 0x80, 0xff));
    assert.equal(sys.getxattr(dir, 'f', 'user.none'), undefined);
    assert.deepEqual(sys.listxattr(dir, 'f').sort(), [
      'security.capability',
      'user.a=b "c"\\d',
      'user.big',
      'user.empty',
    ]);
    sys.setxattr(dir, 'f', 'user.big', bytes(1));
    assert.deepEqual(sys.getxattr(dir, 'f', 'user.big'), bytes(1));
    sys.removexattr(dir, 'f', 'user.big');
    assert.equal(sys.getxattr(dir, 'f', 'user.big'), undefined);
    fails(() => sys.removexattr(dir, 'f', 'user.big'), 'NotFound', 'ENODATA');
    fails(() => sys.setxattr(dir, 'f', 'nonsense.k', bytes(1)), 'NotImplemented', 'ENOTSUP');
    fails(() => sys.setxattr(dir, 'absent', 'user.k', bytes(1)), 'NotFound', 'ENOENT');
    fails(() => sys.setxattr(dir, 'f', `user.${'k'.repeat(300)}`, bytes(1)), 'InvalidArgument', 'ERANGE');
  });

  check('sets attributes of the directory itself', ({ sys, dir }) => {
    sys.setxattrDir(dir, 'trusted.overlay.opaque', bytes(0x79));
    assert.deepEqual(sys.getxattrDir(dir, 'trusted.overlay.opaque'), bytes(0x79));
    assert.equal(sys.getxattrDir(dir, 'trusted.none'), undefined);
    assert.deepEqual(sys.listxattrDir(dir), ['trusted.overlay.opaque']);
    sys.removexattrDir(dir, 'trusted.overlay.opaque');
    assert.deepEqual(sys.listxattrDir(dir), []);
    fails(() => sys.removexattrDir(dir, 'trusted.overlay.opaque'), 'NotFound', 'ENODATA');
  });
}

function handleTests(check: Check, under: SyscallsUnderTest): void {
  check('a handle stays the same directory when its path becomes a symlink', ({ sys, dir, path }) => {
    fs.mkdirSync(join(path, 'd'));
    fs.mkdirSync(join(path, 'elsewhere'));
    const d = sys.openDir(dir, 'd');
    fs.renameSync(join(path, 'd'), join(path, 'moved'));
    fs.symlinkSync('elsewhere', join(path, 'd'));
    if (under.keepsHandles === false) {
      for (const call of [() => sys.mkdir(d, 'x', 0o700), () => sys.list(d), () => sys.listxattrDir(d)])
        assert.throws(call, { kind: 'FailedPrecondition', message: /was moved or replaced/ });
      sys.closeDir(d);
      return;
    }
    sys.mkdir(d, 'x', 0o700);
    sys.mknod(d, 'p', S_IFIFO | 0o600, 0, 0);
    sys.setxattrDir(d, 'trusted.k', bytes(1));
    sys.closeDir(d);
    assert.deepEqual(fs.readdirSync(join(path, 'moved')).sort(), ['p', 'x']);
    assert.deepEqual(fs.readdirSync(join(path, 'elsewhere')), []);
  });

  check('leaks no descriptor, to nobody', ({ sys, dir, path, file }) => {
    file('f');
    sys.symlink('f', dir, 'l');
    const count = (): number => fs.readdirSync('/proc/self/fd').length;
    const before = count();
    for (const name of ['l', 'absent', 'x'.repeat(300)]) {
      assert.throws(() => sys.openFile(dir, name));
      assert.throws(() => sys.openDir(dir, name));
      assert.throws(() => sys.chmod(dir, name, 0o600));
      assert.throws(() => sys.setxattr(dir, name, 'user.k', bytes(1)));
    }
    assert.equal(count(), before);
    const fd = sys.openFile(dir, 'f');
    const ran = spawnSync('ls', ['-l', '/proc/self/fd'], { env: { PATH: '/usr/bin:/bin' } });
    assert.equal(ran.status, 0);
    assert.ok(!String(ran.stdout).includes(path), String(ran.stdout));
    sys.closeFile(fd);
  });

  check('a mount has an id that no later mount at its place has', ({ sys, dir, path }) => {
    sys.mkdir(dir, 'm', 0o755);
    const place = `${path}/m`;
    const idOf = (at: string): string => {
      const opened = sys.openRoot(at);
      try {
        return sys.mountId(opened);
      } finally {
        sys.closeDir(opened);
      }
    };
    const ids = [idOf(path), idOf(place)];
    assert.equal(ids[0], ids[1]);
    for (let n = 0; n < 2; n++) {
      assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'none', place]).status, 0);
      ids.push(idOf(place));
      assert.equal(spawnSync('umount', [place]).status, 0);
    }
    const known = ids.filter((id) => id !== '');
    assert.ok(known.length === 0 || (known.length === 4 && new Set(known).size === 3), String(ids));
  });

  check('a mount point is told from other directories, bind mounts of the same device too', (place) => {
    const { sys, dir, path } = place;
    for (const name of ['plain', 'tmpfs', 'bind', 'source']) sys.mkdir(dir, name, 0o755);
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'none', `${path}/tmpfs`]).status, 0);
    assert.equal(spawnSync('mount', ['--bind', `${path}/source`, `${path}/bind`]).status, 0);
    try {
      const points = ['plain', 'tmpfs', 'bind', 'source'].filter((name) => sys.isMountPoint(dir, name));
      assert.deepEqual(points, ['tmpfs', 'bind']);
      assert.deepEqual(sys.mountsBelow(dir).sort(), [`${path}/bind`, `${path}/tmpfs`]);
      assert.deepEqual(sys.mountsBelow(dir, 'bind'), [`${path}/bind`]);
      assert.deepEqual(sys.mountsBelow(dir, 'plain'), []);
      const inside = sys.openDir(dir, 'tmpfs');
      sys.mkdir(inside, 'd', 0o755);
      assert.equal(sys.isMountPoint(inside, 'd'), false);
      assert.deepEqual(sys.mountsBelow(inside), []);
      sys.closeDir(inside);
    } finally {
      for (const name of ['tmpfs', 'bind']) spawnSync('umount', [`${path}/${name}`]);
    }
  });

  check('flushes and syncs', ({ sys, dir, file }) => {
    file('f', 'x');
    sys.flush();
    sys.syncfs(dir);
  });
}
