/** `hawser bootstrap`: archives, layouts, lists and directories of them into the containerd of a node. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { type AnyStore, openContainerd } from '../../src/mod.ts';
import { type Containerd, type Installation, installations, startContainerd } from '../support/containerd.ts';
import { type Cri, criAt } from '../support/cri.ts';
import { type ExecResult, exec, describe as explain } from '../support/exec.ts';
import {
  amd64,
  blobEntry,
  blobs,
  INDEX_DIGEST,
  indexOf,
  LAYOUT,
  layers,
  skopeoArchive,
  tarOf,
} from '../support/golden-image.ts';
import { quickest } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { smallImage } from '../support/small-image.ts';
import { digestOf } from '../support/stores.ts';

for (const installation of installations)
  describe(
    `bootstrap of a node with ${installation.name}`,
    {
      skip: needs({ root: true, tools: ['docker-registry', 'skopeo', 'containerd', 'ctr'] }),
    },
    () => bootstrapped(installation),
  );

const NAME = 'registry.example/t/img:1';
const ID = digestOf(amd64.config);

const archiveOf = (name: string, leave?: (bytes: Uint8Array) => boolean): Uint8Array =>
  tarOf([
    ['oci-layout', LAYOUT],
    ['index.json', indexOf([{ 'io.containerd.image.name': name }])],
    ...blobs(leave).map(blobEntry),
  ]);

function bootstrapped(installation: Installation): void {
  let temp: Scratch;
  let registry: RealRegistry;
  let daemon: Containerd;
  let store: AnyStore;
  let cri: Cri;
  let listed: string;

  before(async () => {
    temp = scratch();
    registry = await startDockerRegistry();
    const layout = await smallImage(temp.path, { layers: 2, bytes: 1000, files: 2 });
    await registry.push(`${layout}:small`, 'small:1');
    listed = `${registry.host}/small:1`;
    daemon = await startContainerd(undefined, '', installation, { cri: true });
    store = await openContainerd({ address: daemon.socket, namespace: 'k8s.io' });
    cri = criAt(daemon.socket);
  });
  after(async () => {
    cri[Symbol.dispose]();
    await store[Symbol.asyncDispose]();
    await daemon.close();
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  /** For what is the same whatever the containerd. */
  const only = (nth: number) => installation !== installations[nth] && 'of hawser’s own making';
  const run = (...args: string[]): Promise<ExecResult> => {
    const [file, ...first] = quickest.command;
    return exec(file, [...first, '--address', daemon.socket, 'bootstrap', ...args]);
  };
  const ok = async (...args: string[]): Promise<ExecResult> => {
    const result = await run(...args);
    assert.equal(result.code, 0, explain(result));
    return result;
  };
  const clear = async (): Promise<void> => {
    for (const { name } of await store.images.list()) await store.images.delete(name);
    await store.collect();
  };
  const statesOf = (result: ExecResult) =>
    JSON.parse(result.stdout).images.map(({ name, state }: { name: string; state: string }) => [name, state]);
  const times = async () => [
    (await store.images.list()).map(({ name, updatedAt }) => [name, updatedAt]),
    (await store.content.list()).map(({ digest, updatedAt }) => [digest, updatedAt]),
    (await store.snapshotter().list()).map(({ name, updatedAt }) => [name, updatedAt]),
  ];

  test('a directory as k3s has it: archives and a list; unpacked, pinned, found by every name; again it costs a look', async () => {
    const dir = join(temp.path, 'images');
    mkdirSync(join(dir, 'below'), { recursive: true });
    writeFileSync(join(dir, 'app.tar.zst'), zstdCompressSync(archiveOf(NAME)));
    writeFileSync(join(dir, 'old.tar'), skopeoArchive(['registry.example/old/img:2']));
    writeFileSync(join(dir, 'images.txt'), `# of the node\n${NAME}\n`);
    const wanted = join(temp.path, 'wanted.txt');
    writeFileSync(wanted, listed);
    const [file, ...words] = quickest.command;
    const lock = await exec(file, [...words, 'lock', '--platform', 'linux/amd64', wanted]);
    assert.match(lock.stdout, /"platforms": \{\s*"linux\/amd64": /, explain(lock));
    writeFileSync(join(dir, 'images.lock'), lock.stdout);
    writeFileSync(join(dir, '.cache.json'), '{}');
    writeFileSync(join(dir, 'README'), 'about these');
    const first = await ok('--json', dir);
    assert.deepEqual(statesOf(first), [
      [NAME, 'imported'],
      ['registry.example/old/img:2', 'imported'],
      [listed, 'pulled'],
      [NAME, 'present'],
    ]);
    assert.match(first.stderr, /Left out .*\/README: it is no archive, and no list by its name/);
    assert.match(first.stderr, /Left out .*\/below: it is no file/);
    const document = JSON.parse(first.stdout);
    assert.deepEqual(
      [document.v, document.type, document.namespace, document.failed],
      [1, 'bootstrap', 'k8s.io', []],
    );
    assert.deepEqual(document.images[0].also, [ID, `registry.example/t/img@${INDEX_DIGEST}`]);
    for (const { labels } of await store.images.list())
      assert.equal(labels['io.cri-containerd.pinned'], 'pinned');
    for (const name of [NAME, `registry.example/t/img@${INDEX_DIGEST}`, listed, ID])
      assert.ok((await cri.status(name)) !== undefined, name);
    assert.deepEqual(await store.leases.list(), []);
    const before = await times();
    await registry.close();
    const second = await ok('--json', dir);
    assert.deepEqual(new Set(statesOf(second).map(([, state]: string[]) => state)), new Set(['present']));
    assert.deepEqual(await times(), before);
    const elsewhere = (await store.images.get(listed)).target;
    await store.images.put(NAME, elsewhere, {});
    assert.deepEqual(statesOf(await ok('--json', dir))[0], [NAME, 'imported'], 'a name that moved');
    assert.equal((await store.images.get(NAME)).target.digest, INDEX_DIGEST);
    const shown = await ok('--progress', 'plain', dir);
    assert.match(shown.stdout, new RegExp(`${NAME} ${INDEX_DIGEST} present\n`));
    assert.match(shown.stdout, /\n4 of 4 images: 0 bytes/);
  });

  test('two archives with other images under one name: what the record names is here after each start', {
    skip: only(0),
  }, async () => {
    await clear();
    const dir = join(temp.path, 'twice');
    mkdirSync(dir);
    writeFileSync(join(dir, 'a.tar.zst'), zstdCompressSync(archiveOf(NAME)));
    writeFileSync(join(dir, 'b.tar.zst'), zstdCompressSync(skopeoArchive([NAME])));
    for (let start = 0; start < 2; start++) {
      assert.deepEqual(statesOf(await ok('--json', '--for-cri=false', dir)), [
        [NAME, 'imported'],
        [NAME, 'imported'],
      ]);
      const { digest } = (await store.images.get(NAME)).target;
      assert.notEqual(digest, INDEX_DIGEST);
      assert.ok(await store.content.info(digest));
    }
  });

  test('what fails does not stop the rest, and is told; exit status 4 when only blobs of a base are missing', {
    skip: only(0),
  }, async () => {
    await clear();
    const dir = join(temp.path, 'mixed');
    mkdirSync(dir);
    writeFileSync(
      join(dir, 'a.tar'),
      archiveOf('registry.example/broken/img:1', (bytes) => bytes === layers[1]),
    );
    writeFileSync(join(dir, 'b.tar'), archiveOf(NAME));
    writeFileSync(join(dir, 'c.tar.xz'), Buffer.from('fd377a585a000000', 'hex'));
    writeFileSync(join(dir, 'd.yaml'), 'images: [');
    symlinkSync('e.tar', join(dir, 'e.tar'));
    const mixed = await run('--json', dir);
    assert.equal(mixed.code, 1, explain(mixed));
    assert.deepEqual(statesOf(mixed), [[NAME, 'imported']]);
    assert.match(mixed.stderr, /1 of \d blobs needed are neither in the archive nor in the store/);
    assert.match(mixed.stderr, /c\.tar\.xz: it is compressed with xz/);
    assert.match(mixed.stderr, /error: .*d\.yaml/);
    assert.match(mixed.stderr, /error: .*e\.tar.*ELOOP/);
    assert.match(mixed.stderr, /4 of 5 images or archives failed/);
    assert.equal(JSON.parse(mixed.stdout).failed.length, 4);
    await clear();
    rmSync(join(dir, 'd.yaml'));
    const fast = await run('--json', '--fail-fast', dir);
    assert.deepEqual([fast.code, statesOf(fast)], [1, []]);
    const delta = join(temp.path, 'delta.tar');
    const base = JSON.stringify({
      v: 1,
      id: digestOf(new Uint8Array(0)),
      base: [`sha256:${'2'.repeat(64)}`],
      blobs: [],
    });
    writeFileSync(
      delta,
      tarOf([
        ['oci-layout', LAYOUT],
        ['index.json', indexOf([{ 'io.containerd.image.name': NAME }])],
        ['hawser/bundle.json', base],
        ...blobs((bytes) => bytes === layers[1]).map(blobEntry),
      ]),
    );
    const lacks = await run(delta);
    assert.equal(lacks.code, 4, explain(lacks));
    assert.deepEqual(await store.images.list(), []);
  });

  test('from standard input, not pinned, in another namespace; names are chosen as import does', async () => {
    await clear();
    const [file, ...first] = quickest.command;
    const archive = join(temp.path, 'in.tar');
    writeFileSync(archive, archiveOf('1'));
    const args = [
      '--address',
      daemon.socket,
      '-n',
      'edge',
      'bootstrap',
      '--pin=false',
      '--base-name',
      'registry.example/t/img',
      '-',
    ];
    const piped = await exec('sh', ['-c', 'exec "$@" < "$IN"', 'sh', file, ...first, ...args], {
      env: { ...process.env, IN: archive },
    });
    assert.equal(piped.code, 0, explain(piped));
    assert.match(piped.stderr, /CRI reads the namespace k8s\.io only/);
    const { stdout } = await daemon.ctr('-n', 'edge', 'images', 'ls');
    assert.match(stdout, /registry\.example\/t\/img:1 .*managed/);
    assert.doesNotMatch(stdout, /pinned/);
  });

  test('what is no bundle, no list, and no containerd', { skip: only(0) }, async () => {
    const cases: [string[], number, RegExp][] = [
      [[join(temp.path, 'none')], 1, /Cannot read .*none/],
      [[], 2, /please provide an archive[\s\S]*k3s\/agent\/images/],
      [['--json', '--progress', 'json', temp.path], 2, /--json and --quiet show no progress/],
      [['--name', 'a', join(temp.path, 'images')], 2, /--name is for one archive/],
    ];
    for (const [args, code, says] of cases) {
      const result = await run(...args);
      assert.equal(result.code, code, explain(result));
      assert.match(result.stderr, says);
    }
    const [file, ...first] = quickest.command;
    const root = await exec(file, [...first, '--root', temp.path, 'bootstrap', temp.path]);
    assert.match(root.stderr, /a node is filled inside its containerd/);
  });
}
