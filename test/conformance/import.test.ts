/**
 * Archives into stores: hawser's own and containerd's, from a file, a directory and a stream. A and HA numbers are those of the
 * vectors of archives.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { streamOf } from '../../src/core/async/byte-stream.ts';
import { hintOf, kindOf, messageOf } from '../../src/core/errors.ts';
import type { RootJudge } from '../../src/core/trust/verdict.ts';
import type { ImportOptions, ImportResult } from '../../src/core/verbs/import.ts';
import { importImages } from '../../src/core/verbs/import.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { type AnyStore, openContainerd, openStore, type ProgressEvent, parseDigest } from '../../src/mod.ts';
import { altered, rejectsWith } from '../support/bench.ts';
import { type Containerd, installations, startContainerd } from '../support/containerd.ts';
import {
  AMD64_DIGEST,
  ARM64_DIGEST,
  type ArchiveEntry,
  amd64,
  arm64,
  BASE,
  blobEntry,
  blobs,
  craneArchive,
  INDEX_DIGEST,
  index,
  indexOf,
  LAYOUT,
  layers,
  ROOT,
  skopeoArchive,
  storeGolden,
  tarOf,
} from '../support/golden-image.ts';
import { isDeno, needs } from '../support/needs.ts';
import { digestOf, someBytes } from '../support/stores.ts';
import { base256, END, gnuLong, header, member, pax } from '../support/tar-builder.ts';
import { tempDir } from '../support/tmp.ts';

const NAME = 'registry.example/t/img:1';
const CONTAINERD = 'io.containerd.image.name';
const OCI = 'org.opencontainers.image.ref.name';
const NAMED = { [CONTAINERD]: NAME, [OCI]: '1' };
type Options = Partial<ImportOptions>;
type Form = 'file' | 'stream' | 'gzip' | 'zstd' | 'directory';

/** index.json first, as hawser and regctl write it. */
const whole = (index = indexOf([NAMED]), of = blobs()): ArchiveEntry[] => [
  ['oci-layout', LAYOUT],
  ['index.json', index],
  ...of.map(blobEntry),
];

interface World {
  readonly store: AnyStore;
  readonly dir: string;
  /** Imports an archive; returns what it says. Nothing is unpacked unless asked for. */
  load(
    archive: Uint8Array | readonly ArchiveEntry[],
    form?: Form,
    options?: Options,
  ): Promise<ImportResult & { said: string[] }>;
}

async function withWorld(
  body: (world: World) => Promise<void>,
  open?: () => Promise<AnyStore>,
): Promise<void> {
  const dir = tempDir();
  const store = await (open?.() ?? openStore({ root: join(dir.path, 'root') }));
  const { backend, runtime } = partsOf(store);
  const { clock, hashers, codecs } = runtime;
  const hostPlatform = { os: 'linux', architecture: 'amd64' };
  const deps = { backend, runtime, clock, hashers, codecs, hostPlatform, cpus: 1 };
  let count = 0;
  const load: World['load'] = async (archive, form = 'file', options = {}) => {
    const said: string[] = [];
    const report = (event: ProgressEvent) => void (event.type === 'warning' && said.push(event.message));
    const from = sourceOf(join(dir.path, `in-${count++}`), archive, form);
    const result = await importImages(deps, { from, unpack: false, report, ...options });
    return { ...result, said };
  };
  try {
    await body({ store, dir: dir.path, load });
  } finally {
    await store[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

function sourceOf(
  path: string,
  archive: Uint8Array | readonly ArchiveEntry[],
  form: Form,
): ImportOptions['from'] {
  if (form === 'directory') {
    if (archive instanceof Uint8Array) throw new Error('no directory of bytes');
    for (const [name, content] of archive) {
      mkdirSync(dirname(join(path, name)), { recursive: true });
      writeFileSync(join(path, name), content);
    }
    return { type: 'path', path };
  }
  const bytes = archive instanceof Uint8Array ? archive : tarOf(archive);
  if (form === 'stream') return { type: 'bytes', name: 'a stream', stream: streamOf(bytes) };
  const packed = form === 'gzip' ? gzipSync(bytes) : form === 'zstd' ? zstdCompressSync(bytes) : bytes;
  writeFileSync(path, packed);
  return { type: 'path', path };
}

const namesIn = async (store: AnyStore) => (await store.images.list()).map(({ name }) => name);

/** No record, and nothing that a later run or the collection does not take. */
async function isClean(store: AnyStore): Promise<void> {
  assert.deepEqual(await namesIn(store), []);
  for (const lease of await store.leases.list()) await store.leases.delete(lease.id);
  for (const { ref } of await store.content.listStatuses()) await store.content.abort(ref);
  await store.collect();
  assert.deepEqual(await store.content.list(), []);
}

function suite(name: string, open?: () => Promise<AnyStore>): void {
  for (const form of ['file', 'stream', 'gzip', 'zstd', 'directory'] as const)
    test(`A15, A16: ${name}: an OCI layout, ${form}`, () =>
      withWorld(async ({ store, load }) => {
        const { images } = await load(whole(), form, { platforms: 'all' });
        assert.deepEqual(images, [{ name: NAME, target: ROOT, before: undefined, unpacked: [] }]);
        assert.deepEqual((await store.images.get(NAME)).target, ROOT);
        for (const bytes of blobs()) {
          const { size, labels } = await store.content.info(digestOf(bytes));
          assert.equal(size, bytes.length);
          assert.equal(labels['containerd.io/distribution.source.registry.example'], 't/img');
        }
        const { labels } = await store.content.info(AMD64_DIGEST);
        assert.equal(labels['containerd.io/gc.ref.content.config'], digestOf(amd64.config));
        assert.equal(labels['containerd.io/gc.ref.content.l.0'], digestOf(BASE));
        assert.deepEqual(await store.leases.list(), []);
      }, open));

  test(`A15: ${name}: index.json last (ctr, oras, skopeo), with ./ before names, and in one directory`, async () => {
    const last = [...whole()].reverse();
    const dotted: ArchiveEntry[] = whole().map(([name, content]) => [`./${name}`, content]);
    const below: ArchiveEntry[] = whole().map(([name, content]) => [`img/${name}`, content]);
    for (const entries of [last, dotted, below])
      for (const form of ['file', 'stream'] as const)
        await withWorld(async ({ store, load }) => {
          await load(entries, form);
          assert.deepEqual(await namesIn(store), [NAME]);
          assert.equal((await store.content.info(digestOf(BASE))).size, BASE.length);
        }, open);
  });

  test(`A19: ${name}: Docker archives get the digests that containerd gives them`, async () => {
    const forms = [
      [
        skopeoArchive([NAME, 'img:2']),
        'sha256:0763c762f1694db62691ae3e0b1f695962bc871cdfdbaa9089a160acafcd6ea7',
      ],
      [
        craneArchive([NAME, 'img:2']),
        'sha256:49d371c123d2458c4708f553913079801d611f904dbdc541c2f50dd0d215dfe3',
      ],
    ] as const;
    for (const [archive, digest] of forms)
      for (const form of ['file', 'stream', 'gzip'] as const)
        await withWorld(async ({ store, load }) => {
          await load(archive, form);
          const images = await store.images.list();
          assert.deepEqual(
            images.map(({ name, target }) => [name, target.digest]),
            [
              ['docker.io/library/img:2', digest],
              [NAME, digest],
            ],
          );
          const { labels } = await store.content.info(parseDigest(digest));
          assert.equal(labels['containerd.io/gc.ref.content.0'], digestOf(amd64.config));
          assert.deepEqual(await store.content.listStatuses(), []);
          await load(archive, form);
        }, open);
  });

  test(`A21, A22: ${name}: a sparse index: its platform is taken, the others are named`, () =>
    withWorld(async ({ store, load }) => {
      const sparse = whole(
        undefined,
        blobs((bytes) => bytes === arm64.manifest || bytes === arm64.config || bytes === layers[2]),
      );
      const arm = [{ os: 'linux', architecture: 'arm64' }];
      for (const form of ['file', 'stream'] as const) {
        await rejectsWith(
          'NotFound',
          new RegExp(`1 of 5 blobs needed .*${ARM64_DIGEST}`),
          load(sparse, form, { platforms: 'all' }),
        );
        await rejectsWith(
          'NotFound',
          /neither in .* nor in the store|not found/,
          load(sparse, form, { platforms: arm }),
        );
        await rejectsWith(
          'NotFound',
          /no match for platform/,
          load(sparse, form, { platforms: [{ os: 'linux', architecture: 's390x' }] }),
        );
      }
      assert.deepEqual(await namesIn(store), []);
      await load(sparse);
      assert.equal((await store.images.get(NAME)).target.digest, INDEX_DIGEST);
    }, open));

  test(`A25: ${name}: a name that another image has`, () =>
    withWorld(async ({ store, load }) => {
      await load(whole());
      await store.images.put(NAME, ROOT, { mine: 'yes' });
      const flat = {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: AMD64_DIGEST,
        size: amd64.manifest.length,
      };
      const other = whole(indexOf([NAMED], flat));
      await rejectsWith(
        'AlreadyExists',
        /img:1 is sha256:9d6d/,
        load(other, 'file', { onConflict: 'error' }),
      );
      assert.match((await load(other, 'file', { onConflict: 'keep' })).said.join(), /Left out/);
      assert.equal((await store.images.get(NAME)).target.digest, INDEX_DIGEST);
      assert.match((await load(other)).said.join(), /Moved .*img:1 from sha256:9d6d.* to sha256:e12d/);
      const { target, labels } = await store.images.get(NAME);
      assert.equal(target.digest, AMD64_DIGEST);
      assert.equal(labels.mine, 'yes');
    }, open));

  test(`A25: ${name}: a name that another process records meanwhile`, () =>
    withWorld(async ({ store, load }) => {
      const flat = {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: AMD64_DIGEST,
        size: amd64.manifest.length,
      };
      const two = whole(indexOf([{ [CONTAINERD]: 'registry.example/t/a:1' }, NAMED]));
      for (const onConflict of ['error', 'keep'] as const) {
        for (const { name } of await store.images.list()) await store.images.delete(name);
        let other: Promise<unknown> | undefined;
        const report = ({ type }: ProgressEvent) => {
          if (type === 'resolved') other ??= store.images.put(NAME, flat, {});
        };
        const loading = load(two, 'file', { onConflict, report });
        if (onConflict === 'error') await rejectsWith('AlreadyExists', /img:1 is sha256:e12d/, loading);
        else await loading;
        await other;
        assert.equal((await store.images.get(NAME)).target.digest, AMD64_DIGEST);
        const names = (await store.images.list()).map(({ name }) => name);
        assert.equal(names.includes('registry.example/t/a:1'), onConflict === 'keep');
      }
    }, open));

  test(`A26: ${name}: an import that was cut off goes on where it stopped`, () =>
    withWorld(async ({ store, load }) => {
      const big = someBytes(3 << 20);
      const { manifest, config } = withLayer(big);
      const entries: ArchiveEntry[] = [
        ['oci-layout', LAYOUT],
        ['index.json', indexOf([NAMED], { ...manifest.desc })],
        ...[manifest.bytes, config, big].map(blobEntry),
      ];
      const archive = tarOf(entries);
      await rejectsWith(
        'DataLoss',
        /truncated|ends after|cut off/,
        load(archive.subarray(0, archive.length - (1 << 20)), 'stream'),
      );
      assert.deepEqual(await namesIn(store), []);
      await load(archive, 'stream');
      assert.equal((await store.content.info(digestOf(big))).size, big.length);
    }, open));

  test(`A26: ${name}: wrong bytes of a partial blob do not spoil a stream`, () =>
    withWorld(async ({ store, load }) => {
      const layer = someBytes(4321);
      const { manifest, config } = withLayer(layer);
      const blobs = [manifest.bytes, config, layer].map(blobEntry);
      const digest = digestOf(layer);
      const ingest = await store.content.ingest(`unknown-${digest}`, { digest, size: layer.length });
      await ingest.write(flipped(layer).subarray(0, layer.length - 1));
      await ingest[Symbol.asyncDispose]();
      const entries: ArchiveEntry[] = [
        ['oci-layout', LAYOUT],
        ['index.json', indexOf([NAMED], manifest.desc)],
      ];
      await load([...entries, ...blobs], 'stream');
      assert.equal((await store.content.info(digest)).size, layer.length);
    }, open));

  test(`A27: ${name}: two imports of one archive at once`, () =>
    withWorld(async ({ store, load }) => {
      await Promise.all([load(whole(), 'file'), load(whole(), 'stream'), load(whole(), 'file')]);
      assert.deepEqual(await namesIn(store), [NAME]);
      assert.deepEqual(await store.content.listStatuses(), []);
    }, open));

  test(`HA1: ${name}: a blob of other bytes is refused, in any form`, async () => {
    for (const form of ['file', 'stream', 'directory'] as const)
      for (const which of ['manifest', 'layer'] as const)
        await withWorld(async ({ store, load }) => {
          const layer = someBytes(1000);
          const { manifest, config } = withLayer(layer);
          const all = whole(indexOf([NAMED], { ...manifest.desc }), [manifest.bytes, config, layer]);
          const wanted = which === 'layer' ? layer : manifest.bytes;
          const digest = digestOf(wanted).slice('sha256:'.length);
          await rejectsWith(
            'DataLoss',
            new RegExp(digest),
            load(replaced(all, wanted, flipped(wanted)), form),
          );
          assert.deepEqual(await namesIn(store), []);
          await load(all, form);
        }, open);
  });
}

function replaced(entries: readonly ArchiveEntry[], wanted: Uint8Array, other: Uint8Array): ArchiveEntry[] {
  return entries.map(
    ([name, content]): ArchiveEntry => (content === wanted ? [name, other] : [name, content]),
  );
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[50] = (copy[50] ?? 0) ^ 1;
  return copy;
}

/** An image of one layer that is no archive: it is never unpacked. */
function withLayer(layer: Uint8Array) {
  const config = new TextEncoder().encode(
    '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
  );
  const part = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const json = {
    schemaVersion: 2,
    config: part('application/vnd.oci.image.config.v1+json', config),
    layers: [part('application/vnd.oci.image.layer.v1.tar', layer)],
  };
  const bytes = new TextEncoder().encode(JSON.stringify(json));
  return { manifest: { bytes, desc: part('application/vnd.oci.image.manifest.v1+json', bytes) }, config };
}

suite('hawser’s store');

const skip = needs({ root: true, tools: ['containerd', 'ctr'] });
for (const installation of installations)
  describe(`over ${installation.name}`, { skip }, () => {
    let daemon: Containerd;
    let count = 0;
    before(async () => {
      daemon = await startContainerd(undefined, '', installation);
    });
    after(() => daemon.close());
    suite(installation.name, () => openContainerd({ address: daemon.socket, namespace: `n${count++}` }));
  });

test('A16: other compressions: the error names the program', () =>
  withWorld(async ({ load }) => {
    const heads = { xz: 'fd377a585a000000', bzip2: '425a683931415926', lz4: '04224d1864407000' };
    for (const [program, head] of Object.entries(heads))
      for (const form of ['file', 'stream'] as const)
        await rejectsWith(
          'NotImplemented',
          new RegExp(`compressed with ${program}`),
          load(new Uint8Array(Buffer.from(head, 'hex')), form),
        );
    await rejectsWith('InvalidArgument', /it is empty/, load(new Uint8Array(0)));
    await rejectsWith(
      'InvalidArgument',
      /invalid tar/,
      load(new TextEncoder().encode('not an archive'.repeat(100))),
    );
    await rejectsWith('InvalidArgument', /unrecognized image format/, load([['x', 'y']]));
    await rejectsWith('NotImplemented', /Docker before 1.10/, load([['repositories', '{}']]));
  }));

test('A17: what is here already is not read again, and nothing is written', () =>
  withWorld(async ({ store, load }) => {
    await load(whole());
    const before = await store.content.list();
    const again = whole().map(
      ([name, content]): ArchiveEntry => (content === BASE ? [name, flipped(BASE)] : [name, content]),
    );
    await load(again, 'file');
    await load(again, 'stream');
    for (const info of before) assert.deepEqual(await store.content.info(info.digest), info);
  }));

test('A20 and HA6: a blob that is a link, a pipe or a sparse file is not read', async () => {
  const path = `blobs/sha256/${digestOf(BASE).slice(7)}`;
  const sparse = pax([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.realsize', '2048'],
  ]);
  const odd: Uint8Array[] = [
    member({ name: path, type: '2', linkName: '/etc/passwd' }),
    member({ name: path, type: '2', linkName: '../../oci-layout' }),
    member({ name: path, type: '1', linkName: 'oci-layout' }),
    member({ name: path, type: '6' }),
    member({ name: path, type: '3', devMajor: 1, devMinor: 5 }),
    Buffer.concat([
      sparse,
      member(
        { name: path },
        Buffer.concat([Buffer.from('1\n1024\n4\n'.padEnd(512, '\0')), Buffer.from('data')]),
      ),
    ]),
  ];
  const rest = tarOf(
    whole(
      undefined,
      blobs((bytes) => bytes === BASE),
    ),
  );
  for (const entry of odd)
    for (const form of ['file', 'stream'] as const)
      await withWorld(async ({ store, load }) => {
        const archive = new Uint8Array(Buffer.concat([entry, rest]));
        await rejectsWith('InvalidArgument', /is no file/, load(archive, form));
        await isClean(store);
      });
});

test('HA1: nobody minds wrong bytes that nobody wants', async () => {
  const layer = layers[2] ?? BASE;
  for (const form of ['file', 'stream', 'directory'] as const)
    await withWorld(async ({ load }) => {
      const archive = replaced(whole(), layer, flipped(layer));
      await load(archive, form);
      await rejectsWith('DataLoss', /sha256:1916/, load(archive, form, { platforms: 'all' }));
    });
});

test('A20: legacy directories of links, and of hard copies; cycles and links outside', async () => {
  const link = (linkName: (at: number) => string) => (at: number) =>
    member({ name: `layer${at}/layer.tar`, type: '2', linkName: linkName(at) });
  const diff = (at: number) => digestOf(new Uint8Array(gunzipSync(amd64.layers[at] ?? BASE))).slice(7);
  const copy = (at: number) =>
    member({ name: `layer${at}/layer.tar` }, new Uint8Array(gunzipSync(amd64.layers[at] ?? BASE)));
  for (const form of ['file', 'stream'] as const) {
    for (const legacy of [link((at) => `../${diff(at)}.tar`), copy])
      await withWorld(async ({ load }) => {
        const { images } = await load(skopeoArchive([NAME], legacy), form);
        assert.match(images[0]?.target.digest ?? '', /^sha256:0763c762/);
      });
    const bad = [
      link((at) => `../layer${1 - at}/layer.tar`),
      link(() => '/etc/passwd'),
      link(() => '../../etc/passwd'),
      link(() => '../none'),
    ];
    for (const legacy of bad)
      await withWorld(async ({ store, load }) => {
        await rejectsWith(
          'InvalidArgument',
          /leads nowhere|has no file/,
          load(skopeoArchive([NAME], legacy), form),
        );
        await isClean(store);
      });
  }
});

test('HA12: Docker archives that do not fit', async () => {
  const config = `${digestOf(amd64.config).slice(7)}.json`;
  const [first = BASE, second = BASE] = amd64.layers;
  const of = (entry: object, more: readonly ArchiveEntry[] = []) =>
    tarOf([
      [config, amd64.config],
      ['0', first],
      ['1', second],
      ...more,
      ['manifest.json', JSON.stringify([entry])],
    ]);
  const good = { Config: config, RepoTags: [NAME], Layers: ['0', '1'] };
  const big = new Uint8Array(9 << 20);
  const odd: [Uint8Array, RegExp][] = [
    [of({ ...good, Layers: ['0'] }), /2 diff IDs, and manifest.json 1 layers/],
    [of({ ...good, Layers: ['0', '1', '1'] }), /2 diff IDs/],
    [of({ ...good, Layers: ['0', '0'] }), /wrong diff id/],
    [of({ ...good, Layers: ['1', '0'] }), /wrong diff id/],
    [of({ ...good, Layers: ['0', 'none'] }), /has no file "none"/],
    [of({ ...good, Layers: ['0', '/etc/passwd'] }), /has no file/],
    [of({ ...good, Config: '0' }), /./],
    [of({ ...good, Config: 'big' }, [['big', big]]), /has \d+ bytes, more than/],
    [of({ ...good, Config: undefined }), /Config/],
    [tarOf([['manifest.json', '{}']]), /must be an array/],
    [tarOf([['manifest.json', 'null']]), /no image/],
  ];
  for (const [archive, words] of odd)
    for (const form of ['file', 'stream'] as const)
      await withWorld(async ({ store, load }) => {
        await assert.rejects(load(archive, form), words);
        await isClean(store);
      });
  const urls = {
    [digestOf(BASE)]: {
      mediaType: 'x/y',
      size: 1,
      digest: digestOf(BASE),
      urls: ['http://169.254.169.254/'],
    },
  };
  await withWorld(async ({ load }) => void (await load(of({ ...good, LayerSources: urls }))));
});

test('HA2: an archive that is cut off anywhere; only its end blocks may be missing', async () => {
  const archive = tarOf(whole());
  const content = archive.length - END.length;
  for (const form of ['file', 'stream'] as const)
    await withWorld(async ({ store, load }) => {
      for (const length of [100, 600, content - 512 - 450, content - 1024 + 50])
        await assert.rejects(load(archive.subarray(0, length), form), (err) => {
          assert.match(kindOf(err), /DataLoss|InvalidArgument|NotFound/, `${length}: ${err}`);
          return true;
        });
      await isClean(store);
      await load(archive.subarray(0, content), form);
    });
});

test('HA3: two of the documents that name images', async () => {
  for (const name of ['index.json', 'oci-layout', 'manifest.json'])
    for (const form of ['file', 'stream'] as const)
      await withWorld(async ({ store, load }) => {
        await rejectsWith(
          'InvalidArgument',
          new RegExp(`has ${name} twice`),
          load([...whole(), ['manifest.json', '[]'], [name, '{}']], form),
        );
        await isClean(store);
      });
});

test('HA4: two entries for one blob: the first counts, and has to be right', async () => {
  const [path] = blobEntry(BASE);
  for (const form of ['file', 'stream'] as const) {
    await withWorld(async ({ load }) => void (await load([...whole(), [path, flipped(BASE)]], form)));
    await withWorld(({ load }) =>
      rejectsWith('DataLoss', /sha256/, load([[path, flipped(BASE)], ...whole()], form)),
    );
  }
});

test('HA5: names that lead elsewhere', async () => {
  const bad = ['../x', '/x', 'blobs/sha256/../../x', 'blobs\\sha256\\x', 'blobs/sha256/..'];
  for (const form of ['file', 'stream'] as const)
    await withWorld(async ({ load, dir }) => {
      const raw = bad.map((name) => member({ name }, new TextEncoder().encode('evil')));
      const invalid = member({ name: new Uint8Array([0xff, 0xfe, 0x2f]) }, new TextEncoder().encode('x'));
      const archive = new Uint8Array(Buffer.concat([...raw, invalid, tarOf(whole())]));
      await load(archive, form);
      assert.equal(existsSync(join(dir, 'x')), false);
      assert.equal(existsSync('/x'), false);
      const long = new Uint8Array(
        Buffer.concat([gnuLong('L', 'y'.repeat(5000)), member({ name: 'y' }), tarOf(whole())]),
      );
      await rejectsWith('InvalidArgument', /4096/, load(long, form));
    });
});

test('HA7: names that are no names of images', async () => {
  const hostile = [
    '../../etc/passwd',
    'ev il\n\u001b[31m',
    `sha256:${'0'.repeat(64)}`,
    `${'x'.repeat(300)}/y:1`,
    'x/UPPER:1',
    `x:1@sha256:${'0'.repeat(64)}`,
  ];
  for (const name of hostile)
    await withWorld(async ({ store, load }) => {
      const archive = whole(indexOf([{ [CONTAINERD]: name }, NAMED]));
      await assert.rejects(load(archive), (err) => {
        assert.equal(kindOf(err), 'InvalidArgument', String(err));
        assert.doesNotMatch(String(err), /\u001b/);
        return true;
      });
      await isClean(store);
      assert.match((await load(archive, 'file', { skipBadNames: true })).said.join(), /Left out a name/);
      assert.deepEqual(await namesIn(store), [NAME]);
    });
});

test('HA8: documents too large, too many, too deep', async () => {
  const spaces = ' '.repeat(5 << 20);
  const many = JSON.stringify({ schemaVersion: 2, manifests: Array.from({ length: 10_001 }, () => ROOT) });
  for (const form of ['file', 'stream'] as const)
    await withWorld(async ({ store, load }) => {
      await rejectsWith(
        'ResourceExhausted',
        /index.json has \d+ bytes/,
        load(whole(indexOf([NAMED]) + spaces), form),
      );
      await rejectsWith('InvalidArgument', /entries, more than|values/, load(whole(many), form));
      const { top, all } = nested(12);
      await rejectsWith(
        'InvalidArgument',
        /nested more than|too deep|levels/,
        load(whole(indexOf([NAMED], top), all), form, { platforms: 'all' }),
      );
      await isClean(store);
    });
});

test('HA8: indexes that share their children 2^20 ways are read once each', () =>
  withWorld(async ({ load }) => {
    const { top, all } = nested(5, 20);
    await load(whole(indexOf([NAMED], top), [...all, ...blobs()]), 'file', { platforms: 'all' });
  }));

/** An index in an index and so on, each listing the next so many times. */
function nested(depth: number, times = 1) {
  const mediaType = ROOT.mediaType;
  let below: { mediaType: string; digest: string; size: number } = ROOT;
  const all: Uint8Array[] = [];
  for (let at = 0; at < depth; at++) {
    const manifests = Array.from({ length: times }, () => below);
    const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
    below = { mediaType, digest: digestOf(bytes), size: bytes.length };
    all.unshift(bytes);
  }
  return { top: below, all };
}

test('HA9: sizes and digests in descriptors that cannot be', async () => {
  const odd: Record<string, unknown>[] = [
    { size: 1 },
    { size: -1 },
    { size: 2 ** 63 },
    { size: null },
    { digest: INDEX_DIGEST.toUpperCase() },
    { digest: `sha256:${INDEX_DIGEST.slice(7).toUpperCase()}` },
    { digest: 'md5:0123456789abcdef0123456789abcdef' },
    { digest: `sha512:${INDEX_DIGEST.slice(7)}${INDEX_DIGEST.slice(7)}` },
    { digest: '../../../etc/passwd' },
  ];
  for (const more of odd)
    for (const form of ['file', 'stream'] as const)
      await withWorld(async ({ store, load }) => {
        await assert.rejects(load(whole(indexOf([NAMED], more)), form), (err) => {
          assert.match(kindOf(err), /InvalidArgument|DataLoss|NotFound/, `${JSON.stringify(more)}: ${err}`);
          return true;
        });
        await isClean(store);
      });
});

test('HA9: a layer of another size than its manifest says', () =>
  withWorld(async ({ store, load }) => {
    const manifest = JSON.parse(new TextDecoder().decode(amd64.manifest));
    manifest.layers[0].size += 1;
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    const desc = { mediaType: manifest.mediaType, digest: digestOf(bytes), size: bytes.length };
    const archive = whole(indexOf([NAMED], desc), [bytes, ...blobs()]);
    await rejectsWith('DataLoss', /105 bytes in .*, not 106/, load(archive));
    await isClean(store);
  }));

test('HA10: headers that lie', async () => {
  const path = 'blobs/sha256/x';
  const odd: [Uint8Array, RegExp][] = [
    [header({ name: path, size: base256(2n ** 62n, 12) }), /out of range|ends after|truncated/],
    [header({ name: path, size: base256(-1n & ((1n << 95n) - 1n), 12) }), /./],
    [header({ name: path, checksum: 'wrong' }), /checksum/],
    [header({ name: path, patch: (block) => block.fill(0x39, 124, 135) }), /not a number/],
    [Buffer.concat([pax([['size', '99999999999999999999']]), header({ name: path })]), /./],
    [Buffer.concat([pax([['path', 'index.json']], 'g'), header({ name: path })]), /./],
  ];
  for (const [bytes, words] of odd)
    for (const form of ['file', 'stream'] as const)
      await withWorld(async ({ store, load }) => {
        await assert.rejects(load(new Uint8Array(Buffer.concat([bytes, tarOf(whole())])), form), words);
        await isClean(store);
      });
});

test('HA11: a bomb around an archive, and a hundred thousand empty files', async () => {
  await withWorld(async ({ store, load }) => {
    const many = new Uint8Array(
      Buffer.concat([...Array.from({ length: 100_001 }, (_, n) => header({ name: `f${n}` })), END]),
    );
    // Slow elsewhere, and the same code.
    const isSlow = isDeno || process.version.startsWith('v22.');
    for (const form of isSlow ? (['stream'] as const) : (['file', 'stream'] as const))
      await rejectsWith('ResourceExhausted', /more than 100000 entries/, load(many, form));
    await isClean(store);
  });
});

test('HA13: artifacts are imported, and not unpacked; unknown types are left out', () =>
  withWorld(async ({ load }) => {
    const text = new TextEncoder().encode('sbom');
    const empty = new TextEncoder().encode('{}');
    const part = (mediaType: string, bytes: Uint8Array) => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
    });
    const bytes = new TextEncoder().encode(
      JSON.stringify({
        schemaVersion: 2,
        artifactType: 'application/vnd.example.sbom',
        config: part('application/vnd.oci.empty.v1+json', empty),
        layers: [part('text/plain', text)],
      }),
    );
    const desc = part('application/vnd.oci.image.manifest.v1+json', bytes);
    const unknown = {
      ...part('application/vnd.example.thing', text),
      annotations: { [CONTAINERD]: 'x/thing:1' },
    };
    const list = JSON.parse(indexOf([NAMED], desc));
    list.manifests.push(unknown);
    const { said, images } = await load(whole(JSON.stringify(list), [bytes, empty, text]), 'file', {
      unpack: true,
    });
    assert.equal(images.length, 1);
    assert.match(said.join(), /no image for linux/);
    assert.match(said.join(), /Left out .*vnd.example.thing/);
  }));

/** An index of these entries, as the one image of an archive that holds `of`, too. */
function archiveOf(manifests: readonly object[], of: readonly Uint8Array[]): ArchiveEntry[] {
  const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests }));
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const desc = { mediaType, digest: digestOf(bytes), size: bytes.length };
  return whole(indexOf([NAMED], desc), [bytes, ...of]);
}

test('what an index lists is chosen as a pull chooses: artifacts, and what is no manifest, where there is no image', () =>
  withWorld(async ({ store, load }) => {
    const part = (mediaType: string, bytes: Uint8Array) => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
    });
    const text = new TextEncoder().encode('sbom');
    const empty = new TextEncoder().encode('{}');
    const json = {
      schemaVersion: 2,
      config: part('application/vnd.oci.empty.v1+json', empty),
      layers: [part('text/plain', text)],
    };
    const artifact = new TextEncoder().encode(JSON.stringify(json));
    const lists = [
      archiveOf([part('application/vnd.oci.image.manifest.v1+json', artifact)], [artifact, empty, text]),
      archiveOf([part('application/vnd.buildkit.cacheconfig.v0', text)], [text]),
    ];
    for (const entries of lists)
      for (const unpack of [false, true]) {
        const { images } = await load(entries, 'file', { unpack });
        assert.equal(images.length, 1);
        assert.equal((await store.content.info(digestOf(text))).size, 4);
      }
    await rejectsWith(
      'NotFound',
      new RegExp(`1 of 1 blobs needed .*${digestOf(empty)}`),
      load(archiveOf([part('application/vnd.buildkit.cacheconfig.v0', empty)], [])),
    );
  }));

test('a manifest that nobody wants may be malformed', () =>
  withWorld(async ({ store, load }) => {
    const bad = new TextEncoder().encode('{"schemaVersion":2,"config":7}');
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const entry = (bytes: Uint8Array, architecture: string) => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
      platform: { os: 'linux', architecture },
    });
    const list = archiveOf(
      [entry(amd64.manifest, 'amd64'), entry(bad, 'arm64')],
      [amd64.manifest, amd64.config, ...amd64.layers, bad],
    );
    await load(list);
    assert.deepEqual(await namesIn(store), [NAME]);
    await rejectsWith('InvalidArgument', /config/, load(list, 'file', { platforms: 'all' }));
  }));

/** Above what a store looks at by itself when it is given a blob that it has. */
const LARGE = (1 << 20) + 4096;

/** An image whose parts are large, each. */
function largeImage(content: Uint8Array = someBytes(LARGE)): {
  readonly entries: ArchiveEntry[];
  readonly parts: readonly Uint8Array[];
} {
  const part = (mediaType: string, bytes: Uint8Array) => ({
    mediaType: `application/vnd.oci.image.${mediaType}`,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value) + ' '.repeat(LARGE));
  const layer = tarOf([['f', content]]);
  const config = text({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
  });
  const manifest = text({
    schemaVersion: 2,
    config: part('config.v1+json', config),
    layers: [part('layer.v1.tar', layer)],
  });
  const parts = [manifest, config, layer];
  return { entries: whole(indexOf([NAMED], part('manifest.v1+json', manifest)), parts), parts };
}

test('a blob that is damaged in the store comes from the archive anew; of a stream, the error says what to do', async () => {
  const { entries, parts } = largeImage();
  const unpack = { unpack: true, snapshotter: 'native' };
  for (const [at, bytes] of parts.entries())
    for (const form of ['file', 'stream'] as const)
      await withWorld(async ({ store, load, dir }) => {
        await load(entries);
        const path = join(dir, 'root/content/blobs/sha256', digestOf(bytes).slice(7));
        writeFileSync(path, flipped(bytes));
        const said = await load(entries, form, unpack).then(
          () => '',
          (err: unknown) => `${messageOf(err)} ${hintOf(err)}`,
        );
        if (form === 'stream')
          assert.match(
            said,
            /is damaged in the store, and .* cannot be read twice.*file that is not compressed/,
            `${at}`,
          );
        else assert.equal(said, '', `${at} ${form}`);
        await load(entries, 'file', unpack);
        assert.ok(Buffer.from(bytes).equals(readFileSync(path)), `${at} ${form}`);
        assert.equal((await store.images.list()).length, 1);
      });
});

test('HA14: annotations do not become labels', () =>
  withWorld(async ({ store, load }) => {
    const evil = { ...NAMED, 'containerd.io/gc.root': '1', 'io.cri-containerd.pinned': 'pinned' };
    await load(whole(indexOf([evil])));
    assert.deepEqual((await store.images.get(NAME)).labels, {});
    for (const { labels } of await store.content.list())
      assert.doesNotMatch(Object.keys(labels).join(), /gc.root|pinned/);
  }));

test('HA19: a layout whose blob is a symlink', () =>
  withWorld(async ({ store, load, dir }) => {
    const path = join(dir, 'layout');
    sourceOf(
      path,
      whole(
        undefined,
        blobs((bytes) => bytes === BASE),
      ),
      'directory',
    );
    symlinkSync('/etc/passwd', join(path, 'blobs/sha256', digestOf(BASE).slice(7)));
    await rejectsWith(
      'InvalidArgument',
      /is no file/,
      load(new Uint8Array(0), 'file', { from: { type: 'path', path } }),
    );
    await isClean(store);
  }));

test('HA19: a directory in which a directory is a symlink', () =>
  withWorld(async ({ store, load, dir }) => {
    for (const [at, entries] of [
      ['blobs', whole()],
      ['blobs/sha256', whole()],
    ] as const) {
      const path = join(dir, `layout-${at.length}`);
      sourceOf(path, entries, 'directory');
      renameSync(join(path, at), join(dir, `outside-${at.length}`));
      symlinkSync(join(dir, `outside-${at.length}`), join(path, at));
      await rejectsWith(
        'InvalidArgument',
        /is no file/,
        load(new Uint8Array(0), 'file', { from: { type: 'path', path } }),
      );
    }
    await isClean(store);
  }));

test('the verifiers of a node, then others, are asked for every name, and block before anything is recorded', async () => {
  const asked: string[] = [];
  const judgeOf = (by: string): RootJudge => ({
    judge: async ({ reference: { name }, root }) => {
      asked.push(`${by} ${name}`);
      if (name.endsWith(':2')) return { accepted: false, by, reason: `${by} says no` };
      return { accepted: true, by, vouchers: [{ by: 'verifier', digest: root.digest, signer: by }] };
    },
  });
  const open = async () => {
    const dir = tempDir();
    const store = await openStore({ root: join(dir.path, 'root') });
    const dispose = async () => {
      await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    };
    return altered(store, { judge: judgeOf('node'), [Symbol.asyncDispose]: dispose });
  };
  await withWorld(async ({ store, load }) => {
    const two = indexOf([NAMED, { [CONTAINERD]: 'registry.example/t/img:2' }]);
    await rejectsWith('PermissionDenied', /img:2 \(sha256:\w+\): node says no/, load(whole(two)));
    assert.deepEqual(asked, [`node ${NAME}`, 'node registry.example/t/img:2']);
    assert.deepEqual(await namesIn(store), []);
    const judges = [judgeOf('other')];
    asked.length = 0;
    const { images } = await load(whole(), 'file', { judges });
    assert.deepEqual(asked, [`node ${NAME}`, `other ${NAME}`]);
    assert.deepEqual(
      images[0]?.verified?.map(({ by }) => by),
      ['node', 'other'],
    );
    await load(whole(two), 'file', { skipNodeVerifiers: true });
    await rejectsWith(
      'PermissionDenied',
      /other says no/,
      load(whole(two), 'file', { judges, skipNodeVerifiers: true }),
    );
  }, open);
});

test('A23: names: bare tags and the base name', async () => {
  const three = indexOf([
    { [CONTAINERD]: 'localhost/a:1' },
    { [CONTAINERD]: 'localhost/a/b:1' },
    { [CONTAINERD]: 'localhost/ab:1' },
  ]);
  await withWorld(async ({ store, load }) => {
    assert.match(
      (await load(whole(three), 'file', { baseName: 'localhost/a' })).said.join(),
      /Left out localhost\/ab:1/,
    );
    assert.deepEqual(await namesIn(store), ['localhost/a/b:1', 'localhost/a:1']);
  });
  await withWorld(async ({ store, load }) => {
    const bare = whole(indexOf([{ [OCI]: '1' }]));
    await rejectsWith(
      'InvalidArgument',
      /no image of the archive has a full name; it has the names "1"/,
      load(bare),
    );
    await rejectsWith(
      'InvalidArgument',
      /image might be filtered out/,
      load(whole(three), 'file', { baseName: 'localhost/z' }),
    );
    await rejectsWith('InvalidArgument', /has no image/, load(whole('{"schemaVersion":2,"manifests":[]}')));
    await isClean(store);
    await load(bare, 'file', { baseName: 'localhost/z' });
    await load(bare, 'file', { name: 'q:2' });
    assert.deepEqual(await namesIn(store), ['docker.io/library/q:2', 'localhost/z:1']);
  });
});

test('A24: digest names are of the image, never of index.json', () =>
  withWorld(async ({ store, load }) => {
    await load(whole(), 'file', { digests: true, skipDigestForNamed: true });
    assert.deepEqual(await namesIn(store), [NAME]);
    await load(whole(), 'file', { digests: true });
    assert.deepEqual(await namesIn(store), [NAME, `registry.example/t/img@${INDEX_DIGEST}`]);
    await load(whole(indexOf([{}])), 'file', { digests: true, baseName: 'x.example/y' });
    assert.equal((await namesIn(store)).includes(`x.example/y@${INDEX_DIGEST}`), true);
  }));

test('A28: what a stream brought and nobody wants is gone afterwards', () =>
  withWorld(async ({ store, load }) => {
    const junk = someBytes(1000);
    await load([...whole(), blobEntry(junk)], 'stream');
    const digests = (await store.content.list()).map(({ digest }) => digest);
    assert.equal(digests.includes(digestOf(junk)), false);
    assert.equal(digests.includes(digestOf(layers[2] ?? BASE)), false);
    assert.equal(digests.includes(digestOf(BASE)), true);
  }));

test('a blob that the archive lacks may be in the store', () =>
  withWorld(async ({ store, load }) => {
    await storeGolden(store, ['registry.example/t/old:1']);
    await load(whole(undefined, [index, amd64.manifest]));
    assert.equal((await namesIn(store)).length, 2);
  }));

test('an aborted import leaves no record', () =>
  withWorld(async ({ store, load }) => {
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    await assert.rejects(load(whole(), 'file', { signal: stop.signal }));
    const report = (event: ProgressEvent) => void (event.type === 'blob' && late.abort(new Error('enough')));
    const late = new AbortController();
    await assert.rejects(load(whole(), 'stream', { signal: late.signal, report }));
    await isClean(store);
  }));

test('A18: unpacked: the snapshot of the chain is there, and named in the result', {
  skip: needs({ root: true }),
}, async () => {
  for (const form of ['file', 'stream'] as const)
    await withWorld(async ({ store, load }) => {
      const { images } = await load(whole(), form, { unpack: true });
      const chain = 'sha256:2a71f65c0b7880b47461e4b07bde4aa3360af076266dc390fff0e9eeaaaf9009';
      assert.equal(images[0]?.unpacked[0]?.chainId, chain);
      assert.equal((await store.snapshotter().stat(parseDigest(chain))).kind, 'Committed');
    });
});

for (const [form, pack] of [
  ['plain', (part: Uint8Array) => part],
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const)
  test(`A18: ${form}: a layer is unpacked while the rest of the stream is still to come`, {
    skip: needs({ root: true }),
  }, async () => {
    await withWorld(async ({ store, load }) => {
      const tar = tarOf(whole());
      const rest = Buffer.from(tar).indexOf(blobEntry(layers[1] ?? BASE)[0]);
      const extracted = Promise.withResolvers<void>();
      const report = (event: ProgressEvent) => {
        if (event.type === 'layer' && event.status === 'extracted' && event.desc.digest === digestOf(BASE))
          extracted.resolve();
      };
      const parts = [tar.subarray(0, rest), tar.subarray(rest)];
      const stream = new ReadableStream<Uint8Array>(
        {
          pull: async (out) => {
            const part = parts.shift();
            if (parts.length === 0) await extracted.promise;
            if (part === undefined) out.close();
            else out.enqueue(new Uint8Array(pack(part)));
          },
        },
        { highWaterMark: 0 },
      );
      await load([], 'stream', { unpack: true, report, from: { type: 'bytes', name: 'it', stream } });
      assert.deepEqual(await namesIn(store), [NAME]);
    });
  });

test('A17: a compressed file of what is here and recorded is not read to its end; else it is', async () => {
  const { entries } = largeImage();
  for (const pack of [gzipSync, zstdCompressSync])
    await withWorld(async ({ load, store }) => {
      const file = new Uint8Array(pack(tarOf(entries)));
      await load(file);
      file.fill(7, file.length - 1000);
      await load(file);
      await rejectsWith('DataLoss', /./, load(file, 'file', { name: 'registry.example/other:1' }));
      assert.deepEqual(await namesIn(store), [NAME]);
      assert.deepEqual(await store.content.listStatuses(), []);
      await rejectsWith(
        'DataLoss',
        /./,
        withWorld((other) => other.load(file).then(() => {})),
      );
    });
});

test('a failure ends an import whose stream says nothing more', () =>
  withWorld(async ({ load, store }) => {
    const entries = whole().filter(([name]) => name !== blobEntry(amd64.config)[0]);
    const tar = tarOf([...entries, [blobEntry(amd64.config)[0], flipped(amd64.config)]]);
    const ended = Promise.withResolvers<void>();
    const stream = new ReadableStream<Uint8Array>({
      start: (out) => out.enqueue(tar.subarray(0, tar.length - 1024)),
      cancel: () => ended.resolve(),
    });
    await rejectsWith('DataLoss', /./, load([], 'stream', { from: { type: 'bytes', name: 'it', stream } }));
    await ended.promise;
    await isClean(store);
  }));

test('what fails in the store is not told as a fault of the archive or of its path', () =>
  withWorld(async ({ load, dir }) => {
    const report = (event: ProgressEvent) => {
      if (event.type === 'warning') return;
      renameSync(join(dir, 'root/content/ingest'), join(dir, 'aside'));
      writeFileSync(join(dir, 'root/content/ingest'), '');
    };
    const err = await load(whole(), 'file', { report }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.match(messageOf(err), /^Cannot import /);
    assert.doesNotMatch(hintOf(err) ?? '', /OCI image layouts|Check the path/);
  }));

test("the chunks of a stream stay the program's, and are read right where one comes twice", () =>
  withWorld(async ({ load, dir }) => {
    const CHUNK = 64 * 1024;
    const { entries, parts } = largeImage(new Uint8Array(40 * CHUNK));
    const tar = tarOf(entries);
    const zeros = new Uint8Array(CHUNK);
    const chunks = Array.from({ length: Math.ceil(tar.length / CHUNK) }, (_, at) => {
      const chunk = tar.slice(at * CHUNK, (at + 1) * CHUNK);
      return Buffer.compare(chunk, zeros) === 0 ? zeros : chunk;
    });
    assert.ok(chunks.filter((chunk) => chunk === zeros).length > 30);
    const stream = new ReadableStream<Uint8Array>({
      start(out) {
        for (const chunk of chunks) out.enqueue(chunk);
        out.close();
      },
    });
    await load([], 'stream', { from: { type: 'bytes', name: 'it', stream } });
    assert.equal(Buffer.compare(Buffer.concat(chunks), tar), 0);
    for (const bytes of parts) {
      const path = join(dir, 'root/content/blobs/sha256', digestOf(bytes).slice(7));
      assert.equal(digestOf(readFileSync(path)), digestOf(bytes));
    }
  }));

test('nothing is left beside what was given', () =>
  withWorld(async ({ load, dir }) => {
    await load(whole(), 'gzip');
    assert.deepEqual(readdirSync(dir).sort(), ['in-0', 'root']);
  }));

test('import: a blob that comes with a stream is done, and exists only when it was there, as from a file', async () => {
  for (const form of ['file', 'stream', 'gzip', 'zstd'] as const)
    await withWorld(async ({ load }) => {
      const layer = someBytes(1 << 20);
      const { manifest, config } = withLayer(layer);
      const archive = whole(indexOf([NAMED], { ...manifest.desc }), [manifest.bytes, config, layer]);
      const statusOf = async (): Promise<string | undefined> => {
        const told: string[] = [];
        const report = (event: ProgressEvent): void => {
          if (event.type === 'blob' && event.key === `layer-${digestOf(layer)}`) told.push(event.status);
        };
        await load(archive, form, { report });
        return told.at(-1);
      };
      assert.equal(await statusOf(), 'done', form);
      assert.equal(await statusOf(), 'exists', form);
    });
});
