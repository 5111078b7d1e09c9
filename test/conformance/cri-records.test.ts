/** What CRI looks for: which records are made, in which order, and what a call that fails leaves. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Backend } from '../../src/core/backend.ts';
import { HawserError } from '../../src/core/errors.ts';
import type { ImageStore } from '../../src/core/images/image-store.ts';
import { parseReference } from '../../src/core/reference/parse.ts';
import { type ImportOptions, importImages } from '../../src/core/verbs/import.ts';
import { choosePruned } from '../../src/core/verbs/prune.ts';
import { tagImage } from '../../src/core/verbs/tag.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { openStore, type ProgressEvent, type Store } from '../../src/mod.ts';
import { rejectsWith } from '../support/bench.ts';
import {
  amd64,
  blobEntry,
  blobs,
  INDEX_DIGEST,
  index,
  indexOf,
  LAYOUT,
  ROOT,
  tarOf,
} from '../support/golden-image.ts';
import { digestOf } from '../support/stores.ts';
import { tempDir } from '../support/tmp.ts';

const NAME = 'registry.example/t/img:1';
const OTHER = 'registry.example/u/img:2';
const BY_DIGEST = `registry.example/t/img@${INDEX_DIGEST}`;
const ID = digestOf(amd64.config);
const MANAGED = { 'io.cri-containerd.image': 'managed' };
const IMAGE_NAME = 'io.containerd.image.name';

interface World {
  readonly store: Store;
  /** What was asked of the image records that may change them, in order. */
  readonly writes: string[];
  /** The number of the call to the image records that fails; 0: none. */
  fails: number;
  load(names: readonly string[], options?: Partial<ImportOptions>): Promise<string[]>;
  readonly backend: Backend;
}

async function withWorld(
  body: (world: World) => Promise<void>,
  cri: Partial<Backend> = { criNamespace: 'default' },
) {
  const dir = tempDir();
  const store = await openStore({ root: join(dir.path, 'root') });
  const { backend: own, runtime } = partsOf(store);
  const writes: string[] = [];
  let calls = 0;
  const images: ImageStore = new Proxy(own.images, {
    get:
      (target, name: keyof ImageStore) =>
      (of: never, ...rest: never[]) => {
        if (name === 'put' || name === 'label') writes.push(of);
        if (!name.startsWith('delete') && ++calls === world.fails)
          throw new HawserError('Unavailable', 'on purpose');
        return (target[name] as (...args: never[]) => unknown).call(target, of, ...rest);
      },
  });
  const backend: Backend = { ...own, images, ...cri };
  const { clock, hashers, codecs } = runtime;
  const hostPlatform = { os: 'linux', architecture: 'amd64' };
  const deps = { backend, runtime, clock, hashers, codecs, hostPlatform, cpus: 1 };
  const world: World = {
    store,
    backend,
    writes,
    fails: 0,
    load: async (names, options = {}) => {
      const path = join(dir.path, 'in');
      const annotated = names.map((name) => ({ [IMAGE_NAME]: name }));
      writeFileSync(
        path,
        tarOf([['oci-layout', LAYOUT], ['index.json', indexOf(annotated)], ...blobs().map(blobEntry)]),
      );
      const said: string[] = [];
      const report = (event: ProgressEvent) => void (event.type === 'warning' && said.push(event.message));
      calls = 0;
      writes.length = 0;
      await importImages(deps, { from: { type: 'path', path }, unpack: false, report, ...options });
      return said;
    },
  };
  try {
    await body(world);
  } finally {
    await store[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

const records = async ({ store }: World) =>
  (await store.images.list()).map(({ name, target, labels }) => ({ name, digest: target.digest, labels }));

test('ID, digest and name are recorded in this order, with the label of CRI; a second time nothing is written', () =>
  withWorld(async (world) => {
    await world.load([NAME, OTHER]);
    const otherDigest = `registry.example/u/img@${INDEX_DIGEST}`;
    assert.deepEqual(world.writes, [ID, BY_DIGEST, NAME, otherDigest, OTHER]);
    const names = [NAME, BY_DIGEST, OTHER, otherDigest, ID];
    assert.deepEqual(
      await records(world),
      names.map((name) => ({ name, digest: INDEX_DIGEST, labels: MANAGED })),
    );
    await world.load([NAME, OTHER]);
    assert.deepEqual(world.writes, []);
    await world.load([NAME], { pin: true, labels: { mine: '1' } });
    assert.deepEqual(world.writes, [ID, BY_DIGEST, NAME]);
    await world.load([NAME]);
    assert.deepEqual(world.writes, []);
    const { labels } = await world.store.images.get(NAME);
    assert.deepEqual(labels, { ...MANAGED, mine: '1', 'io.cri-containerd.pinned': 'pinned' });
  }));

test('a call that fails, whichever, leaves no record of the import, and those that were there as they were', () =>
  withWorld(async (world) => {
    const before = 'registry.example/old:1';
    await world.store.images.put(before, ROOT, {}).catch(() => {});
    const old = await records(world);
    let fails = 0;
    for (;;) {
      world.fails = ++fails;
      try {
        await world.load([NAME, OTHER]);
        break;
      } catch (err) {
        assert.match(String(err), /on purpose/);
        assert.deepEqual(await records(world), old, `call ${fails}`);
      }
    }
    assert.ok(fails > 10, `${fails} calls`);
    assert.equal((await records(world)).length, old.length + 5);
  }));

test('a name that is kept keeps the import from recording anything of it', () =>
  withWorld(async (world) => {
    const target = { ...ROOT, digest: digestOf(index.slice(1)) };
    await world.store.images.put(NAME, target, {});
    const before = await records(world);
    await rejectsWith('AlreadyExists', /is sha256:/, world.load([NAME], { onConflict: 'error' }));
    assert.deepEqual(await records(world), before);
    assert.match((await world.load([NAME], { onConflict: 'keep' })).join(), /Left out/);
    assert.deepEqual(await records(world), before);
    await world.load([NAME]);
    assert.equal((await records(world)).length, 3);
  }));

test('a name of tag and digest is two for CRI; without CRI it is one', async () => {
  const both = `${NAME}@${INDEX_DIGEST}`;
  await withWorld(async (world) => {
    await world.load([both]);
    assert.deepEqual(world.writes, [ID, BY_DIGEST, NAME]);
    await world.load([both], { forCri: false });
    assert.deepEqual(world.writes, [both]);
  });
  await withWorld(
    async (world) => {
      await world.load([both]);
      assert.deepEqual(world.writes, [both]);
      const said = await world.load([NAME], { forCri: true });
      assert.match(said.join(), /CRI reads the namespace k8s\.io only, and the images go into default/);
      assert.deepEqual(world.writes, [ID, BY_DIGEST, NAME]);
    },
    { criNamespace: 'k8s.io' },
  );
  await withWorld(async ({ load }) => {
    await load([NAME]);
    await rejectsWith('InvalidArgument', /not a containerd/, load([NAME], { forCri: true }));
  }, {});
});

test('an image for other platforms only gets no ID, and that is said', () =>
  withWorld(async (world) => {
    const said = await world.load([NAME], { platforms: [{ os: 'linux', architecture: 'arm64' }] });
    assert.match(
      said.join(),
      /CRI does not show registry\.example\/t\/img:1: it has no image for linux\/amd64/,
    );
    assert.deepEqual(world.writes, [BY_DIGEST, NAME]);
    assert.deepEqual((await world.store.images.get(NAME)).labels, {});
  }));

test('an ID stays with the image that has it, and moves from one that has another', () =>
  withWorld(async (world) => {
    await world.load([NAME]);
    // Another index of the same image: here its bare manifest.
    const bare = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(amd64.manifest),
      size: amd64.manifest.length,
    };
    await world.store.images.put(ID, bare, {});
    await world.load([OTHER]);
    assert.deepEqual((await world.store.images.get(ID)).target, bare);
    await world.store.images.put(ID, { ...bare, digest: digestOf(index.slice(1)) }, {});
    await world.load([OTHER]);
    assert.equal((await world.store.images.get(ID)).target.digest, INDEX_DIGEST);
  }));

test('a new tag is recorded by digest, too; when that fails, neither is', () =>
  withWorld(async (world) => {
    await world.load([NAME]);
    const target = parseReference(OTHER);
    const before = await records(world);
    for (let fails = 1; ; fails++) {
      world.fails = 0;
      await world.load([NAME]);
      world.writes.length = 0;
      let calls = 0;
      const images = new Proxy(world.store.images, {
        get:
          (of, name: keyof ImageStore) =>
          (...args: never[]) => {
            if (!name.startsWith('delete') && ++calls === fails)
              throw new HawserError('Unavailable', 'on purpose');
            return (of[name] as (...args: never[]) => unknown).call(of, ...args);
          },
      });
      try {
        await tagImage({ ...world.backend, images }, { source: NAME, target });
        break;
      } catch (err) {
        assert.match(String(err), /on purpose/);
        assert.deepEqual(await records(world), before);
      }
    }
    const names = (await records(world)).map(({ name }) => name);
    assert.deepEqual(names, [NAME, BY_DIGEST, OTHER, `registry.example/u/img@${INDEX_DIGEST}`, ID]);
  }));

test('pruning takes the names that CRI needs with the last other name, and counts them as none', () =>
  withWorld(async (world) => {
    await world.load([NAME, OTHER]);
    const choose = async (keep: number, filter: (name: string) => boolean) => {
      const { goes } = await choosePruned(world.backend, {
        keep,
        filter: (fields) => filter(String(fields(['name']))),
        now: Date.now(),
      });
      return goes.map(({ name }) => name);
    };
    assert.deepEqual(await choose(1, () => true), []);
    assert.deepEqual(await choose(0, (name) => name === NAME), [NAME, BY_DIGEST]);
    assert.deepEqual(
      await choose(0, () => true),
      (await records(world)).map(({ name }) => name),
    );
  }));
