/** What is mounted where, what is recorded of it, and what is left when a call fails: a real store, and mounts on paper. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import type { Backend } from '../../../src/core/backend.ts';
import { hintOf, kindOf, messageOf } from '../../../src/core/errors.ts';
import type { Image } from '../../../src/core/images/image-store.ts';
import { chainIds } from '../../../src/core/oci/chain-id.ts';
import type { Mount, Mounted, Mounter } from '../../../src/core/ports/mounter.ts';
import { overlayPaths } from '../../../src/core/snapshots/overlay-paths.ts';
import { type MountDeps, mountImage } from '../../../src/core/verbs/mount.ts';
import { unmountImage } from '../../../src/core/verbs/unmount.ts';
import { errnoError } from '../../../src/platform/kernel/errno.ts';
import { failure } from '../../support/failure.ts';
import { needs } from '../../support/needs.ts';
import { stepping } from '../../support/stepping.ts';
import { addBlob, bytesOf, digestOf, type TestStore, withStore } from '../../support/stores.ts';

const skip = needs({ root: true });

type Before = (what: string) => void;
const never: Before = () => {};

/** Mounts on paper: what a kernel would show. */
class Paper implements Mounter {
  readonly provider = 'ffi';
  readonly table: { point: string; mounted: Mounted; options: readonly string[] }[] = [];

  async mount(mounts: readonly Mount[], target: string): Promise<void> {
    for (const { type, source, options } of mounts) {
      const mounted = { type, source, root: '/', options };
      this.table.push({ point: target, mounted, options });
    }
  }

  async unmount(target: string, opts: { topmost?: boolean } = {}): Promise<void> {
    assert.equal(opts.topmost, true, 'only what was looked at is unmounted');
    const at = this.table.findLastIndex(({ point }) => point === target);
    assert.notEqual(at, -1, 'nothing is mounted there');
    this.table.splice(at, 1);
  }

  async mountpoints(): Promise<string[]> {
    return assert.fail('not asked for');
  }

  async mounts(): Promise<never> {
    return assert.fail('not asked for');
  }

  async stack(target: string): Promise<Mounted[]> {
    return this.table.filter(({ point }) => point === target).map(({ mounted }) => mounted);
  }
}

class Bench {
  readonly target: string;
  readonly paper = new Paper();
  readonly #store: TestStore;

  constructor(store: TestStore) {
    this.#store = store;
    this.target = join(store.root, '../target');
    fs.mkdirSync(this.target);
  }

  get backend(): LocalBackend {
    return this.#store.backend;
  }

  /** An image of two layers that are unpacked already. */
  async image(name: string): Promise<Image> {
    const { backend, runtime } = this.#store;
    const blobs = [`${name} 1`, `${name} 2`].map(bytesOf);
    const diffIds = blobs.map((bytes) => digestOf(bytes));
    const config = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: diffIds } };
    const document = (mediaType: string, bytes: Uint8Array) => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
    });
    const type = 'application/vnd.oci.image';
    const configBytes = bytesOf(JSON.stringify(config));
    const layers = blobs.map((bytes) => document(`${type}.layer.v1.tar`, bytes));
    const manifest = {
      schemaVersion: 2,
      mediaType: `${type}.manifest.v1+json`,
      config: document(`${type}.config.v1+json`, configBytes),
      layers,
    };
    const manifestBytes = bytesOf(JSON.stringify(manifest));
    for (const bytes of [...blobs, configBytes, manifestBytes])
      await addBlob(backend, bytes, { labels: ROOT });
    let parent = '';
    for (const chainId of chainIds(diffIds, runtime.hashers)) {
      await backend.snapshotter().prepare(`making ${chainId}`, parent, { labels: ROOT });
      await backend.snapshotter().commit(chainId, `making ${chainId}`, { labels: ROOT });
      parent = chainId;
    }
    const target = document(manifest.mediaType, manifestBytes);
    await backend.images.put(name, target, {});
    return await backend.images.get(name);
  }

  deps(before: Before): MountDeps {
    const { runtime } = this.#store;
    const paper = stepping<Mounter>(this.paper, ['mount', 'unmount', 'stack'], before);
    return {
      backend: this.#stepped(before),
      runtime: { ...runtime, fs: stepping(runtime.fs, ['stat'], before), mounter: async () => paper },
      clock: runtime.clock,
      hashers: runtime.hashers,
      codecs: runtime.codecs,
      hostPlatform: { os: 'linux', architecture: 'amd64' },
      cpus: 1,
    };
  }

  #stepped(before: Before): Backend {
    const { backend } = this.#store;
    const snapshotter = (name?: string) =>
      stepping(backend.snapshotter(name), ['stat', 'view', 'prepare', 'mounts', 'remove'], before);
    const leases = stepping(backend.leases, ['create', 'add', 'delete'], before);
    const { namespace, namespaceStore, content, images, applier, snapshotterNames } = backend;
    return {
      ...{ namespace, namespaceStore, content, images, applier, snapshotterNames, leases, snapshotter },
      sync: async (call) => {
        before('sync');
        await backend.sync(call);
      },
      collect: (call) => backend.collect(call),
      survey: (call) => backend.survey(call),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async mount(image: Image, writable = false, before = never, more: object = {}): Promise<string> {
    return (await mountImage(this.deps(before), image, { target: this.target, writable, ...more })).target;
  }

  async unmount(remove: boolean, before = never, target = this.target): Promise<string> {
    return (await unmountImage(this.deps(before), { target, remove })).target;
  }

  /** What the store has of the target: kinds of snapshots, leases. */
  async recorded(): Promise<string[]> {
    const { leases } = this.backend;
    const found: string[] = [];
    for (const name of this.backend.snapshotterNames) {
      for (const { name: key, kind } of await this.backend.snapshotter(name).list())
        if (key === this.target) found.push(kind);
    }
    if ((await leases.list()).some(({ id }) => id === this.target)) found.push('lease');
    return found;
  }

  /** Where a writable snapshot keeps what is written. */
  async upper(): Promise<string> {
    const [mount] = await this.backend.snapshotter().mounts(this.target);
    return mount?.options.find((one) => one.startsWith('upperdir='))?.slice('upperdir='.length) ?? '';
  }
}

const ROOT = { 'containerd.io/gc.root': '1' };

async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  await withStore(async (store) => await body(new Bench(store)));
}

describe('mounting an image', { skip }, () => {
  test('it is nosuid and nodev, unless lifted; the record goes with --rm', async () => {
    await withBench(async (bench) => {
      const image = await bench.image('a');
      assert.equal(
        await bench.mount(image, false, never, { target: `${bench.target}/../target/.` }),
        bench.target,
      );
      const options = () => bench.paper.table.at(-1)?.options.slice(-2);
      assert.deepEqual(options(), ['nosuid', 'nodev']);
      assert.deepEqual(await bench.recorded(), ['View', 'lease']);
      await bench.unmount(true, never, `${bench.target}//`);
      assert.deepEqual([await bench.recorded(), bench.paper.table], [[], []]);
      await bench.mount(image, true, never, { allowSuid: true });
      assert.ok(!bench.paper.table.at(-1)?.options.some((one) => ['nosuid', 'nodev'].includes(one)));
    });
  });

  test('a snapshot that is there is mounted again for the same layers and kind only; else it is named', async () => {
    await withBench(async (bench) => {
      const [a, b] = [await bench.image('img/a'), await bench.image('img/b')] as const;
      for (const [first, writable, second, secondWritable] of [
        [a, false, b, false],
        [a, false, a, true],
        [a, true, a, false],
        [a, true, b, true],
      ] as const) {
        await bench.mount(first, writable);
        bench.paper.table.length = 0;
        const err = await failure(bench.mount(second, secondWritable));
        assert.equal(kindOf(err), 'FailedPrecondition', err.message);
        const kind = writable ? 'writable' : 'read-only';
        assert.match(err.message, new RegExp(`the ${kind} snapshot of img/a \\(sha256:.*belongs to it`));
        assert.match(hintOf(err) ?? '', writable ? /--rm .*what was written/ : /--rm .* removes it$/);
        assert.deepEqual(await bench.recorded(), [writable ? 'Active' : 'View', 'lease']);
        await bench.mount(first, writable);
        await bench.unmount(true);
        assert.deepEqual(await bench.recorded(), []);
      }
    });
  });

  test('nothing is mounted over another mount, nor where there is no directory', async () => {
    await withBench(async (bench) => {
      const image = await bench.image('a');
      await bench.paper.mount([{ type: 'tmpfs', source: 'theirs', options: [] }], bench.target);
      assert.match(
        (await failure(bench.mount(image))).message,
        /a tmpfs file system \(theirs\) is mounted there/,
      );
      bench.paper.table.length = 0;
      await bench.mount(image);
      assert.match((await failure(bench.mount(image))).message, /snapshot of a \(.*is mounted there/);
      assert.equal(bench.paper.table.length, 1);
      await bench.unmount(true);
      fs.rmdirSync(bench.target);
      assert.equal(kindOf(await failure(bench.mount(image))), 'NotFound');
      fs.writeFileSync(bench.target, '');
      assert.equal(kindOf(await failure(bench.mount(image))), 'FailedPrecondition');
      const relative = bench.mount(image, false, never, { target: 'relative' });
      assert.equal(kindOf(await failure(relative)), 'InvalidArgument');
      assert.deepEqual(await bench.recorded(), []);
    });
  });

  test('what is not an image of this store is not unmounted', async () => {
    await withBench(async (bench) => {
      const image = await bench.image('a');
      const theirs: Mount = { type: 'overlay', source: 'overlay', options: ['lowerdir=/elsewhere'] };
      await bench.paper.mount([theirs], bench.target);
      for (const remove of [false, true])
        assert.match((await failure(bench.unmount(remove))).message, /is not an image of this store/);
      bench.paper.table.length = 0;
      // Over ours: what is below could still be in use.
      await bench.mount(image);
      await bench.paper.mount([theirs], bench.target);
      for (const remove of [false, true])
        assert.match((await failure(bench.unmount(remove))).message, /is not an image of this store/);
      // In place of ours, which a reboot has ended: only the record goes.
      bench.paper.table.shift();
      assert.match((await failure(bench.unmount(false))).message, /is not an image of this store/);
      await bench.unmount(true);
      assert.deepEqual([await bench.recorded(), bench.paper.table.length], [[], 1]);
    });
  });

  test('what a reboot or a kill has left is removed; where there is nothing, that is said', async () => {
    await withBench(async (bench) => {
      const { backend, target } = bench;
      const image = await bench.image('a');
      await bench.mount(image, true);
      bench.paper.table.length = 0;
      const err = await failure(bench.unmount(false));
      assert.deepEqual([kindOf(err), /not a mount point/.test(err.message)], ['FailedPrecondition', true]);
      assert.match(hintOf(err) ?? '', /--rm .* removes the writable snapshot of a/);
      await bench.unmount(true);
      assert.deepEqual(await bench.recorded(), []);
      await backend.leases.create({ id: target });
      await bench.unmount(true);
      assert.deepEqual(await bench.recorded(), []);
      await backend.snapshotter('native').view(target, '', { labels: ROOT });
      await bench.unmount(true);
      assert.deepEqual(await bench.recorded(), []);
      const warnings: string[] = [];
      await unmountImage(bench.deps(never), {
        ...{ target, remove: true },
        report: (event) => void (event.type === 'warning' && warnings.push(event.message)),
      });
      assert.match(warnings.join(), /^No image of this store was mounted at .*: nothing was removed$/);
      assert.equal(kindOf(await failure(bench.unmount(false))), 'FailedPrecondition');
    });
  });

  for (const process of ['self', '4242']) {
    test(`of a mount with short names for its layers (/proc/${process}) the source tells whose the mount is`, async () => {
      await withBench(async (bench) => {
        await bench.mount(await bench.image('a'));
        const [entry] = bench.paper.table;
        assert.ok(entry);
        const nearest = overlayPaths(entry.options, 'lowerdir')[0] ?? '';
        fs.symlinkSync(nearest, `${bench.target}-link`);
        const options = ['ro', `lowerdir=/proc/${process}/fd/7:/proc/${process}/fd/8`];
        for (const source of [join(nearest, '..'), '/elsewhere']) {
          entry.mounted = { ...entry.mounted, source, options };
          assert.match((await failure(bench.unmount(false))).message, /is not an image of this store/);
        }
        for (const source of [nearest, `${bench.target}-link`, 'overlay']) {
          bench.paper.table.push({ ...entry, mounted: { ...entry.mounted, source } });
        }
        bench.paper.table.shift();
        await bench.unmount(true);
        assert.deepEqual([await bench.recorded(), bench.paper.table], [[], []]);
      });
    });
  }

  test('a mount of a writable snapshot is ours by whatever path the store was reached', async () => {
    await withBench(async (bench) => {
      await bench.mount(await bench.image('a'), true);
      const [entry] = bench.paper.table;
      assert.ok(entry);
      const [upper = ''] = overlayPaths(entry.options, 'upperdir');
      fs.symlinkSync(join(upper, '..'), `${bench.target}-link`);
      const options = entry.options.map((one) => one.replace(join(upper, '..'), `${bench.target}-link`));
      entry.mounted = { ...entry.mounted, options };
      await bench.unmount(true);
      assert.deepEqual([await bench.recorded(), bench.paper.table], [[], []]);
    });
  });
});

describe('mounting and unmounting while calls fail', { skip }, () => {
  const names: string[] = [];

  /** Runs `work` with its n-th call failing (`rest`: and all that follow), for each n until it fails no more. */
  async function everyCall(
    work: (before: Before) => Promise<unknown>,
    check: (err: unknown, place: string) => Promise<void>,
    rest = false,
  ): Promise<number> {
    for (let at = 0; ; at++) {
      let count = 0;
      names.length = 0;
      const errno = ['EIO', 'ENOSPC', 'EPERM', 'EROFS'][at % 4] ?? 'EIO';
      const err = await work((what) => {
        names.push(what);
        if (rest ? count++ >= at : count++ === at) throw errnoError(errno, `failing ${what}`);
      }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      await check(err, `call ${at} (${names[at]}), ${errno}: ${messageOf(err)}`);
      if (count > at) continue;
      assert.ok(at > 0, 'no call was made to fail');
      assert.equal(err, undefined, 'without a failing call');
      return at;
    }
  }

  test('a mount that fails leaves nothing; the next one works', async (t) => {
    await withBench(async (bench) => {
      const image = await bench.image('a');
      const points = await everyCall(
        (before) => bench.mount(image, true, before),
        async (err, place) => {
          assert.deepEqual(await bench.recorded(), err === undefined ? ['Active', 'lease'] : [], place);
          assert.equal(bench.paper.table.length, err === undefined ? 1 : 0, place);
          if (err === undefined) await bench.unmount(true);
        },
      );
      t.diagnostic(`${points} points`);
    });
  });

  test('a mount that fails leaves a writable snapshot that was there, and what was written to it', async (t) => {
    await withBench(async (bench) => {
      const image = await bench.image('a');
      await bench.mount(image, true);
      const precious = join(await bench.upper(), 'precious');
      fs.writeFileSync(precious, 'old');
      for (const rest of [false, true]) {
        bench.paper.table.length = 0;
        const points = await everyCall(
          (before) => bench.mount(image, true, before),
          async (_, place) => {
            bench.paper.table.length = 0;
            assert.deepEqual(await bench.recorded(), ['Active', 'lease'], place);
            assert.equal(fs.readFileSync(precious, 'utf8'), 'old', place);
          },
          rest,
        );
        t.diagnostic(`${points} points`);
      }
    });
  });

  test('what a mount that is cut off leaves can be removed, and mounted again', async () => {
    await withBench(async (bench) => {
      const image = await bench.image('a');
      for (const again of [false, true]) {
        await everyCall(
          (before) => bench.mount(image, false, before),
          async (err, place) => {
            if (err !== undefined && again) await bench.mount(image);
            await bench.unmount(true);
            assert.deepEqual([await bench.recorded(), bench.paper.table], [[], []], place);
          },
          true,
        );
      }
    });
  });

  test('an unmount --rm that fails or is cut off can be repeated, and then leaves nothing', async (t) => {
    await withBench(async (bench) => {
      const image = await bench.image('a');
      for (const rest of [false, true]) {
        await bench.mount(image, true);
        const points = await everyCall(
          (before) => bench.unmount(true, before),
          async (err, place) => {
            if (err !== undefined) await bench.unmount(true);
            assert.deepEqual([await bench.recorded(), bench.paper.table], [[], []], place);
            await bench.mount(image, true);
          },
          rest,
        );
        await bench.unmount(true);
        t.diagnostic(`${points} points`);
      }
    });
  });
});
