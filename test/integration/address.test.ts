/**
 * hawser inside a running containerd (--address), each flavour in a namespace of its own, beside what `ctr` makes of the same
 * image in another. The namespaces share nothing, so that every pull brings all bytes.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { addImage, addLayer, createLayout, INDEX } from '../../scripts/fixtures/layout.ts';
import { Connection } from '../../src/backends/containerd/connection.ts';
import { openContainerdBackend } from '../../src/backends/containerd/open.ts';
import { refKey } from '../../src/core/content/ref-key.ts';
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { openContainerd, pull, unpack } from '../../src/mod.ts';
import { altered } from '../support/bench.ts';
import { type Containerd, type Installation, installations, startContainerd } from '../support/containerd.ts';
import { type ExecOptions, type ExecResult, exec, execOk, describe as explain } from '../support/exec.ts';
import { eachRuntime, type Flavour, quickest as quick } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type RealRegistry, startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { type SlowProxy, startSlowProxy } from '../support/slow-proxy.ts';
import { smallImage } from '../support/small-image.ts';
import { type Client, readState, type StoreState } from '../support/store-state.ts';
import { bytes, concat, END, member } from '../support/tar-builder.ts';
import { type Allowed, diffTrees, readTree, type Tree } from '../support/tree.ts';

const TOOLS = ['docker-registry', 'skopeo', 'containerd', 'ctr'];
const SIZE = { layers: 4, bytes: 2_500_000, files: 20 };
/** What is told of a layer that hawser applied itself. */
const BY_OURSELVES = /"type":"stages"/g;
/** containerd gives a directory that a layer only writes below, and the root, the time of the unpacking. */
const NEWER: readonly Allowed[] = ['.', 'layer0', 'layer1', 'layer2'].map((path) => ({
  path,
  attributes: ['mtime'],
  reason: 'a directory that the layer does not list looks as it did below',
}));
/** Nothing is shared between the namespaces. */
const ISOLATED = '[plugins."io.containerd.metadata.v1.bolt"]\n  content_sharing_policy = "isolated"\n';

interface Observed {
  readonly state: StoreState;
  /** Labels that snapshots have but the one that every unpack gives them from containerd 1.7 on (ctr 1.6: none). */
  readonly labels: readonly string[];
  readonly leases: string;
}

for (const installation of installations) {
  const title = `inside a running ${installation.name}`;
  describe(title, { skip: needs({ root: true, tools: TOOLS }) }, () => inside(installation));
}

function inside(installation: Installation): void {
  let registry: RealRegistry;
  let proxy: SlowProxy;
  let temp: Scratch;
  let daemon: Containerd;
  let image: string;
  let layers: readonly Descriptor[];
  let theirs: Observed;
  let theirTree: Tree;

  before(async () => {
    temp = scratch();
    registry = await startDockerRegistry();
    const layout = await smallImage(temp.path, SIZE);
    await registry.push(`${layout}:small`, 'small:1');
    await pushBad(registry, temp.path);
    await pushPlatforms(registry, temp.path);
    proxy = await startSlowProxy(registry.host);
    image = `${proxy.host}/small:1`;
    layers = layersOf(layout);
    daemon = await startContainerd(undefined, ISOLATED, installation);
    await daemon.ctr('-n', 'theirs', 'images', 'pull', '--plain-http', image);
    theirs = await observe('theirs');
    theirTree = await treeIn('theirs');
  });
  after(async () => {
    await daemon.close();
    await proxy[Symbol.asyncDispose]();
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  const ctrIn = (namespace: string): Client => {
    return (...args) => daemon.ctr('-n', namespace, ...args);
  };
  const observe = async (namespace: string): Promise<Observed> => {
    const ctr = ctrIn(namespace);
    const state = await readState(ctr, 'overlayfs');
    const labels: string[] = [];
    for (const row of state.snapshots) {
      const { Name, Labels = {} } = JSON.parse(
        (await ctr('snapshots', 'info', row.split(' ')[0] ?? '')).stdout,
      );
      const all = Object.entries(Labels).map(([key, value]) => `${key}=${value}`);
      labels.push(...all.filter((label) => label !== `containerd.io/snapshot.ref=${Name}`));
    }
    return { state, labels, leases: (await ctr('leases', 'ls', '-q')).stdout };
  };
  /** The image's tree, mounted by ctr. */
  const treeIn = async (namespace: string): Promise<Tree> => {
    const target = join(temp.path, `mount-${namespace}`);
    mkdirSync(target);
    await ctrIn(namespace)('images', 'mount', image, target);
    try {
      return await readTree(target);
    } finally {
      await ctrIn(namespace)('images', 'unmount', '--rm', target);
    }
  };
  const run = (which: Flavour, namespace: string, args: readonly string[], opts?: ExecOptions) =>
    hawserAt(which, daemon.socket, ['-n', namespace, ...args], opts);
  const ok = async (which: Flavour, namespace: string, ...args: string[]): Promise<ExecResult> => {
    const result = await run(which, namespace, args);
    assert.equal(result.code, 0, explain(result));
    return result;
  };
  const backend = async (namespace: string) => {
    const runtime = await defaultRuntime();
    return await openContainerdBackend(runtime, { address: daemon.socket, namespace });
  };

  for (const which of installation === installations[0] ? eachRuntime : [quick]) {
    test(`C1: ${which.name}: a pull makes what ctr makes, labels of snapshots included, and shows it as ctr does`, {
      skip: which.skip,
    }, async () => {
      const { stdout } = await ok(which, which.name, 'images', 'pull', '--progress', 'json', image);
      assert.equal(stdout.match(BY_OURSELVES)?.length, SIZE.layers);
      const ours = await observe(which.name);
      assert.ok(theirs.state.snapshots.length === SIZE.layers && theirs.leases === '');
      assert.deepEqual(ours, theirs);
      assert.deepEqual(diffTrees(await treeIn(which.name), theirTree, NEWER), []);
      const shown = await readState((...args) => ok(which, which.name, ...args), 'overlayfs');
      assert.deepEqual(shown, theirs.state);
      assert.match((await ctrIn(which.name)('images', 'check')).stdout, /complete.*true/);
    });
  }

  test('the other verbs: fetch, check, unpack, get, mount, inspect, remove', async () => {
    const hawser = (...args: string[]) => ok(quick, 'verbs', ...args);
    await hawser('content', 'fetch', image);
    assert.match((await hawser('images', 'check')).stdout, /complete.*false/);
    await hawser('unpack', image);
    assert.match((await hawser('images', 'check')).stdout, /complete.*true/);
    assert.deepEqual((await observe('verbs')).state.snapshots, theirs.state.snapshots);
    const [layer] = layers;
    const { raw } = await hawser('content', 'get', layer?.digest ?? '');
    assert.equal(raw.length, layer?.size);
    assert.match((await hawser('images', 'inspect', image)).stdout, new RegExp(layer?.digest ?? ''));
    assert.match(
      (await hawser('pull', '--plan', image)).stdout,
      /to download: 0\.0 B in 0 blobs.*\n.*all 4 layers are unpacked/,
    );
    const target = join(temp.path, 'mount');
    mkdirSync(target);
    await hawser('images', 'mount', image, target);
    assert.equal(readFileSync(join(target, 'layer1/1'), 'utf8'), '1 1\n');
    await hawser('images', 'unmount', '--rm', target);
    await hawser('images', 'rm', image);
    const gone = await observe('verbs');
    assert.deepEqual(gone, { state: { blobs: {}, images: [], snapshots: [] }, labels: [], leases: '' });
    const absent = await run(quick, 'verbs', ['images', 'inspect', image]);
    assert.equal(absent.code, 1);
    assert.match(absent.stderr, /not found/);
  });

  test('a snapshot that an unmount left is not taken for another image, nor for a writable one', async () => {
    const hawser = (...args: string[]) => run(quick, 'left', args);
    const target = join(temp.path, 'left');
    const other = `${proxy.host}/platforms:1`;
    mkdirSync(target);
    for (const ref of [image, other]) await ok(quick, 'left', 'pull', ref);
    await ok(quick, 'left', 'images', 'mount', image, target);
    await execOk('umount', [target]);
    for (const args of [[other], ['--rw', image]]) {
      const refused = await hawser('images', 'mount', ...args, target);
      assert.equal(refused.code, 1, explain(refused));
      assert.match(refused.stderr, /belongs to it, though it is not mounted\nhint: /);
      assert.deepEqual(readdirSync(target), []);
    }
    await ok(quick, 'left', 'images', 'mount', image, target);
    assert.equal(readFileSync(join(target, 'layer1/1'), 'utf8'), '1 1\n');
    await ok(quick, 'left', 'images', 'unmount', '--rm', target);
    await ok(quick, 'left', 'images', 'mount', other, target);
    await ok(quick, 'left', 'images', 'unmount', '--rm', target);
  });

  test('layers that were not synced when the machine went down are unpacked again', async () => {
    const ctr = ctrIn('cut');
    const store = await openContainerd({ address: daemon.socket, namespace: 'cut' });
    try {
      await pull(image, { store: altered(store, { sync: async () => {} }) });
    } finally {
      await store[Symbol.asyncDispose]();
    }
    const { labels, state } = await observe('cut');
    const marks = labels.filter((label) => label.startsWith('hawser/unsynced='));
    assert.equal(marks.length, SIZE.layers);
    const again = await ok(quick, 'cut', 'pull', '--progress', 'json', image);
    assert.equal(again.stdout.match(BY_OURSELVES), null, 'under the same boot the files are there');
    assert.deepEqual((await observe('cut')).labels, theirs.labels);
    for (const row of state.snapshots)
      await ctr('snapshots', 'label', row.split(' ')[0] ?? '', 'hawser/unsynced=before /nowhere');
    const { stdout } = await ok(quick, 'cut', 'pull', '--progress', 'json', image);
    assert.equal(stdout.match(BY_OURSELVES)?.length, SIZE.layers);
    assert.deepEqual(await observe('cut'), theirs);
    assert.deepEqual(diffTrees(await treeIn('cut'), theirTree, NEWER), []);
  });

  test('a layer costs five calls: its bytes, Prepare, Commit, and two labels; one that is there costs no call of its own', async () => {
    const store = await openContainerd({ address: daemon.socket, namespace: 'calls' });
    const [first, again] = [new Map<string, number>(), new Map<string, number>()];
    try {
      for (const calls of [first, again]) await counting(calls, () => pull(image, { store }));
    } finally {
      await store[Symbol.asyncDispose]();
    }
    const rebases = installation === installations[0] ? 0 : 1;
    const { layers: count } = SIZE;
    const expected = {
      // The layers, the config and the manifest.
      'content.v1.Content/Write': count + 2,
      'content.v1.Content/Info': 2,
      'content.v1.Content/Update': count + 2,
      'snapshots.v1.Snapshots/Prepare': count + rebases,
      'snapshots.v1.Snapshots/Commit': count,
      // The mark of what is not on the disk yet is removed.
      'snapshots.v1.Snapshots/Update': count,
      'snapshots.v1.Snapshots/Stat': rebases,
      'snapshots.v1.Snapshots/Remove': rebases,
      'leases.v1.Leases/AddResource': 0,
    };
    const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, first.get(name) ?? 0]));
    assert.deepEqual(seen, expected);
    assert.ok((first.get('snapshots.v1.Snapshots/List') ?? 0) <= 2);
    assert.equal(again.get('leases.v1.Leases/AddResource'), 1);
    for (const name of ['Prepare', 'Commit', 'Update', 'Stat'])
      assert.equal(again.get(`snapshots.v1.Snapshots/${name}`), undefined, name);
  });

  test('the library pulls into it, and unpacks nothing twice', async () => {
    const store = await openContainerd({ address: daemon.socket, namespace: 'library' });
    try {
      const { unpacked } = await pull(image, { store });
      assert.deepEqual(await observe('library'), theirs);
      assert.deepEqual((await unpack(image, { store })).unpacked, unpacked);
      const limits = { maxBytes: 1 };
      await store.images.delete(image);
      await store.collect();
      await assert.rejects(pull(image, { store, limits }), /the layer expands to more than 1 bytes/);
      await assert.rejects(
        pull(image, { store, limits, snapshotter: 'native' }),
        /a limit for layers: containerd itself applies the layers/,
      );
      assert.deepEqual(await store.images.list(), []);
    } finally {
      await store[Symbol.asyncDispose]();
    }
  });

  test('labels that others gave an image record stay when it is pulled again', async () => {
    const ctr = ctrIn('labels');
    await ok(quick, 'labels', 'pull', '--label', 'ours=1', image);
    await ctr('images', 'label', image, 'io.cri-containerd.pinned=pinned');
    await ok(quick, 'labels', 'pull', '--label', 'ours=2', image);
    const { stdout } = await ctr('images', 'ls', `name==${image}`);
    assert.match(stdout, /io\.cri-containerd\.pinned=pinned,ours=2|ours=2,io\.cri-containerd\.pinned=pinned/);
  });

  test('C2: the documents of other platforms are taken where ctr takes them, and not with --skip-metadata', async () => {
    const ref = `${proxy.host}/platforms:1`;
    await ctrIn('platforms-theirs')('images', 'pull', '--plain-http', ref);
    await ok(quick, 'platforms', 'pull', ref);
    const [ours, ctrs] = [await observe('platforms'), await observe('platforms-theirs')];
    assert.deepEqual(ours.state.blobs, ctrs.state.blobs);
    await ok(quick, 'platforms-skipped', 'pull', '--skip-metadata', ref);
    const skipped = Object.keys((await observe('platforms-skipped')).state.blobs).length;
    assert.equal(skipped, 4, 'index, manifest, config, layer');
    assert.equal(Object.keys(ours.state.blobs).length, installation === installations[0] ? 4 : 6);
  });

  test('an interrupted ingest goes on where it stopped', async () => {
    const [layer] = layers;
    assert.ok(layer);
    const response = await fetch(`http://${registry.host}/v2/small/blobs/${layer.digest}`);
    const half = new Uint8Array(await response.arrayBuffer()).subarray(0, layer.size >> 1);
    const store = await backend('resumed');
    const ingest = await store.content.ingest(refKey(layer), layer);
    await ingest.write(half);
    await ingest[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    proxy.log = [];
    await ok(quick, 'resumed', 'pull', image);
    const ranges = proxy.log
      .filter(({ path }) => path.endsWith(layer.digest))
      .map(({ range }) => range ?? '');
    assert.ok(ranges.length > 0 && ranges.every((range) => startOf(range) >= half.length), String(ranges));
    assert.deepEqual(await observe('resumed'), theirs);
  });

  test('an interrupt ends with 130, leaves no snapshot half done, and the next pull goes on', async () => {
    proxy.rate = 2 << 20;
    const stopped = await run(quick, 'interrupted', ['pull', '--progress', 'json', image], {
      started: (child) =>
        child.stdout?.on('data', (bytes: Buffer) => {
          if (/"downloading","offset":[1-9]/.test(bytes.toString())) child.kill('SIGINT');
        }),
    });
    proxy.rate = Number.POSITIVE_INFINITY;
    assert.equal(stopped.code, 130, explain(stopped));
    const left = await observe('interrupted');
    assert.deepEqual([left.state.images, left.state.snapshots], [[], []]);
    proxy.log = [];
    await ok(quick, 'interrupted', 'pull', image);
    assert.ok(proxy.log.some(({ range }) => startOf(range ?? '') > 0));
    assert.deepEqual((await observe('interrupted')).state, theirs.state);
  });

  test('a layer that is not what the config says, or no archive: no record, no snapshot', async () => {
    for (const [snapshotter, name, message] of [
      ['overlayfs', 'wrong', /Cannot extract layer 2 .*: wrong diff id: the config says/],
      ['overlayfs', 'broken', /Cannot extract layer 2 .*: Cannot apply layer sha256:/],
      ['native', 'wrong', /Cannot extract layer 2 .*: wrong diff id: the config says/],
      ['native', 'broken', /Cannot extract layer 2 .*: containerd cannot apply it: /],
    ] as const) {
      const namespace = `${name}-${snapshotter}`;
      const args = ['pull', '--snapshotter', snapshotter, `${proxy.host}/bad:${name}`];
      const result = await run(quick, namespace, args);
      assert.equal(result.code, 1, explain(result));
      assert.match(result.stderr, message);
      const { images, snapshots } = await readState(ctrIn(namespace), snapshotter);
      // Side by side, the second layer may fail before the first is committed.
      const inOrder = snapshotter !== 'overlayfs' || installation === installations[0];
      assert.deepEqual(images, []);
      assert.ok(snapshots.length === 1 || (snapshots.length === 0 && !inOrder), snapshots.join());
      assert.ok(snapshots.every((row) => row.endsWith(' Committed')));
    }
  });

  test('C6: layers that containerd applies itself (another snapshotter): the same tree; what only we can do is refused before anything is fetched', async () => {
    const args = ['pull', '--snapshotter', 'native', '--progress', 'json', image];
    const { stdout } = await ok(quick, 'native', ...args);
    assert.equal(stdout.match(BY_OURSELVES), null);
    const { snapshots } = await readState(ctrIn('native'), 'native');
    assert.deepEqual(snapshots, theirs.state.snapshots);
    const refused = await run(quick, 'refused', [...args, '--codec', 'portable']);
    assert.equal(refused.code, 1, explain(refused));
    assert.match(refused.stderr, /--codec portable: containerd itself applies the layers\nhint: /);
    assert.deepEqual((await observe('refused')).state.blobs, {}, 'refused before anything is fetched');
    await ok(quick, 'ours', 'pull', '--codec', 'portable', image);
    assert.deepEqual((await observe('ours')).state.snapshots, theirs.state.snapshots);
  });

  test('two pulls of one image at once: each blob is fetched once', async () => {
    proxy.log = [];
    const both = await Promise.all([1, 2].map(() => run(quick, 'both', ['pull', image])));
    for (const one of both) assert.equal(one.code, 0, explain(one));
    for (const { digest } of layers) {
      assert.equal(proxy.log.filter(({ path }) => path.endsWith(digest)).length, 1);
    }
    assert.deepEqual(await observe('both'), theirs);
  });

  test('what cannot be reached is named, with what to do', async () => {
    const notContainerd = join(temp.path, 'other.sock');
    const server = createServer((socket) => {
      socket.on('error', () => {}).resume();
      socket.end('220 at your service\r\n');
    }).listen(notContainerd);
    const file = join(temp.path, 'file');
    writeFileSync(file, '');
    const cases = [
      [join(temp.path, 'none'), /there is no such socket\nhint: Is containerd running/],
      [file, /nothing listens there\nhint: /],
      [notContainerd, /does not speak gRPC\nhint: /],
    ] as const;
    for (const [address, message] of cases) {
      const { code, stderr } = await hawserAt(quick, address, ['images', 'ls']);
      assert.deepEqual(
        [code, stderr.startsWith(`hawser: Cannot reach containerd at ${address}: `)],
        [1, true],
      );
      assert.match(stderr, message);
    }
    await new Promise((resolve) => server.close(resolve));
  });

  test('a containerd that is killed in the middle of a pull: an error that says so', async () => {
    await using other = await startContainerd(undefined, '', installation);
    proxy.rate = 1 << 20;
    let result: ExecResult;
    try {
      result = await hawserAt(quick, other.socket, ['pull', '--progress', 'json', image], {
        started: (child) =>
          child.stdout?.on('data', (bytes: Buffer) => {
            if (/"downloading","offset":[1-9]/.test(bytes.toString())) other.kill();
          }),
      });
    } finally {
      proxy.rate = Number.POSITIVE_INFINITY;
    }
    assert.equal(result.code, 1, explain(result));
    assert.match(
      result.stderr,
      /Lost the connection to containerd at .*\nhint: It was stopped or has crashed/,
    );
  });
}

/** Counts the calls to containerd of this process by method. */
async function counting<T>(calls: Map<string, number>, work: () => Promise<T>): Promise<T> {
  const { call, stream, write } = Connection.prototype;
  const counted = <F>(method: F, named?: string): F => {
    const known = method as (...args: unknown[]) => unknown;
    return function (this: Connection, ...args: unknown[]) {
      const name = named ?? String(args[0]);
      calls.set(name, (calls.get(name) ?? 0) + 1);
      return known.apply(this, args);
    } as F;
  };
  const named = 'content.v1.Content/Write';
  const all = { call: counted(call), stream: counted(stream), write: counted(write, named) };
  Object.assign(Connection.prototype, all);
  try {
    return await work();
  } finally {
    Object.assign(Connection.prototype, { call, stream, write });
  }
}

function hawserAt(
  which: Flavour,
  address: string,
  args: readonly string[],
  opts?: ExecOptions,
): Promise<ExecResult> {
  const [file, ...before] = which.command;
  return exec(file, [...before, '--address', address, ...args], opts);
}

/** Two layers, the second of which has another diff ID, or is no gzip. */
async function pushBad(registry: RealRegistry, parent: string): Promise<void> {
  const layout = createLayout(join(parent, 'bad'));
  const tar = join(parent, 'bad.tar');
  const add = (text: string) => {
    writeFileSync(tar, concat([member({ name: 'f' }, bytes(text)), END]));
    return addLayer(layout, tar);
  };
  const [one, two] = [add('1'), add('2')];
  const config = { architecture: 'amd64', os: 'linux' };
  layout.name('wrong', addImage(layout, 'gzip', [one, { ...two, diffId: one.diffId }], config));
  const noise = layout.blob(two.blobs.gzip?.mediaType ?? '', bytes('no archive at all'));
  layout.name(
    'broken',
    addImage(layout, 'gzip', [one, { ...two, blobs: { ...two.blobs, gzip: noise } }], config),
  );
  layout.finish();
  for (const name of ['wrong', 'broken'])
    await registry.push(`${join(parent, 'bad')}:${name}`, `bad:${name}`);
}

/** An index of two platforms. */
async function pushPlatforms(registry: RealRegistry, parent: string): Promise<void> {
  const layout = createLayout(join(parent, 'platforms'));
  const tar = join(parent, 'platform.tar');
  const manifests = ['amd64', 'arm64'].map((architecture) => {
    writeFileSync(tar, concat([member({ name: 'f' }, bytes(architecture)), END]));
    const platform = { os: 'linux', architecture };
    return { ...addImage(layout, 'gzip', [addLayer(layout, tar)], platform), platform };
  });
  layout.name('1', layout.json(INDEX, { schemaVersion: 2, mediaType: INDEX, manifests }));
  layout.finish();
  await registry.push(`${join(parent, 'platforms')}:1`, 'platforms:1');
}

function layersOf(layout: string): readonly Descriptor[] {
  const document = (digest: string) =>
    JSON.parse(readFileSync(join(layout, 'blobs', digest.replace(':', '/')), 'utf8'));
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
  return document(index.manifests[0].digest).layers;
}

function startOf(range: string): number {
  return Number(/^bytes=(\d+)-/.exec(range)?.[1] ?? -1);
}
