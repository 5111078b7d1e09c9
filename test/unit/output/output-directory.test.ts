/** A directory for the user: there and whole, or not there. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { hintOf, type Kind, kindOf } from '../../../src/core/errors.ts';
import { makeOutput, type OutputOptions } from '../../../src/core/output/output-directory.ts';
import { Staging } from '../../../src/core/output/staging.ts';
import type { FileSystem } from '../../../src/core/ports/file-system.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { removeTree } from '../../../src/core/trees/remove-tree.ts';
import { errnoError } from '../../../src/platform/kernel/errno.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { tempDir } from '../../support/tmp.ts';

interface Bench {
  readonly parent: string;
  readonly target: string;
  readonly warnings: string[];
  make(
    options?: Partial<OutputOptions>,
    build?: (path: string) => Promise<void>,
    target?: string,
  ): Promise<string>;
  /** What is beside the target, and in it. */
  seen(): string[];
}

async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const parent = join(dir.path, 'parent');
  const target = join(parent, 'out');
  const warnings: string[] = [];
  fs.mkdirSync(parent);
  const fill = async (path: string): Promise<void> => {
    fs.mkdirSync(path);
    fs.writeFileSync(join(path, 'new'), 'new');
    fs.chmodSync(path, 0o555);
  };
  try {
    await body({
      parent,
      target,
      warnings,
      make: (options = {}, build = fill, where = target) => {
        const all = { force: false, keepOut: [], warn: (text: string) => warnings.push(text), ...options };
        return makeOutput(bareRuntime(), where, all, build);
      },
      seen: () => (fs.readdirSync(parent, { recursive: true }) as string[]).sort(),
    });
  } finally {
    dir[Symbol.dispose]();
  }
}

async function rejects(kind: Kind, message: RegExp, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (err) => {
    assert.equal(kindOf(err), kind, String(err));
    assert.match((err as Error).message, message);
    return true;
  });
}

test('comes to be in place of nothing, and of an empty directory, with its own mode', async () => {
  await withBench(async ({ make, seen, target }) => {
    assert.equal(await make(), target);
    assert.deepEqual(seen(), ['out', 'out/new']);
    assert.equal(fs.statSync(target).mode & 0o777, 0o555);
    fs.rmSync(join(target, 'new'));
    assert.equal(await make({}, undefined, `${target}/../x/../out//`), target);
    assert.deepEqual(seen(), ['out', 'out/new']);
  });
});

test('nobody else can look into an output directory while it is built (H98)', async () => {
  await withBench(async ({ make, parent, target }) => {
    await make({}, async (path) => {
      const staging = join(path, '..');
      assert.equal(join(staging, '..'), parent);
      assert.equal(fs.statSync(staging).mode & 0o777, 0o700);
      assert.equal(fs.existsSync(target), false);
      fs.mkdirSync(path);
    });
  });
});

test('a directory that is not empty stays as it is without --force, and nothing is built', async () => {
  await withBench(async ({ make, seen, target }) => {
    fs.mkdirSync(target);
    fs.writeFileSync(join(target, 'old'), '');
    await rejects(
      'AlreadyExists',
      /not empty/,
      make({}, () => assert.fail('built')),
    );
    assert.deepEqual(seen(), ['out', 'out/old']);
    await make({ force: true });
    assert.deepEqual(seen(), ['out', 'out/new']);
  });
});

test('what fails leaves what was there, and no trace', async () => {
  await withBench(async ({ make, seen, target }) => {
    fs.mkdirSync(target);
    fs.writeFileSync(join(target, 'old'), '');
    const build = async (path: string): Promise<void> => {
      fs.mkdirSync(path);
      throw new Error('half done');
    };
    await assert.rejects(make({ force: true }, build), /half done/);
    assert.deepEqual(seen(), ['out', 'out/old']);
  });
});

/** The user's doing, not a bug: AlreadyExists, with what to do. */
async function rejectsTaken(message: RegExp, target: string, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (err) => {
    assert.equal(kindOf(err), 'AlreadyExists', String(err));
    assert.match((err as Error).message, message);
    const hint = hintOf(err) ?? '';
    assert.ok(hint.includes(target) && /[Rr]emove .* or choose another directory$/.test(hint), hint);
    return true;
  });
}

const COMERS: Readonly<Record<string, (target: string) => void>> = {
  'a directory with content': (target) => {
    fs.mkdirSync(target);
    fs.writeFileSync(join(target, 'theirs'), '');
  },
  'a file': (target) => fs.writeFileSync(target, ''),
  'a symlink': (target) => fs.symlinkSync('/nowhere', target),
};

for (const [what, come] of Object.entries(COMERS)) {
  test(`${what} that came to be meanwhile is not replaced`, async () => {
    await withBench(async ({ make, seen, target }) => {
      let then: string[] = [];
      const build = async (path: string): Promise<void> => {
        come(target);
        then = seen().filter((name) => name.startsWith('out'));
        fs.mkdirSync(path);
      };
      await rejectsTaken(/came there meanwhile/, target, make({}, build));
      assert.deepEqual(seen(), then);
    });
  });
}

test('a staging directory that cannot be removed is told by what is in it', async () => {
  for (const before of ['nothing', 'old']) {
    await withBench(async ({ target }) => {
      if (before === 'old') {
        fs.mkdirSync(target);
        fs.writeFileSync(join(target, 'old'), '');
      }
      const base = bareRuntime();
      const removeTree = () => Promise.reject(errnoError('EIO', 'removing'));
      const runtime = { ...base, workers: { ...base.workers, removeTree } };
      const warnings: string[] = [];
      const options = { force: true, keepOut: [], warn: (text: string) => void warnings.push(text) };
      await makeOutput(runtime, target, options, async (path) => fs.mkdirSync(path));
      const staging = '/.*/\\.out\\.hawser-[0-9a-f]{12}';
      const what = before === 'old' ? `what ${target} was before, which is in ${staging}` : staging;
      assert.match(warnings[0] ?? '', new RegExp(`^Cannot remove ${what}: removing: .*EIO`));
    });
  }
});

test('places that must not be replaced', async () => {
  await withBench(async ({ make, parent, target, seen }) => {
    const keepOut = [join(target, 'store')];
    const never = () => assert.fail('built');
    const to = (where: string, options: Partial<OutputOptions> = {}) =>
      make({ force: true, ...options }, never, where);
    await rejects('FailedPrecondition', /the store is/, to(target, { keepOut }));
    await rejects('FailedPrecondition', /the store is/, to(join(target, 'store/x'), { keepOut }));
    await rejects('InvalidArgument', /not a path below/, to('/'));
    await rejects('InvalidArgument', /not a path below/, to('relative'));
    await rejects('NotFound', /no directory/, to(join(parent, 'none/out')));
    fs.writeFileSync(join(parent, 'file'), '');
    fs.symlinkSync('/nowhere', join(parent, 'link'));
    await rejects('FailedPrecondition', /is a file/, to(join(parent, 'file')));
    await rejects('FailedPrecondition', /is a symlink/, to(join(parent, 'link')));
    assert.deepEqual(seen(), ['file', 'link']);
  });
});

test('nothing is replaced in which something is mounted', async () => {
  await withBench(async ({ target, seen }) => {
    fs.mkdirSync(join(target, 'proc'), { recursive: true });
    const never = () => assert.fail('mounted');
    const mounter = { provider: 'ffi', mount: never, unmount: never, stack: never, mounts: never } as const;
    const mountpoints = async () => [join(target, 'proc')];
    const runtime = bareRuntime({ mounter: async () => ({ ...mounter, mountpoints }) });
    const options = { force: true, keepOut: [], warn: assert.fail };
    await rejects(
      'FailedPrecondition',
      /mounted at .*proc/,
      makeOutput(runtime, target, options, assert.fail),
    );
    assert.deepEqual(seen(), ['out', 'out/proc']);
  });
});

/** A runtime that says what is mounted. */
function mounted(...points: string[]): Runtime {
  const never = () => assert.fail('mounted');
  return bareRuntime({
    mounter: async () => ({
      ...{ provider: 'ffi', mount: never, unmount: never, stack: never, mounts: never },
      mountpoints: async () => points,
    }),
  });
}

async function withMountPoint(
  body: (bench: Bench & { fill(build?: () => Promise<void>): Promise<string> }) => Promise<void>,
): Promise<void> {
  await withBench(async (bench) => {
    const { target, warnings } = bench;
    fs.mkdirSync(target, 0o700);
    const fill = async (more = async (): Promise<void> => {}): Promise<string> =>
      await makeOutput(
        mounted(target),
        target,
        { force: false, keepOut: [], warn: (text) => warnings.push(text) },
        async (path) => {
          fs.mkdirSync(join(path, 'sub'), { recursive: true });
          fs.writeFileSync(join(path, 'new'), 'new');
          fs.chmodSync(join(path, 'sub'), 0o555);
          fs.chmodSync(path, 0o511);
          fs.utimesSync(path, 1, 2);
          await more();
        },
      );
    await body({ ...bench, fill });
  });
}

test('an empty mount point is filled: it stays the same directory, with the attributes of the root', async () => {
  await withMountPoint(async ({ fill, seen, target, warnings }) => {
    const { ino } = fs.statSync(target);
    await fill();
    const { mode, mtimeMs, ino: after } = fs.statSync(target);
    assert.deepEqual([mode & 0o7777, mtimeMs, after], [0o511, 2000, ino]);
    assert.equal(fs.statSync(join(target, 'sub')).mode & 0o7777, 0o555);
    assert.deepEqual([seen(), warnings], [['out', 'out/new', 'out/sub'], []]);
  });
});

test('lost+found, and what a dead run left, may lie in a directory that is filled', async () => {
  await withMountPoint(async ({ fill, seen, target }) => {
    fs.mkdirSync(join(target, 'lost+found'));
    fs.mkdirSync(join(target, '.out.hawser-0123456789ab'));
    await fill();
    assert.deepEqual(seen(), ['out', 'out/lost+found', 'out/new', 'out/sub']);
  });
});

test('what came into a mount point meanwhile is not replaced', async () => {
  for (const name of ['new', 'other']) {
    await withMountPoint(async ({ fill, seen, target }) => {
      const build = async () => fs.writeFileSync(join(target, name), 'theirs');
      await rejectsTaken(/came there meanwhile/, target, fill(build));
      assert.deepEqual(seen(), ['out', `out/${name}`]);
      assert.equal(fs.readFileSync(join(target, name), 'utf8'), 'theirs');
    });
  }
});

test('lost+found of an image is not put in the place of a file system’s', async () => {
  await withMountPoint(async ({ seen, target, make }) => {
    fs.mkdirSync(join(target, 'lost+found'));
    const build = async (path: string): Promise<void> => {
      for (const dir of [path, join(path, 'etc'), join(path, 'lost+found')]) fs.mkdirSync(dir);
    };
    await rejectsTaken(/there is "lost\+found", and the image has that too/, target, make({}, build));
    assert.deepEqual(seen(), ['out', 'out/lost+found']);
  });
});

test('a mount point with something in it is not replaced, and nothing is built', async () => {
  await withBench(async ({ target, seen }) => {
    fs.mkdirSync(target);
    fs.writeFileSync(join(target, 'old'), '');
    const all = { force: true, keepOut: [], warn: assert.fail };
    const work = makeOutput(mounted(target), target, all, () => assert.fail('built'));
    await rejects('FailedPrecondition', /something is mounted at/, work);
    assert.deepEqual(seen(), ['out', 'out/old']);
  });
});

test('a directory in one that may not be changed is filled; with something in it nothing is built', async () => {
  await withBench(async ({ parent, target, seen, warnings }) => {
    const bare = bareRuntime();
    const mkdir: FileSystem['mkdir'] = async (path, ...rest) => {
      if (dirname(path) === parent) throw errnoError('EACCES', `making ${path}`);
      await bare.fs.mkdir(path, ...rest);
    };
    const runtime = { ...bare, fs: { ...bare.fs, mkdir } };
    const options = { force: true, keepOut: [], warn: (text: string) => warnings.push(text) };
    const make = (build: (path: string) => Promise<void>) => makeOutput(runtime, target, options, build);
    await rejects('PermissionDenied', /Cannot unpack to .*making/, make(assert.fail));
    fs.mkdirSync(target);
    await make(async (path) => fs.mkdirSync(join(path, 'sub'), { recursive: true }) as undefined);
    assert.deepEqual([seen(), warnings], [['out', 'out/sub'], []]);
    await rejects('PermissionDenied', /Cannot unpack to .*making/, make(assert.fail));
    assert.deepEqual(seen(), ['out', 'out/sub']);
  });
});

test('the working directory is filled, never replaced', async () => {
  await withBench(async ({ make, target, seen }) => {
    fs.mkdirSync(target);
    const { ino } = fs.statSync(target);
    const before = process.cwd();
    process.chdir(target);
    try {
      await make();
      assert.equal(fs.statSync(target).ino, ino);
      assert.deepEqual(fs.readdirSync('.'), ['new']);
      await rejects('FailedPrecondition', /working directory/, make({ force: true }, assert.fail));
    } finally {
      process.chdir(before);
    }
    assert.deepEqual(seen(), ['out', 'out/new']);
  });
});

test('the store is recognised under another name', async () => {
  await withBench(async ({ make, parent, target }) => {
    const store = join(parent, 'store');
    fs.mkdirSync(join(store, 'below'), { recursive: true });
    fs.symlinkSync(parent, join(parent, 'link'));
    const to = (where: string) => make({ force: true, keepOut: [store] }, assert.fail, where);
    await rejects('FailedPrecondition', /the store is/, to(join(parent, 'link/store/below/out')));
    await rejects('FailedPrecondition', /the store is/, to(join(parent, 'link/store')));
    const inner = join(target, 'store');
    fs.mkdirSync(inner, { recursive: true });
    fs.symlinkSync(inner, join(parent, 'alias'));
    const options = { force: true, keepOut: [join(parent, 'alias')] };
    await rejects('FailedPrecondition', /the store is/, make(options, assert.fail));
  });
});

test('what only looks like a leftover, or holds an old directory, stays, and each is named', async () => {
  await withBench(async ({ make, parent, seen, warnings }) => {
    const planted = join(parent, '.out.hawser-0123456789ab');
    const old = join(parent, '.out.hawser-0123456789ac');
    for (const path of [join(planted, 'home'), join(old, 'trade'), join(old, 'made')])
      fs.mkdirSync(path, { recursive: true });
    fs.writeFileSync(join(planted, 'lock'), '');
    fs.writeFileSync(join(old, 'lock'), '');
    fs.writeFileSync(join(old, 'trade/precious'), '');
    await make();
    assert.deepEqual(
      seen().filter((name) => name.startsWith('.out') && name.includes('/')),
      [
        '.out.hawser-0123456789ab/home',
        '.out.hawser-0123456789ab/lock',
        '.out.hawser-0123456789ac/lock',
      ].concat(['.out.hawser-0123456789ac/trade', '.out.hawser-0123456789ac/trade/precious']),
    );
    assert.deepEqual(
      warnings.map((text) => text.split(' ')[0]),
      [planted, old],
    );
  });
});

test("what dead runs left beside it goes; a living run's, another target's and a stranger's stay", async () => {
  await withBench(async ({ make, parent, seen, warnings }) => {
    const runtime = bareRuntime();
    const living = await Staging.create(runtime, parent, 'out');
    const dead = join(parent, '.out.hawser-0123456789ab');
    fs.mkdirSync(join(dead, 'made/etc'), { recursive: true });
    fs.writeFileSync(join(dead, 'lock'), '');
    fs.mkdirSync(join(parent, '.out.hawser-cdefcdefcdef'));
    fs.mkdirSync(join(parent, '.other.hawser-0123456789ab'));
    fs.mkdirSync(join(parent, '.out.hawser-mine'));
    fs.symlinkSync('/nowhere', join(parent, '.out.hawser-aaaaaaaaaaaa'));
    await make();
    const left = seen().filter((name) => !name.includes('/'));
    const name = living.path.slice(parent.length + 1);
    const want = ['.other.hawser-0123456789ab', '.out.hawser-aaaaaaaaaaaa', '.out.hawser-mine', name, 'out'];
    assert.deepEqual(left, want.sort());
    assert.deepEqual(warnings, []);
    await living.remove();
    assert.equal(fs.existsSync(living.path), false);
  });
});

test('the directory above belongs to another user, who moves the staging directory: nothing elsewhere is touched', async () => {
  await withBench(async ({ parent, target, warnings }) => {
    const bare = bareRuntime();
    const sys = await bare.syscalls();
    const workers = { ...bare.workers, removeTree: async (path: string) => removeTree(sys, path) };
    const theirs = join(parent, 'theirs');
    for (const path of ['made', 'doomed', 'trade']) fs.mkdirSync(join(theirs, path), { recursive: true });
    fs.writeFileSync(join(theirs, 'lock'), 'precious');
    const before = () => (fs.readdirSync(theirs, { recursive: true }) as string[]).sort();
    const seen = before();
    const build = async (path: string): Promise<void> => {
      const staging = dirname(path);
      fs.renameSync(staging, join(parent, 'moved'));
      fs.symlinkSync(theirs, staging);
    };
    const options = { force: true, keepOut: [], warn: (text: string) => warnings.push(text) };
    await assert.rejects(makeOutput({ ...bare, workers }, target, options, build));
    assert.deepEqual(before(), seen);
    assert.equal(fs.readFileSync(join(theirs, 'lock'), 'utf8'), 'precious');
    assert.equal(fs.existsSync(target), false);
  });
});

test('a very long name', async () => {
  await withBench(async ({ make, parent }) => {
    await make({}, undefined, join(parent, 'n'.repeat(255)));
    assert.deepEqual(fs.readdirSync(parent), ['n'.repeat(255)]);
  });
});
