/** A directory for the user: there and whole, or not there. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Kind, kindOf } from '../../../src/core/errors.ts';
import { makeOutput, type OutputOptions } from '../../../src/core/output/output-directory.ts';
import { Staging } from '../../../src/core/output/staging.ts';
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

test('something that came to be meanwhile is not replaced', async () => {
  await withBench(async ({ make, seen, target }) => {
    const build = async (path: string): Promise<void> => {
      fs.mkdirSync(path);
      fs.mkdirSync(target);
      fs.writeFileSync(join(target, 'theirs'), '');
    };
    await assert.rejects(make({}, build), /came there meanwhile/);
    assert.deepEqual(seen(), ['out', 'out/theirs']);
  });
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
    const mounter = { provider: 'ffi', mount: never, unmount: never } as const;
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

test('a very long name', async () => {
  await withBench(async ({ make, parent }) => {
    await make({}, undefined, join(parent, 'n'.repeat(255)));
    assert.deepEqual(fs.readdirSync(parent), ['n'.repeat(255)]);
  });
});
