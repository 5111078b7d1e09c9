/** Layouts in the place of a registry: `oci:DIR` and `oci-archive:FILE`. HA numbers are those of the vectors of archives. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isLayoutSource, referenceOf } from '../../src/core/carry/layout-source.ts';
import { withLayouts } from '../../src/core/carry/with-layouts.ts';
import { hintOf, kindOf, messageOf } from '../../src/core/errors.ts';
import type { Registry } from '../../src/core/registry/registry.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { fetch, openStore, type Store } from '../../src/mod.ts';
import { rejectsWith } from '../support/bench.ts';
import {
  AMD64_DIGEST,
  type ArchiveEntry,
  amd64,
  BASE,
  blobEntry,
  blobs,
  craneArchive,
  INDEX_DIGEST,
  indexOf,
  LAYOUT,
  ROOT,
  tarOf,
} from '../support/golden-image.ts';
import { digestOf } from '../support/stores.ts';
import { tempDir } from '../support/tmp.ts';

const NAME = 'registry.example/t/img:1';
const CONTAINERD = 'io.containerd.image.name';
const OCI = 'org.opencontainers.image.ref.name';
const NAMED = { [CONTAINERD]: NAME, [OCI]: '1' };

/** No network is asked. */
const nobody = new Proxy({} as Registry, {
  get: (_, key) => (key === Symbol.asyncDispose ? async () => {} : () => assert.fail('a registry was asked')),
});

interface World {
  readonly store: Store;
  readonly runtime: ReturnType<typeof partsOf>['runtime'];
  readonly dir: string;
  /** Writes a layout into a new directory. */
  layout(index?: string, of?: readonly Uint8Array[]): string;
}

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const store = await openStore({ root: join(dir.path, 'root') });
  const { runtime } = partsOf(store);
  let count = 0;
  const layout: World['layout'] = (index = indexOf([NAMED]), of = blobs()) => {
    const path = join(dir.path, `Lay_${count++}`);
    for (const [name, content] of entriesOf(index, of)) {
      mkdirSync(dirname(join(path, name)), { recursive: true });
      writeFileSync(join(path, name), content);
    }
    return path;
  };
  try {
    await body({ store, runtime, dir: dir.path, layout });
  } finally {
    await store[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

const entriesOf = (index: string, of: readonly Uint8Array[]): ArchiveEntry[] => [
  ['oci-layout', LAYOUT],
  ['index.json', index],
  ...of.map(blobEntry),
];

const blobIn = (dir: string, bytes: Uint8Array): string => join(dir, blobEntry(bytes)[0]);

test('a layout, an archive of one and the content of a store are fetched under their own names', () =>
  withWorld(async ({ store, dir, layout }) => {
    const tar = join(dir, 'img.tar');
    writeFileSync(tar, tarOf(entriesOf(indexOf([NAMED]), blobs())));
    const first = await fetch(`oci:${layout()}`, { store, platforms: 'all' });
    assert.deepEqual([first.name, first.target], [NAME, ROOT]);
    const carried = join(dir, 'carried');
    mkdirSync(carried);
    execFileSync('cp', ['-a', join(store.root, 'content'), carried]);
    for (const source of [`oci-archive:${tar}`, `oci:${carried}/content`]) {
      await store.images.delete(NAME);
      await store.collect();
      const { name, target } = await fetch(source, { store, platforms: 'all' });
      assert.deepEqual([name, target], [NAME, ROOT], source);
      for (const bytes of blobs())
        assert.equal((await store.content.info(digestOf(bytes))).size, bytes.length);
    }
  }));

test('a layout that lacks what nobody wants is fetched, one that lacks a layer is not, and the error names both', () =>
  withWorld(async ({ store, layout }) => {
    const layers = amd64.layers.map((layer) => digestOf(layer));
    const some: string[] = [INDEX_DIGEST, AMD64_DIGEST, digestOf(amd64.config), ...layers];
    const sparse = layout(
      undefined,
      blobs((bytes) => !some.includes(digestOf(bytes))),
    );
    await fetch(`oci:${sparse}`, { store, platforms: ['linux/amd64'] });
    await store.images.delete(NAME);
    await store.collect();
    rmSync(blobIn(sparse, BASE));
    await assert.rejects(fetch(`oci:${sparse}`, { store, platforms: ['linux/amd64'] }), (err) => {
      assert.equal(kindOf(err), 'NotFound');
      assert.ok(messageOf(err).includes(`${digestOf(BASE)} is not in ${sparse}`), messageOf(err));
      return true;
    });
    assert.deepEqual(await store.images.list(), []);
  }));

test('which image is meant, and what it is called', () =>
  withWorld(async ({ runtime, layout }) => {
    const other = { ...ROOT, digest: AMD64_DIGEST, size: amd64.manifest.length };
    const named = (annotations: object, root: object = ROOT) => ({ ...root, annotations });
    const layoutOf = (...manifests: object[]) => layout(JSON.stringify({ schemaVersion: 2, manifests }));
    const rows: readonly [manifests: object[], rest: string, name: string | RegExp][] = [
      [[named(NAMED)], '', NAME],
      [[named(NAMED)], ':1', NAME],
      [[named(NAMED)], `:${NAME}`, NAME],
      [[named(NAMED)], `:1@${INDEX_DIGEST}`, NAME],
      [[named(NAMED)], `@${INDEX_DIGEST}`, NAME],
      [[named(NAMED)], `@${AMD64_DIGEST}`, `localhost/lay@${AMD64_DIGEST}`],
      [[named(NAMED)], `:1@${AMD64_DIGEST}`, /no image called "1" with the digest/],
      [[named({ [CONTAINERD]: NAME, [OCI]: 'x' })], ':x', NAME],
      // The name that was asked for, not one that the layout chooses.
      [[named({ [CONTAINERD]: 'docker.io/library/alpine:1', [OCI]: NAME })], `:${NAME}`, NAME],
      [[named({ [CONTAINERD]: NAME, [OCI]: 'alpine:1' })], ':alpine:1', 'docker.io/library/alpine:1'],
      [[named({ [OCI]: 'v2' })], '', 'localhost/lay:v2'],
      [[named({ [OCI]: 'v2' })], ':v2', 'localhost/lay:v2'],
      [[named({ [OCI]: 'v2' }), named({ [OCI]: 'v3' }, other)], ':v3', 'localhost/lay:v3'],
      [[named({ [OCI]: 'v2' }), named({ [OCI]: 'v3' })], '', 'localhost/lay:v2'],
      [[named({ [OCI]: 'v2' }), named({ [OCI]: 'v3' }, other)], '', /2 images; there are "v2", "v3"/],
      [[named({ [OCI]: 'alpine:3' })], ':alpine:3', 'docker.io/library/alpine:3'],
      [[named({ [OCI]: 'alpine:3' })], ':docker.io/library/alpine:3', 'docker.io/library/alpine:3'],
      [[ROOT], '', 'localhost/lay:latest'],
      [[], '', /no image/],
      [[], ':a', /no image/],
      [[named(NAMED)], ':../../etc', /no image called "..\/..\/etc"/],
      [[named(NAMED)], '@sha256:12', /not a digest/],
      // HA7
      [[named({ [OCI]: '../../etc/passwd' })], '', /Cannot use the name/],
      [[named({ [OCI]: 'ev il\n\u001b[31m' })], '', /Cannot use the name/],
      [[named({ [OCI]: `sha256:${'a'.repeat(64)}` })], '', /form of an image ID/],
      [[named({ [OCI]: `x:1@${AMD64_DIGEST}` })], '', /the image is/],
    ];
    for (const [manifests, rest, expected] of rows) {
      const text = `oci:${layoutOf(...manifests)}${rest}`;
      if (typeof expected === 'string') {
        const { name, layout } = await referenceOf(runtime, text, {});
        assert.equal(name.replace(/lay-\d+/, 'lay'), expected, text);
        assert.ok(layout?.root.digest === (name.includes('@') ? AMD64_DIGEST : layout?.root.digest));
      } else
        await assert.rejects(referenceOf(runtime, text, {}), (err) => expected.test(messageOf(err)), text);
    }
    assert.ok(!isLayoutSource('docker-daemon:x') && !isLayoutSource('registry.example/oci:1'));
  }));

test('parts are given as they are asked for, and a layout is opened once and closed', () =>
  withWorld(async ({ runtime, dir }) => {
    const tar = join(dir, 'img.tar');
    writeFileSync(tar, tarOf(entriesOf(indexOf([NAMED]), blobs())));
    let [opened, closed] = [0, 0];
    const fs: typeof runtime.fs = {
      ...runtime.fs,
      open: async (...args) => {
        const file = await runtime.fs.open(...args);
        opened++;
        return new Proxy(file, {
          get: (target, key) => {
            if (key === 'close') closed++;
            const value = Reflect.get(target, key);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
    };
    const deps = { ...runtime, fs };
    const reference = await referenceOf(deps, `oci-archive:${tar}`, {});
    assert.deepEqual([opened, closed], [1, 1]);
    const registry = withLayouts(nobody, deps);
    assert.deepEqual((await registry.resolve(reference)).root, ROOT);
    const desc = { mediaType: 'x/y', digest: digestOf(BASE), size: BASE.length };
    for (const [offset, end] of [[0], [7], [0, 5], [3, 9], [3, BASE.length]] as const) {
      const { body, offset: at } = await registry.fetcher(reference).fetch(desc, { offset, end });
      const got = new Uint8Array(await new Response(body).arrayBuffer());
      assert.deepEqual([at, got], [offset, BASE.slice(offset, end)]);
    }
    const found = await registry.find(reference, desc.digest, { mediaType: 'x/y' });
    assert.deepEqual(found.desc, desc);
    await rejectsWith('NotFound', /img.tar/, registry.find(reference, digestOf(new Uint8Array(3))));
    await rejectsWith('NotImplemented', /lists/, registry.tags(reference));
    await registry[Symbol.asyncDispose]();
    assert.deepEqual([opened, closed], [2, 2]);
  }));

test('HA1, HA6, HA8, HA9, HA19: a hostile layout records nothing, leads nowhere, and is named', () =>
  withWorld(async ({ store, dir, layout }) => {
    const secret = join(dir, 'secret');
    writeFileSync(secret, BASE);
    const damage: Readonly<Record<string, (path: string) => void>> = {
      'a flipped byte': (path) => {
        const bytes = new Uint8Array(readFileSync(blobIn(path, BASE)));
        bytes[5] = (bytes[5] ?? 0) ^ 1;
        writeFileSync(blobIn(path, BASE), bytes);
      },
      'a blob that is a symlink to its own bytes': (path) => {
        rmSync(blobIn(path, BASE));
        symlinkSync(secret, blobIn(path, BASE));
      },
      'a directory of blobs that is a symlink': (path) => {
        renameSync(join(path, 'blobs'), join(path, 'elsewhere'));
        symlinkSync('elsewhere', join(path, 'blobs'));
      },
      'a blob that is a directory': (path) => {
        rmSync(blobIn(path, BASE));
        mkdirSync(blobIn(path, BASE));
      },
      'a blob that is a pipe': (path) => {
        rmSync(blobIn(path, BASE));
        execFileSync('mkfifo', [blobIn(path, BASE)]);
      },
      'an index.json that is a symlink': (path) => {
        renameSync(join(path, 'index.json'), join(path, 'other.json'));
        symlinkSync('other.json', join(path, 'index.json'));
      },
      'an index.json of 5 MiB': (path) =>
        writeFileSync(join(path, 'index.json'), indexOf([NAMED]).padEnd(5 << 20)),
      'no index.json': (path) => rmSync(join(path, 'index.json')),
      'no JSON': (path) => writeFileSync(join(path, 'index.json'), '{'),
      'another version': (path) => writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}'),
      'a size of 1': (path) => writeFileSync(join(path, 'index.json'), indexOf([NAMED], { size: 1 })),
      'a negative size': (path) => writeFileSync(join(path, 'index.json'), indexOf([NAMED], { size: -1 })),
      'an absent document': (path) => rmSync(join(path, 'blobs/sha256', INDEX_DIGEST.slice(7))),
      'a digest that is a path': (path) =>
        writeFileSync(join(path, 'index.json'), indexOf([NAMED], { digest: 'sha256:../../../etc/passwd' })),
    };
    for (const [what, spoil] of Object.entries(damage)) {
      const path = layout();
      spoil(path);
      await assert.rejects(fetch(`oci:${path}`, { store, platforms: 'all', retry: { tries: 0 } }), (err) => {
        assert.ok(messageOf(err).includes(path), `${what}: ${messageOf(err)}`);
        return true;
      });
      assert.deepEqual(await store.images.list(), [], what);
    }
    for (const { digest } of await store.content.list())
      assert.ok(blobs().some((one) => digestOf(one) === digest));
  }));

test('what cannot be read in place is told to import', () =>
  withWorld(async ({ store, dir }) => {
    const whole = tarOf(entriesOf(indexOf([NAMED]), blobs()));
    for (const [bytes, why] of [
      [gzipSync(whole), /compressed/],
      [craneArchive([NAME]), /docker save/],
    ] as const) {
      writeFileSync(join(dir, 'x.tar'), bytes);
      await assert.rejects(fetch(`oci-archive:${dir}/x.tar`, { store }), (err) => {
        assert.match(messageOf(err), why);
        assert.match(hintOf(err) ?? '', /importImages .*x\.tar/);
        return true;
      });
    }
    await assert.rejects(fetch(`oci:${dir}/absent`, { store }), (err) => kindOf(err) === 'NotFound');
    await assert.rejects(fetch('oci:', { store }), (err) => kindOf(err) === 'InvalidArgument');
  }));
