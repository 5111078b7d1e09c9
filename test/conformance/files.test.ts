/** `files ls`, `cat`, `cp` and `unpack --tar` as they are typed: from a registry without a store, and from a store without a registry. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { TarReader } from '../../src/core/archive/tar-reader.ts';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { files } from '../../src/mod.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { buildImage, noise, type TestEntry } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type RanHere, runHere } from '../support/command-line.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

let registry: TestRegistry;
let dir: ReturnType<typeof tempDir>;
const root = (): string => join(dir.path, 'root');

before(async () => {
  registry = await startRegistry();
  dir = tempDir();
});
after(async () => {
  await registry.close();
  dir[Symbol.dispose]();
});

async function hawser(...args: readonly string[]): Promise<RanHere> {
  const base = composeRuntime(parts, { workerUrl: workerUrl() });
  const ran = await runHere(base, root(), args);
  await base.workers[Symbol.asyncDispose]();
  return ran;
}

const folder = (name: string): TestEntry => ({ name: `${name}/`, type: 'directory', mode: 0o755 });
const link = (name: string, linkname: string): TestEntry => ({ name, type: 'symlink', linkname });

/** Five large layers, and a small one above. */
const six = await buildImage({
  layers: [
    ...[1, 2, 3, 4, 5].map((n) => ({
      entries: [
        folder('etc'),
        folder('opt'),
        { name: `opt/large-${n}`, data: noise(200_000, n) },
        { name: 'etc/name', data: `layer ${n}\n` },
        ...(n === 1 ? [{ name: 'etc/gone', data: 'x' }, link('etc/link', '../opt/deep/file')] : []),
      ],
    })),
    {
      entries: [
        folder('etc'),
        { name: 'etc/name', data: 'the topmost\n', mode: 0o600, uid: 7, gid: 8, mtime: new Date(1e12) },
        { name: 'etc/.wh.gone', data: '' },
        folder('opt'),
        folder('opt/deep'),
        { name: 'opt/deep/file', data: 'deep\n' },
        link('loop', 'loop'),
        link('out', '../../../../../../etc/name'),
      ],
    },
  ],
});
const size = six.layers.reduce((sum, layer) => sum + layer.size, 0);

test('cat: a file of the topmost of six layers takes less than a tenth of the image', async () => {
  const ref = registry.push('a/six', 'v1', six);
  const before = registry.traffic('/blobs/').bytes;
  const { code, out, err } = await hawser('files', 'cat', ref, '/etc/name');
  assert.deepEqual({ code, out, err }, { code: 0, out: 'the topmost\n', err: '' });
  const took = registry.traffic('/blobs/').bytes - before;
  assert.ok(took < size / 10, `${took} of ${size} bytes`);
  assert.equal(existsSync(root()), false, 'a store was made');
});

test('cat: several files, symlinks inside the image, whatever they lead to', async () => {
  const ref = registry.push('a/six', 'v1', six);
  assert.equal((await hawser('cat', ref, 'etc/name', '/out')).out, 'the topmost\nthe topmost\n');
  assert.equal((await hawser('cat', ref, '/etc/link')).out, 'deep\n');
  assert.equal((await hawser('cat', ref, '/opt/deep/../../../etc/./name')).out, 'the topmost\n');
  assert.deepEqual(Buffer.compare((await hawser('cat', ref, '/opt/large-1')).bytes, noise(200_000, 1)), 0);
});

test('cat: what is no file, or not there, is told before anything is written', async () => {
  const ref = registry.push('a/six', 'v1', six);
  const cases = [
    ['/etc/gone', /No such file in the image: \/etc\/gone/],
    ['/nothing/there', /No such file in the image: \/nothing\/there: there is no \/nothing/],
    ['/etc', /\/etc is a directory, and no file/],
    ['/loop', /\/loop: too many symbolic links/],
    ['/etc/name/x', /\/etc\/name is no directory of the image/],
  ] as const;
  for (const [path, message] of cases) {
    const { code, out, err } = await hawser('cat', ref, '/etc/name', path);
    assert.deepEqual([code, out], [1, ''], path);
    assert.match(err, message);
  }
});

test('ls: names, attributes, one JSON document', async () => {
  const ref = registry.push('a/six', 'v1', six);
  assert.equal((await hawser('files', 'ls', ref)).out, 'etc/\nloop\nopt/\nout\n');
  assert.equal((await hawser('files', 'ls', ref, '/etc')).out, 'link\nname\n');
  assert.equal((await hawser('files', 'ls', ref, 'etc/name')).out, 'name\n');
  const deep = (await hawser('files', 'ls', '-R', ref, '/opt')).out.split('\n');
  assert.deepEqual(deep.slice(0, 3), ['deep/', 'deep/file', 'large-1']);
  const long = (await hawser('files', 'ls', '-l', ref, '/etc')).out.split('\n');
  assert.match(long[0] ?? '', /^lrwxrwxrwx 0:0 +0 1970-01-01T00:00:00Z link -> \.\.\/opt\/deep\/file$/);
  assert.match(long[1] ?? '', /^-rw------- 7:8 +12 2001-09-09T01:46:40Z name$/);
  const json = JSON.parse((await hawser('files', 'ls', '--json', ref, '/etc')).out);
  const common = { uid: 7, gid: 8, size: 12, mtime: '2001-09-09T01:46:40Z' };
  assert.deepEqual([json.v, json.type, json.name, json.path], [1, 'files', ref, '/etc']);
  assert.deepEqual(json.entries[1], { path: '/etc/name', type: 'file', mode: '0600', ...common });
  assert.equal(json.entries[0].target, '../opt/deep/file');
  assert.match((await hawser('files', 'ls', ref, '/none')).err, /No such file in the image: \/none/);
});

const isRoot = process.getuid?.() === 0;

function target(name: string): string {
  const path = join(dir.path, name);
  mkdirSync(path);
  return path;
}

test('cp: a file of the topmost layer, with mode and time, and its owner as root', async () => {
  const ref = registry.push('a/six', 'v1', six);
  const to = target('one');
  const before = registry.traffic('/blobs/').bytes;
  const { code, out, err } = await hawser('files', 'cp', `${ref}:/etc/name`, to);
  assert.deepEqual({ code, out, err }, { code: 0, out: `${to}/name\n`, err: '' });
  assert.ok(registry.traffic('/blobs/').bytes - before < size / 10);
  const { mode, mtimeMs, uid } = lstatSync(join(to, 'name'));
  assert.deepEqual(
    [mode & 0o7777, mtimeMs, readFileSync(join(to, 'name'), 'utf8')],
    [0o600, 1e12, 'the topmost\n'],
  );
  if (isRoot) assert.equal(uid, 7);
  assert.deepEqual(readdirSync(to), ['name']);
  assert.equal(existsSync(root()), false, 'a store was made');
});

test('cp: a directory with symlinks as they are; one that the path ends in is followed', async () => {
  const ref = registry.push('a/six', 'v1', six);
  const to = target('two');
  assert.equal((await hawser('cp', `${ref}:/opt/`, to)).code, 0);
  assert.equal(readFileSync(join(to, 'opt/deep/file'), 'utf8'), 'deep\n');
  assert.equal(Buffer.compare(readFileSync(join(to, 'opt/large-3')), noise(200_000, 3)), 0);
  assert.equal((await hawser('cp', `${ref}:/etc`, to)).code, 0);
  assert.equal(readlinkSync(join(to, 'etc/link')), '../opt/deep/file');
  assert.equal((await hawser('cp', `${ref}:/out`, to)).code, 0);
  assert.equal(readFileSync(join(to, 'out'), 'utf8'), 'the topmost\n');
  assert.deepEqual(readdirSync(to).sort(), ['etc', 'opt', 'out']);
});

test('cp: what is there stays, and no symlink leads elsewhere', async () => {
  const ref = registry.push('a/six', 'v1', six);
  const to = target('three');
  const outside = join(dir.path, 'outside');
  writeFileSync(outside, 'mine');
  symlinkSync(outside, join(to, 'name'));
  symlinkSync(dir.path, join(to, 'etc'));
  for (const path of ['/etc/name', '/etc']) {
    const { code, err } = await hawser('cp', `${ref}:${path}`, to);
    assert.equal(code, 1, err);
  }
  assert.equal((await hawser('cp', '--force', `${ref}:/etc/name`, to)).code, 0);
  assert.deepEqual(
    [readFileSync(outside, 'utf8'), readFileSync(join(to, 'name'), 'utf8')],
    ['mine', 'the topmost\n'],
  );
  assert.deepEqual(readdirSync(to).sort(), ['etc', 'name']);
  const cases = [
    [`${ref}:/`, /does not say a name/],
    [`${ref}:/opt/..`, /does not say a name/],
    [`${ref}:/gone`, /No such file in the image: \/gone/],
    [ref, /does not say what to copy/],
  ] as const;
  for (const [source, message] of cases) assert.match((await hawser('cp', source, to)).err, message);
  assert.match((await hawser('cp', `${ref}:/etc/name`, join(to, 'none'))).err, /there is no such directory/);
  assert.deepEqual(readdirSync(to).sort(), ['etc', 'name']);
});

test('unpack --tar: one archive, the same bytes to a file and to standard output, plain or compressed', async () => {
  const ref = registry.push('a/six', 'v1', six);
  const to = target('tars');
  const { code, bytes, err } = await hawser('unpack', ref, '--tar', '-');
  assert.deepEqual([code, err], [0, '']);
  assert.equal((await hawser('unpack', ref, '--tar', join(to, 'a.tar'))).code, 0);
  assert.equal((await hawser('unpack', ref, '--tar', join(to, 'a.tar.gz'))).code, 0);
  assert.equal(Buffer.compare(readFileSync(join(to, 'a.tar')), bytes), 0);
  assert.equal(Buffer.compare(gunzipSync(readFileSync(join(to, 'a.tar.gz'))), bytes), 0);
  assert.equal(existsSync(root()), false, 'a store was made');
  const names: string[] = [];
  const reader = new TarReader({
    entry: ({ name }) => names.push(name),
    data: () => {},
    hole: () => {},
    entryEnd: () => {},
  });
  reader.push(bytes);
  reader.end();
  const files = [
    'opt/large-1',
    'opt/large-2',
    'opt/large-3',
    'opt/large-4',
    'opt/large-5',
    'etc/name',
    'opt/deep/file',
  ];
  assert.deepEqual(names, [...files, './', 'etc/', 'etc/link', 'loop', 'opt/', 'opt/deep/', 'out']);
  const wrong = await hawser('unpack', ref, '--tar', '-', '--rootfs', to);
  assert.deepEqual([wrong.code, wrong.out], [2, '']);
});

test('from a store: nothing is asked of the registry', async () => {
  const ref = registry.push('a/six', 'v1', six);
  assert.equal((await hawser('content', 'fetch', '--progress', 'none', ref)).code, 0);
  const before = registry.traffic().requests;
  assert.equal((await hawser('cat', ref, '/etc/name')).out, 'the topmost\n');
  assert.equal((await hawser('files', 'ls', ref, '/etc')).out, 'link\nname\n');
  assert.equal(registry.traffic().requests, before);
});

test('from a layout in the place of a registry', async () => {
  const ref = registry.push('a/six', 'v1', six);
  assert.equal((await hawser('content', 'fetch', '--progress', 'none', ref)).code, 0);
  assert.equal((await hawser('export', `${join(dir.path, 'layout')}/`, ref)).code, 0);
  const source = `oci:${join(dir.path, 'layout')}`;
  assert.equal((await hawser('cat', source, '/etc/name')).out, 'the topmost\n');
  assert.equal((await hawser('files', 'ls', source, '/etc')).out, 'link\nname\n');
});

test('nothing is printed of a layer whose digest does not hold', async () => {
  const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'good' }] }] });
  const other = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'evil' }] }] });
  const ref = registry.push('a/bad', 'v1', image);
  const [good, bad] = [image.layers[0]?.digest ?? '', other.layers[0]?.digest ?? ''];
  registry.putBlob('a/bad', good, other.blobs.get(bad) ?? new Uint8Array());
  for (const args of [
    ['cat', ref, 'a'],
    ['files', 'ls', ref],
  ]) {
    const { code, out, err } = await hawser('--timeout', '20s', ...args, '--retry', '0');
    assert.deepEqual([code, out], [1, ''], err);
    assert.match(err, /layer 1 \(sha256:/);
  }
});

for (const compression of ['gzip', 'zstd', 'none'] as const)
  test(`cat, cp, files: large files, each byte (${compression})`, async () => {
    const large = { 'd/file': noise(1 << 19, 1), 'd/z': noise(1_200_000, 2) };
    const entries = [folder('d'), ...Object.entries(large).map(([name, data]) => ({ name, data }))];
    const ref = registry.push(
      `a/large-${compression}`,
      'v1',
      await buildImage({ layers: [{ entries, compression }] }),
    );
    for (const from of ['the registry', 'the store']) {
      for (const [name, data] of Object.entries(large)) {
        assert.equal(Buffer.compare((await hawser('cat', ref, name)).bytes, data), 0, `${name} of ${from}`);
        const to = join(dir.path, `large-${compression}-${from}`);
        mkdirSync(to, { recursive: true });
        assert.equal((await hawser('cp', `${ref}:/${name}`, to)).err, '');
        assert.equal(Buffer.compare(readFileSync(join(to, name.slice(2))), data), 0, `${name} of ${from}`);
      }
      for await (const file of files(ref)) {
        if (file.type !== 'file') continue;
        const bytes = new Uint8Array(await new Response(file.content()).arrayBuffer());
        assert.equal(Buffer.compare(bytes, large[file.path.slice(1) as keyof typeof large]), 0, file.path);
      }
      assert.equal((await hawser('fetch', ref)).code, 0);
    }
  });
