/** Archives that carry only what the other side has not: inventories, holes, what an import says that misses something. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { TarReader } from '../../src/core/archive/tar-reader.ts';
import { reasonOf } from '../../src/core/errors.ts';
import { exportImages, importImages, openStore, type ProgressEvent, type Store } from '../../src/mod.ts';
import { rejectsWith } from '../support/bench.ts';
import { failure } from '../support/failure.ts';
import {
  AMD64_DIGEST,
  ARM64_DIGEST,
  amd64,
  arm64,
  BASE,
  blobEntry,
  indexOf,
  LAYOUT,
  layers,
  MANIFEST_TYPE,
  putBlob,
  ROOT,
  referrer,
  storeGolden,
  tarOf,
} from '../support/golden-image.ts';
import { digestOf } from '../support/stores.ts';
import { tempDir } from '../support/tmp.ts';

const OLD = 'registry.example/t/old:1';
const NAME = 'registry.example/t/img:1';
const NEW = 'registry.example/t/new:1';

interface World {
  readonly near: Store;
  far(): Promise<Store>;
  path(name: string): string;
}

/** The near store has the amd64 image as OLD and the arm64 one as NEW: they share the first layer. */
async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const opened: Store[] = [];
  const path = (name: string) => join(dir.path, name);
  const open = async () => {
    const store = await openStore({ root: path(`store-${opened.length}`) });
    opened.push(store);
    return store;
  };
  try {
    const near = await open();
    await storeGolden(near, []);
    const desc = (digest: typeof AMD64_DIGEST, bytes: Uint8Array) => ({
      mediaType: MANIFEST_TYPE,
      digest,
      size: bytes.length,
    });
    await near.images.put(OLD, desc(AMD64_DIGEST, amd64.manifest), {});
    await near.images.put(NEW, desc(ARM64_DIGEST, arm64.manifest), {});
    await body({ near, far: open, path });
  } finally {
    for (const store of opened) await store[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

function namesOf(path: string): string[] {
  const names: string[] = [];
  const reader = new TarReader({
    entry: ({ name }) => void names.push(name),
    data: () => {},
    hole: () => {},
    entryEnd: () => {},
  });
  reader.push(new Uint8Array(readFileSync(path)));
  reader.end();
  return names;
}

const inArchive = (path: string, bytes: Uint8Array) => namesOf(path).includes(blobEntry(bytes)[0]);
const inventoryOf = async (store: Store) =>
  JSON.stringify({
    v: 1,
    what: 'hawser-inventory',
    blobs: (await store.content.list()).map(({ digest }) => digest),
  });

/** All that a store has, for comparing two. */
async function stateOf(store: Store) {
  const blobs = (await store.content.list()).map(({ digest, size, labels }) => [digest, size, labels]);
  return {
    blobs,
    images: (await store.images.list()).map(({ name, target, labels }) => [name, target, labels]),
  };
}

test('A29: by an inventory, an archive, a layout, a bundle or a list: only new layers, and the union is the whole', () =>
  withWorld(async ({ near, far, path }) => {
    await exportImages([OLD], { store: near, to: { file: path('old.tar') } });
    await exportImages([OLD], { store: near, to: { file: path('old.tar.gz') } });
    await exportImages([OLD], { store: near, to: { directory: path('old') } });
    const first = await far();
    await importImages({ store: first, from: path('old.tar'), unpack: false });
    const inventory = await inventoryOf(first);
    writeFileSync(path('inventory.json'), inventory);
    writeFileSync(path('plain.txt'), (JSON.parse(inventory).blobs as string[]).join('\n'));
    const whole = await far();
    await exportImages([OLD, NEW], { store: near, to: { file: path('whole.tar') } });
    await importImages({ store: whole, from: path('whole.tar'), platforms: 'all', unpack: false });
    for (const lacks of ['inventory.json', 'plain.txt', 'old.tar', 'old.tar.gz', 'old']) {
      await exportImages([NEW], { store: near, to: { file: path('delta.tar') }, lacks: [path(lacks)] });
      assert.deepEqual(
        [BASE, layers[2] ?? BASE, arm64.manifest, arm64.config].map((bytes) =>
          inArchive(path('delta.tar'), bytes),
        ),
        [false, true, true, true],
        lacks,
      );
      const store = await far();
      await importImages({ store, from: path('old.tar'), unpack: false });
      await importImages({ store, from: path('delta.tar'), unpack: false });
      assert.deepEqual(await stateOf(store), await stateOf(whole), lacks);
    }
    // The next delta builds upon what the last one carried and took for granted.
    await exportImages([OLD, NEW], {
      store: near,
      to: { file: path('next.tar') },
      lacks: [path('delta.tar')],
    });
    assert.deepEqual(
      [BASE, layers[2] ?? BASE, layers[1] ?? BASE].map((bytes) => inArchive(path('next.tar'), bytes)),
      [false, false, true],
    );
  }));

test('A30, A31: a base blob that is not here is named, nothing is recorded; in any order once the base is there', () =>
  withWorld(async ({ near, far, path }) => {
    await exportImages([OLD], { store: near, to: { file: path('old.tar') } });
    await exportImages([NEW], { store: near, to: { file: path('delta.tar') }, lacks: [path('old.tar')] });
    const store = await far();
    for (const options of [{}, { completeOnly: true }]) {
      const load = importImages({ store, from: path('delta.tar'), unpack: false, ...options });
      const err = await failure(load);
      assert.match(
        err.message,
        new RegExp(`lacks 1 blobs \\(105 bytes\\) .* for granted: ${digestOf(BASE)}`),
      );
      assert.deepEqual(reasonOf(err, 'lacks')?.digests, [digestOf(BASE)]);
    }
    assert.deepEqual(await store.images.list(), []);
    await importImages({ store, from: path('old.tar'), unpack: false });
    await importImages({ store, from: path('delta.tar'), unpack: false });
    assert.equal((await store.images.list()).length, 2);
  }));

test('A30: with completeOnly the images that are whole are imported', () =>
  withWorld(async ({ near, far, path }) => {
    writeFileSync(path('have'), digestOf(layers[2] ?? BASE));
    await exportImages([NEW, OLD], { store: near, to: { file: path('x.tar') }, lacks: [path('have')] });
    const store = await far();
    const { images } = await importImages({ store, from: path('x.tar'), unpack: false, completeOnly: true });
    assert.deepEqual(
      images.map(({ name }) => name),
      [OLD],
    );
  }));

test('an archive with holes has no manifest.json for images with holes, and no Docker form', () =>
  withWorld(async ({ near, path }) => {
    writeFileSync(path('have'), `${digestOf(BASE)}\r\n`);
    await exportImages([NEW], { store: near, to: { file: path('x.tar') }, lacks: [path('have')] });
    assert.deepEqual(namesOf(path('x.tar')).slice(0, 3), ['oci-layout', 'index.json', 'hawser/bundle.json']);
    const docker = exportImages([NEW], {
      store: near,
      to: { file: path('d.tar') },
      lacks: [path('have')],
      format: 'docker',
    });
    await rejectsWith('InvalidArgument', /cannot leave out/, docker);
    for (const [name, text] of [
      ['e', ''],
      ['f', '{}'],
      ['g', 'nonsense'],
      ['h', '{"blobs":[1,null,{"digest":"x"}]}'],
    ] as const) {
      writeFileSync(path(name), text);
      const load = exportImages([NEW], { store: near, to: { file: path('d.tar') }, lacks: [path(name)] });
      await assert.rejects(load, /what the other side has/);
    }
  }));

test('HA15: a bundle.json that lies', () =>
  withWorld(async ({ far, path }) => {
    const manifest = { mediaType: MANIFEST_TYPE, digest: AMD64_DIGEST, size: amd64.manifest.length };
    const index = indexOf([{ 'io.containerd.image.name': OLD }], manifest);
    const of = (bundle: string | Uint8Array, blobs: readonly Uint8Array[]) =>
      tarOf([
        ['oci-layout', LAYOUT],
        ['index.json', index],
        ['hawser/bundle.json', bundle],
        ...blobs.map(blobEntry),
      ]);
    const all = [amd64.manifest, amd64.config, ...amd64.layers];
    const id = (digests: string[]) =>
      digestOf(
        new TextEncoder().encode(
          digests
            .sort()
            .map((one) => `${one}\n`)
            .join(''),
        ),
      );
    const listed = all.map((bytes) => ({
      digest: digestOf(bytes),
      size: bytes.length,
      in: true,
      kind: 'layer',
    }));
    const right = {
      v: 1,
      id: id(all.map((bytes) => digestOf(bytes))),
      base: [`sha256:${'0'.repeat(64)}`],
      images: [],
      blobs: listed,
    };
    const load = async (bytes: Uint8Array, gzip = false) => {
      const store = await far();
      writeFileSync(path('x.tar'), gzip ? gzipSync(bytes) : bytes);
      return await importImages({ store, from: path('x.tar'), unpack: false });
    };
    for (const gzip of [false, true]) {
      await rejectsWith(
        'InvalidArgument',
        /does not fit its id/,
        load(of(JSON.stringify({ ...right, id: 'x' }), all), gzip),
      );
      await rejectsWith('InvalidArgument', /bundle.json/, load(of('[]', all), gzip));
      await rejectsWith(
        'ResourceExhausted',
        /bundle.json has \d+ bytes/,
        load(of(new Uint8Array(17 << 20), all), gzip),
      );
    }
    // It says that all is in, and one is not.
    await rejectsWith(
      'NotFound',
      /lacks 1 blobs/,
      load(
        of(
          JSON.stringify(right),
          all.filter((bytes) => bytes !== BASE),
        ),
      ),
    );
    // It says that one is not in, and there are other bytes in its place.
    const wrong = tarOf(
      [
        ['oci-layout', LAYOUT],
        ['index.json', index],
        ['hawser/bundle.json', JSON.stringify(right)],
        ...all.map(blobEntry),
      ].map(
        ([name, content]) =>
          [
            name as string,
            content === BASE ? Buffer.from('x'.repeat(105)) : (content as Uint8Array | string),
          ] as const,
      ),
    );
    await rejectsWith('DataLoss', /sha256/, load(wrong));
    await load(of(JSON.stringify({ ...right, base: [right.id], blobs: listed }), all));
  }));

const SUBJECT = 'io.containerd.manifest.subject';

test('A14: what refers to an image goes along, is linked on the other side, and goes with the image', () =>
  withWorld(async ({ near, far, path }) => {
    await near.images.put(NAME, ROOT, {});
    for (const bytes of referrer.blobs) await putBlob(near, bytes, 'application/octet-stream');
    const { digest } = await putBlob(near, referrer.manifest, MANIFEST_TYPE);
    await exportImages([NAME], { store: near, to: { file: path('plain.tar') } });
    assert.equal(inArchive(path('plain.tar'), referrer.manifest), false);
    const docker = exportImages([NAME], {
      store: near,
      to: { file: path('d.tar') },
      referrers: true,
      format: 'docker',
    });
    await rejectsWith('InvalidArgument', /refers to an image/, docker);
    for (const options of [{}, { platforms: ['linux/amd64'], index: 'keep' as const }]) {
      await exportImages([NAME], {
        store: near,
        to: { directory: path('out') },
        referrers: true,
        ...options,
      });
      await exportImages([NAME], { store: near, to: { file: path('out.tar') }, referrers: true, ...options });
      const { manifests } = JSON.parse(readFileSync(path('out/index.json'), 'utf8'));
      const entry = manifests.find((one: { digest: string }) => one.digest === digest);
      assert.deepEqual(entry.annotations, { [SUBJECT]: ROOT.digest });
      assert.equal(entry.artifactType, 'application/vnd.example.sbom');
      for (const from of ['out', 'out.tar']) {
        const store = await far();
        await importImages({ store, from: path(from), unpack: false, platforms: ['linux/amd64'] });
        assert.deepEqual(
          (await store.images.list()).map(({ name }) => name),
          [NAME],
        );
        const key = `containerd.io/gc.ref.content.referrer.sha256.${digest.slice(7, 19)}`;
        assert.equal((await store.content.info(ROOT.digest)).labels[key], digest);
        await store.collect();
        for (const bytes of referrer.blobs) await store.content.info(digestOf(bytes));
        await store.images.delete(NAME);
        await store.collect();
        assert.deepEqual(await store.content.list(), []);
      }
    }
  }));

test('a referrer of the index of an archive that refers to something else is not linked', () =>
  withWorld(async ({ near, path }) => {
    await near.images.put(NAME, ROOT, {});
    const manifest = {
      mediaType: MANIFEST_TYPE,
      digest: digestOf(referrer.manifest),
      size: referrer.manifest.length,
    };
    const list = JSON.parse(indexOf([{ 'io.containerd.image.name': NAME }]));
    list.manifests.push({ ...manifest, annotations: { [SUBJECT]: AMD64_DIGEST } });
    const entries = [referrer.manifest, ...referrer.blobs].map(blobEntry);
    writeFileSync(
      path('x.tar'),
      tarOf([['oci-layout', LAYOUT], ['index.json', JSON.stringify(list)], ...entries]),
    );
    const said: string[] = [];
    const onProgress = (event: ProgressEvent) => void (event.type === 'warning' && said.push(event.message));
    await importImages({ store: near, from: path('x.tar'), unpack: false, onProgress });
    assert.match(said.join(), /does not refer to sha256:e12d/);
    const { labels } = await near.content.info(AMD64_DIGEST);
    assert.doesNotMatch(Object.keys(labels).join(), /referrer/);
  }));
