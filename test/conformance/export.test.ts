/** Images of a store as archives and directories. A numbers are those of the vectors of archives. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { TarReader } from '../../src/core/archive/tar-reader.ts';
import { exportImages as exportAll } from '../../src/core/verbs/export.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { openStore, type ProgressEvent, type Store } from '../../src/mod.ts';
import { rejectsWith } from '../support/bench.ts';
import {
  AMD64_DIGEST,
  ARM64_DIGEST,
  amd64,
  arm64,
  BASE,
  documents,
  INDEX_DIGEST,
  index,
  layers,
  MANIFEST_TYPE,
  putBlob,
  referrer,
  storeGolden,
} from '../support/golden-image.ts';
import { digestOf } from '../support/stores.ts';
import { tempDir } from '../support/tmp.ts';

const NAME = 'registry.example/t/img:1';
type Options = Partial<Parameters<typeof exportAll>[2]>;

interface World {
  readonly store: Store;
  readonly dir: string;
  /** Exports these names; returns what was said. */
  save(names: readonly string[], options?: Options): Promise<string[]>;
  readonly out: string;
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const store = await openStore({ root: join(dir.path, 'root') });
  const out = join(dir.path, 'x.tar');
  const { backend, runtime } = partsOf(store);
  const { clock, hashers, codecs } = runtime;
  const hostPlatform = { os: 'linux', architecture: 'amd64' };
  const deps = { backend, runtime, clock, hashers, codecs, hostPlatform, cpus: 1 };
  const save = async (names: readonly string[], options: Options = {}): Promise<string[]> => {
    const said: string[] = [];
    const report = (event: ProgressEvent) => void (event.type === 'warning' && said.push(event.message));
    const images = await Promise.all(names.map((name) => store.images.get(name)));
    await exportAll(deps, images, { to: { type: 'file', path: out }, report, ...options });
    return said;
  };
  try {
    await body({ store, dir: dir.path, save, out });
  } finally {
    await store[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

/** Names to contents, in order; directories have none. */
function entriesOf(path: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  let name = '';
  const parts: Uint8Array[] = [];
  const reader = new TarReader({
    entry: (entry) => {
      assert.equal(found.has(entry.name), false, `${entry.name} twice`);
      name = entry.name;
      parts.length = 0;
    },
    data: (bytes) => void parts.push(bytes.slice()),
    hole: () => assert.fail('a hole'),
    entryEnd: () => void found.set(name, new Uint8Array(Buffer.concat(parts))),
  });
  reader.push(new Uint8Array(readFileSync(path)));
  reader.end();
  return found;
}

const jsonOf = (path: string, name: string) =>
  JSON.parse(new TextDecoder().decode(entriesOf(path).get(name) ?? assert.fail(name)));
const pathOf = (bytes: Uint8Array) => `blobs/sha256/${digestOf(bytes).slice(7)}`;

test('the golden image is the golden image', () => {
  assert.equal(digestOf(index), INDEX_DIGEST);
  const sbom = 'sha256:9282e767d5d234f172a9ab19971c77b899854535689f3496cf59e84529427bfb';
  assert.equal(digestOf(referrer.manifest), sbom);
  assert.equal(AMD64_DIGEST, 'sha256:e12d72da52f02ba8e8e6fb48dd0a67776677837032a101d1cf102c0d8e5a962d');
});

test('A1: what names and describes comes first, each blob once, the digest of the index unchanged', async () => {
  await withWorld(async ({ store, save, out }) => {
    await storeGolden(store, [NAME]);
    assert.deepEqual(await save([NAME]), []);
    const blobs = [...documents.map(([, bytes]) => bytes), ...layers].map(pathOf);
    const first = ['oci-layout', 'index.json', 'manifest.json', 'blobs/', 'blobs/sha256/'];
    assert.deepEqual([...entriesOf(out).keys()], [...first, ...blobs]);
    const [entry] = jsonOf(out, 'index.json').manifests;
    assert.equal(entry.digest, INDEX_DIGEST);
    assert.deepEqual(entry.annotations, {
      'io.containerd.image.name': NAME,
      'org.opencontainers.image.ref.name': '1',
    });
    assert.deepEqual(jsonOf(out, 'manifest.json'), [
      { Config: pathOf(amd64.config), RepoTags: [NAME], Layers: amd64.layers.map(pathOf) },
    ]);
  });
});

test('A2: the same bytes from another store; SOURCE_DATE_EPOCH changes times only', async () => {
  const made: Uint8Array[] = [];
  for (const mtime of [0, 0, 1])
    await withWorld(async ({ store, save, out }) => {
      await storeGolden(store, [NAME]);
      await store.content.label(INDEX_DIGEST, { 'containerd.io/distribution.source.x': String(made.length) });
      await save([NAME], { mtime });
      made.push(new Uint8Array(readFileSync(out)));
    });
  assert.deepEqual(made[0], made[1]);
  assert.notDeepEqual(made[0], made[2]);
  assert.equal(made[0]?.length, made[2]?.length);
});

const noArm = (bytes: Uint8Array) =>
  bytes === arm64.manifest || bytes === arm64.config || bytes === layers[2];

test('A3: a platform that is not here: the index stays, the lack is said; strict makes it an error', async () => {
  await withWorld(async ({ store, save, out }) => {
    await storeGolden(store, [NAME], noArm);
    assert.match((await save([NAME])).join(), /img:1: linux\/arm64 is not here/);
    assert.equal(jsonOf(out, 'index.json').manifests[0].digest, INDEX_DIGEST);
    assert.equal(entriesOf(out).has(pathOf(index)), true);
    assert.equal(entriesOf(out).has(pathOf(arm64.manifest)), false);
  });
  for (const options of [
    { strict: true },
    { platforms: 'all' as const },
    { platforms: [{ os: 'linux', architecture: 'arm64' }] },
  ])
    await withWorld(async ({ store, save, out, dir }) => {
      await storeGolden(store, [NAME], noArm);
      await rejectsWith('NotFound', /arm64|not found/, save([NAME], options));
      assert.equal(existsSync(out), false);
      assert.deepEqual(readdirSync(dir), ['root']);
    });
});

test('A3: a platform that is here and was not chosen is said, too', async () => {
  await withWorld(async ({ store, save }) => {
    await storeGolden(store, [NAME]);
    const amd = { platforms: [{ os: 'linux', architecture: 'amd64' }], strict: true };
    assert.match(
      (await save([NAME], amd)).join(),
      /img:1: linux\/arm64 is left out; the archive keeps the index/,
    );
  });
  await withWorld(async ({ store, save }) => {
    await storeGolden(store, [NAME], noArm);
    const amd = { platforms: [{ os: 'linux', architecture: 'amd64' }], strict: true };
    assert.deepEqual(await save([NAME], amd), [], 'who names platforms does not ask for others');
  });
});

test('A3: a manifest whose layer is missing is not here', async () => {
  await withWorld(async ({ store, save }) => {
    await storeGolden(store, [NAME], (bytes) => bytes === layers[2]);
    assert.match((await save([NAME])).join(), /linux\/arm64 is not here/);
  });
  await withWorld(async ({ store, save }) => {
    await storeGolden(store, [NAME], (bytes) => bytes === BASE);
    await rejectsWith('NotFound', /linux\/amd64, linux\/arm64 are not here/, save([NAME]));
  });
});

test('A4: flat and rewritten indexes', async () => {
  await withWorld(async ({ store, save, out }) => {
    await storeGolden(store, [NAME]);
    await rejectsWith(
      'InvalidArgument',
      /without its index: it would hold linux\/amd64, linux\/arm64/,
      save([NAME], { index: 'flat' }),
    );
    const amd = { platforms: [{ os: 'linux', architecture: 'amd64' }] };
    assert.match((await save([NAME], { ...amd, index: 'flat' })).join(), new RegExp(AMD64_DIGEST));
    const [flat] = jsonOf(out, 'index.json').manifests;
    assert.equal(flat.digest, AMD64_DIGEST);
    assert.equal(flat.annotations['io.containerd.image.name'], NAME);
    assert.equal(entriesOf(out).has(pathOf(index)), false);
    await save([NAME], { ...amd, index: 'rewrite' });
    const [entry] = jsonOf(out, 'index.json').manifests;
    const made = jsonOf(out, `blobs/sha256/${entry.digest.slice(7)}`);
    assert.deepEqual(
      made.manifests.map(({ digest }: { digest: string }) => digest),
      [AMD64_DIGEST],
    );
    assert.equal(made.annotations['vnd.hawser.source.digest'], INDEX_DIGEST);
    assert.equal(entry.size, entriesOf(out).get(`blobs/sha256/${entry.digest.slice(7)}`)?.length);
    assert.deepEqual(await save([NAME], { index: 'rewrite' }), [], 'nothing to leave out: nothing rewritten');
    assert.equal(jsonOf(out, 'index.json').manifests[0].digest, INDEX_DIGEST);
  });
});

const REFUSED_FORMS: readonly [Options, string, RegExp][] = [
  [{ for: 'k3s' }, 'x.img', /k3s takes no file of such a name for what hawser writes: x\.img/],
  [{ for: 'rke2' }, 'x.tar.zst.part', /rke2 takes no file/],
  [{ for: 'k3s' }, 'x.tar.bz2', /k3s takes no file/],
  [{ for: 'rke2' }, 'x.tar.lz4', /rke2 takes no file/],
  [{ for: 'k3s' }, 'x.tbz', /k3s takes no file/],
  [{ for: 'k3s', compress: 'gzip' }, 'x.tar.zst', /goes by the name x\.tar\.zst, and --compress is gzip/],
  [{ for: 'k0s' }, 'x.tar.zst', /k0s reads no archive with zstd around it/],
  [{ for: 'k0s', compress: 'gzip' }, 'x.tar', /k0s reads no archive with gzip around it/],
  [{ for: 'docker', docker: 'never' }, 'x.tar', /docker read nothing but manifest\.json/],
];
for (const [options, name, said] of REFUSED_FORMS)
  test(`A5: for ${options.for}: ${name} is refused before it is written`, async () => {
    await withWorld(async ({ store, save, dir }) => {
      await storeGolden(store, [NAME]);
      const to = { type: 'file', path: join(dir, name) } as const;
      await rejectsWith('InvalidArgument', said, save([NAME], { ...options, to }));
      await rejectsWith(
        'InvalidArgument',
        /reads no directories/,
        save([NAME], { ...options, to: { type: 'directory', path: join(dir, 'd') } }),
      );
      assert.deepEqual(readdirSync(dir), ['root']);
    });
  });

test('A5: what k3s, RKE2, k0s, containerd and Docker take', async () => {
  await withWorld(async ({ store, save, dir }) => {
    await storeGolden(store, [NAME]);
    const amd = { platforms: [{ os: 'linux', architecture: 'amd64' }] };
    for (const [reader, name] of [
      ['k3s', 'a.tar.zst'],
      ['rke2', 'b.tgz'],
      ['k0s', 'c.tar'],
      ['containerd', 'd'],
      ['docker', 'e.tar.gz'],
    ] as const) {
      const to = { type: 'file', path: join(dir, name) } as const;
      const said = await save([NAME], { ...amd, for: reader, to });
      assert.equal(
        said.join().includes('since May 2024'),
        reader === 'k3s' || reader === 'rke2',
        said.join(),
      );
      assert.deepEqual(await save([NAME], { for: reader, to }), [], 'whole');
    }
    const zst = readFileSync(join(dir, 'a.tar.zst'));
    assert.equal(zst.readUInt32LE(0), 0xfd2fb528, 'a frame of zstd');
    assert.ok((zst[4] ?? 0) & 32 || 2 ** (10 + ((zst[5] ?? 0) >> 3)) <= 8 * 1024 * 1024, 'its window');
  });
});

test('A6: two images that share a layer, one of them with two names', async () => {
  await withWorld(async ({ store, save, out }) => {
    await storeGolden(store, [NAME, 'registry.example/t/img:2']);
    await store.images.put(
      'docker.io/library/arm:3',
      { mediaType: MANIFEST_TYPE, digest: ARM64_DIGEST, size: arm64.manifest.length },
      {},
    );
    await save([NAME, 'registry.example/t/img:2', 'docker.io/library/arm:3']);
    assert.equal([...entriesOf(out).keys()].length, 5 + 8);
    assert.equal(jsonOf(out, 'index.json').manifests.length, 3);
    const tags = jsonOf(out, 'manifest.json').map(({ RepoTags }: { RepoTags: string[] }) => RepoTags);
    assert.deepEqual(tags, [[NAME, 'registry.example/t/img:2'], ['docker.io/library/arm:3']]);
  });
});

test('A7: a tag of two images: both have their full names; A8: an image by digest', async () => {
  const refs = (out: string) =>
    jsonOf(out, 'index.json').manifests.map(
      ({ annotations }: { annotations: Record<string, string> }) =>
        annotations['org.opencontainers.image.ref.name'],
    );
  await withWorld(async ({ store, save, out }) => {
    await storeGolden(store, ['registry.example/a/x:1']);
    const arm = { mediaType: MANIFEST_TYPE, digest: ARM64_DIGEST, size: arm64.manifest.length };
    await store.images.put('registry.example/b/y:1', arm, {});
    const byDigest = `registry.example/b/y@${ARM64_DIGEST}`;
    await store.images.put(byDigest, arm, {});
    await save(['registry.example/a/x:1', 'registry.example/b/y:1']);
    assert.deepEqual(refs(out), ['registry.example/a/x:1', 'registry.example/b/y:1']);
    await save(['registry.example/b/y:1']);
    assert.deepEqual(refs(out), ['1']);
    await save([byDigest]);
    assert.deepEqual(refs(out), [byDigest]);
    assert.deepEqual(jsonOf(out, 'manifest.json')[0].RepoTags, []);
  });
});

test('A9: zstd layers keep an image out of manifest.json, unless always', async () => {
  await withWorld(async ({ store, save, out }) => {
    await storeGolden(store, []);
    const manifest = JSON.parse(new TextDecoder().decode(amd64.manifest));
    manifest.layers[0].mediaType = 'application/vnd.oci.image.layer.v1.tar+zstd';
    const desc = await putBlob(store, new TextEncoder().encode(JSON.stringify(manifest)), MANIFEST_TYPE);
    await store.images.put(NAME, desc, {});
    assert.match((await save([NAME])).join(), /img:1 is not in manifest.json: its layers are zstd/);
    assert.equal(entriesOf(out).has('manifest.json'), false);
    assert.deepEqual(await save([NAME], { docker: 'always' }), []);
    assert.equal(entriesOf(out).has('manifest.json'), true);
  });
});

test('a Docker archive: one platform, its config and layers; a zstd layer is expanded', async () => {
  await withWorld(async ({ store, save, out, dir }) => {
    await storeGolden(store, [NAME]);
    await save([NAME], { format: 'docker' });
    const [first = BASE, second = BASE] = amd64.layers;
    const file = (bytes: Uint8Array, end: string) => `${digestOf(bytes).slice(7)}${end}`;
    const Layers = [file(first, '.tar.gz'), file(second, '.tar.gz')];
    assert.deepEqual([...entriesOf(out).keys()], ['manifest.json', file(amd64.config, '.json'), ...Layers]);
    assert.deepEqual(jsonOf(out, 'manifest.json'), [
      { Config: file(amd64.config, '.json'), RepoTags: [NAME], Layers },
    ]);
    const tar = new Uint8Array(gunzipSync(BASE));
    const zstd = new Uint8Array(zstdCompressSync(tar));
    const manifest = JSON.parse(new TextDecoder().decode(amd64.manifest));
    manifest.layers[0] = await putBlob(store, zstd, 'application/vnd.oci.image.layer.v1.tar+zstd');
    const desc = await putBlob(store, new TextEncoder().encode(JSON.stringify(manifest)), MANIFEST_TYPE);
    await store.images.put(NAME, desc, {});
    await save([NAME], { format: 'docker' });
    assert.deepEqual(entriesOf(out).get(file(zstd, '.tar')), tar);
    const to = { type: 'directory', path: join(dir, 'x') } as const;
    await rejectsWith('InvalidArgument', /no directory/, save([NAME], { format: 'docker', to }));
  });
});

test('A10: gzip without a time, zstd with a window of 8 MiB and a checksum, by the name or by the option; the same bytes each time', async () => {
  await withWorld(async ({ store, save, out, dir }) => {
    await storeGolden(store, [NAME]);
    await save([NAME]);
    const plain = readFileSync(out);
    const made: Uint8Array[] = [];
    const sink = { write: async (bytes: Uint8Array) => void made.push(bytes.slice()) };
    for (const [name, expand] of [
      ['x.tar.gz', gunzipSync],
      ['x.tgz', gunzipSync],
      ['x.tar.zst', zstdDecompressSync],
    ] as const) {
      const to = { type: 'file', path: join(dir, name) } as const;
      await save([NAME], { to });
      const first = readFileSync(to.path);
      await save([NAME], { to });
      assert.deepEqual(readFileSync(to.path), first);
      assert.deepEqual(expand(first), plain);
      if (name === 'x.tgz') assert.deepEqual([...first.subarray(4, 8)], [0, 0, 0, 0]);
      // RFC 8878 3.1.1.1: a checksum, no single segment; the exponent of the window is 13 (8 MiB) at most.
      if (name === 'x.tar.zst')
        assert.deepEqual([(first[4] ?? 0) & 0x24, (first[5] ?? 0xff) >> 3 <= 13], [4, true]);
    }
    await save([NAME], { to: { type: 'bytes', sink }, compress: 'zstd' });
    assert.deepEqual(zstdDecompressSync(Buffer.concat(made)), plain);
    await rejectsWith(
      'InvalidArgument',
      /cannot be compressed/,
      save([NAME], { to: { type: 'directory', path: join(dir, 'd') }, compress: 'gzip' }),
    );
  });
});

test('A12: a rotten blob is never carried, and nothing is left', async () => {
  for (const type of ['file', 'directory'] as const)
    await withWorld(async ({ store, save, dir }) => {
      await storeGolden(store, [NAME]);
      const path = store.content.blobPath(digestOf(BASE));
      chmodSync(path, 0o644);
      const bytes = readFileSync(path);
      bytes[50] = (bytes[50] ?? 0) ^ 1;
      writeFileSync(path, bytes);
      await rejectsWith(
        'DataLoss',
        new RegExp(digestOf(BASE)),
        save([NAME], { to: { type, path: join(dir, 'x') } }),
      );
      assert.deepEqual(readdirSync(dir), ['root']);
    });
});

test('A11: what a dead run left for the same file is removed, other files stay', async () => {
  await withWorld(async ({ store, save, dir }) => {
    await storeGolden(store, [NAME]);
    const dead = '.x.tar.hawser-0123456789ab';
    for (const name of [dead, `${dead}.lock`, '.y.tar.hawser-0123456789ab.lock', '.x.tar.hawser-zz.lock'])
      writeFileSync(join(dir, name), '');
    await save([NAME]);
    assert.deepEqual(readdirSync(dir).sort(), [
      '.x.tar.hawser-zz.lock',
      '.y.tar.hawser-0123456789ab.lock',
      'root',
      'x.tar',
    ]);
  });
});

test('HA19: what is no file is not replaced', async () => {
  await withWorld(async ({ store, save, dir }) => {
    await storeGolden(store, [NAME]);
    symlinkSync('/etc/passwd', join(dir, 'x.tar'));
    await rejectsWith('FailedPrecondition', /there is a symlink/, save([NAME]));
    assert.deepEqual(readdirSync(dir).sort(), ['root', 'x.tar']);
  });
});

test('a directory is a layout; another image is added to it; one that holds something else is refused', async () => {
  await withWorld(async ({ store, save, dir }) => {
    await storeGolden(store, [NAME, 'registry.example/t/img:2']);
    const to = { type: 'directory', path: join(dir, 'layout') } as const;
    await save([NAME], { to });
    assert.deepEqual(readdirSync(to.path).sort(), ['blobs', 'index.json', 'oci-layout']);
    assert.equal(readdirSync(join(to.path, 'blobs/sha256')).length, 8);
    await save(['registry.example/t/img:2', NAME], { to });
    const { manifests } = JSON.parse(readFileSync(join(to.path, 'index.json'), 'utf8'));
    assert.deepEqual(
      manifests.map(
        ({ annotations }: { annotations: Record<string, string> }) => annotations['io.containerd.image.name'],
      ),
      ['registry.example/t/img:2', NAME],
    );
    mkdirSync(join(dir, 'other'));
    writeFileSync(join(dir, 'other/mine'), '');
    await rejectsWith(
      'FailedPrecondition',
      /no OCI layout/,
      save([NAME], { to: { ...to, path: join(dir, 'other') } }),
    );
    assert.deepEqual(readdirSync(join(dir, 'other')), ['mine']);
  });
});

test('what another user put into a directory leads an export nowhere, and gives nothing away', async () => {
  await withWorld(async ({ store, save, dir }) => {
    await storeGolden(store, [NAME]);
    const path = join(dir, 'd');
    const to = { type: 'directory', path } as const;
    const outside = join(dir, 'outside');
    const secret = join(dir, 'secret.json');
    writeFileSync(secret, '{"auths":{"registry.example":{"auth":"c2VjcmV0"}}}', { mode: 0o600 });
    const links: readonly (readonly [name: string, target: string])[] = [
      ['index.json', secret],
      ['blobs', outside],
      ['blobs/sha256', outside],
      ['.hawser-lock', join(outside, 'made')],
    ];
    for (const [name, target] of links) {
      mkdirSync(join(path, name, '..'), { recursive: true });
      mkdirSync(outside);
      writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
      symlinkSync(target, join(path, name));
      await rejectsWith('FailedPrecondition', /is a symlink/, save([NAME], { to }));
      assert.equal(readlinkSync(join(path, name)), target);
      assert.deepEqual(readdirSync(outside), [], name);
      rmSync(path, { recursive: true });
      rmSync(outside, { recursive: true });
    }
    mkdirSync(path);
    writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(
      join(path, 'index.json'),
      '{"schemaVersion":2,"annotations":{"a":"b"},"auths":{"x":{}},"manifests":[]}',
    );
    await save([NAME], { to });
    const index = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8'));
    assert.deepEqual(Object.keys(index), ['schemaVersion', 'annotations', 'manifests']);
  });
});

test('an aborted export leaves nothing', async () => {
  await withWorld(async ({ store, save, dir }) => {
    await storeGolden(store, [NAME]);
    // What came in the lease's own millisecond would count as brought under the lease.
    await sleep(2);
    const stop = new AbortController();
    const fail = { write: async () => stop.abort(new Error('enough')) };
    await assert.rejects(save([NAME], { to: { type: 'bytes', sink: fail }, signal: stop.signal }));
    assert.deepEqual(await store.leases.list(), []);
    stop.abort();
    await assert.rejects(save([NAME], { signal: stop.signal }));
    assert.deepEqual(readdirSync(dir), ['root']);
  });
});
