/** What a pull takes for a signature of an image: nothing else comes in beside the image, and what cannot be kept stops no pull. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exportImages, fetch, type ProgressEvent, type Store, verifySignatures } from '../../src/mod.ts';
import { buildImage, buildIndex } from '../registry/image.ts';
import type { RegistryOptions, TestRegistry } from '../registry/registry.ts';
import { type Bench, withBench } from '../support/bench.ts';
import { attach, BUNDLE, digestOf, newSigner, refer, type Signer } from '../support/signing.ts';
import { tempDir } from '../support/tmp.ts';

const API: RegistryOptions = { lists: { referrers: { filters: true } } };
const REPO = 'team/app';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const SIMPLE = 'application/vnd.dev.cosign.simplesigning.v1+json';
const PREDICATE = 'dev.sigstore.bundle.predicateType';

const good = await buildImage({ layers: [{ entries: [{ name: 'f', data: 'good' }] }] });
const { digest } = good.root;
const subject = { mediaType: MANIFEST, digest, size: good.root.bytes.length };
const TAG = `${digest.replace(':', '-')}.sig`;

/** An image for another platform, which nobody vouches for. */
const evilImage = (manifest: object = {}, mediaType?: string) =>
  buildImage({
    layers: [{ entries: [{ name: 'f', data: 'evil' }], ...(mediaType === undefined ? {} : { mediaType }) }],
    platform: { os: 'linux', architecture: 'arm64' },
    manifest: { ...manifest },
  });

type World = Bench & { readonly signer: Signer; readonly warnings: string[] };

async function withWorld(body: (world: World) => Promise<void>): Promise<void> {
  await withBench(async (bench) => {
    const dir = tempDir();
    try {
      await body({ ...bench, signer: newSigner(dir.path), warnings: [] });
    } finally {
      dir[Symbol.dispose]();
    }
  }, API);
}

const here = async (store: Store) => (await store.content.list()).map((one) => one.digest as string);
const telling = (warnings: string[]) => (event: ProgressEvent) =>
  void (event.type === 'warning' && warnings.push(event.message));

interface Attack {
  readonly registry: TestRegistry;
  readonly evil: Awaited<ReturnType<typeof evilImage>>;
  /** A genuine signature of the good image. */
  readonly payload: object;
}

/** All of the evil image as layers of a type. */
const asLayers = ({ registry, evil }: Attack, mediaType: string) =>
  [[evil.root.digest, evil.root.bytes] as const, ...evil.blobs].map(([name, bytes]) => {
    registry.putBlob(REPO, name, bytes);
    return { mediaType, digest: name, size: bytes.length };
  });

const WAYS: readonly [
  what: string,
  evil: (payload: object, registry: TestRegistry) => ReturnType<typeof evilImage>,
  put: (attack: Attack) => unknown,
][] = [
  [
    'the image at the tag',
    () => evilImage(),
    ({ registry, evil: { root } }) => registry.putManifest(REPO, TAG, MANIFEST, root.bytes),
  ],
  [
    'the image with a genuine payload at the tag',
    async (payload) => {
      const { layers } = await evilImage();
      return await evilImage({ layers: [payload, ...layers] });
    },
    ({ registry, evil: { root } }) => registry.putManifest(REPO, TAG, MANIFEST, root.bytes),
  ],
  [
    'the image among the referrers',
    () => evilImage({ subject, artifactType: BUNDLE }),
    ({ registry, evil: { root } }) => registry.putManifest(REPO, root.digest, MANIFEST, root.bytes),
  ],
  [
    'the image in the form of a bundle',
    () => evilImage({ subject, artifactType: BUNDLE }, BUNDLE),
    ({ registry, evil: { root } }) => registry.putManifest(REPO, root.digest, MANIFEST, root.bytes),
  ],
  [
    'all of the image as payloads',
    () => evilImage(),
    (attack) => attach(attack.registry, REPO, digest, [attack.payload, ...asLayers(attack, SIMPLE)]),
  ],
  [
    'the parts of the image as bundles',
    () => evilImage(),
    (attack) => {
      const { registry } = attack;
      const config = {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: digestOf(Buffer.from('{}')),
        size: 2,
      };
      registry.putBlob(REPO, config.digest, Buffer.from('{}'));
      for (const layer of asLayers(attack, BUNDLE))
        for (const parts of [
          { config, layers: [layer] },
          { config: layer, layers: [layer] },
        ]) {
          const body = { schemaVersion: 2, mediaType: MANIFEST, artifactType: BUNDLE, ...parts, subject };
          const bytes = Buffer.from(JSON.stringify(body));
          registry.putManifest(REPO, digestOf(bytes), MANIFEST, bytes);
        }
    },
  ],
];

for (const signatures of [false, true])
  for (const [what, make, put] of WAYS)
    test(`nothing of an image that nobody vouches for comes as a signature: ${what}, signatures ${signatures}`, () =>
      withWorld(async ({ store, registry, signer, warnings }) => {
        const payload = signer.layer(registry, REPO, digest);
        const evil = await make(payload, registry);
        const ref = registry.push(REPO, '1', buildIndex([good, evil]));
        const signed = signer.sign(registry, REPO, digest, 'bundle');
        put({ registry, evil, payload });
        await fetch(ref, {
          ...{ store, verify: { keys: [signer.key] }, platforms: ['linux/amd64'], signatures },
          onProgress: telling(warnings),
        });
        const found = await here(store);
        for (const name of [evil.root.digest, ...evil.layers.slice(-1).map((one) => one.digest)])
          assert.ok(!found.includes(name), name);
        if (signatures) assert.ok(found.includes(signed));
        const [judged] = await verifySignatures({ store, verify: { keys: [signer.key] } });
        assert.equal(judged?.problem === undefined, found.includes(signed));
      }));

test('a bundle that is an SBOM is none of the signatures, and one that cannot be kept is told: the others are kept, the image comes in', () =>
  withWorld(async ({ store, registry, signer, warnings }) => {
    const ref = registry.push(REPO, '1', good);
    const signed = (['attachment', 'bundle'] as const).map((form) =>
      signer.sign(registry, REPO, digest, form),
    );
    const annotations = { [PREDICATE]: 'https://spdx.dev/Document' };
    const text = JSON.stringify({ big: 'x'.repeat(300_000) });
    const sboms = [0, 1].map((at) =>
      refer(registry, REPO, digest, { artifactType: BUNDLE, text: `${text}${' '.repeat(at)}`, annotations }),
    );
    const come = async () => {
      warnings.length = 0;
      await fetch(ref, { store, signatures: true, onProgress: telling(warnings) });
      const found = await here(store);
      for (const one of signed) assert.ok(found.includes(one));
      for (const one of sboms) assert.ok(!found.includes(one));
    };
    await come();
    assert.deepEqual(warnings, []);
    sboms.push(refer(registry, REPO, digest, { artifactType: BUNDLE, text }));
    await come();
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /^The signatures of .*:1 are not all kept: .*262144/);
  }));

test('a damaged document beside an image fails no export, which tells of it, and hides no sound signature', () =>
  withWorld(async ({ store, registry, signer, warnings }) => {
    const ref = registry.push(REPO, '1', good);
    const bad = attach(registry, REPO, digest, [
      { ...signer.layer(registry, REPO, digest, { optional: 1 }) },
    ]);
    await fetch(ref, { store, signatures: true });
    registry.push('mirror/app', '1', good);
    const sound = signer.sign(registry, 'mirror/app', digest, 'attachment', digest, REPO);
    await fetch(`${registry.host}/mirror/app:1`, { store, signatures: true });
    const blob = join(store.root, 'content/blobs/sha256', bad.slice(7));
    const bytes = readFileSync(blob);
    rmSync(blob);
    writeFileSync(
      blob,
      bytes.map((one) => one ^ 1),
    );
    const to = { file: join(store.root, '..', `kept-${digest.slice(7, 19)}.tar`) };
    try {
      const done = await exportImages([ref], { store, to, onProgress: telling(warnings) });
      assert.deepEqual(done.signatures, [sound]);
    } finally {
      rmSync(to.file, { force: true });
    }
    assert.match(
      warnings.join(),
      /Left out a document about the image, which is damaged: .*brings signatures anew/,
    );
    const [judged] = await verifySignatures({ store, verify: { keys: [signer.key] }, images: [ref] });
    assert.equal(judged?.problem, undefined);
  }));
