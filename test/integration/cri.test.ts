/** hawser in the namespace of Kubernetes, beside what the CRI plugin of the same containerd leaves when it pulls by itself. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { addImage, addLayer, createLayout, INDEX } from '../../scripts/fixtures/layout.ts';
import { type AnyStore, openContainerd } from '../../src/mod.ts';
import { type Containerd, type Installation, installations, startContainerd } from '../support/containerd.ts';
import { type Cri, criAt } from '../support/cri.ts';
import { type ExecResult, exec, describe as explain } from '../support/exec.ts';
import { quickest } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { bytes, concat, END, member } from '../support/tar-builder.ts';

for (const installation of installations)
  describe(
    `beside the CRI plugin of ${installation.name}`,
    {
      skip: needs({ root: true, tools: ['docker-registry', 'skopeo', 'containerd', 'ctr'] }),
    },
    () => beside(installation),
  );

const MANAGED = { 'io.cri-containerd.image': 'managed' };
const PINNED = { 'io.cri-containerd.pinned': 'pinned' };

/** All that is there, with times where `times`. */
async function everything(store: AnyStore, times: boolean) {
  const when = ({ updatedAt }: { updatedAt: number }) => (times ? { updatedAt } : {});
  const images = (await store.images.list()).map(({ name, target, labels, ...rest }) => {
    return { name, target, labels, ...when(rest) };
  });
  const blobs = (await store.content.list()).map(({ digest, labels, ...rest }) => {
    return { digest, labels, ...when(rest) };
  });
  const snapshots = (await store.snapshotter().list()).map(({ name, kind, parent, labels, ...rest }) => {
    return { name, kind, parent, labels, ...when(rest) };
  });
  return { images, blobs, snapshots, leases: (await store.leases.list()).length };
}

function beside(installation: Installation): void {
  let temp: Scratch;
  let registry: RealRegistry;
  let daemon: Containerd;
  let store: AnyStore;
  let cri: Cri;
  let repository: string;
  /** Of the index. */
  let digest: string;
  let id: string;
  let layout: string;

  before(async () => {
    temp = scratch();
    registry = await startDockerRegistry();
    repository = `${registry.host}/pods/app`;
    ({ layout, digest, id } = await pushPlatforms(registry, temp.path));
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

  const run = (...args: string[]): Promise<ExecResult> => {
    const [file, ...first] = quickest.command;
    return exec(file, [...first, '--address', daemon.socket, '-n', 'k8s.io', ...args]);
  };
  const ok = async (...args: string[]): Promise<ExecResult> => {
    const result = await run(...args);
    assert.equal(result.code, 0, explain(result));
    return result;
  };
  const clear = async (): Promise<void> => {
    for (const { name } of await store.images.list()) await store.images.delete(name);
    await store.collect();
    await eventually(async () => assert.deepEqual(await cri.list(), []));
    assert.deepEqual(await store.content.list(), []);
  };
  const names = async () => (await store.images.list()).map(({ name }) => name);
  const all = () => [`${repository}:1`, `${repository}@${digest}`, id];
  /** The names by which pods ask for it. */
  const inPods = () => [`${repository}:1`, `${repository}@${digest}`, `${repository}:1@${digest}`, id];
  const seen = async (images: readonly string[], pinned: boolean): Promise<void> =>
    await eventually(async () => {
      for (const image of images) assert.equal((await cri.status(image))?.id, id, image);
      const [one] = await cri.list();
      assert.deepEqual(one?.repoDigests, [`${repository}@${digest}`]);
      // 1.6.20 knows no pinned images.
      if (installation !== installations[0]) assert.equal(one?.pinned, pinned);
    });

  test('C3: a pull leaves the records, labels, snapshots and blobs that a pull of CRI leaves, and a second one writes nothing', async () => {
    await clear();
    await cri.pull(`${repository}:1`);
    const theirs = await everything(store, false);
    assert.deepEqual(
      theirs.images.map(({ name }) => name),
      all(),
    );
    await clear();
    await ok('pull', '--skip-metadata', `${repository}:1`);
    const ours = await everything(store, false);
    assert.deepEqual(ours, theirs);
    await seen(inPods(), false);
    const before = await everything(store, true);
    await ok('pull', '--skip-metadata', `${repository}:1`);
    assert.deepEqual(await everything(store, true), before);
  });

  test('A40: an import leaves them too, pinned, with the source of every blob; a second one writes nothing', async () => {
    const args = ['import', '--pin', '--name', `${repository}:1`, layout];
    await clear();
    await ok(...args);
    for (const { labels } of await store.images.list()) assert.deepEqual(labels, { ...MANAGED, ...PINNED });
    assert.deepEqual(await names(), all());
    await seen(inPods(), true);
    const [host = ''] = registry.host.split(':');
    const blobs = await store.content.list();
    assert.equal(blobs.length, 5);
    for (const { labels } of blobs)
      assert.equal(labels[`containerd.io/distribution.source.${host}`], 'pods/app');
    const before = await everything(store, true);
    await ok(...args);
    assert.deepEqual(await everything(store, true), before);
  });

  test('by digest, by tag and digest; --for-cri=false; another namespace', async () => {
    await clear();
    await ok('pull', `${repository}@${digest}`);
    assert.deepEqual(await names(), all().slice(1));
    await seen(inPods().slice(1), false);
    await clear();
    await ok('pull', `${repository}:1@${digest}`);
    assert.deepEqual(await names(), all());
    await seen(inPods(), false);
    await ok('unpack', `${repository}:1@${digest}`);
    await clear();
    await ok('pull', '--for-cri=false', `${repository}:1`);
    // CRI itself records the ID when it hears of the image.
    await eventually(async () => assert.deepEqual(await names(), [all()[0], id]));
    const other = await run('-n', 'other', 'pull', '--for-cri', `${repository}:1`);
    assert.match(other.stderr, /CRI reads the namespace k8s\.io only/);
    const { stdout } = await daemon.ctr('-n', 'other', 'images', 'ls', '-q');
    assert.deepEqual(stdout.trim().split('\n'), all());
  });

  test('an image for another platform is recorded, and CRI does not show it: that is said', async () => {
    await clear();
    const { stderr } = await ok('pull', '--platform', 'linux/arm64', '--skip-metadata', `${repository}:1`);
    assert.match(stderr, /warning: CRI does not show .*pods\/app:1: it has no image for linux\/amd64 here/);
    assert.deepEqual(await names(), all().slice(0, 2));
  });

  test('what removes the last tag tells of the names that keep the image; --all-names removes them', async () => {
    await clear();
    await ok('pull', `${repository}:1`);
    const { stderr } = await ok('images', 'rm', `${repository}:1`);
    assert.match(stderr, new RegExp(`the image stays as ${repository}@${digest} and ${id}: --all-names`));
    assert.deepEqual(await names(), all().slice(1));
    await ok('images', 'tag', id, `${repository}:2`);
    await ok('images', 'rm', '--all-names', `${repository}:2`);
    assert.deepEqual(await everything(store, false), { images: [], blobs: [], snapshots: [], leases: 0 });
    await eventually(async () => assert.deepEqual(await cri.list(), []));
  });

  test('a new tag can be pinned by digest, too', async () => {
    await clear();
    await ok('pull', `${repository}:1`);
    const moved = `${registry.host}/other/name`;
    await ok('images', 'tag', `${repository}:1`, `${moved}:1`);
    await eventually(async () => assert.equal((await cri.status(`${moved}@${digest}`))?.id, id));
  });
}

/** CRI hears of images by events. */
async function eventually(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await check();
    } catch (err) {
      if (tries === 50) throw err;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function pushPlatforms(registry: RealRegistry, parent: string) {
  const dir = join(parent, 'app');
  const layout = createLayout(dir);
  const tar = join(parent, 'app.tar');
  const manifests = ['amd64', 'arm64'].map((architecture) => {
    const layers = ['base', architecture].map((text) => {
      writeFileSync(tar, concat([member({ name: text }, bytes(text)), END]));
      return addLayer(layout, tar);
    });
    const platform = { os: 'linux', architecture };
    return { ...addImage(layout, 'gzip', layers, platform), platform };
  });
  const index = layout.json(INDEX, { schemaVersion: 2, mediaType: INDEX, manifests });
  layout.name('1', index);
  layout.finish();
  await registry.push(`${dir}:1`, 'pods/app:1');
  const manifest = readFileSync(join(dir, 'blobs', manifests[0]?.digest.replace(':', '/') ?? ''), 'utf8');
  const { config } = JSON.parse(manifest) as { config: { digest: string } };
  return { layout: dir, digest: index.digest, id: config.digest };
}
