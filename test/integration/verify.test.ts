/** The commands that check a store and mend it, as a user runs them. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openStore } from '../../src/mod.ts';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { startContainerd } from '../support/containerd.ts';
import { filesIn, flipBit, randomFlip } from '../support/damage.ts';
import { exec, execOk } from '../support/exec.ts';
import { anyFlavour, eachRuntime, type Hawser, hawser } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';
import { chosenSeed } from '../support/seed.ts';
import { noise } from '../support/small-image.ts';
import { random } from '../unit/archive/random.ts';

const KILLS = 8;

describe('verify and repair', { skip: needs({ root: true }) }, () => {
  let registry: TestRegistry;
  let image: string;

  before(async () => {
    registry = await startRegistry();
    const entries = [{ name: 'noise', data: noise(1, 300_000) }];
    image = registry.push(
      't/app',
      '1',
      await buildImage({ layers: [{ entries }, { entries: [{ name: 'b', data: 'b' }] }] }),
    );
  });
  after(() => registry[Symbol.asyncDispose]());

  const verdict = async ({ run }: Hawser, ...args: string[]) => {
    const { code, stdout } = await run([...args, '--json']);
    return { code, report: JSON.parse(stdout) };
  };

  for (const which of eachRuntime) {
    test(which.name, { skip: which.skip }, async () => {
      await using dir = scratch();
      const store = hawser(which, dir.path);
      await store.ok('pull', image);
      const sound = await store.ok('images', 'verify');
      assert.match(sound.stdout, /^checked 1 images, 4 blobs \(.*\), 2 snapshots: nothing is damaged\n$/);
      const large = (folder: string): string =>
        filesIn(join(dir.path, folder)).find((path) => statSync(path).size > 200_000) ?? '';
      const [blob, file] = [large('content/blobs'), large('snapshots')];
      for (const path of [blob, file]) flipBit({ path, byte: 1000, bit: 0 });
      const first = await verdict(store, 'images', 'verify', image);
      assert.equal(first.code, 1);
      assert.deepEqual([first.report.sound, first.report.damage.length], [false, 1]);
      assert.equal(first.report.damage[0].digest, `sha256:${blob.slice(-64)}`);
      assert.equal((await verdict(store, 'content', 'verify')).code, 1);
      const text = await store.run(['content', 'verify', `sha256:${blob.slice(-64)}`]);
      assert.match(text.stdout, /^damaged blob sha256:/);
      assert.match(text.stderr, /hawser images repair/);
      registry.requests.length = 0;
      const { report } = await verdict(store, 'images', 'repair');
      assert.deepEqual(report.images[0].left, []);
      const types = report.images[0].repaired.map(({ type }: { type: string }) => type);
      assert.deepEqual(types, ['blob', 'snapshot']);
      const blobs = registry.requests.filter(
        ({ path, method }) => method === 'GET' && path.includes('sha256:'),
      );
      assert.equal(blobs.length, 1);
      assert.equal((await verdict(store, 'images', 'verify')).code, 0);
      assert.equal((await verdict(store, 'snapshots', 'verify')).report.snapshots, 2);
      const unknown = await store.run(['snapshots', 'verify', 'none']);
      assert.match(unknown.stderr, /no committed snapshot is called none/);
      const again = await store.ok('images', 'repair', image);
      assert.equal(again.stdout, 'checked 1 images: nothing was damaged\n');
      writeFileSync(join(dir.path, 'hawser.db'), new Uint8Array(8192));
      const broken = await store.run(['images', 'ls']);
      assert.match(broken.stderr, /hawser recover/);
      const recovered = await store.ok('recover');
      assert.match(
        recovered.stdout,
        /^the damaged database is now .*\/hawser\.db\.damaged-\w+\nrecovered .*\/t\/app:1\n1 images and 4 blobs/,
      );
      assert.match(
        (await store.ok('recover')).stdout,
        /^nothing was lost\n\d+ directories in snapshots\/ .*damaged-\w+\n$/,
      );
      for (const suffix of ['', '-wal', '-shm'])
        rmSync(join(dir.path, `hawser.db${suffix}`), { force: true });
      for (const verb of ['ls', 'rm']) {
        const { stderr } = await store.run(['images', verb, ...(verb === 'rm' ? ['no.such/image:1'] : [])]);
        assert.match(stderr, /database of this store was lost.*hawser recover, or remove \S+\.json/);
      }
      assert.equal((await store.ok('gc')).stderr.includes('was lost'), true);
      assert.doesNotMatch((await store.ok('recover')).stderr, /was lost/);
      assert.doesNotMatch((await store.ok('images', 'ls')).stderr, /was lost/);
      await store.ok('unpack', image);
      assert.deepEqual((await verdict(store, 'images', 'verify')).report.unchecked, []);
    });
  }

  test('every image is repaired, whatever its name is: from where its blobs are known to be', {
    skip: anyFlavour.skip,
  }, async () => {
    await using dir = scratch();
    const hub = hawser(anyFlavour, dir.path);
    const other = registry.push('t/own', '1', await buildImage({ layers: [{ entries: [{ name: 'own' }] }] }));
    for (const ref of [image, other]) await hub.ok('pull', ref);
    const store = await openStore({ root: dir.path });
    const [{ target }, own] = [await store.images.get(image), (await store.images.get(other)).target];
    for (const name of ['!A name', target.digest]) await store.images.put(name, target, {});
    await store.images.put('mine', own, {});
    await store.images.delete(other);
    for (const { digest, labels } of await store.content.list()) {
      if (!Object.values(labels).includes('t/own')) continue;
      const source = Object.keys(labels).filter((key) => key.includes('distribution.source'));
      await store.content.label(digest, Object.fromEntries(source.map((key) => [key, ''])));
    }
    await store[Symbol.asyncDispose]();
    const path = (digest: string): string => join(dir.path, 'content/blobs', digest.replace(':', '/'));
    for (const { digest } of [target, own]) flipBit({ path: path(digest), byte: 30, bit: 0 });
    const { code, report } = await verdict(hub, 'images', 'repair');
    assert.equal(code, 1);
    const count = ({ repaired, left }: { repaired: unknown[]; left: unknown[] }) => [
      repaired.length,
      left.length,
    ];
    assert.deepEqual(
      report.images.map((one: { name: string; repaired: unknown[]; left: unknown[] }) => [
        one.name,
        ...count(one),
      ]),
      [
        ['!A name', 1, 0],
        [image, 0, 0],
        ['mine', 0, 1],
        [target.digest, 0, 0],
      ],
    );
    const [mine] = report.images.filter(({ name }: { name: string }) => name === 'mine');
    assert.match(mine.left[0].why, /nothing says which registry has the blobs of mine/);
  });

  test('a check that --timeout ends goes on with --resume; the file is removed at the end', {
    skip: anyFlavour.skip,
  }, async () => {
    await using dir = scratch();
    const store = hawser(anyFlavour, join(dir.path, 'store'));
    await store.ok('pull', image);
    const file = join(dir.path, 'state');
    const line = ['images', 'verify', '--resume', file];
    // 300 KB take ten seconds.
    const cut = await store.run(['--timeout', '3s', ...line, '--limit-rate', '30k']);
    assert.equal(cut.code, 1, cut.stderr);
    assert.match(readFileSync(file, 'utf8'), /^hawser verify 1 ".*\/store" default\nsha256:/);
    assert.match(
      (await hawser(anyFlavour, join(dir.path, 'other')).run(line)).stderr,
      /not of a check of this store/,
    );
    appendFileSync(file, 'sha256:cut');
    const { code, report } = await verdict(store, ...line);
    assert.deepEqual([code, report.blobs, report.snapshots], [0, 4, 2]);
    assert.ok(report.resumed > 0);
    assert.equal(existsSync(file), false);
  });

  test('a repair that is killed at any moment leaves what the next one needs', {
    skip: anyFlavour.skip,
  }, async (t) => {
    const seed = chosenSeed();
    t.diagnostic(`HAWSER_SEED=${seed}`);
    const next = random(seed);
    await using dir = scratch();
    const store = hawser(anyFlavour, dir.path);
    for (const snapshotter of ['overlayfs', 'native'])
      await store.ok('pull', '--snapshotter', snapshotter, image);
    const began = performance.now();
    await store.ok('images', 'repair');
    const whole = performance.now() - began;
    for (let n = 0; n < KILLS; n++) {
      const files = [...filesIn(join(dir.path, 'content/blobs')), ...filesIn(join(dir.path, 'snapshots'))];
      for (let flips = 0; flips < 4; flips++) flipBit(randomFlip(files, next));
      const delay = whole / 4 + next(Math.ceil(whole));
      await store.run(['images', 'repair'], {
        started: (child) => {
          const timer = setTimeout(() => child.kill('SIGKILL'), delay);
          child.on('exit', () => clearTimeout(timer));
        },
      });
      await store.ok('images', 'repair');
      const { code, report } = await verdict(store, 'images', 'verify');
      assert.deepEqual(
        [code, report.unchecked.map(({ name }: { name: string }) => name)],
        [0, []],
        `seed ${seed}`,
      );
    }
    const rows = (await store.ok('snapshots', 'ls')).stdout;
    assert.doesNotMatch(rows, /repair/, 'nothing of the killed ones is left');
  });

  const tools = needs({ root: true, tools: ['containerd', 'ctr'] });
  test('inside a containerd: content is checked and repaired, snapshots are its own', {
    skip: tools || anyFlavour.skip,
  }, async () => {
    await using daemon = await startContainerd();
    const [file, ...before] = anyFlavour.command;
    const all = (args: readonly string[]): string[] => [...before, '--address', daemon.socket, ...args];
    const there: Hawser = {
      root: daemon.root,
      run: (args, opts) => exec(file, all(args), opts),
      ok: (...args) => execOk(file, all(args)),
    };
    await there.ok('pull', image);
    assert.match((await there.ok('images', 'verify')).stdout, /4 blobs .*, 0 snapshots: nothing is damaged/);
    const blobs = filesIn(join(daemon.root, 'io.containerd.content.v1.content/blobs'));
    const blob = blobs.find((path) => statSync(path).size > 200_000) ?? '';
    flipBit({ path: blob, byte: 1000, bit: 0 });
    const { code, report } = await verdict(there, 'content', 'verify');
    assert.deepEqual([code, report.damage.length], [1, 1], JSON.stringify(report.damage));
    assert.equal(report.damage[0].digest, `sha256:${blob.slice(-64)}`);
    assert.equal((await verdict(there, 'images', 'repair')).report.images[0].repaired.length, 1);
    assert.equal((await verdict(there, 'images', 'verify')).code, 0);
    assert.match((await there.run(['snapshots', 'verify'])).stderr, /snapshots of a daemon/);
  });
});
