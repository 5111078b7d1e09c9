/** Layouts that are written into directories: what is left of failures, of dead writers and of other images. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { streamOf } from '../../src/core/async/byte-stream.ts';
import { type DirectorySink, intoDirectory } from '../../src/core/carry/directory-sink.ts';
import { HawserError, messageOf } from '../../src/core/errors.ts';
import type { FileSystem } from '../../src/core/ports/file-system.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { digestOf } from '../support/stores.ts';
import { tempDir } from '../support/tmp.ts';

const runtime = await defaultRuntime();
const encode = (text: string) => new TextEncoder().encode(text);
const hexOf = (text: string) => digestOf(encode(text)).slice(7);

/** Writes a layout of one image, whose one blob is its name. */
function writer(name: string, tag = name, of = name) {
  return async (sink: DirectorySink): Promise<void> => {
    const put = async (path: string, text: string) =>
      await sink.file(path, encode(text).length, streamOf(encode(text)), {});
    await put('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
    const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag };
    await put('index.json', JSON.stringify({ manifests: [{ digest: `sha256:${hexOf(of)}`, annotations }] }));
    await put(
      'manifest.json',
      JSON.stringify([{ Config: `blobs/sha256/${hexOf(of)}`, RepoTags: [name], Layers: [] }]),
    );
    await sink.directory('blobs', {});
    await sink.directory('blobs/sha256', {});
    await put(`blobs/sha256/${hexOf(of)}`, of);
  };
}

const jsonOf = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
/** Names to digests, as index.json and manifest.json have them. All that they name is there, and nothing else. */
function soundImages(dir: string): { readonly oci: string[]; readonly docker: string[] } {
  const entries: { digest: string; annotations: Record<string, string> }[] = jsonOf(
    join(dir, 'index.json'),
  ).manifests;
  const docker: { Config: string; RepoTags: string[] }[] = jsonOf(join(dir, 'manifest.json'));
  for (const { Config } of docker) assert.ok(existsSync(join(dir, Config)), Config);
  const named = entries.map(({ digest }) => digest.slice(7));
  assert.deepEqual(readdirSync(join(dir, 'blobs/sha256')).sort(), [...new Set(named)].sort());
  assert.deepEqual(readdirSync(dir).sort(), ['blobs', 'index.json', 'manifest.json', 'oci-layout']);
  return {
    oci: entries.map(({ annotations }) => annotations['io.containerd.image.name'] ?? ''),
    docker: docker.flatMap(({ RepoTags }) => RepoTags),
  };
}

/** Fails the call number `at` of those that change something. */
function failing(at: number): { readonly fs: FileSystem; readonly calls: () => number } {
  let count = 0;
  const fail =
    <A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (++count === at) throw new HawserError('Internal', 'EIO, as asked');
      return await work(...args);
    };
  const { fs } = runtime;
  return {
    fs: {
      ...fs,
      open: fail(fs.open),
      rename: fail(fs.rename),
      mkdir: fail(fs.mkdir),
      syncDir: fail(fs.syncDir),
    },
    calls: () => count,
  };
}

test('whatever call fails, the directory holds the old images, or the old and the new, whole', async () => {
  const dir = tempDir();
  const path = join(dir.path, 'd');
  const seen = new Set<string>();
  for (let at = 1; ; at++) {
    rmSync(path, { recursive: true, force: true });
    await intoDirectory(runtime, path, writer('old'), {});
    const { fs, calls } = failing(at);
    const failed = await intoDirectory({ ...runtime, fs }, path, writer('new'), {}).then(
      () => undefined,
      (err: unknown) => err,
    );
    const { oci, docker } = soundImages(path);
    seen.add(`${failed === undefined ? 'done' : 'failed'}: ${oci}; ${docker}`);
    if (oci.length > 1 && failed !== undefined) assert.match(messageOf(failed), /^The images are in /);
    if (calls() < at) break;
  }
  assert.deepEqual([...seen].sort(), [
    'done: old,new; old,new',
    'failed: old,new; old',
    'failed: old,new; old,new',
    'failed: old; old',
  ]);
  dir[Symbol.dispose]();
});

test('a directory that is made is durable in its parent', async () => {
  const dir = tempDir();
  const synced: string[] = [];
  const syncDir = async (path: string) => {
    synced.push(path);
    await runtime.fs.syncDir(path);
  };
  await intoDirectory({ ...runtime, fs: { ...runtime.fs, syncDir } }, join(dir.path, 'd'), writer('a'), {});
  assert.ok(synced.includes(dir.path), synced.join());
  dir[Symbol.dispose]();
});

test('what dead writers left is removed, and nothing else of the user', async () => {
  const dir = tempDir();
  const path = join(dir.path, 'd');
  mkdirSync(path);
  writeFileSync(join(path, '.hawser-0123456789ab'), 'x');
  await intoDirectory(runtime, path, writer('a'), {});
  writeFileSync(join(path, 'blobs/sha256/.hawser-0123456789ab'), 'x');
  writeFileSync(join(path, '.hawser-0123456789ab'), 'x');
  await intoDirectory(runtime, path, writer('b'), {});
  soundImages(path);
  writeFileSync(join(path, '.hawser-mine'), 'x');
  await intoDirectory(runtime, path, writer('c'), {});
  assert.equal(existsSync(join(path, '.hawser-mine')), true);
  dir[Symbol.dispose]();
});

test('a lock file that its last holder removes meanwhile is no lock', async () => {
  const dir = tempDir();
  const path = join(dir.path, 'd');
  const lock = join(path, '.hawser-lock');
  let opened = 0;
  const databases: typeof runtime.databases = {
    open: (name, opts) => {
      const database = runtime.databases.open(name, opts);
      if (++opened === 1) rmSync(lock);
      return database;
    },
  };
  await intoDirectory(
    { ...runtime, databases },
    path,
    async (sink) => {
      assert.equal(existsSync(lock), true);
      await assert.rejects(intoDirectory(runtime, path, writer('b'), {}), /Another run|locked/);
      await writer('a')(sink);
    },
    {},
  );
  assert.deepEqual(soundImages(path).oci, ['a']);
  dir[Symbol.dispose]();
});

test('images that share a tag get full ref.names over several runs, and a tag that moves leaves its old entry', async () => {
  const dir = tempDir();
  const path = join(dir.path, 'd');
  await intoDirectory(runtime, path, writer('alpine:3', '3'), {});
  await intoDirectory(runtime, path, writer('busybox:3', '3'), {});
  const refs = () =>
    jsonOf(join(path, 'index.json')).manifests.map(
      ({ annotations }: { annotations: Record<string, string> }) =>
        annotations['org.opencontainers.image.ref.name'],
    );
  assert.deepEqual(refs(), ['3', 'busybox:3']);
  await intoDirectory(runtime, path, writer('alpine:3', '3', 'another'), {});
  assert.deepEqual(refs(), ['busybox:3', '3']);
  assert.deepEqual(
    jsonOf(join(path, 'manifest.json')).map(
      ({ Config, RepoTags }: { Config: string; RepoTags: string[] }) => [Config.slice(13), ...RepoTags],
    ),
    [
      [hexOf('busybox:3'), 'busybox:3'],
      [hexOf('another'), 'alpine:3'],
    ],
  );
  dir[Symbol.dispose]();
});
