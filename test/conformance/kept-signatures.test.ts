/** What a pull takes for a signature of an image: nothing else comes in beside the image, and what cannot be kept stops no pull. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  exportImages,
  fetch,
  HawserError,
  importImages,
  openStore,
  type ProgressEvent,
  repair,
  type Store,
  verify,
  verifySignatures,
} from '../../src/mod.ts';
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
    'all of the image as the plain blobs of an artifact that says to be a bundle',
    () => evilImage(),
    (attack) => {
      const { registry } = attack;
      const layers = asLayers(attack, 'application/octet-stream');
      const config = { ...layers[0], mediaType: 'application/vnd.oci.empty.v1+json' };
      for (const some of [layers, ...layers.map((one) => [one])]) {
        const body = {
          schemaVersion: 2,
          mediaType: MANIFEST,
          artifactType: BUNDLE,
          config,
          layers: some,
          subject,
        };
        const bytes = Buffer.from(JSON.stringify(body));
        registry.putManifest(REPO, digestOf(bytes), MANIFEST, bytes);
      }
    },
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
    damage(store, bad);
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

const inStore = (store: Store) => ({ store, platforms: ['linux/amd64'] });

/** Brings the index for linux/amd64 by the signature of that entry, out of `from`, an archive with all of the index. */
const CAME: readonly (readonly [
  how: string,
  bring: (store: Store, ref: string, from: string, verify: { keys: string[] }) => Promise<unknown>,
])[] = [
  ['pulled', (store, ref, _, verify) => fetch(ref, { ...inStore(store), verify })],
  [
    'pulled with metadata',
    (store, ref, _, verify) => fetch(ref, { ...inStore(store), verify, allMetadata: true }),
  ],
  [
    'pulled with signatures',
    (store, ref, _, verify) => fetch(ref, { ...inStore(store), verify, signatures: true }),
  ],
  ['imported', (store, _, from, verify) => importImages({ ...inStore(store), unpack: false, from, verify })],
  [
    'imported as a stream',
    (store, _, from, verify) =>
      importImages({
        ...inStore(store),
        unpack: false,
        verify,
        from: new Blob([readFileSync(from)]).stream(),
      }),
  ],
];

for (const [how, bring] of CAME)
  test(`of an index that nobody vouches for no other entry stays, and none that was let in goes: ${how}`, () =>
    withWorld(async ({ store: near, registry, signer }) => {
      const other = await evilImage();
      const ref = registry.push(REPO, '1', buildIndex([good, other]));
      signer.sign(registry, REPO, digest, 'bundle');
      const dir = tempDir();
      const from = join(dir.path, 'all.tar');
      const store = await openStore({ root: join(dir.path, 'there') });
      const keys = [signer.key];
      const parts = [other.root.digest, ...other.blobs.keys()];
      const isSound = async () => assert.deepEqual((await verify({ store })).damage, []);
      const found = async (name: string) => {
        await store.collect();
        const left = await here(store);
        return [name, ...(name === digest ? good : other).blobs.keys()].every((one) => left.includes(one));
      };
      try {
        await fetch(ref, { store: near, platforms: 'all', signatures: true });
        await exportImages([ref], { store: near, to: { file: from } });
        await bring(store, ref, from, { keys });
        await isSound();
        await store.collect();
        const left = await here(store);
        for (const one of parts) assert.ok(!left.includes(one), one);
        assert.ok(await found(digest));

        // Under another name the entry is here by itself: nothing of the index is damaged for that.
        await fetch(`${registry.host}/${REPO}@${other.root.digest}`, { store, platforms: 'all' });
        await isSound();
        signer.sign(registry, REPO, other.root.digest, 'bundle');
        await fetch(ref, { store, verify: { keys }, platforms: ['linux/arm64'] });
        await store.images.delete(`${registry.host}/${REPO}@${other.root.digest}`);
        for (const one of [digest, other.root.digest]) assert.ok(await found(one), one);
        await isSound();
      } finally {
        await store[Symbol.asyncDispose]();
        dir[Symbol.dispose]();
      }
    }));

/** A store, and streams of an archive in which what the blobs are for comes last, as others write archives. */
async function withStreams(
  { store, registry }: World,
  body: (there: Store, stream: () => ReadableStream<Uint8Array>) => Promise<void>,
): Promise<void> {
  const ref = registry.push(REPO, '1', good);
  await fetch(ref, { store });
  const dir = tempDir();
  const [layout, from] = [join(dir.path, 'layout'), join(dir.path, 'all.tar')];
  const there = await openStore({ root: join(dir.path, 'there') });
  try {
    await exportImages([ref], { store, to: { directory: layout } });
    execFileSync('tar', ['-cf', from, '-C', layout, 'blobs', 'oci-layout', 'index.json']);
    await body(there, () => new Blob([readFileSync(from)]).stream());
  } finally {
    await there[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }
}

test('a stream whose image may not come in leaves nothing', () =>
  withWorld((world) =>
    withStreams(world, async (there, stream) => {
      const { key } = world.signer;
      const load = importImages({ ...inStore(there), from: stream(), verify: { keys: [key] } });
      await assert.rejects(load, /is not signed/);
      assert.deepEqual(await here(there), []);
      assert.deepEqual(await there.leases.list(), []);
    }),
  ));

test('a stream whose image nobody could judge leaves what came for the next try', () =>
  withWorld((world) =>
    withStreams(world, async (there, stream) => {
      const load = (verify: () => Promise<never>) =>
        importImages({ ...inStore(there), from: stream(), verify });
      const unreadable = async () => {
        throw new HawserError('PermissionDenied', 'cannot read the key');
      };
      await assert.rejects(load(unreadable), /cannot read the key/);
      assert.ok((await here(there)).includes(digest));
      const refused = async () => ({ accepted: false, by: 'a test', reason: 'no' }) as never;
      await assert.rejects(load(refused), /no \(a test\)/);
    }),
  ));

test('what the store has of an image that nobody vouches for, and has not collected, is no part of a signature', () =>
  withWorld(async ({ store, registry, signer, warnings }) => {
    const ref = registry.push(REPO, '1', good);
    const evil = await evilImage();
    const evilRef = registry.push('evil/app', '1', evil);
    await fetch(evilRef, { store, platforms: 'all' });
    await store.images.delete(evilRef);
    const payload = signer.layer(registry, REPO, digest);
    const bad = attach(registry, REPO, digest, [payload, ...asLayers({ registry, evil, payload }, SIMPLE)]);
    const onProgress = telling(warnings);
    await fetch(ref, { store, verify: { keys: [signer.key] }, signatures: true, onProgress });
    assert.match(warnings.join(), /is no part of a signature/);
    await store.collect();
    const left = await here(store);
    for (const one of [bad, evil.root.digest, ...evil.blobs.keys()]) assert.ok(!left.includes(one), one);
  }));

/** The blob's file gets other bytes. */
function damage(store: Store, name: string): void {
  const blob = join(store.root, 'content/blobs/sha256', name.slice(7));
  const bytes = readFileSync(blob);
  rmSync(blob);
  writeFileSync(
    blob,
    bytes.map((one) => one ^ 1),
  );
}

for (const form of ['attachment', 'bundle'] as const)
  test(`a damaged signature of the store is found and mended with its image; where nobody has it, that is said: ${form}`, () =>
    withWorld(async ({ store, registry, signer }) => {
      const ref = registry.push(REPO, '1', buildIndex([good, await evilImage()]));
      const signed = signer.sign(registry, REPO, digest, form);
      await fetch(ref, { store, signatures: true, platforms: ['linux/amd64'] });
      const { config, layers } = JSON.parse(
        readFileSync(join(store.root, 'content/blobs/sha256', signed.slice(7)), 'utf8'),
      );
      const parts = [signed, layers[0].digest, config.digest];
      const images = [ref];
      const checked = async () => (await verify({ store, images, parts: ['content'] })).damage;
      assert.deepEqual(await checked(), []);
      const broken = [...parts.map((one) => [one]), parts];
      for (const some of broken) {
        for (const one of some) damage(store, one);
        const [first, ...more] = await checked();
        assert.ok(first?.type === 'blob' && first.digest === some[0]);
        assert.deepEqual([first.images, more], [images, []], 'behind a damaged document nothing is told');
        const { repaired, left } = await repair(ref, { store });
        assert.deepEqual([repaired.length, left], [some.length, []]);
        assert.deepEqual(await checked(), []);
      }
      const [judged] = await verifySignatures({ store, verify: { keys: [signer.key] } });
      assert.equal(judged?.problem, undefined);

      registry.faults.push({ match: new RegExp(parts.join('|')), status: 404 });
      damage(store, signed);
      const { left } = await repair(ref, { store });
      assert.deepEqual(
        left.map(({ damage }) => damage.type === 'blob' && damage.digest),
        [signed],
      );
      assert.match(left[0]?.why ?? '', /from remote: not found$/);
    }));

test('an archive may have many documents about an image beside the signature', () =>
  withWorld(async ({ store, registry, signer }) => {
    const ref = registry.push(REPO, '1', good);
    signer.sign(registry, REPO, digest, 'bundle');
    await fetch(ref, { store, signatures: true });
    const dir = tempDir();
    const from = join(dir.path, 'layout');
    const there = await openStore({ root: join(dir.path, 'there') });
    try {
      await exportImages([ref], { store, to: { directory: from } });
      const list = JSON.parse(readFileSync(join(from, 'index.json'), 'utf8'));
      const annotations = { 'io.containerd.manifest.subject': digest };
      const config = {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: digestOf(Buffer.from('{}')),
        size: 2,
      };
      for (let at = 0; at < 300; at++) {
        const artifactType = at < 40 ? BUNDLE : 'application/spdx+json';
        const layers = [{ mediaType: artifactType, digest: `sha256:${'0'.repeat(64)}`, size: 1 }];
        const said = { [PREDICATE]: `https://spdx.dev/${at}` };
        const parts = { artifactType, config, layers, subject, annotations: said };
        const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, ...parts }));
        const own = digestOf(bytes);
        // The judge has no need of others.
        if (artifactType === BUNDLE) writeFileSync(join(from, 'blobs/sha256', own.slice(7)), bytes);
        list.manifests.unshift({
          mediaType: MANIFEST,
          digest: own,
          size: bytes.length,
          artifactType,
          annotations,
        });
      }
      writeFileSync(join(from, 'index.json'), JSON.stringify(list));
      await importImages({ ...inStore(there), from, verify: { keys: [signer.key] } });
      const [judged] = await verifySignatures({ store: there, verify: { keys: [signer.key] } });
      assert.equal(judged?.problem, undefined);
    } finally {
      await there[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    }
  }));
