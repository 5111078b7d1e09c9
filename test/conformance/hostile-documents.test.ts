/** Hostile manifests, indexes and configs, by their numbers, through the library's verbs: refused with a typed error, or harmless. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Kind } from '../../src/core/errors.ts';
import { fetch, pull, type Store } from '../../src/mod.ts';
import { buildImage, buildIndex, type ImageDescription, type TestImage } from '../registry/image.ts';
import { sha256, type TestRegistry } from '../registry/registry.ts';
import { type Bench, rejectsWith, runtimeOf, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';

const OVERLAY = { skip: needs({ root: true }) };
const native = { snapshotter: 'native' };
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const hex = 'a'.repeat(64);
const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

const image = (more: Partial<ImageDescription> = {}): Promise<TestImage> =>
  buildImage({ layers: [{ entries: [{ name: 'file', data: 'x' }] }], ...more });
const documentOf = ({ root }: TestImage) => JSON.parse(new TextDecoder().decode(root.bytes));

/** Any bytes as the manifest `v1` of a repository that has the parts of an honest image. */
async function pushRaw({ registry }: Bench, bytes: Uint8Array, mediaType = MANIFEST): Promise<string> {
  registry.push('h/x', 'honest', await image());
  registry.putManifest('h/x', 'v1', mediaType, bytes);
  return `${registry.host}/h/x:v1`;
}

/** Nothing was recorded, and there was an end to the requests. */
async function assertRefused(
  { store, registry }: Bench,
  kind: Kind,
  message: RegExp,
  ref: string,
): Promise<void> {
  const before = registry.requests.length;
  await rejectsWith(kind, message, fetch(ref, { store, platforms: 'all' }));
  assert.deepEqual(await store.images.list(), []);
  assert.ok(registry.requests.length - before < 30);
}

async function allLabels(store: Store): Promise<string[]> {
  const content = (await store.content.list()).map(({ labels }) => labels);
  const images = (await store.images.list()).map(({ labels }) => labels);
  const snapshots = (await store.snapshotter('native').list()).map(({ labels }) => labels);
  return [...content, ...images, ...snapshots].flatMap((labels) => Object.entries(labels).flat());
}

test('a document of two classes, or of another than promised, is refused (H20)', async () => {
  await withBench(async (bench) => {
    const manifest = documentOf(await image());
    const index = documentOf(buildIndex([await image()]));
    const rows: [unknown, string, RegExp][] = [
      [{ ...manifest, manifests: index.manifests }, MANIFEST, /expected manifest but found index/],
      [{ ...manifest, manifests: null }, MANIFEST, /expected manifest but found index/],
      [{ ...index, layers: manifest.layers }, INDEX, /expected index but found manifest/],
      [{ ...index, Config: manifest.config }, INDEX, /expected index but found manifest/],
      [manifest, INDEX, /expected index but found manifest/],
      [index, MANIFEST, /expected manifest but found index/],
      [{ ...manifest, mediaType: INDEX }, MANIFEST, /expected manifest but found index/],
      [{ ...index, mediaType: MANIFEST }, 'application/json', /expected manifest but found index/],
      [{ ...manifest, fsLayers: [] }, MANIFEST, /schema 1 not supported/],
    ];
    for (const [document, mediaType, message] of rows) {
      await assertRefused(
        bench,
        'InvalidArgument',
        message,
        await pushRaw(bench, encode(document), mediaType),
      );
    }
    const { mediaType: _, ...untold } = manifest;
    for (const contentType of [MANIFEST, 'application/json', '']) {
      await fetch(await pushRaw(bench, encode(untold), contentType), { store: bench.store });
    }
  });
});

const DIGESTS: readonly string[] = ['sha256:../../x', `sha256:${'A'.repeat(64)}`, `sha256:${hex}0`, `md5:${'a'.repeat(32)}`, '', 'sha256:', `../${hex}`, `sha256:${hex}/../x`]; // biome-ignore format: one list

test('an invalid digest is refused in every place, before any use (H21)', async () => {
  await withBench(async (bench) => {
    const { registry, store } = bench;
    const manifest = documentOf(await image());
    for (const digest of DIGESTS) {
      const bad = { mediaType: LAYER, digest, size: 1 };
      for (const document of [
        { ...manifest, layers: [bad] },
        { ...manifest, config: { ...bad, mediaType: CONFIG } },
      ]) {
        await assertRefused(bench, 'InvalidArgument', /digest/, await pushRaw(bench, encode(document)));
      }
      const index = { schemaVersion: 2, manifests: [{ ...bad, mediaType: MANIFEST }] };
      await assertRefused(bench, 'InvalidArgument', /digest/, await pushRaw(bench, encode(index), INDEX));
      await rejectsWith('InvalidArgument', /./, fetch(`${registry.host}/h/x@${digest}`, { store }));
    }
    assert.ok(registry.requests.every(({ path }) => !path.includes('..') && !path.includes('%2e')));
    const ref = registry.push('h/y', 'v1', await image());
    registry.faults.push({ method: 'HEAD', headers: { 'Docker-Content-Digest': 'sha256:../../x' } });
    assert.equal((await fetch(ref, { store })).target.digest, (await image()).root.digest, 'as good as none');
  });
});

test('documents too large are refused before they are fetched, endless ones are cut (H22)', async () => {
  await withBench(async (bench) => {
    const { registry, store } = bench;
    const manifest = documentOf(await image());
    const huge = { mediaType: MANIFEST, digest: `sha256:${hex}`, size: 9 << 20, platform: { os: 'linux', architecture: 'amd64' } }; // biome-ignore format: one line
    const inIndex = await pushRaw(bench, encode({ schemaVersion: 2, manifests: [huge] }), INDEX);
    await assertRefused(bench, 'ResourceExhausted', /9437184 bytes/, inIndex);
    const config = { mediaType: CONFIG, digest: `sha256:${hex}`, size: 33 << 20 };
    await assertRefused(bench, 'ResourceExhausted', /34603008 bytes/, await pushRaw(bench, encode({ ...manifest, config }))); // biome-ignore format: one line
    assert.equal(registry.traffic(hex).requests, 0);
    const ref = registry.push('h/y', 'v1', await image());
    registry.faults.push({
      match: `blobs/${manifest.config.digest}`,
      overlong: 50 << 20,
      noContentLength: true,
    });
    await assertRefused(bench, 'DataLoss', /./, ref);
    assert.ok(registry.traffic(manifest.config.digest).bytes < 16 << 20, 'the rest was not read');
    assert.ok((await store.content.listStatuses()).every(({ offset }) => offset <= manifest.config.size));
  });
});

test('a size is a whole number from 0 to 2^53-1 (H23)', async () => {
  await withBench(async (bench) => {
    const manifest = new TextDecoder().decode((await image()).root.bytes);
    for (const size of ['-1', '9007199254740992', '1e400', '1.5', '"1"', 'null', '18446744073709551617']) {
      const document = manifest.replace(/("layers":.*"size":)\d+/, `$1${size}`);
      const ref = await pushRaw(bench, encode(document));
      await assertRefused(
        bench,
        'InvalidArgument',
        /layers\[0\]\.size: must be an integer from 0 to 2\^53-1/,
        ref,
      );
    }
  });
});

test(
  'configs and manifests with holes are typed errors, and nothing is unpacked (H24)',
  OVERLAY,
  async () => {
    await withBench(async (bench) => {
      const { registry, store } = bench;
      const { diffIds } = await image();
      const [diffId = ''] = diffIds;
      const rootfs = (ids: unknown) => ({ rootfs: { type: 'layers', diff_ids: ids } });
      const configs: [unknown, RegExp][] = [
        [{ rootfs: null }, /number of layers and diffIDs don't match: 1 != 0/],
        [{ rootfs: undefined }, /don't match: 1 != 0/],
        [rootfs([]), /don't match: 1 != 0/],
        [rootfs([diffId, diffId]), /don't match: 1 != 2/],
        [rootfs([null]), /diff_ids\[0\]: must be a string/],
        [rootfs('x'), /diff_ids: must be an array/],
        [{ ...rootfs([diffId]), history: [null] }, /history\[0\]: must be an object/],
        [{ ...rootfs([diffId]), config: { Env: [null] } }, /config\.Env\[0\]: must be a string/],
      ];
      for (const [config, message] of configs) {
        const ref = registry.push(
          'h/x',
          'v1',
          await image({ config: config as ImageDescription['config'] & object }),
        );
        await rejectsWith('InvalidArgument', message, pull(ref, { store, ...native }));
      }
      const manifest = documentOf(await image());
      for (const document of [
        { ...manifest, layers: [null] },
        { ...manifest, config: null },
        { ...manifest, annotations: { a: null } },
      ]) {
        await rejectsWith('InvalidArgument', /must be/, pull(await pushRaw(bench, encode(document)), { store, ...native })); // biome-ignore format: one line
      }
      const cache = {
        mediaType: 'application/vnd.buildkit.cacheconfig.v0',
        digest: `sha256:${hex}`,
        size: 2,
      };
      registry.putBlob('h/x', cache.digest, encode({}));
      const cached = await image({ manifest: { config: { ...cache, digest: sha256(encode({})) } } });
      registry.putBlob('h/x', sha256(encode({})), encode({}));
      await rejectsWith('FailedPrecondition', /artifact, not an image .*cacheconfig/, pull(registry.push('h/x', 'v2', cached), { store, ...native })); // biome-ignore format: one line
      assert.deepEqual([await store.images.list(), await store.snapshotter('native').list()], [[], []]);
    });
  },
);

test("a pinned digest is compared with the bytes, not with the registry's word (H25)", async () => {
  await withBench(async (bench) => {
    const { registry } = bench;
    const [wanted, other] = [await image(), await image({ config: { author: 'other' } })];
    registry.push('h/x', 'v1', other);
    registry.putManifest('h/x', wanted.root.digest, MANIFEST, other.root.bytes, wanted.root.digest);
    const message = new RegExp(`${other.root.digest}.*${wanted.root.digest}|${wanted.root.digest}.*${other.root.digest}`); // biome-ignore format: one line
    await assertRefused(bench, 'DataLoss', message, `${registry.host}/h/x@${wanted.root.digest}`);
    registry.putManifest('h/x', 'tag', MANIFEST, other.root.bytes, wanted.root.digest);
    await assertRefused(bench, 'DataLoss', message, `${registry.host}/h/x:tag`);
  });
});

test('deep nests, too many entries, and one digest of two sizes are refused (H26)', async () => {
  await withBench(async (bench) => {
    const { registry } = bench;
    let nest = buildIndex([await image()]);
    for (let depth = 0; depth < 12; depth++) nest = buildIndex([nest]);
    await assertRefused(
      bench,
      'InvalidArgument',
      /more than 8 levels deep/,
      registry.push('h/n', 'v1', nest),
    );
    const refused = fetch(`${registry.host}/h/n:v1`, { store: bench.store, platforms: ['linux/amd64'] });
    await rejectsWith('InvalidArgument', /more than 8 levels deep/, refused);
    const entry = { mediaType: MANIFEST, digest: `sha256:${hex}`, size: 7 };
    const many = { schemaVersion: 2, manifests: Array(10_001).fill(entry) };
    await assertRefused(bench, 'InvalidArgument', /10001 entries, more than 10000/, await pushRaw(bench, encode(many), INDEX)); // biome-ignore format: one line
    const two = { schemaVersion: 2, manifests: [entry, { ...entry, size: 8 }] };
    await assertRefused(bench, 'InvalidArgument', /sizes 7 and 8/, await pushRaw(bench, encode(two), INDEX));
    const apart = buildIndex([buildIndex([], { manifests: [entry] }), buildIndex([], { manifests: [{ ...entry, size: 8 }] })]); // biome-ignore format: one line
    registry.putManifest('h/n', entry.digest, MANIFEST, encode('{"a":1}'), entry.digest);
    await assertRefused(bench, 'InvalidArgument', /described with [78] and with [78] bytes|manifest sha256/, registry.push('h/n', 'v2', apart)); // biome-ignore format: one line
  });
});

test('JSON that two readers could read differently is refused (H27)', async () => {
  await withBench(async (bench) => {
    const manifest = new TextDecoder().decode((await image()).root.bytes);
    const rows: [Uint8Array | string, RegExp][] = [
      [manifest.replace('"layers":', '"layers":[],"layers":'), /duplicate key "layers"/],
      [manifest.replace('"schemaVersion"', '"\\u0073chemaVersion":1,"schemaVersion"'), /duplicate key/],
      [`\ufeff${manifest}`, /byte order mark/],
      [`${manifest}{}`, /trailing data/],
      [`${manifest}\u0000`, /trailing data/],
      [manifest.replace('"layers"', '"a":"\\ud800","layers"'), /surrogate/],
      [
        Uint8Array.from([...encode(manifest.slice(0, -1)), 0x2c, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
        /UTF-8/,
      ],
    ];
    for (const [document, message] of rows) {
      const bytes = typeof document === 'string' ? encode(document) : document;
      await assertRefused(bench, 'InvalidArgument', message, await pushRaw(bench, bytes));
    }
    const proto = manifest.replace(
      '"layers"',
      '"__proto__":{"layers":[]},"annotations":{"__proto__":"x"},"layers"',
    );
    const { target } = await fetch(await pushRaw(bench, encode(proto)), { store: bench.store });
    assert.equal(target.digest, sha256(encode(proto)));
    assert.equal(({} as { layers?: unknown }).layers, undefined);
  });
});

test('users, groups and volumes of a config mean nothing to a pull (H28, H31)', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const group = Array.from({ length: 5000 }, (_, i) => `g${i}:x:${i}:root`).join('\n');
    const entries = [
      { name: 'etc/group', data: group },
      { name: 'etc/passwd', data: 'root:x:4294967296:0::/:\n' },
    ];
    for (const User of ['4294967296', '-1:-1', '../../etc', 'root\u0000', 'a'.repeat(100_000)]) {
      const run = { User, Volumes: { '/../../../tmp/hawser-h31': {}, '..': {} }, WorkingDir: '../../..' };
      const ref = registry.push('h/x', 'v1', await image({ layers: [{ entries }], config: { config: run } }));
      assert.equal((await pull(ref, { store, ...native })).unpacked.length, 1);
    }
    assert.equal(existsSync('/tmp/hawser-h31'), false);
  });
});

test('what an image calls itself becomes neither a label nor a name (H29, H30)', OVERLAY, async () => {
  await withBench(async ({ store, registry }) => {
    const evil = 'evil-h29';
    const labels = {
      'containerd.io/gc.root': evil,
      'containerd.io/gc.ref.snapshot.native': evil,
      'containerd.io/snapshot.ref': evil,
      'containerd.io/restart.policy': evil,
      'io.cri-containerd.image': evil,
      'io.containerd.image.name': `docker.io/library/${evil}:1`,
      'org.opencontainers.image.ref.name': `../../${evil}\u0007`,
      'org.opencontainers.image.base.name': `docker.io/library/${evil}:1`,
      'org.criu.checkpoint.container.name': evil,
    };
    const made = await image({ config: { config: { Labels: labels } }, manifest: { annotations: labels } });
    const layers = documentOf(made).layers.map((layer: object) => ({ ...layer, annotations: labels }));
    const marked = await image({
      config: { config: { Labels: labels } },
      manifest: { annotations: labels, layers },
    });
    const index = documentOf(buildIndex([marked]));
    const [entry] = index.manifests;
    const ref = registry.push('h/x', 'v1', buildIndex([marked], { annotations: labels, manifests: [{ ...entry, annotations: labels }] })); // biome-ignore format: one line
    await pull(ref, { store, ...native });
    assert.deepEqual((await store.images.list()).map(({ name }) => name), [ref]); // biome-ignore format: one line
    assert.deepEqual((await allLabels(store)).filter((text) => text.includes(evil)), []); // biome-ignore format: one line
    assert.deepEqual(await store.content.listStatuses(), []);
    assert.equal(existsSync(join(runtimeOf(store).host.env('HOME') ?? '/', evil)), false);
  });
});

async function withData(registry: TestRegistry, data: unknown): Promise<{ ref: string; digest: string }> {
  const made = await image();
  const document = documentOf(made);
  const { digest } = document.config;
  const ref = registry.push('h/x', 'v1', await image({ manifest: { config: { ...document.config, data } } }));
  return { ref, digest };
}

test('inline data is no more trusted than a blob (H32)', async () => {
  await withBench(async (bench) => {
    const { registry, store } = bench;
    for (const data of ['%%%%', 'e30', 'e30=', 7]) {
      const { ref } = await withData(registry, data);
      await assertRefused(bench, 'InvalidArgument', /config\.data: (?:must be|holds)/, ref);
    }
    const honest = (await image()).blobs.get((await withData(registry, null)).digest) ?? assert.fail();
    const wrong = honest.map((byte) => byte ^ 1);
    const { ref, digest } = await withData(registry, btoa(String.fromCharCode(...wrong)));
    await fetch(ref, { store });
    const bytes = await new Response(
      (await store.content.open(digest as never)) as ReadableStream<Uint8Array<ArrayBuffer>>,
    ).arrayBuffer();
    assert.deepEqual(new Uint8Array(bytes), honest);
  });
});
