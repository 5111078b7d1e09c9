/**
 * Publishing a directory when calls fail: each call once, with each error, and all calls from one on, as when the process is
 * killed or the disk goes. The user's old directory is whole afterwards, or the new one is.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { kindOf } from '../../../src/core/errors.ts';
import type { Workers } from '../../../src/core/layers/workers.ts';
import { makeOutput } from '../../../src/core/output/output-directory.ts';
import { isDirectory, type Stat, type Syscalls } from '../../../src/core/ports/syscalls.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { errnoError } from '../../../src/platform/kernel/errno.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { stepFs } from '../../support/step-fs.ts';
import { stepping } from '../../support/stepping.ts';
import { tempDir } from '../../support/tmp.ts';

type Before = (what: string) => void;

const SYSCALLS: readonly (keyof Syscalls)[] = [
  ...(['rename', 'chmod', 'lstat', 'list', 'fstat', 'openRoot', 'openDir', 'flush'] as const),
  ...(['mkdir', 'unlink', 'rmdir'] as const),
  ...(['chownDir', 'chmodDir', 'utimesDir', 'setxattrDir', 'listxattrDir'] as const),
];

interface Scene {
  readonly title: string;
  /** What is at the target before. */
  readonly before: 'nothing' | 'empty' | 'old';
  readonly mounted?: boolean;
  readonly swaps?: boolean;
}

const SCENES: readonly Scene[] = [
  { title: 'in place of nothing', before: 'nothing' },
  { title: 'in place of an empty directory', before: 'empty' },
  { title: 'in place of an old one, by an exchange', before: 'old' },
  { title: 'in place of an old one, by two renames', before: 'old', swaps: false },
  { title: 'in an empty mount point', before: 'empty', mounted: true },
];

const unasked = (): never => assert.fail('not asked for');

/** Opening libc takes long. */
const opened = bareRuntime().syscalls();

class Stage {
  readonly #dir = tempDir();
  readonly parent = join(this.#dir.path, 'parent');
  readonly target = join(this.parent, 'out');
  readonly warnings: string[] = [];
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
    fs.mkdirSync(this.parent);
    if (scene.before !== 'nothing') fs.mkdirSync(this.target, 0o750);
    if (scene.before === 'old') {
      fs.mkdirSync(join(this.target, 'sub'));
      fs.writeFileSync(join(this.target, 'sub/precious'), 'old');
      // As a directory that its owner may not write to.
      fs.chmodSync(this.target, 0o555);
    }
  }

  remove(): void {
    this.#dir[Symbol.dispose]();
  }

  runtime(before: Before): Runtime {
    const { mounted = false, swaps = true } = this.#scene;
    const bare = bareRuntime();
    return {
      ...bare,
      fs: stepFs(bare.fs, before),
      workers: stepping<Workers>(
        {
          ...bare.workers,
          removeTree: async (path) => fs.rmSync(path, { recursive: true, force: true }),
          syncfs: async () => {},
        },
        ['removeTree', 'syncfs'],
        before,
      ),
      syscalls: async () => {
        const sys = await opened;
        const own = new Proxy(sys, {
          get: (to, key) => (key === 'rename' ? renameOf(sys, swaps) : bind(to, key)),
        });
        return stepping(own, SYSCALLS, before);
      },
      mounter: async () => ({
        ...{ provider: 'ffi', mount: unasked, unmount: unasked, stack: unasked, mounts: unasked },
        mountpoints: async () => (mounted ? [this.target] : []),
      }),
    };
  }

  async make(before: Before = () => {}, signal?: AbortSignal): Promise<unknown> {
    this.warnings.length = 0;
    const options = { force: true, keepOut: [], warn: (text: string) => this.warnings.push(text), signal };
    const build = async (path: string): Promise<void> => {
      before('build');
      fs.mkdirSync(path);
      fs.mkdirSync(join(path, 'etc'));
      fs.writeFileSync(join(path, 'etc/new'), 'new');
      fs.chmodSync(join(path, 'etc'), 0o555);
      fs.chmodSync(path, 0o511);
    };
    return await makeOutput(this.runtime(before), this.target, options, build).then(
      () => undefined,
      (err: unknown) => err,
    );
  }

  isNew(): boolean {
    if (!fs.existsSync(this.target)) return false;
    return this.#names(this.target).join() === 'etc' && read(join(this.target, 'etc/new')) === 'new';
  }

  /** As it was before: content and mode. */
  isOld(where = this.target): boolean {
    const { before } = this.#scene;
    if (before === 'nothing') return !fs.existsSync(where);
    if (!fs.existsSync(where)) return false;
    if (before === 'empty') return this.#names(where).length === 0 && modeOf(where) === 0o750;
    return read(join(where, 'sub/precious')) === 'old' && modeOf(where) === 0o555;
  }

  /** The old directory is at the target or, whole, where no run removes it. */
  hasOld(): boolean {
    const places = [this.target, ...this.leftovers().map((path) => join(path, 'trade'))];
    return places.some((path) => read(join(path, 'sub/precious')) === 'old');
  }

  leftovers(): string[] {
    const where = this.#scene.mounted === true ? this.target : this.parent;
    return fs
      .readdirSync(where)
      .filter((name) => name.startsWith('.out.hawser-'))
      .map((name) => join(where, name));
  }

  #names(path: string): string[] {
    return fs.readdirSync(path).filter((name) => !name.startsWith('.out.hawser-'));
  }
}

/** Those of one test. */
class Stages {
  readonly #open: Stage[] = [];

  open(scene: Scene): Stage {
    const stage = new Stage(scene);
    this.#open.push(stage);
    return stage;
  }

  removeAll(): void {
    for (const stage of this.#open.splice(0)) stage.remove();
  }
}

/** As for a user without privileges, which tests that run as root are not. */
function renameOf(sys: Syscalls, swaps: boolean): Syscalls['rename'] {
  return (from, fromName, to, toName, mode) => {
    if (mode === 'exchange' && !swaps) throw errnoError('ENOSYS', 'swapping');
    const [a, b] = [sys.fstat(from), sys.fstat(to)];
    const moved = [sys.lstat(from, fromName), mode === 'exchange' ? sys.lstat(to, toName) : undefined];
    const isClosed = (one: Stat | undefined) =>
      one !== undefined && isDirectory(one) && (one.mode & 0o200) === 0;
    const mayWrite = [a, b].every((one) => (one.mode & 0o300) === 0o300);
    if (!mayWrite || (a.ino !== b.ino && moved.some(isClosed))) throw errnoError('EACCES', 'renaming');
    sys.rename(from, fromName, to, toName, mode);
  };
}

function bind(to: Syscalls, key: string | symbol): unknown {
  const value: unknown = Reflect.get(to, key);
  return typeof value === 'function' ? value.bind(to) : value;
}

function read(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function modeOf(path: string): number {
  return fs.statSync(path).mode & 0o7777;
}

/** The names of the calls of a run in which none fails. */
async function stepsOf(stages: Stages, scene: Scene): Promise<string[]> {
  const stage = stages.open(scene);
  const steps: string[] = [];
  assert.equal(await stage.make((what) => steps.push(what)), undefined);
  assert.ok(stage.isNew());
  assert.deepEqual([stage.leftovers(), stage.warnings], [[], []]);
  assert.equal(modeOf(stage.target), 0o511);
  return steps;
}

/** Beside EIO: one a call, in turn. */
const OTHERS = ['EPERM', 'ENOSPC', 'EROFS', 'EMFILE'] as const;

describe('publishing a directory while calls fail', () => {
  const stages = new Stages();
  afterEach(() => stages.removeAll());

  for (const scene of SCENES) {
    test(`${scene.title}: whichever call fails, what was there before is there, or the new tree is`, async (t) => {
      const steps = await stepsOf(stages, scene);
      let points = 0;
      for (const [at, what] of steps.entries()) {
        for (const errno of ['EIO', OTHERS[at % OTHERS.length] ?? 'EIO']) {
          const stage = stages.open(scene);
          let count = 0;
          const err = await stage.make((name) => {
            if (count++ === at) throw errnoError(errno, `failing ${name}`);
          });
          const place = `${errno} at call ${at} (${what}): ${String(err)}; ${stage.warnings.join('; ')}`;
          if (err === undefined) assert.ok(stage.isNew(), place);
          else {
            assert.ok(stage.isOld(), place);
            assert.match((err as Error).message, /failing|stat|mount/, place);
          }
          // A leftover is told of, and the next run takes it.
          const left = stage.leftovers();
          if (left.length > 0)
            assert.ok(
              left.every((path) => stage.warnings.join().includes(path) || err !== undefined),
              place,
            );
          points++;
          if (err === undefined && scene.mounted === true) continue;
          assert.equal(await stage.make(), undefined, place);
          assert.ok(stage.isNew(), place);
          assert.deepEqual([stage.leftovers(), stage.warnings], [[], []], place);
        }
      }
      t.diagnostic(`${points} points`);
    });

    test(`${scene.title}: cut off at any call, the old directory is not lost, by the next run neither`, async () => {
      const steps = await stepsOf(stages, scene);
      for (const at of steps.keys()) {
        const stage = stages.open(scene);
        let count = 0;
        const err = await stage.make((name) => {
          if (count++ >= at) throw errnoError('EIO', `failing ${name}`);
        });
        const place = `all calls from ${at} (${steps[at]}): ${String(err)}; ${stage.warnings.join('; ')}`;
        if (scene.before !== 'old') {
          // Of a mount point some entries may be there already.
          if (scene.mounted !== true)
            assert.ok(stage.isNew() || stage.isOld() || !fs.existsSync(stage.target), place);
          continue;
        }
        assert.ok(err === undefined ? stage.isNew() : stage.hasOld(), place);
        const isAside = err !== undefined && read(join(stage.target, 'sub/precious')) === undefined;
        assert.equal(await stage.make(), undefined, place);
        assert.ok(stage.isNew(), place);
        if (!isAside) continue;
        // It stays, and each run says where it is.
        assert.ok(stage.hasOld(), place);
        assert.ok(
          stage.leftovers().every((path) => stage.warnings.join().includes(path)),
          place,
        );
      }
    });
  }

  test('a rename that fails: that something came there is said only where that is the reason', async () => {
    const taken = ['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR', 'EBUSY'];
    for (const errno of [...taken, 'EXDEV', 'ETXTBSY', 'ENXIO', 'ELOOP', 'ESPIPE', 'EIO']) {
      const stage = stages.open({ title: '', before: 'empty' });
      const err = await stage.make((name) => {
        if (name.startsWith('rename')) throw errnoError(errno, `failing ${name}`);
      });
      assert.ok(stage.isOld());
      const { message } = err as Error;
      assert.match(message, /failing rename/, errno);
      assert.equal(
        /something came there meanwhile/.test(message),
        taken.includes(errno),
        `${errno}: ${message}`,
      );
    }
  });

  test('aborted at any call, what was there before is there, or the new tree is', async () => {
    for (const scene of SCENES) {
      const steps = await stepsOf(stages, scene);
      for (const at of steps.keys()) {
        const stage = stages.open(scene);
        const stop = new AbortController();
        let count = 0;
        const err = await stage.make(() => {
          if (count++ === at) stop.abort();
        }, stop.signal);
        const place = `${scene.title}: aborted at call ${at} (${steps[at]}): ${String(err)}`;
        assert.ok(err === undefined ? stage.isNew() : stage.isOld(), place);
        if (err !== undefined) assert.equal(kindOf(err), 'Canceled', place);
        if (err === undefined && scene.mounted === true) continue;
        assert.equal(await stage.make(), undefined, place);
        assert.deepEqual([stage.leftovers(), stage.isNew()], [[], true], place);
      }
    }
  });
});
