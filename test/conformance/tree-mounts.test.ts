/** Removing, copying and counting trees over every Syscalls provider: no walk goes into what is mounted in a tree. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kindOf, messageOf, reasonOf } from '../../src/core/errors.ts';
import type { Syscalls } from '../../src/core/ports/syscalls.ts';
import { removeEntry, removeTree } from '../../src/core/trees/remove-tree.ts';
import { copyTree } from '../../src/core/trees/tree-copy.ts';
import { treeUsage } from '../../src/core/trees/tree-usage.ts';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { createFileSystem } from '../../src/platform/files/file-system.ts';
import { createWorkerPool } from '../../src/platform/threads/worker-pool.ts';
import { needs } from '../support/needs.ts';
import { asNobody, NOBODY } from '../support/nobody.ts';
import { unmountBelow } from '../support/scratch.ts';
import { openProvider, providers } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

const SKIP = needs({ root: true, tools: ['mount', 'umount'] });

function mount(...args: string[]): void {
  const ran = spawnSync('mount', args);
  assert.equal(ran.status, 0, String(ran.stderr));
}

const PROBE = fileURLToPath(new URL('../support/closed-tree-probe.ts', import.meta.url));
const asOwner = {
  skip: needs({ root: true, runtime: 'node', tools: ['setpriv', 'unshare', 'mount'] }),
};

function ranProbe([file = '', ...args]: readonly string[]): string {
  const ran = spawnSync(file, args, { encoding: 'utf8', env: { ...process.env, NODE_NO_WARNINGS: '1' } });
  assert.deepEqual([ran.status, ran.stderr], [0, '']);
  return ran.stdout;
}

test(
  'a tree with directories that their owner may not enter is removed, with and without /proc',
  asOwner,
  () => {
    const dir = tempDir();
    try {
      fs.chownSync(dir.path, NOBODY, NOBODY);
      assert.equal(ranProbe(asNobody([process.execPath, PROBE, dir.path])), 'done\n');
      assert.deepEqual(fs.readdirSync(dir.path), []);
    } finally {
      dir[Symbol.dispose]();
    }
  },
);

test('a bind mount of a directory that its owner may not enter stays, also without /proc', asOwner, () => {
  const dir = tempDir();
  try {
    const outside = join(dir.path, 'outside');
    const target = join(dir.path, 'tree', 'a');
    for (const path of [outside, target]) fs.mkdirSync(path, { recursive: true });
    fs.writeFileSync(join(outside, 'precious'), 'x');
    for (const path of [dir.path, outside, join(dir.path, 'tree'), target])
      fs.chownSync(path, NOBODY, NOBODY);
    fs.chmodSync(outside, 0o1600);
    const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
    const probe = asNobody([process.execPath, PROBE, dir.path, 'tree']);
    const stdout = ranProbe(['unshare', '--mount', 'sh', '-c', script, 'sh', outside, target, ...probe]);
    assert.equal(stdout, 'tree/a\ndone\n');
    assert.deepEqual(fs.readdirSync(outside), ['precious']);
    assert.equal(fs.statSync(outside).mode & 0o7777, 0o1600);
  } finally {
    dir[Symbol.dispose]();
  }
});

/** What is mounted, by name; each holds the file `precious`. */
const MOUNTS: Readonly<Record<string, (target: string, outside: string) => void>> = {
  'another file system': (target) => {
    mount('-t', 'tmpfs', 'none', target);
    fs.writeFileSync(join(target, 'precious'), 'x');
  },
  'a directory of the same file system': (target, outside) => mount('--bind', outside, target),
};

/** Where it is mounted, from the tree's top. Names as mountinfo escapes them. */
const PLACES = ['', 'a', 'a/b c\\d/e'];

interface Place {
  readonly tree: string;
  readonly target: string;
  readonly tmp: string;
}

/** A tree with a file before and after the mount, in the order in which names are listed or not. */
async function withMount(
  kind: string,
  at: string,
  body: (place: Place) => Promise<void> | void,
): Promise<void> {
  const dir = tempDir();
  const tree = join(dir.path, 'tree');
  const target = join(tree, at);
  const outside = join(dir.path, 'outside');
  for (const path of [target, outside]) fs.mkdirSync(path, { recursive: true });
  fs.writeFileSync(join(outside, 'precious'), 'x');
  if (at !== '') for (const name of ['0first', 'zlast']) fs.writeFileSync(join(tree, name), 'x');
  try {
    MOUNTS[kind]?.(target, outside);
    await body({ tree, target, tmp: dir.path });
  } finally {
    await unmountBelow(dir.path);
    dir[Symbol.dispose]();
  }
}

/** Calls whose list of mounts is empty, as without /proc. */
function unlisted(sys: Syscalls): Syscalls {
  return new Proxy(sys, {
    get(target, key: keyof Syscalls) {
      if (key === 'mountsBelow') return () => [];
      const value = target[key];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function refused(at: string) {
  return (err: unknown): boolean => {
    assert.equal(kindOf(err), 'FailedPrecondition', messageOf(err));
    assert.equal(reasonOf(err, 'mounted')?.at, at);
    return true;
  };
}

for (const kind of Object.keys(MOUNTS)) {
  for (const at of PLACES) {
    const where = `${kind} at ${JSON.stringify(`tree/${at}`)}`;

    for (const provider of providers) {
      const sys = openProvider(provider);

      test(`tree ${provider}: removal is refused before anything is gone: ${where}`, { skip: SKIP }, () =>
        withMount(kind, at, ({ tree, target }) => {
          const before = fs.readdirSync(tree);
          assert.throws(() => removeTree(sys, tree), refused(target));
          assert.deepEqual(fs.readdirSync(tree), before);
          assert.deepEqual(fs.readdirSync(target), ['precious']);
        }),
      );

      test(`tree ${provider}: removal stops at a mount that nothing lists: ${where}`, { skip: SKIP }, () =>
        withMount(kind, at, ({ target, tmp }) => {
          const mode = fs.statSync(target).mode;
          const above = sys.openRoot(tmp);
          try {
            assert.throws(() => removeEntry(unlisted(sys), above, 'tree'), refused(join('tree', at)));
          } finally {
            sys.closeDir(above);
          }
          assert.deepEqual(fs.readdirSync(target), ['precious']);
          assert.equal(fs.statSync(target).mode, mode);
        }),
      );

      if (at === '') continue;

      test(`tree ${provider}: what is mounted does not count: ${where}`, { skip: SKIP }, () =>
        withMount(kind, at, async ({ tree, target, tmp }) => {
          const mounted = treeUsage(sys, tree).inodes;
          await unmountBelow(tmp);
          assert.equal(mounted, treeUsage(sys, tree).inodes - 1, 'without the mount point');
          assert.ok(fs.existsSync(target));
        }),
      );

      test(`tree ${provider}: a copy is refused: ${where}`, { skip: SKIP }, () =>
        withMount(kind, at, ({ tree, target, tmp }) => {
          const copy = join(tmp, 'copy');
          fs.mkdirSync(copy);
          assert.throws(() => copyTree(sys, tree, copy), refused(target));
          assert.deepEqual(fs.readdirSync(copy), []);
          assert.throws(() => copyTree(unlisted(sys), tree, copy), refused(at));
          assert.ok(!fs.existsSync(join(copy, at, 'precious')));
        }),
      );
    }

    test(`file system: a tree is not removed with what is mounted in it: ${where}`, { skip: SKIP }, () =>
      withMount(kind, at, async ({ tree, target }) => {
        const before = fs.readdirSync(tree);
        await assert.rejects(createFileSystem().remove(tree, { tree: true }), refused(target));
        assert.deepEqual(fs.readdirSync(tree), before);
        assert.deepEqual(fs.readdirSync(target), ['precious']);
      }),
    );
  }
}

test('tree: a worker without FFI refuses the copy as well', { skip: SKIP }, async () => {
  process.env.HAWSER_SYSCALLS = 'tools';
  try {
    await withMount('another file system', 'a', async ({ tree, tmp }) => {
      const workers = createWorkerPool({ url: workerUrl(), size: 1 });
      const copy = join(tmp, 'copy');
      fs.mkdirSync(copy);
      try {
        await assert.rejects(workers.copyTree({ from: tree, to: copy }), refused(join(tree, 'a')));
      } finally {
        await workers[Symbol.asyncDispose]();
      }
      assert.deepEqual(fs.readdirSync(copy), []);
    });
  } finally {
    delete process.env.HAWSER_SYSCALLS;
  }
});
