/**
 * The kinds of images and artifacts that are in registries (test/registry/zoo), for linux/amd64: which digest `resolve` and `resolve
 * --platform` give, and what `content fetch`, `pull --plan`, `pull` and `unpack --rootfs` do. The test prints the table.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findError, kindOf } from '../../src/core/errors.ts';
import type { Platform } from '../../src/core/oci/descriptor.ts';
import { parseReference } from '../../src/core/reference/parse.ts';
import { openRegistry } from '../../src/core/registry/open.ts';
import type { Registry } from '../../src/core/registry/registry.ts';
import { planPull } from '../../src/core/verbs/pull-plan.ts';
import { resolvePlatforms } from '../../src/core/verbs/resolve-platforms.ts';
import { optionHint } from '../../src/entry/option-hints.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { fetch, pull, type Store, unpackRootfs } from '../../src/mod.ts';
import type { TestImage } from '../registry/image.ts';
import { placeOf, ZOO } from '../registry/zoo/zoo.ts';
import { type Bench, withBench } from '../support/bench.ts';
import { needs } from '../support/needs.ts';
import { tempDir } from '../support/tmp.ts';

const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
const platforms = ['linux/amd64'];
const ROOT = { skip: needs({ root: true }) };
const seen: string[] = [];

interface Row {
  readonly resolve: string;
  readonly fetch: string;
  readonly plan: string;
  readonly pull: string;
  readonly rootfs: string;
}

/** What a verb gave, or its error: kind, message without names, hint. */
async function outcome(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (err) {
    const message = (findError(err) ?? (err as Error)).message;
    const hint = findError(err)?.hint;
    return clean(`${kindOf(err)}: ${message}${hint === undefined ? '' : ` (${hint})`}`);
  }
}

function clean(text: string): string {
  return text
    .replace(/sha256:[0-9a-f]{64}/g, 'DIGEST')
    .replace(/127\.0\.0\.1:\d+\/zoo\/[a-z0-9-]+:v1/g, 'REF')
    .replace(/127\.0\.0\.1:\d+/g, 'HOST');
}

async function withRegistry<T>(store: Store, work: (registry: Registry) => Promise<T>): Promise<T> {
  const { transports, clock } = partsOf(store).runtime;
  const registry = openRegistry({ transports, clock }, { retry: { tries: 0 } });
  try {
    return await work(registry);
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}

/** All that `root` is made of, by digest: what can be fetched. */
function digestsOf({ root, manifests, blobs }: TestImage): Set<string> {
  return new Set([root.digest, ...manifests.map(({ digest }) => digest), ...blobs.keys()]);
}

async function rowOf({ registry, store }: Bench, name: string, made: TestImage): Promise<Row> {
  const ref = registry.push(`zoo/${name}`, 'v1', made);
  const common = { store, retry: { tries: 0 } };
  const resolve = await outcome(() =>
    withRegistry(store, async (client) => {
      const { root } = await client.resolve(parseReference(ref));
      assert.equal(root.digest, made.root.digest);
      const { clock, hashers } = partsOf(store).runtime;
      const deps = { registry: client, clock, hashers, report: () => {}, retry: { tries: 0 } };
      const found = await resolvePlatforms(deps, parseReference(ref), [AMD64], {});
      const [manifest] = found.manifests;
      return placeOf(made, manifest?.desc.digest ?? '');
    }),
  );
  const plan = await outcome(() =>
    withRegistry(store, async (client) => {
      const { backend, runtime } = partsOf(store);
      const { clock, hashers, codecs } = runtime;
      const deps = { backend, registry: client, clock, hashers, codecs, hostPlatform: AMD64, cpus: 1 };
      const options = { reference: parseReference(ref), platforms: [AMD64], snapshotter: 'native' };
      const { blobs, unpacks } = await planPull(deps, options);
      return `${blobs.length} blobs, unpacks ${unpacks.map((one) => one.platform).join(' ')}`;
    }),
  );
  const pulled = await outcome(async () => {
    const { unpacked } = await pull(ref, { ...common, platforms, snapshotter: 'native' });
    return unpacked
      .map(
        (one) =>
          `${one.platform} ${name === 'image-schema1' ? 'converted' : placeOf(made, one.manifest.digest)}`,
      )
      .join(', ');
  });
  const recorded = (await store.images.list()).length;
  assert.equal(recorded, pulled.startsWith('linux/') ? 1 : 0, 'recorded when all of it is there');
  const fetched = await outcome(async () => {
    await fetch(ref, { ...common, platforms });
    const parts = digestsOf(made);
    const held = (await store.content.list()).filter(({ digest }) => parts.has(digest));
    return `${held.length} of ${parts.size}`;
  });
  const rootfs = await outcome(async () => {
    const dir = tempDir();
    try {
      await unpackRootfs(ref, join(dir.path, 'out'), { store, platform: 'linux/amd64' });
      return readdirSync(join(dir.path, 'out')).sort().join(' ');
    } finally {
      dir[Symbol.dispose]();
    }
  });
  return { resolve, fetch: fetched, plan, pull: pulled, rootfs };
}

const CALLS = ['fetch', 'pull', 'rootfs'];
const FETCHABLE = 'Fetch it without unpacking: hawser content fetch REF';

/** An image of `parts` documents and layers, alone at its tag. */
const image = (parts: number, rootfs: string): Row => ({
  resolve: 'itself',
  fetch: `${parts} of ${parts}`,
  plan: `${parts} blobs, unpacks linux/amd64`,
  pull: 'linux/amd64 itself',
  rootfs,
});

/** Of an index, the manifest `chosen`; `fetched` as `N of M`. */
const index = (chosen: string, fetched: string): Row => ({
  resolve: `manifest ${chosen}`,
  fetch: fetched,
  plan: `${fetched.split(' ')[0]} blobs, unpacks linux/amd64`,
  pull: `linux/amd64 manifest ${chosen}`,
  rootfs: 'amd64',
});

/** An artifact of `parts` documents and blobs. */
function artifact(parts: number, config: string): Row {
  const refused = `FailedPrecondition: Cannot unpack DIGEST: it is an artifact, not an image (its config is ${config}) (${FETCHABLE})`;
  const rootfs = `FailedPrecondition: DIGEST is no image config but ${config}: this is an artifact, not an image (It has nothing to unpack. hawser content get DIGEST writes a blob of it)`;
  return { resolve: 'itself', fetch: `${parts} of ${parts}`, plan: refused, pull: refused, rootfs };
}

/** One whose config is an image's. */
function inDisguise(parts: number, layers: string): Row {
  const refused = `FailedPrecondition: Cannot unpack DIGEST: it is an artifact, not an image (its layers are ${layers}) (${FETCHABLE})`;
  return { ...image(parts, refused), plan: refused, pull: refused };
}

/** An image whose layers are not ours to unpack. */
function layersOf(parts: number, fetched: number, why: string): Row {
  const refused = `NotImplemented: Cannot unpack DIGEST: layer 1 of ${parts - 2}: ${why}`;
  return { ...image(parts, refused), fetch: `${fetched} of ${parts}`, plan: refused, pull: refused };
}

/** Of another platform: nothing is stored. */
function absent(has: string): Row {
  const error = `NotFound: Cannot choose from "REF": no match for platform linux/amd64 (${has})`;
  return {
    resolve: error,
    fetch: error,
    plan: error,
    pull: error,
    rootfs: 'NotFound: image "REF": not found',
  };
}

const NO_IMAGE = 'The index lists no image for any platform';
const notUnpacked = `NotFound: Cannot choose from "REF": no match for platform linux/amd64 (Nothing in it can be unpacked for that platform. ${FETCHABLE})`;
const noImage = absent(NO_IMAGE).plan;
const noReader = `NotFound: no match for platform in manifest DIGEST (${NO_IMAGE})`;
const EMPTY = 'application/vnd.oci.empty.v1+json';
const schema1 = (what: string, hint: string) => `NotImplemented: Cannot ${what}: it is of schema 1 (${hint})`;
const FOREIGN =
  'NotFound: Cannot fetch layer-DIGEST: could not fetch content descriptor DIGEST (application/vnd.docker.image.rootfs.foreign.diff.tar.gzip) from remote: not found; a foreign layer, which its author keeps at http://HOST/base.tar.gz (Registries need not have such layers: --foreign-urls asks there)';

const TABLE: Readonly<Record<keyof typeof ZOO, Row>> = {
  image: image(3, 'app'),
  'image-docker': image(3, 'app'),
  'image-empty': image(2, ''),
  'image-schema1': {
    ...image(3, 'a b'),
    pull: 'linux/amd64 converted',
    resolve: schema1(
      'tell the platform of REF',
      'Leave --platform away: an image of that age is for one platform',
    ),
    // The manifest is converted; the layers are as they were.
    fetch: '2 of 3',
    plan: schema1(
      'plan REF',
      'A manifest of that age does not say how large its layers are; pull it without --plan',
    ),
  },
  'image-estargz': image(3, '.no.prefetch.landmark app stargz.index.json'),
  'image-zstd-chunked': image(3, 'app'),
  'image-nydus': layersOf(
    4,
    4,
    'no processor for media-type: application/vnd.oci.image.layer.nydus.blob.v1 (Layers are unpacked that are tar archives, plain or in gzip or zstd. The content can be fetched: hawser content fetch REF)',
  ),
  'image-encrypted': layersOf(
    3,
    3,
    'the layer is encrypted (application/vnd.oci.image.layer.v1.tar+gzip+encrypted) (Decrypt the image first, with imgcrypt or skopeo)',
  ),
  'image-foreign': { ...image(3, 'NotFound: image "REF": not found'), fetch: FOREIGN, pull: FOREIGN },
  'image-nondistributable': image(3, 'base'),
  'image-tekton': image(3, 'task'),
  'image-wasm': absent('The image has: wasi/wasm. Choose with --platform'),
  'index-buildx': index('1 of 4', '4 of 13'),
  'index-docker': index('1 of 2', '4 of 7'),
  'index-mixed': index('1 of 2', '4 of 7'),
  'index-mixed-list': index('1 of 2', '4 of 7'),
  'index-nested': index('3 of 4', '5 of 9'),
  'index-nested-untold': index('2 of 3', '5 of 8'),
  'index-platformless': index('2 of 2', '6 of 7'),
  'index-levels': index('3 of 4', '4 of 13'),
  'index-levels-only': absent('The image has: linux/amd64/v2, linux/amd64/v3. Choose with --platform'),
  'index-nydus': index('2 of 2', '4 of 8'),
  'index-soci': index('1 of 2', '4 of 7'),
  'index-windows': index('3 of 3', '4 of 10'),
  'index-referrers': {
    resolve: noImage,
    fetch: '6 of 6',
    plan: notUnpacked,
    pull: notUnpacked,
    rootfs: noReader,
  },
  'index-artifacts': {
    ...artifact(6, EMPTY),
    resolve: 'manifest 1 of 2',
    fetch: '4 of 6',
    plan: notUnpacked,
    pull: notUnpacked,
  },
  'index-buildkit-cache': { ...absent(NO_IMAGE), fetch: '3 of 3', rootfs: noReader },
  helm: artifact(4, 'application/vnd.cncf.helm.config.v1+json'),
  cosign: inDisguise(3, 'application/vnd.dev.cosign.simplesigning.v1+json'),
  'cosign-bundle': artifact(3, EMPTY),
  notation: artifact(3, 'application/vnd.cncf.notary.signature'),
  sbom: artifact(3, EMPTY),
  soci: artifact(3, 'application/vnd.amazon.soci.index.v1+json'),
  'wasm-module': artifact(3, 'application/vnd.wasm.config.v0+json'),
  'wasm-runwasi': absent('The image has: wasip1/wasm. Choose with --platform'),
  modelpack: artifact(3, 'application/vnd.cncf.model.config.v1+json'),
  ollama: inDisguise(5, 'application/vnd.ollama.image.model'),
  flux: artifact(3, 'application/vnd.cncf.flux.config.v1+json'),
  compose: artifact(4, EMPTY),
  'buildkit-cache': artifact(3, 'application/vnd.buildkit.cacheconfig.v0'),
  'docker-plugin': artifact(3, 'application/vnd.docker.plugin.v1+json'),
  sif: artifact(3, 'application/vnd.sylabs.sif.config.v1+json'),
  'artifact-draft': {
    resolve: 'itself',
    fetch: '2 of 2',
    plan: `FailedPrecondition: Cannot unpack DIGEST: it is an artifact, not an image (application/vnd.oci.artifact.manifest.v1+json) (${FETCHABLE})`,
    pull: `FailedPrecondition: Cannot unpack DIGEST: it is an artifact, not an image (application/vnd.oci.artifact.manifest.v1+json) (${FETCHABLE})`,
    rootfs: 'NotFound: unexpected media type application/vnd.oci.artifact.manifest.v1+json for DIGEST',
  },
};

/** The table is in the words of the command line; these verbs are calls of the library, whose hints name options. */
function inOptions(row: Row | undefined): Readonly<Record<string, string>> {
  const verbs: [string, string][] = row === undefined ? [] : Object.entries(row);
  const said = verbs.map(([verb, what]) => [verb, CALLS.includes(verb) ? optionHint(what) : what]);
  return Object.fromEntries(said);
}

test('zoo: each kind has its row', () => {
  assert.deepEqual(Object.keys(TABLE), Object.keys(ZOO));
});

for (const [name, make] of Object.entries(ZOO)) {
  test(`zoo: ${name}`, ROOT, async () => {
    await withBench(async (bench) => {
      const row = await rowOf(bench, name, await make());
      seen.push(
        `${name}: ${Object.entries(row)
          .map(([verb, what]) => `${verb}: ${what.slice(0, 60)}`)
          .join('; ')}`,
      );
      assert.deepEqual(row, inOptions(TABLE[name]));
    });
  });
}

test('zoo: the table', ROOT, (t) => {
  for (const line of seen) t.diagnostic(line);
  assert.equal(seen.length, Object.keys(ZOO).length);
});
