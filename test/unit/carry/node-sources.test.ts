/** What fills a node: nothing on the disk that cannot be read keeps the rest away. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type NodeSources, nodeSources } from '../../../src/core/carry/node-sources.ts';
import { HawserError, kindOf } from '../../../src/core/errors.ts';
import type { FileSystem } from '../../../src/core/ports/file-system.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { needs } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';

type Files = Pick<FileSystem, 'stat' | 'list' | 'open'>;

const real: FileSystem = createFileSystem();

/** Fails call `at` (from 0), reads of open files counted too; `count` gets the number of calls. */
function failing(at: number, count: { calls: number }): Files {
  const doing = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
    if (count.calls++ !== at) return await work();
    const reason = { type: 'errno', errno: 'EIO' } as const;
    throw new HawserError('Internal', `reading ${path}: input/output error`, { reason });
  };
  return {
    stat: (path, opts) => doing(path, () => real.stat(path, opts)),
    list: (path, call) => doing(path, () => real.list(path, call)),
    open: (path, ...rest) =>
      doing(path, async () => {
        const file = await real.open(path, ...rest);
        return {
          read: (into, from) => doing(path, () => file.read(into, from)),
          write: (bytes, from) => file.write(bytes, from),
          truncate: (size) => file.truncate(size),
          sync: () => file.sync(),
          size: () => file.size(),
          close: () => file.close(),
          [Symbol.asyncDispose]: () => file.close(),
        };
      }),
  };
}

const typesOf = ({ sources }: NodeSources): Map<string, string> =>
  new Map(sources.map(({ path, type }) => [path, type]));

test('each call fails once: its file, or its directory, is an archive that fails by itself; the others are as they were', async () => {
  const temp = tempDir();
  try {
    const dir = join(temp.path, 'images');
    const layout = join(temp.path, 'layout');
    for (const path of [dir, layout]) mkdirSync(path);
    const files = ['a.tar.gz', 'b.tar.gz', 'c.txt'].map((name) => join(dir, name));
    for (const path of files)
      writeFileSync(path, path.endsWith('.gz') ? gzipSync(path) : 'registry.example/a:1\n');
    writeFileSync(join(layout, 'oci-layout'), '{}');
    const lone = join(temp.path, 'lone.txt');
    writeFileSync(lone, 'registry.example/b:1\n');
    const paths = [dir, layout, lone];
    const count = { calls: 0 };
    const whole = typesOf(await nodeSources(failing(-1, count), paths, {}));
    assert.deepEqual([...whole.keys()], [files[0], files[1], layout, files[2], lone]);
    const { calls } = count;
    assert.equal(calls, 18, 'a call that nobody counts is not tested');
    for (let at = 0; at < calls; at++) {
      const found = typesOf(await nodeSources(failing(at, { calls: 0 }), paths, {}));
      const isOfDirectory = found.has(dir);
      assert.equal(found.size, isOfDirectory ? 3 : 5, `call ${at}`);
      for (const [path, type] of found) {
        const before = whole.get(path);
        assert.ok(type === before || type === 'archive', `call ${at}: ${path} is ${type}`);
      }
    }
  } finally {
    temp[Symbol.dispose]();
  }
});

test('an argument that is not there, or neither a file nor a directory, is refused; in a directory such a thing is passed over', {
  skip: needs({ tools: ['mkfifo'] }),
}, async () => {
  const temp = tempDir();
  try {
    const at = (name: string) => join(temp.path, name);
    execFileSync('mkfifo', [at('pipe')]);
    symlinkSync('nowhere', at('dangling'));
    symlinkSync('pipe', at('to-pipe'));
    symlinkSync('round', at('round'));
    for (const [name, kind, says] of [
      ['pipe', 'InvalidArgument', /pipe: it is neither a file nor a directory/],
      ['to-pipe', 'InvalidArgument', /to-pipe: it is neither a file nor a directory/],
      ['none', 'NotFound', /Cannot read .*none: there is no such file/],
      ['dangling', 'NotFound', /Cannot read .*dangling: there is no such file/],
    ] as const)
      await assert.rejects(nodeSources(real, [at(name)], {}), (err: Error) => {
        assert.equal(kindOf(err), kind);
        assert.match(err.message, says);
        return true;
      });
    const { sources, leftOut } = await nodeSources(real, [temp.path], {});
    assert.deepEqual(
      sources.map(({ path }) => path),
      [at('round')],
      'a symlink to itself cannot be read',
    );
    assert.deepEqual(
      leftOut,
      ['dangling', 'pipe', 'to-pipe'].map((name) => `Left out ${at(name)}: it is no file`),
    );
  } finally {
    temp[Symbol.dispose]();
  }
});

test('an abort is no failure of a file', async () => {
  const temp = tempDir();
  try {
    writeFileSync(join(temp.path, 'a.txt'), 'registry.example/a:1\n');
    const signal = AbortSignal.abort();
    await assert.rejects(nodeSources(real, [temp.path], { signal }), { name: 'AbortError' });
  } finally {
    temp[Symbol.dispose]();
  }
});

test('the archives of a directory are taken in the order of their names, however the directory lists them', async () => {
  const temp = tempDir();
  try {
    const names = ['a.tar.gz', 'b.tar.gz', 'c.tar.gz'];
    for (const name of names) writeFileSync(join(temp.path, name), gzipSync(name));
    for (const listed of [names, names.toReversed()]) {
      const list = async (path: string) => {
        const entries = await real.list(path);
        return listed.flatMap((name) => entries.filter((one) => one.name === name));
      };
      const { sources } = await nodeSources({ ...real, list }, [temp.path], {});
      assert.deepEqual(
        sources.map(({ path }) => path),
        names.map((name) => join(temp.path, name)),
      );
    }
  } finally {
    temp[Symbol.dispose]();
  }
});
