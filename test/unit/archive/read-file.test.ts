import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findInTree } from '../../../src/core/archive/find-in-tree.ts';
import { readFileInTree } from '../../../src/core/archive/read-file.ts';
import { needs } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';
import { syscallsHere } from './stacks.ts';

test('a file of an image by its path: links stay inside, and only regular files are read', {
  skip: needs({ tools: ['mkfifo'] }),
}, () => {
  const dir = tempDir();
  try {
    const root = join(dir.path, 'root');
    fs.mkdirSync(join(root, 'usr/etc'), { recursive: true });
    fs.writeFileSync(join(dir.path, 'passwd'), 'outside');
    fs.writeFileSync(join(root, 'usr/etc/passwd'), 'inside');
    fs.symlinkSync('/usr/etc', join(root, 'etc'));
    const link = (name: string, to: string) => fs.symlinkSync(to, join(root, name));
    link('file', '../../../usr/etc/passwd');
    link('out', '../passwd');
    link('absolute', join(dir.path, 'passwd'));
    link('loop', 'loop');
    fs.mkdirSync(join(root, 'directory'));
    execFileSync('mkfifo', [join(root, 'fifo')]);
    const read = (path: string): string | undefined => {
      const bytes = readFileInTree(syscallsHere(), root, path, 6);
      return bytes && new TextDecoder().decode(bytes);
    };
    assert.equal(read('etc/passwd'), 'inside');
    assert.equal(read('file'), 'inside');
    for (const path of ['out', 'absolute', 'directory', 'fifo', 'none', 'etc/passwd/x', '']) {
      assert.equal(read(path), undefined, path);
    }
    assert.throws(() => read('loop'), /too many symbolic links/);
    fs.appendFileSync(join(root, 'usr/etc/passwd'), '!');
    assert.throws(() => read('etc/passwd'), /more than 6 bytes/);
  } finally {
    dir[Symbol.dispose]();
  }
});

test('where a path of an image leads: links stay inside, and absent names are kept', () => {
  const dir = tempDir();
  try {
    const root = join(dir.path, 'root');
    fs.mkdirSync(join(root, 'usr/etc'), { recursive: true });
    fs.chmodSync(join(root, 'usr/etc'), 0o1750);
    fs.mkdirSync(join(dir.path, 'outside'));
    const link = (name: string, to: string) => fs.symlinkSync(to, join(root, name));
    link('etc', '/usr/etc');
    link('work', 'proc/self/fd/7');
    link('out', '../../outside');
    link('loop', 'loop');
    const find = (path: string) => findInTree(syscallsHere(), root, path);
    const mode = (path: string) => (find(path).stat?.mode ?? 0) & 0o7777;
    assert.deepEqual([find('/etc').path, mode('/etc')], ['/usr/etc', 0o1750]);
    assert.deepEqual([find('/etc/../x/y').path, find('/etc/../x/y').stat], ['/usr/x/y', undefined]);
    assert.equal(find('/work').path, '/proc/self/fd/7');
    assert.deepEqual([find('/out').path, find('/out').stat], ['/outside', undefined]);
    assert.equal(find('/').path, '/');
    assert.throws(() => find('/loop'), /too many symbolic links/);
  } finally {
    dir[Symbol.dispose]();
  }
});
