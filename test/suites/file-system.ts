/** What every FileSystem must do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { errnoOf, type Kind, kindOf } from '../../src/core/errors.ts';
import type { FileSystem } from '../../src/core/ports/file-system.ts';
import { needs } from '../support/needs.ts';
import { tempDir } from '../support/tmp.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

async function fails(work: Promise<unknown>, kind: Kind, errno?: string): Promise<void> {
  try {
    await work;
  } catch (err) {
    assert.equal(kindOf(err), kind, String(err));
    if (errno !== undefined) assert.equal(errnoOf(err), errno);
    return;
  }
  assert.fail(`did not fail with ${kind}`);
}

type Check = (title: string, body: (sys: FileSystem, path: string) => Promise<void>) => void;

export function fileSystemSuite(name: string, make: () => FileSystem): void {
  const check: Check = (title, body) => {
    test(`file system ${name}: ${title}`, { skip: needs({ tools: ['mkfifo'] }) }, async () => {
      const tmp = tempDir();
      try {
        await body(make(), tmp.path);
      } finally {
        tmp[Symbol.dispose]();
      }
    });
  };
  openTests(check);
  wholeFileTests(check);
  directoryTests(check);
  errorTests(check);
}

function openTests(check: Check): void {
  check('reads and writes at positions', async (sys, dir) => {
    const file = await sys.open(join(dir, 'f'), 'exclusive', 0o600);
    await file.write(text('hello world'), 0);
    await file.write(text('W'), 6);
    await file.write(text('end'), 1_000_000);
    await file.write(new Uint8Array(0), 0);
    assert.equal(await file.size(), 1_000_003);
    const into = new Uint8Array(11);
    assert.equal(await file.read(into, 0), 11);
    assert.deepEqual(into, text('hello World'));
    assert.equal(await file.read(into, 1_000_000), 3);
    assert.equal(await file.read(into, 1_000_003), 0);
    assert.equal(await file.read(new Uint8Array(0), 0), 0);
    await file.truncate(5);
    await file.sync();
    assert.equal(await file.size(), 5);
    await file.close();
    await file.close();
    assert.equal(fs.readFileSync(join(dir, 'f'), 'utf8'), 'hello');
    assert.equal(fs.statSync(join(dir, 'f')).mode & 0o777, 0o600);
  });

  check('write mode makes the file or keeps what it holds', async (sys, dir) => {
    const path = join(dir, 'f');
    const first = await sys.open(path, 'write');
    await first.write(text('kept'), 0);
    await first.close();
    const second = await sys.open(path, 'write');
    assert.equal(await second.size(), 4);
    await second.write(text('K'), 0);
    await second[Symbol.asyncDispose]();
    assert.equal(fs.readFileSync(path, 'utf8'), 'Kept');
  });

  check('exclusive makes a new file only', async (sys, dir) => {
    fs.writeFileSync(join(dir, 'f'), 'old');
    fs.symlinkSync('nowhere', join(dir, 'l'));
    await fails(sys.open(join(dir, 'f'), 'exclusive'), 'AlreadyExists', 'EEXIST');
    await fails(sys.open(join(dir, 'l'), 'exclusive'), 'AlreadyExists', 'EEXIST');
    assert.deepEqual(fs.readdirSync(dir).sort(), ['f', 'l']);
  });

  check('opens no symlink, directory or pipe, and leaks no descriptor', async (sys, dir) => {
    fs.writeFileSync(join(dir, 'f'), '');
    fs.symlinkSync('f', join(dir, 'l'));
    fs.mkdirSync(join(dir, 'd'));
    spawnSync('mkfifo', [join(dir, 'p')]);
    const before = fs.readdirSync('/proc/self/fd').length;
    for (const mode of ['read', 'write'] as const) {
      for (const name of ['l', 'd', 'p']) await fails(sys.open(join(dir, name), mode), 'FailedPrecondition');
    }
    await fails(sys.open(join(dir, 'absent'), 'read'), 'NotFound', 'ENOENT');
    assert.equal(fs.readdirSync('/proc/self/fd').length, before);
  });

  check('a read-only handle refuses writes', async (sys, dir) => {
    fs.writeFileSync(join(dir, 'f'), 'x');
    const file = await sys.open(join(dir, 'f'), 'read');
    await assert.rejects(file.write(text('y'), 0));
    await file.close();
    assert.equal(fs.readFileSync(join(dir, 'f'), 'utf8'), 'x');
  });
}

function wholeFileTests(check: Check): void {
  check('reads whole files up to the limit', async (sys, dir) => {
    const path = join(dir, 'f');
    const big = new Uint8Array(300_000).map((_, i) => i * 13);
    fs.writeFileSync(path, big);
    assert.deepEqual(await sys.readFile(path, 300_000), big);
    assert.deepEqual(await sys.readFile(path, 1e9), big);
    await fails(sys.readFile(path, 299_999), 'ResourceExhausted');
    await fails(sys.readFile(path, 0), 'ResourceExhausted');
    fs.writeFileSync(join(dir, 'empty'), '');
    assert.deepEqual(await sys.readFile(join(dir, 'empty'), 0), new Uint8Array(0));
    await fails(sys.readFile(join(dir, 'absent'), 10), 'NotFound', 'ENOENT');
    await fails(sys.readFile(dir, 10), 'FailedPrecondition', 'EISDIR');
  });

  check('reads files that say their size is 0, and through symlinks', async (sys, dir) => {
    fs.symlinkSync('/proc/self/mountinfo', join(dir, 'l'));
    const found = new TextDecoder().decode(await sys.readFile(join(dir, 'l'), 1e7));
    assert.match(found, / \/ /);
    await fails(sys.readFile('/proc/self/mountinfo', 10), 'ResourceExhausted');
  });

  check('stat tells the type and follows nothing', async (sys, dir) => {
    fs.writeFileSync(join(dir, 'f'), '12345', { mode: 0o640 });
    fs.utimesSync(join(dir, 'f'), 1000, 2000);
    fs.symlinkSync('f', join(dir, 'l'));
    spawnSync('mkfifo', [join(dir, 'p')]);
    const f = await sys.stat(join(dir, 'f'));
    assert.deepEqual([f?.type, f?.size, f?.mode, f?.mtime], ['file', 5, 0o640, 2_000_000]);
    assert.equal(f?.uid, process.getuid?.());
    assert.equal((await sys.stat(dir))?.type, 'directory');
    assert.equal((await sys.stat(join(dir, 'l')))?.type, 'symlink');
    assert.equal((await sys.stat(join(dir, 'p')))?.type, 'other');
    assert.equal(await sys.stat(join(dir, 'absent')), undefined);
    assert.equal(await sys.stat(join(dir, 'absent', 'below')), undefined);
    await sys.chmod(join(dir, 'f'), 0o444);
    assert.equal((await sys.stat(join(dir, 'f')))?.mode, 0o444);
  });
}

function directoryTests(check: Check): void {
  check('makes directories with exact modes whatever the umask', async (sys, dir) => {
    const before = process.umask(0o077);
    try {
      await sys.mkdir(join(dir, 'd'), 0o755);
      await sys.mkdir(join(dir, 'a', 'b', 'c'), 0o711, { parents: true });
      await sys.mkdir(join(dir, 'a', 'b', 'c'), 0o700, { parents: true });
    } finally {
      process.umask(before);
    }
    assert.equal((await sys.stat(join(dir, 'd')))?.mode, 0o755);
    for (const name of ['a', 'a/b', 'a/b/c']) assert.equal((await sys.stat(join(dir, name)))?.mode, 0o711);
    await fails(sys.mkdir(join(dir, 'd'), 0o755), 'AlreadyExists', 'EEXIST');
    await fails(sys.mkdir(join(dir, 'x', 'y'), 0o755), 'NotFound', 'ENOENT');
    fs.writeFileSync(join(dir, 'f'), '');
    await fails(sys.mkdir(join(dir, 'f'), 0o755, { parents: true }), 'AlreadyExists', 'EEXIST');
    await fails(sys.mkdir(join(dir, 'f', 'g'), 0o755, { parents: true }), 'FailedPrecondition', 'ENOTDIR');
    await Promise.all(
      Array.from({ length: 8 }, () => sys.mkdir(join(dir, 'r/a/c/e'), 0o755, { parents: true })),
    );
    fs.symlinkSync('d', join(dir, 'l'));
    await sys.mkdir(join(dir, 'l'), 0o755, { parents: true });
  });

  check('lists by name with types', async (sys, dir) => {
    for (const name of ['b', 'a', 'é', 'Z']) fs.writeFileSync(join(dir, name), '');
    fs.mkdirSync(join(dir, 'd'));
    fs.symlinkSync('nowhere', join(dir, 'l'));
    assert.deepEqual(await sys.list(dir), [
      { name: 'Z', type: 'file' },
      { name: 'a', type: 'file' },
      { name: 'b', type: 'file' },
      { name: 'd', type: 'directory' },
      { name: 'l', type: 'symlink' },
      { name: 'é', type: 'file' },
    ]);
    await fails(sys.list(join(dir, 'absent')), 'NotFound', 'ENOENT');
    await fails(sys.list(join(dir, 'a')), 'FailedPrecondition', 'ENOTDIR');
  });

  check('renames over what is there', async (sys, dir) => {
    fs.writeFileSync(join(dir, 'a'), 'new');
    fs.writeFileSync(join(dir, 'b'), 'old');
    await sys.rename(join(dir, 'a'), join(dir, 'b'));
    assert.equal(fs.readFileSync(join(dir, 'b'), 'utf8'), 'new');
    await fails(sys.rename(join(dir, 'a'), join(dir, 'c')), 'NotFound', 'ENOENT');
  });

  check('removes files, empty directories and trees, following nothing', async (sys, dir) => {
    const outside = join(dir, 'outside');
    fs.mkdirSync(join(dir, 't/u/v'), { recursive: true });
    fs.mkdirSync(outside);
    fs.writeFileSync(join(outside, 'kept'), '');
    fs.writeFileSync(join(dir, 't/u/f'), '');
    fs.symlinkSync(outside, join(dir, 't/l'));
    fs.symlinkSync(outside, join(dir, 'l'));
    await fails(sys.remove(join(dir, 't')), 'FailedPrecondition', 'ENOTEMPTY');
    await fails(sys.remove(join(dir, 'absent')), 'NotFound', 'ENOENT');
    await sys.remove(join(dir, 'absent'), { tree: true });
    await sys.remove(join(dir, 't'), { tree: true });
    await sys.remove(join(dir, 'l'), { tree: true });
    assert.deepEqual(fs.readdirSync(dir), ['outside']);
    await sys.remove(join(outside, 'kept'));
    await sys.remove(outside);
    assert.deepEqual(fs.readdirSync(dir), []);
  });

  check('syncs directories and tells what is in memory only', async (sys, dir) => {
    await sys.syncDir(dir);
    await fails(sys.syncDir(join(dir, 'absent')), 'NotFound', 'ENOENT');
    assert.equal(await sys.isVolatile('/proc'), false);
    if (fs.existsSync('/dev/shm')) assert.equal(await sys.isVolatile('/dev/shm'), true);
    await fails(sys.isVolatile(join(dir, 'absent')), 'NotFound', 'ENOENT');
  });
  check('tells the space of a file system', async (sys, dir) => {
    const { free, total } = await sys.space(dir);
    const { bsize, blocks } = fs.statfsSync(dir);
    assert.equal(total, bsize * blocks);
    assert.ok(free > 0 && free <= total);
    await fails(sys.space(join(dir, 'absent')), 'NotFound', 'ENOENT');
  });
}

function errorTests(check: Check): void {
  check('an aborted signal stops every operation before it starts', async (sys, dir) => {
    const reason = new Error('stop');
    const signal = AbortSignal.abort(reason);
    const path = join(dir, 'f');
    fs.writeFileSync(path, '');
    const calls = [
      sys.open(join(dir, 'new'), 'write', 0o600, { signal }),
      sys.readFile(path, 10, { signal }),
      sys.mkdir(join(dir, 'new'), 0o700, { signal }),
      sys.mkdir(join(dir, 'new/new'), 0o700, { parents: true, signal }),
      sys.rename(path, join(dir, 'new'), { signal }),
      sys.remove(path, { signal }),
      sys.remove(path, { tree: true, signal }),
      sys.stat(path, { signal }),
      sys.list(dir, { signal }),
      sys.chmod(path, 0o777, { signal }),
      sys.syncDir(dir, { signal }),
      sys.isVolatile(dir, { signal }),
      sys.space(dir, { signal }),
    ];
    for (const call of calls) await assert.rejects(call, reason);
    assert.deepEqual(fs.readdirSync(dir), ['f']);
  });

  check('errors name operation and path', async (sys, dir) => {
    const path = join(dir, 'no', 'such');
    await assert.rejects(
      sys.readFile(path, 1),
      (err: Error) => err.message === `reading "${path}": no such file or directory (ENOENT)`,
    );
    await fails(sys.stat(join(dir, 'x'.repeat(300))), 'InvalidArgument', 'ENAMETOOLONG');
    fs.symlinkSync('loop', join(dir, 'loop'));
    await fails(sys.readFile(join(dir, 'loop'), 1), 'FailedPrecondition', 'ELOOP');
  });
}
