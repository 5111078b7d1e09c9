/** `export --lacks` of a registry's repository and of a containerd's socket: what they have is left out, and they are asked, not believed. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { reasonOf } from '../../src/core/errors.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { importImages, openStore, type Store } from '../../src/mod.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type RanHere, runHere } from '../support/command-line.ts';
import { failure } from '../support/failure.ts';
import { fakeContainerd } from '../support/fake-containerd.ts';
import { BASE, layers, storeGolden } from '../support/golden-image.ts';
import { digestOf } from '../support/stores.ts';
import { tempDir } from '../support/tmp.ts';

const NAME = 'registry.example/t/img:1';
const [, AMD64 = BASE, ARM64 = BASE] = layers;

interface World {
  readonly store: Store;
  path(name: string): string;
  /** `hawser export ... delta.tar`. */
  run(...args: readonly string[]): Promise<RanHere>;
  empty(): Promise<Store>;
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const path = (name: string) => join(dir.path, name);
  const opened: Store[] = [];
  const open = async (name: string) => {
    const store = await openStore({ root: path(name) });
    opened.push(store);
    return store;
  };
  try {
    const store = await open('full');
    await storeGolden(store, [NAME]);
    const { runtime } = partsOf(store);
    const run: World['run'] = (...args) =>
      runHere(runtime, path('full'), ['export', ...args, path('delta.tar'), NAME]);
    await body({ store, path, run, empty: () => open('empty') });
  } finally {
    for (const one of opened) await one[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

async function withRegistry(body: (registry: TestRegistry, world: World) => Promise<void>): Promise<void> {
  const registry = await startRegistry();
  try {
    await withWorld((world) => body(registry, world));
  } finally {
    await registry.close();
  }
}

function digestsOf(...all: readonly Uint8Array[]): string[] {
  return all.map((bytes) => digestOf(bytes)).sort();
}

/** What an import of delta.tar misses in an empty store. */
async function missingOf({ empty, path }: World): Promise<readonly string[]> {
  const load = importImages({
    store: await empty(),
    from: path('delta.tar'),
    platforms: 'all',
    unpack: false,
  });
  return reasonOf(await failure(load), 'lacks')?.digests ?? [];
}

test('A29: the layers that a repository has are left out; each is asked for once, by HEAD', () =>
  withRegistry(async (registry, world) => {
    for (const bytes of [BASE, ARM64]) registry.putBlob('far/app', digestOf(bytes), bytes);
    const { code, err } = await world.run('--lacks', `docker://${registry.host}/far/app`);
    assert.equal(code, 0, err);
    assert.match(err, new RegExp(`left out.*: ${BASE.length + ARM64.length} bytes \\(2 layers\\)`));
    assert.deepEqual([...(await missingOf(world))].sort(), digestsOf(BASE, ARM64));
    const asked = registry.log().filter((line) => line.includes('/blobs/'));
    assert.deepEqual(asked.sort(), layers.map((bytes) => `HEAD /far/app/blobs/${digestOf(bytes)}`).sort());
    assert.deepEqual(
      registry.log().filter((line) => line.includes('/manifests/')),
      [],
    );
  }));

test('a repository that has none of the layers: all are carried', () =>
  withRegistry(async (registry, { run, empty, path }) => {
    const { code, err } = await run('--lacks', `docker://${registry.host}/far/other`);
    assert.equal(code, 0, err);
    assert.match(err, /left out.*: 0 bytes \(0 layers\)/);
    assert.match(readFileSync(path('delta.tar'), 'latin1'), /"base":\[\]/, 'it builds upon nothing');
    const { images } = await importImages({
      store: await empty(),
      from: path('delta.tar'),
      platforms: 'all',
      unpack: false,
    });
    assert.equal(images.length, 1);
  }));

test('a blob of another size is not the layer, and is carried', () =>
  withRegistry(async (registry, { run }) => {
    registry.putBlob('far/app', digestOf(BASE), BASE.subarray(1));
    registry.putBlob('far/app', digestOf(AMD64), AMD64);
    const { err } = await run('--lacks', `docker://${registry.host}/far/app`);
    assert.match(err, new RegExp(`left out.*: ${AMD64.length} bytes \\(1 layer\\)`));
  }));

test('a layer that the registry itself lacks is carried while a mirror of it fails', () =>
  withRegistry(async (registry, { run, path }) => {
    registry.faults.push({ match: '/mirror/', status: 503 });
    registry.putBlob('far/app', digestOf(BASE), BASE);
    const dir = path(`hosts/${registry.host}`);
    mkdirSync(dir, { recursive: true });
    const url = `http://${registry.host}`;
    writeFileSync(
      `${dir}/hosts.toml`,
      `server = "${url}"\n[host."${url}/mirror/v2"]\n  override_path = true\n[host."${url}"]\n`,
    );
    const flags = ['--hosts-dir', path('hosts'), '--retry', '0'];
    const { code, err } = await run(...flags, '--lacks', `docker://${registry.host}/far/app`);
    assert.equal(code, 0, err);
    assert.match(err, new RegExp(`left out.*: ${BASE.length} bytes \\(1 layer\\)`));
  }));

test('a registry that refuses or fails has not said that it lacks the layer: nothing is written', () =>
  withRegistry(async (registry, { run, path }) => {
    for (const status of [401, 403, 500]) {
      registry.faults.splice(0, Infinity, { match: '/blobs/', status });
      const { code, err } = await run('--retry', '0', '--lacks', `docker://${registry.host}/far/app`);
      assert.equal(code, 1, err);
      assert.match(err, /Cannot tell from docker:\/\/\S+ what the other side has/);
      assert.equal(existsSync(path('delta.tar')), false);
    }
  }));

test('what names no repository, no registry or no containerd is refused before anything is asked', () =>
  withWorld(async ({ run, path }) => {
    for (const [name, says, status] of [
      ['docker://r.example/app:1', /names no repository/, 2],
      [`docker://r.example/app@${digestOf(BASE)}`, /names no repository/, 2],
      ['docker://r.example:5000', /names no repository/, 2],
      ['docker://r.example/UPPER', /UPPER/, 1],
      ['unix:///nowhere/sock', /Cannot tell from unix:\/\/\/nowhere\/sock/, 1],
      ['nowhere', /Cannot tell from \S*nowhere/, 1],
    ] as const) {
      const { code, err } = await run('--lacks', name);
      assert.equal(code, status, err);
      assert.match(err, says);
      assert.equal(existsSync(path('delta.tar')), false);
    }
    const both = ['--lacks', 'docker://a.example/x', '--lacks', 'docker://b.example/x'];
    assert.match((await run('--user', 'me:secret', ...both)).err, /are for one registry/);
    const docker = await run('--format', 'docker', '--lacks', 'docker://a.example/x');
    assert.match(docker.err, /A Docker archive cannot leave out/);
  }));

test('A29: the layers that a containerd has, in the namespace of --namespace, are left out', () =>
  withWorld(async (world) => {
    const asked: string[] = [];
    const containerd = await fakeContainerd({
      'version.v1.Version/Version': () => ({ version: '2.1.0', revision: '' }),
      'namespaces.v1.Namespaces/Get': () => ({ namespace: { name: 'default', labels: {} } }),
      'introspection.v1.Introspection/Plugins': () => ({ plugins: [] }),
      'content.v1.Content/List': (call) => {
        asked.push(String(call.metadata.get('containerd-namespace')));
        for (const bytes of [BASE, AMD64]) {
          const times = { createdAt: { seconds: 1, nanos: 0 }, updatedAt: { seconds: 1, nanos: 0 } };
          call.write({ info: [{ digest: digestOf(bytes), size: bytes.length, labels: {}, ...times }] });
        }
        call.end();
        return undefined;
      },
    });
    try {
      for (const socket of [containerd.socket, `unix://${containerd.socket}`]) {
        const { code, err } = await world.run('--lacks', socket);
        assert.equal(code, 0, err);
        assert.match(err, new RegExp(`left out.*: ${BASE.length + AMD64.length} bytes \\(2 layers\\)`));
      }
      assert.deepEqual(asked, ['default', 'default']);
      assert.deepEqual([...(await missingOf(world))].sort(), digestsOf(BASE, AMD64));
    } finally {
      await containerd[Symbol.asyncDispose]();
    }
  }));
