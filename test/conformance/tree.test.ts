/** copyTree, treeUsage and removeTree over every Syscalls provider. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kindOf } from '../../src/core/errors.ts';
import { S_IFCHR, S_IFIFO, S_IFSOCK, type Syscalls } from '../../src/core/ports/syscalls.ts';
import { MAX_DEPTH } from '../../src/core/trees/dir-stack.ts';
import { removeTree } from '../../src/core/trees/remove-tree.ts';
import { copyTree } from '../../src/core/trees/tree-copy.ts';
import { treeUsage } from '../../src/core/trees/tree-usage.ts';
import { isDeno, needs } from '../support/needs.ts';
import { openProvider, providers } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

const TOOLS = { root: true, tools: ['find', 'getfattr', 'setfattr', 'du', 'mknod', 'touch'] };
const ENV = { LC_ALL: 'C', PATH: '/usr/bin:/bin' };

function run(tool: string, ...args: string[]): string {
  const ran = spawnSync(tool, args, { env: ENV, maxBuffer: 1 << 26 });
  assert.equal(ran.status, 0, String(ran.stderr));
  return Buffer.from(ran.stdout).toString('latin1');
}

/** Everything that find(1) and getfattr(1) can tell of a tree, hard link groups by their first path. */
function describe(path: string, times = '%T@'): string {
  const lines = run('find', path, '-printf', `%i %P|%y|%m|%U:%G|%n|%s|${times}|%l\\n`)
    .trimEnd()
    .split('\n')
    .sort();
  const first = new Map<string, string>();
  const entries = lines
    .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const)
    .sort((a, b) => (a[1] < b[1] ? -1 : 1))
    .map(([ino, rest]) => {
      const name = rest.split('|', 1)[0] ?? '';
      if (!first.has(ino)) first.set(ino, name);
      // The size of a directory depends on its history.
      return `${rest.includes('|d|') ? rest.replace(/\|\d+\|([-\d.]+\|)/, '|$1') : rest}|${first.get(ino)}`;
    });
  const xattrs = run('getfattr', '-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', path);
  return `${entries.join('\n')}\n${xattrs.replaceAll(path, '').split('\n\n').sort().join('\n\n')}`;
}

function grow(sys: Syscalls, path: string, utf8Only: boolean): void {
  const root = sys.openRoot(path);
  const odd = utf8Only ? 'odd' : 'odd\xff';
  sys.mkdir(root, odd, 0o700);
  const dir = sys.openDir(root, odd);
  const fd = sys.createFile(dir, 'file', 0o600);
  sys.write(
    fd,
    new Uint8Array(2_500_000).map((_, i) => i >> 5),
  );
  sys.closeFile(fd);
  const sparse = sys.createFile(dir, 'sparse', 0o600);
  sys.writeAt(sparse, new Uint8Array(5000).fill(7), 3_000_000);
  sys.truncateFile(sparse, 9_000_001);
  sys.closeFile(sparse);
  sys.chown(dir, 'file', 11, 12);
  sys.setxattr(dir, 'file', 'security.capability', new Uint8Array([1, 0, 0, 2, 0x80, ...new Uint8Array(15)]));
  sys.setxattr(dir, 'file', 'user.binary', new Uint8Array([0, 0xff, 10]));
  sys.chmod(dir, 'file', 0o6751);
  sys.link(dir, 'file', root, 'hard');
  sys.link(dir, 'file', dir, 'hard');
  sys.symlink('/no/where', dir, 'link');
  sys.link(dir, 'link', root, 'link2');
  sys.mknod(dir, 'whiteout', S_IFCHR, 0, 0);
  sys.link(dir, 'whiteout', dir, 'whiteout2');
  sys.mknod(dir, 'big', S_IFCHR | 0o644, 300, 70000);
  sys.mknod(dir, 'pipe', S_IFIFO | 0o600, 0, 0);
  if (sys.provider === 'ffi') sys.mknod(dir, 'socket', S_IFSOCK | 0o600, 0, 0);
  sys.mkdir(dir, 'closed', 0);
  sys.setxattrDir(dir, 'trusted.overlay.opaque', new Uint8Array([0x79]));
  for (const name of ['link', 'pipe', 'closed', 'file']) {
    sys.utimes(
      dir,
      name,
      { sec: 5, nsec: 6 },
      { sec: 1_600_000_000, nsec: utf8Only ? 5_000_000 : 123_456_789 },
    );
  }
  sys.utimes(dir, 'sparse', { sec: 5, nsec: 0 }, { sec: 1_600_000_001, nsec: 0 });
  sys.chownDir(dir, 21, 22);
  sys.chmodDir(dir, 0o1750);
  sys.utimesDir(dir, { sec: 7, nsec: 0 }, { sec: 8, nsec: 0 });
  sys.chmodDir(root, 0o2711);
  sys.utimesDir(root, { sec: 9, nsec: 0 }, { sec: 10, nsec: 0 });
  sys.flush();
  sys.closeDir(dir);
  sys.closeDir(root);
}

/** Directories in one another, made and entered without long paths. */
function dig(sys: Syscalls, path: string, depth: number): void {
  let dir = sys.openRoot(path);
  for (let level = 0; level < depth; level++) {
    sys.mkdir(dir, 'd', 0o755);
    const next = sys.openDir(dir, 'd');
    sys.closeDir(dir);
    dir = next;
  }
  sys.closeFile(sys.createFile(dir, 'bottom', 0o600));
  sys.closeDir(dir);
}

for (const provider of providers) {
  const utf8Only = provider === 'paths' || (provider === 'tools' && isDeno);
  const check = (title: string, body: (sys: Syscalls, dir: string) => void): void => {
    test(`tree ${provider}: ${title}`, { skip: needs(TOOLS) }, () => {
      const sys = openProvider(provider);
      const tmp = tempDir();
      const before = fs.readdirSync('/proc/self/fd').length;
      try {
        body(sys, tmp.path);
        assert.equal(fs.readdirSync('/proc/self/fd').length, before, 'descriptors are closed');
      } finally {
        spawnSync('rm', ['-rf', tmp.path], { env: ENV });
      }
    });
  };

  check('a copy has every attribute of the original', (sys, dir) => {
    for (const name of ['from', 'to']) fs.mkdirSync(join(dir, name));
    grow(sys, join(dir, 'from'), utf8Only);
    // Deno's node:fs gives times in milliseconds, and devices got theirs from the kernel.
    const times = isDeno && provider !== 'ffi' ? '%Ts' : '%T@';
    const want = describe(join(dir, 'from'), times);
    const usage = treeUsage(sys, join(dir, 'from'));
    copyTree(sys, join(dir, 'from'), join(dir, 'to'));
    assert.equal(describe(join(dir, 'to'), times), want);
    assert.equal(run('find', join(dir, 'to'), '-newermt', '2022-01-01', '-type', 'd').trim(), '');
    assert.ok(treeUsage(sys, join(dir, 'to')).size <= usage.size + 65536, 'holes are kept');
    const to = sys.openRoot(join(dir, 'to'));
    const big = sys.openDir(to, sys.list(to).find((name) => name.startsWith('odd')) ?? '');
    sys.closeDir(to);
    const found = sys.lstat(big, 'big');
    assert.deepEqual([found?.rdevMajor, found?.rdevMinor], [300, 70000]);
    sys.closeDir(big);
  });

  check('a copy into a directory that holds one of the names is refused', (sys, dir) => {
    for (const name of ['from', 'to']) fs.mkdirSync(join(dir, name));
    for (const name of ['from', 'to']) fs.writeFileSync(join(dir, name, 'f'), name);
    assert.throws(() => copyTree(sys, join(dir, 'from'), join(dir, 'to')), { kind: 'AlreadyExists' });
    assert.equal(fs.readFileSync(join(dir, 'to/f'), 'utf8'), 'to');
    assert.throws(() => copyTree(sys, join(dir, 'absent'), join(dir, 'to')), { kind: 'NotFound' });
  });

  check('usage counts blocks and inodes as du does, once an inode', (sys, dir) => {
    const path = join(dir, 't');
    fs.mkdirSync(path);
    grow(sys, path, true);
    const want = Number(run('du', '-s', '-B512', path).split('\t')[0]) * 512;
    const inodes = new Set(run('find', path, '-printf', '%i\\n').trim().split('\n')).size;
    assert.deepEqual(treeUsage(sys, path), { size: want, inodes });
    assert.throws(() => treeUsage(sys, join(dir, 'absent')), { kind: 'NotFound' });
  });

  check('removal takes everything, follows nothing, and absence is fine', (sys, dir) => {
    const path = join(dir, 't');
    fs.mkdirSync(path);
    fs.mkdirSync(join(dir, 'outside'));
    fs.writeFileSync(join(dir, 'outside/kept'), '');
    grow(sys, path, utf8Only);
    fs.symlinkSync('../outside', join(path, 'out'));
    fs.symlinkSync('outside', join(dir, 'l'));
    removeTree(sys, `${path}/`);
    removeTree(sys, path);
    removeTree(sys, join(path, 'below', 'absent'));
    removeTree(sys, join(dir, 'l'));
    assert.deepEqual(fs.readdirSync(dir), ['outside']);
    assert.deepEqual(fs.readdirSync(join(dir, 'outside')), ['kept']);
    removeTree(sys, join(dir, 'outside/kept'));
    assert.deepEqual(fs.readdirSync(join(dir, 'outside')), []);
    for (const bad of ['/', 'relative', '']) {
      assert.throws(
        () => removeTree(sys, bad),
        (err) => kindOf(err) === 'InvalidArgument',
      );
    }
  });

  check('trees deeper than the handles that are kept are copied, counted and removed', (sys, dir) => {
    for (const name of ['from', 'to']) fs.mkdirSync(join(dir, name));
    const from = join(dir, 'from');
    for (const at of ['', '/x', '/x/y']) {
      fs.mkdirSync(from + at, { recursive: true });
      dig(sys, from + at, 150);
    }
    const want = describe(from, '');
    if (provider === 'ffi') {
      copyTree(sys, from, join(dir, 'to'));
      assert.equal(describe(join(dir, 'to'), ''), want);
    }
    assert.equal(treeUsage(sys, from).inodes, 1 + 2 + 450 + 3);
    removeTree(sys, from);
    assert.ok(!fs.existsSync(from));
  });

  const deep = 'a tree of 5000 levels is refused for copies and counts, but removed';
  // By path there is none: no path is that long.
  if (provider !== 'paths')
    check(deep, (sys, dir) => {
      for (const name of ['from', 'to']) fs.mkdirSync(join(dir, name));
      dig(sys, join(dir, 'from'), 5000);
      const tooDeep = (err: Error): boolean =>
        kindOf(err) === 'ResourceExhausted' && err.message.includes(`${MAX_DEPTH}`);
      assert.throws(() => treeUsage(sys, join(dir, 'from')), tooDeep);
      assert.throws(() => copyTree(sys, join(dir, 'from'), join(dir, 'to')), tooDeep);
      removeTree(sys, join(dir, 'from'));
      removeTree(sys, join(dir, 'to'));
      assert.deepEqual(fs.readdirSync(dir), []);
    });

  check('an aborted signal stops the work', (sys, dir) => {
    for (const name of ['from', 'to']) fs.mkdirSync(join(dir, name));
    fs.writeFileSync(join(dir, 'from/f'), '');
    const reason = new Error('stop');
    const call = { signal: AbortSignal.abort(reason) };
    assert.throws(() => copyTree(sys, join(dir, 'from'), join(dir, 'to'), call), reason);
    assert.throws(() => removeTree(sys, join(dir, 'from'), call), reason);
    assert.throws(() => treeUsage(sys, join(dir, 'from'), call), reason);
    assert.deepEqual(fs.readdirSync(join(dir, 'from')), ['f']);
    assert.deepEqual(fs.readdirSync(join(dir, 'to')), []);
  });
}
