/** Signatures stay with an image: kept by a pull, carried by an export, judged by an import, judged again in the store; and they go with the image. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hintOf } from '../../src/core/errors.ts';
import { OCI_MANIFEST } from '../../src/core/oci/media-types.ts';
import { Documents } from '../../src/core/serve/documents.ts';
import { repositoriesOf } from '../../src/core/serve/repositories.ts';
import { digestFor } from '../../src/core/serve/tagged.ts';
import { partsOf } from '../../src/entry/stores.ts';
import {
  copy,
  exportImages,
  fetch,
  importImages,
  openStore,
  type ProgressEvent,
  push,
  type Store,
  verifySignatures,
} from '../../src/mod.ts';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type Bench, rejectsWith, runtimeOf, withBench } from '../support/bench.ts';
import { runHere } from '../support/command-line.ts';
import { chosenSeed } from '../support/seed.ts';
import {
  attach,
  attest,
  BUNDLE,
  digestOf,
  type Form,
  newSigner,
  refer,
  type Signer,
} from '../support/signing.ts';
import { tempDir } from '../support/tmp.ts';
import { random } from '../unit/archive/random.ts';

const API: RegistryOptions = { lists: { referrers: { filters: true } } };
const REPO = 'team/app';
const SUBJECT = 'io.containerd.manifest.subject';
const FORMS: readonly Form[] = ['attachment', 'bundle'];

const file = (name: string) => buildImage({ layers: [{ entries: [{ name: 'f', data: name }] }] });
const [amd64, arm64] = [
  await file('amd64'),
  await buildImage({
    layers: [{ entries: [{ name: 'f', data: 'arm64' }] }],
    platform: { os: 'linux', architecture: 'arm64' },
  }),
];
const index = buildIndex([amd64, arm64]);

interface World extends Bench {
  readonly signer: Signer;
  readonly other: Signer;
  readonly ref: string;
  readonly path: (name: string) => string;
  /** A new store, where no registry can be asked. */
  far(): Promise<Store>;
  /** As `hawser`, with the near store. */
  run(...args: string[]): ReturnType<typeof runHere>;
}

async function withWorld(body: (world: World) => Promise<void>, options = API): Promise<void> {
  await withBench(async (bench) => {
    const dir = tempDir();
    const path = (name: string) => join(dir.path, name);
    const stores: Store[] = [];
    const far = async () => {
      const store = await openStore({ root: path(`far${stores.length}`) });
      stores.push(store);
      return store;
    };
    const run = (...args: string[]) => runHere(runtimeOf(bench.store), bench.store.root, args);
    const [signer, other] = [newSigner(dir.path), newSigner(dir.path)];
    try {
      await body({ ...bench, signer, other, ref: `${bench.registry.host}/${REPO}:1`, path, far, run });
    } finally {
      for (const store of stores) await store[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    }
  }, options);
}

const by = ({ key }: Signer) => ({ keys: [key] });

/** Digests of all content. */
const here = async (store: Store) => (await store.content.list()).map(({ digest }) => digest as string);

async function isGone(store: Store, name: string): Promise<void> {
  await store.images.delete(name);
  await store.collect();
  assert.deepEqual(await here(store), []);
}

const CASES: readonly [what: string, image: TestImage, signed: readonly TestImage[]][] = [
  ['an image', amd64, [amd64]],
  ['an index', index, [index]],
  ['an entry of an index', index, [amd64]],
  ['index and entries', index, [index, amd64, arm64]],
];

for (const form of FORMS)
  for (const [what, image, signed] of CASES)
    test(`across a gap: ${form}, ${what}`, () =>
      withWorld(async ({ store, registry, signer, other, ref, path, far }) => {
        registry.push(REPO, '1', image);
        for (const { root } of signed) signer.sign(registry, REPO, root.digest, form);
        const platforms = ['linux/amd64'];
        const { verified } = await fetch(ref, { store, verify: by(signer), platforms });
        const documents = verified?.flatMap(({ vouchers }) => vouchers.map((one) => one.document));
        assert.equal(documents?.length, 1);
        const { signatures } = await exportImages([ref], { store, to: { file: path('app.tar') } });
        assert.deepEqual(signatures, documents);
        const bare = await exportImages([ref], { store, to: { file: path('bare.tar') }, signatures: false });
        assert.deepEqual(bare.signatures, []);

        registry.requests.length = 0;
        const there = await far();
        const load = (from: string, verify: object, to = there) =>
          importImages({ store: to, from: path(from), unpack: false, platforms, verify });
        await rejectsWith('PermissionDenied', /is not signed/, load('bare.tar', by(signer)));
        await rejectsWith('PermissionDenied', /by another key/, load('app.tar', by(other)));
        assert.deepEqual(await here(there), []);
        await load('app.tar', by(signer));
        assert.deepEqual(
          (await there.images.list()).map(({ name }) => name),
          [ref],
          'signatures get no names',
        );
        await there.collect();
        for (const kept of [store, there]) {
          const [good] = await verifySignatures({ store: kept, verify: by(signer) });
          assert.equal(good?.problem, undefined);
          assert.equal(good?.verified[0]?.vouchers[0]?.format, form);
          const [bad, ...more] = await verifySignatures({ store: kept, verify: by(other), images: [ref] });
          assert.match(bad?.problem ?? '', /1 is by another key/);
          assert.deepEqual(more, []);
        }
        await exportImages([ref], { store: there, to: { directory: path('onward') } });
        const onward = await far();
        await load('onward', by(signer), onward);
        for (const one of [store, there, onward]) await isGone(one, ref);
        assert.deepEqual(registry.requests, [], 'no registry is asked');
      }));

test('what a pull keeps costs no request but for the config of cosign’s old form', () =>
  withWorld(async ({ store, registry, signer, ref }) => {
    registry.push(REPO, '1', amd64);
    for (const [form, more] of [
      ['bundle', 0],
      ['attachment', 1],
    ] as const) {
      signer.sign(registry, REPO, amd64.root.digest, form);
      const asked = async (verify: object) => {
        registry.requests.length = 0;
        await fetch(ref, { store, ...verify });
        return registry.requests.length;
      };
      await isGone(store, ref).catch(() => {});
      const judged = await asked({ verify: by(signer) });
      const expected = { bundle: 8, attachment: 6 }[form];
      assert.equal(judged, expected + more, registry.log().join('\n'));
      const again = await asked({ verify: by(signer) });
      assert.equal(again, expected - 3, 'what the store has is not asked for');
    }
  }));

test('--signatures keeps all that there are, whatever the policy says; without it and a policy nothing is asked for', () =>
  withWorld(async ({ registry, store, signer, other, ref, path, far, run }) => {
    registry.push(REPO, '1', index);
    const wanted = [
      signer.sign(registry, REPO, index.root.digest, 'bundle'),
      other.sign(registry, REPO, index.root.digest, 'bundle'),
      other.sign(registry, REPO, amd64.root.digest, 'attachment'),
    ];
    const unwanted = [
      signer.sign(registry, REPO, arm64.root.digest, 'attachment'),
      attest(registry, REPO, index.root.digest),
    ];
    const platform = ['--platform', 'linux/amd64'];
    const plain = await run('content', 'fetch', ...platform, ref);
    assert.equal(plain.code, 0, plain.err);
    assert.doesNotMatch(registry.log().join(), /\.sig|referrers/);
    const done = await run('content', 'fetch', ...platform, '--signatures', ref);
    assert.equal(done.code, 0, done.err);
    await store.collect();
    const found = await here(store);
    for (const digest of wanted) assert.ok(found.includes(digest), digest);
    for (const digest of unwanted) assert.ok(!found.includes(digest), digest);
    const out = await run('export', '--json', path('a.tar'), ref);
    assert.deepEqual(JSON.parse(out.out).signatures.toSorted(), wanted.toSorted());
    for (const one of [signer, other])
      await importImages({ store: await far(), from: path('a.tar'), unpack: false, verify: by(one) });
    registry.faults.push({ match: /referrers/, status: 500 });
    const failed = await run('content', 'fetch', ...platform, '--signatures', '--retry', '0', ref);
    assert.equal(failed.code, 1, 'who asks for signatures is told that they did not come');
    await isGone(store, ref);
  }));

test('an image that is proven comes in though its signatures cannot be kept, and that is told', () =>
  withWorld(async ({ store, registry, signer, ref, events }) => {
    registry.push(REPO, '1', amd64);
    const digest = signer.sign(registry, REPO, amd64.root.digest, 'attachment');
    const { config } = JSON.parse(new TextDecoder().decode(await registry.content(REPO, digest)));
    registry.faults.push({ match: `/blobs/${config.digest}`, status: 404 });
    const onProgress = (event: ProgressEvent) => void events.push(event);
    await fetch(ref, { store, verify: by(signer), onProgress });
    const [warning] = events.flatMap((one) => (one.type === 'warning' ? [one.message] : []));
    assert.match(warning ?? '', /^The signatures of .*:1 were checked, but are not kept: /);
    await store.collect();
    assert.equal((await here(store)).length, 3);
  }));

test('a tag of cosign’s that moves on: the signatures of before go; those of another repository stay', () =>
  withWorld(async ({ store, registry, signer, other, ref }) => {
    const { digest } = amd64.root;
    registry.push(REPO, '1', amd64);
    registry.push('mirror/app', '1', amd64);
    const keep = async (signed: Signer, name = ref) => {
      await fetch(name, { store, verify: by(signed) });
      await store.collect();
      return await here(store);
    };
    const first = signer.sign(registry, REPO, digest, 'attachment');
    assert.ok((await keep(signer)).includes(first));
    const elsewhere = signer.sign(registry, 'mirror/app', digest, 'attachment');
    assert.ok((await keep(signer, `${registry.host}/mirror/app:1`)).includes(elsewhere));
    const layers = [signer, other].map((one) => one.layer(registry, REPO, digest));
    const second = attach(registry, REPO, digest, layers);
    const left = await keep(other);
    assert.ok(left.includes(second));
    assert.ok(!left.includes(first));
    assert.ok(left.includes(elsewhere));
    const judged = await verifySignatures({ store, verify: by(signer) });
    assert.deepEqual(
      judged.map(({ problem }) => problem),
      [undefined, undefined],
    );
    await store.images.delete(`${registry.host}/mirror/app:1`);
    await isGone(store, ref);
  }));

test('content prune references lets go of layers of images, not of signatures', () =>
  withWorld(async ({ store, registry, signer, other, ref, run }) => {
    const { digest } = amd64.root;
    registry.push(REPO, '1', amd64);
    const signers = [other, signer, other];
    attach(
      registry,
      REPO,
      digest,
      signers.map((one, at) => one.layer(registry, REPO, digest, { optional: { at } })),
    );
    other.sign(registry, REPO, digest, 'bundle');
    await fetch(ref, { store, signatures: true });
    const before = (await here(store)).length;
    const done = await run('content', 'prune', 'references', '--all');
    assert.equal(done.code, 0, done.err);
    await store.collect();
    assert.equal((await here(store)).length, before - 1, 'the layer of the image');
    const [judged] = await verifySignatures({ store, verify: by(signer) });
    assert.equal(judged?.problem, undefined);
  }));

test('an SBOM and attestations go along with --referrers only; a bundle that says to be an attestation is no signature', () =>
  withWorld(async ({ store, registry, signer, ref, path, run }) => {
    const { digest } = amd64.root;
    registry.push(REPO, '1', amd64);
    signer.sign(registry, REPO, digest, 'bundle');
    const annotations = { 'dev.sigstore.bundle.predicateType': 'https://spdx.dev/Document' };
    const sbom = refer(registry, REPO, digest, { artifactType: BUNDLE, body: { sbom: 1 }, annotations });
    const att = attest(registry, REPO, digest);
    await fetch(ref, { store, signatures: true });
    await fetch(`${registry.host}/${REPO}@${sbom}`, { store });
    const attTag = `${registry.host}/${REPO}:${digest.replace(':', '-')}.att`;
    await fetch(attTag, { store });
    const exported = async (...flags: string[]) => {
      const { code, err } = await run('export', ...flags, path('x.tar'), ref);
      assert.equal(code, 0, err);
      const bytes = readFileSync(path('x.tar'));
      return [sbom, att].map((one) => bytes.includes(`blobs/sha256/${one.slice(7)}`));
    };
    assert.deepEqual(await exported(), [false, false]);
    assert.deepEqual(await exported('--referrers'), [true, true]);
    assert.deepEqual(await exported('--referrers', '--no-signatures'), [true, true]);
  }));

test('signatures that somebody has fetched by their names count, and are carried', () =>
  withWorld(async ({ store, registry, signer, ref, path, far, run }) => {
    const { digest } = amd64.root;
    registry.push(REPO, '1', amd64);
    const tag = `${registry.host}/${REPO}:${digest.replace(':', '-')}.sig`;
    signer.sign(registry, REPO, digest, 'attachment');
    await fetch(ref, { store });
    await fetch(tag, { store });
    const [judged, ...more] = await verifySignatures({ store, verify: by(signer) });
    assert.deepEqual([judged?.name, judged?.problem, more], [ref, undefined, []]);
    for (const names of [[ref], [ref, tag]]) {
      const done = await run('export', path('n.tar'), ...names);
      assert.equal(done.code, 0, done.err);
      const there = await far();
      await importImages({ store: there, from: path('n.tar'), unpack: false, verify: by(signer) });
      await isGone(there, ref);
    }
  }));

test('a signature under cosign’s name in the index of a layout (regctl) is kept as one, and gets no name', () =>
  withWorld(async ({ store, registry, signer, ref, path, far }) => {
    const { digest } = amd64.root;
    registry.push(REPO, '1', amd64);
    signer.sign(registry, REPO, digest, 'attachment');
    await fetch(ref, { store, signatures: true });
    await exportImages([ref], { store, to: { directory: path('o') } });
    const list = JSON.parse(readFileSync(path('o/index.json'), 'utf8'));
    for (const one of list.manifests)
      if (one.annotations[SUBJECT] !== undefined) {
        one.annotations = { 'org.opencontainers.image.ref.name': `${digest.replace(':', '-')}.sig` };
        delete one.artifactType;
      }
    writeFileSync(path('o/index.json'), JSON.stringify(list));
    const there = await far();
    await importImages({ store: there, from: path('o'), unpack: false, verify: by(signer) });
    assert.deepEqual(
      (await there.images.list()).map(({ name }) => name),
      [ref],
    );
    const [judged] = await verifySignatures({ store: there, verify: by(signer) });
    assert.equal(judged?.problem, undefined);
    await isGone(there, ref);
  }));

test('of one digest in two repositories, each gets its own signatures: served, and pushed', async () => {
  const to: TestRegistry = await startRegistry({ ...API, uploads: {} });
  try {
    await withWorld(async ({ store, registry, signer, other, ref }) => {
      const { digest } = amd64.root;
      const mirror = `${registry.host}/mirror/app:1`;
      const tag = `${digest.replace(':', '-')}.sig`;
      const own: (readonly [name: string, document: string])[] = [];
      for (const [name, repo, by] of [
        [ref, REPO, signer],
        [mirror, 'mirror/app', other],
      ] as const) {
        registry.push(repo, '1', amd64);
        own.push([name, by.sign(registry, repo, digest, 'attachment')]);
        await fetch(name, { store, signatures: true });
      }
      const { content, images } = partsOf(store).backend;
      const repositories = await repositoriesOf(images, {});
      const documents = new Documents(content, () => {});
      for (const [name, document] of own) {
        const served = await digestFor(documents, repositories.get(name.replace(/:1$/, '')), tag, {});
        assert.equal(served, document, 'served');
        const path = name.replace(/^[^/]*\//, '').replace(/:1$/, '');
        await push(name, { store, to: `${to.host}/${path}:1`, referrers: true });
        assert.equal(digestOf((await to.content(path, tag)) ?? new Uint8Array()), document, 'pushed');
      }

      const [, first = ''] = own[0] ?? [];
      const [, second = ''] = own[1] ?? [];
      const fileOf = (one: string) => join(store.root, 'content/blobs/sha256', one.slice(7));
      const { layers } = JSON.parse(readFileSync(fileOf(first), 'utf8'));
      await content.delete(layers[0].digest);
      await push(ref, { store, to: `${to.host}/parts/app:1`, referrers: true });
      const pushed = (await to.content('parts/app', tag)) ?? new Uint8Array();
      assert.equal(digestOf(pushed), second, 'one that is not whole is in no other one’s way');
      const bytes = readFileSync(fileOf(first));
      rmSync(fileOf(first));
      writeFileSync(
        fileOf(first),
        bytes.map((one) => one ^ 1),
      );
      const served = await digestFor(documents, repositories.get(ref.replace(/:1$/, '')), tag, {});
      assert.equal(served, second, 'one that is damaged is in no other one’s way');
    });
  } finally {
    await to.close();
  }
});

test('an archive ties no signature to an image that it does not have', () =>
  withWorld(async ({ store, registry, signer, ref, path, far }) => {
    registry.push(REPO, '1', amd64);
    const other = registry.push('team/other', '1', arm64);
    const junk = FORMS.map((form) => signer.sign(registry, 'team/other', arm64.root.digest, form));
    for (const name of [ref, other]) await fetch(name, { store, platforms: 'all', signatures: true });
    await exportImages([ref, other], { store, to: { directory: path('o') } });
    const list = JSON.parse(readFileSync(path('o/index.json'), 'utf8'));
    list.manifests = list.manifests.filter(({ digest }: { digest: string }) => digest !== arm64.root.digest);
    writeFileSync(path('o/index.json'), JSON.stringify(list));
    const there = await far();
    await fetch(other, { store: there, platforms: 'all' });
    const info = () => there.content.info(arm64.root.digest as Parameters<Store['content']['info']>[0]);
    const { labels } = await info();
    const said = await loadTold(there, path('o'));
    assert.match(said, /Left out the referrer .* is no part of what the archive brings/);
    assert.deepEqual((await info()).labels, labels);
    const found = await here(there);
    for (const digest of junk) assert.ok(!found.includes(digest), digest);
  }));

test('signatures of an archive are said to be of a repository only where the archive tells which, and go with no other one’s tag', () =>
  withWorld(async ({ store, registry, signer, other, ref, path, far }) => {
    const { digest } = amd64.root;
    const mirror = `${registry.host}/mirror/app:1`;
    const signed: string[] = [];
    for (const [name, repo, by] of [
      [ref, REPO, signer],
      [mirror, 'mirror/app', other],
    ] as const) {
      registry.push(repo, '1', amd64);
      signed.push(by.sign(registry, repo, digest, 'attachment'));
      await fetch(name, { store, signatures: true });
    }
    const source = `containerd.io/distribution.source.${registry.host.replace(/:\d+$/, '')}`;
    for (const [at, [names, documents, from]] of [
      [[ref, mirror], signed, undefined],
      // Of one name: the one repository cannot have both at its tag.
      [[ref], signed, undefined],
      [[ref], signed.slice(0, 1), REPO],
    ].entries() as ArrayIterator<[number, [string[], string[], string | undefined]]>) {
      const dir = path(`o${at}`);
      await exportImages(names, { store, to: { directory: dir } });
      const list = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8'));
      list.manifests = list.manifests.filter(
        (one: { digest: string; annotations: Record<string, string> }) =>
          one.annotations[SUBJECT] === undefined ? true : documents.includes(one.digest),
      );
      writeFileSync(join(dir, 'index.json'), JSON.stringify(list));
      const there = await far();
      await importImages({ store: there, from: dir, unpack: false });
      const infos = (await there.content.list()).filter((one) => documents.includes(one.digest));
      assert.deepEqual(
        infos.map(({ labels }) => labels[source]),
        documents.map(() => from),
        names.join(),
      );
      await fetch(ref, { store: there, verify: by(signer) });
      await there.collect();
      const left = await here(there);
      for (const one of documents) assert.ok(left.includes(one), `${names.join()}: ${one}`);
    }
  }));

/** Imports without unpacking; the warnings. */
async function loadTold(
  store: Store,
  from: string | ReadableStream<Uint8Array>,
  more: object = {},
): Promise<string> {
  const said: string[] = [];
  const onProgress = (event: ProgressEvent) => void (event.type === 'warning' && said.push(event.message));
  await importImages({ store, from, unpack: false, onProgress, ...more });
  return said.join('\n');
}

test('an attestation that an archive brought stays when a pull brings signatures', () =>
  withWorld(async ({ store, registry, signer, ref, path, far }) => {
    const { digest } = amd64.root;
    registry.push(REPO, '1', amd64);
    signer.sign(registry, REPO, digest, 'attachment');
    const att = attest(registry, REPO, digest);
    await fetch(ref, { store, signatures: true });
    await fetch(`${registry.host}/${REPO}:${digest.replace(':', '-')}.att`, { store });
    await exportImages([ref], { store, to: { file: path('a.tar') }, referrers: true });
    const there = await far();
    await importImages({ store: there, from: path('a.tar'), unpack: false });
    await fetch(ref, { store: there, verify: by(signer) });
    await there.collect();
    assert.ok((await here(there)).includes(att));
  }));

/** An image for another platform, which says that it refers to `subject`. */
const evilImage = (subject: object) =>
  buildImage({
    layers: [{ entries: [{ name: 'f', data: 'evil' }] }],
    platform: { os: 'linux', architecture: 'arm64' },
    manifest: { subject },
  });

test('what an unsigned index lists, and nobody vouches for, comes in and goes on as no referrer either', () =>
  withWorld(
    async ({ store, registry, signer, ref, path, far, events }) => {
      const { mediaType, digest, bytes } = amd64.root;
      const subject = { mediaType, digest, size: bytes.length };
      const evil = await evilImage(subject);
      const leads = buildIndex([evil], { subject });
      const mixed = buildIndex([amd64, evil]);
      registry.push(REPO, '1', mixed);
      registry.push(REPO, 'leads', leads);
      const good = signer.sign(registry, REPO, digest, 'bundle');
      await fetch(ref, { store, platforms: 'all', signatures: true });
      await exportImages([ref], { store, to: { directory: path('o') } });
      writeFileSync(path(`o/blobs/sha256/${leads.root.digest.slice(7)}`), leads.root.bytes);
      const list = JSON.parse(readFileSync(path('o/index.json'), 'utf8'));
      const annotations = { [SUBJECT]: digest };
      for (const { root } of [evil, leads])
        list.manifests.push({
          ...{ mediaType: root.mediaType, digest: root.digest, size: root.bytes.length, annotations },
        });
      writeFileSync(path('o/index.json'), JSON.stringify(list));
      const there = await far();
      const verify = by(signer);
      const platforms = ['linux/amd64'];
      const said = await loadTold(there, path('o'), { platforms, verify });
      assert.equal(said.match(/nobody vouches for what it is, or leads to/g)?.length, 2, said);
      const found = await here(there);
      assert.ok(found.includes(good));
      for (const one of [evil, leads]) assert.ok(!found.includes(one.root.digest));

      const onProgress = (event: ProgressEvent) => void events.push(event);
      const how = { verify, platforms, index: 'keep', referrers: true, plainHttp: true, onProgress } as const;
      await copy(ref, `${registry.host}/on/app:1`, how);
      assert.ok(await registry.content('on/app', good));
      for (const one of [evil, leads])
        assert.equal(await registry.content('on/app', one.root.digest), undefined);
    },
    { ...API, uploads: {} },
  ));

test('under a policy an import brings no image as a referrer, whatever index lists the image', () =>
  withWorld(
    async ({ store, registry, signer, ref, path, far }) => {
      const { mediaType, digest, bytes } = amd64.root;
      const subject = { mediaType, digest, size: bytes.length };
      const evil = await evilImage(subject);
      const leads = buildIndex([evil], { subject });
      const parts = artifactOf(evil, subject);
      registry.push(REPO, '1', amd64);
      registry.push(REPO, 'leads', leads);
      registry.push(REPO, 'parts', parts);
      const signed = FORMS.map((form) => signer.sign(registry, REPO, digest, form));
      await fetch(ref, { store, signatures: true });
      for (const tag of ['leads', 'parts'])
        await fetch(`${registry.host}/${REPO}:${tag}`, { store, platforms: 'all' });
      await exportImages([ref], { store, to: { directory: path('o') }, referrers: true });
      // Of a stream all is in the store before anything is judged.
      execFileSync('tar', ['-cf', path('o.tar'), '-C', path('o'), 'blobs', 'oci-layout', 'index.json']);
      for (const from of [path('o'), path('o.tar'), new Blob([readFileSync(path('o.tar'))]).stream()]) {
        const there = await far();
        const said = await loadTold(there, from, { verify: by(signer) });
        const found = await here(there);
        for (const one of [evil, leads, parts]) assert.ok(!found.includes(one.root.digest), said);
        for (const one of evil.blobs.keys()) assert.ok(!found.includes(one), said);
        for (const one of signed) assert.ok(found.includes(one), said);
        assert.equal(said.match(/nobody vouches for what it is, or leads to/g)?.length, 3, said);
      }

      const told: string[] = [];
      const onProgress = (event: ProgressEvent) =>
        void (event.type === 'warning' && told.push(event.message));
      const how = { verify: by(signer), referrers: true, plainHttp: true, onProgress } as const;
      await copy(ref, `${registry.host}/on/app:1`, how);
      for (const one of [evil, leads, parts])
        assert.equal(await registry.content('on/app', one.root.digest), undefined, told.join());
      assert.ok(await registry.content('on/app', signed[FORMS.indexOf('bundle')] ?? ''), told.join());
    },
    { ...API, uploads: {} },
  ));

/** An image as the opaque parts of something that refers to `subject`. */
function artifactOf(image: TestImage, subject: object): TestImage {
  const blob = (bytes: Uint8Array) => ({
    mediaType: 'application/vnd.x',
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const empty = new TextEncoder().encode('{}');
  const all = [image.root.bytes, ...image.blobs.values()];
  const bytes = new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: 'application/vnd.x',
      config: { ...blob(empty), mediaType: 'application/vnd.oci.empty.v1+json' },
      layers: all.map(blob),
      subject,
    }),
  );
  const blobs = new Map([empty, ...all].map((one) => [digestOf(one), one]));
  const root = { mediaType: OCI_MANIFEST, digest: digestOf(bytes), bytes };
  return { ...image, root, manifests: [root], blobs };
}

test('a damaged signature in the store is none, and is told; a pull replaces it', () =>
  withWorld(async ({ store, registry, signer, run }) => {
    for (const form of FORMS) {
      const ref = registry.push(form, '1', amd64);
      const digest = signer.sign(registry, form, amd64.root.digest, form);
      await fetch(ref, { store, verify: by(signer) });
      const blob = join(store.root, 'content/blobs/sha256', digest.slice(7));
      const bytes = readFileSync(blob);
      rmSync(blob);
      writeFileSync(
        blob,
        bytes.map((one) => one ^ 1),
      );
      const args = ['images', 'verify', '--signatures', '--verify-key', signer.key, '--json'];
      const { code, out, err } = await run(...args);
      assert.equal(code, 1, err);
      const { sound, images } = JSON.parse(out);
      assert.equal(sound, false);
      assert.match(images[0].problem, form === 'attachment' ? /its bytes in the store/ : /no bundle|bytes/);
      await fetch(ref, { store, verify: by(signer) });
      const mended = await run(...args);
      assert.equal(mended.code, 0, mended.out);
      await isGone(store, ref);
    }
  }));

test('images verify --signatures: its flags, its text, its exit codes', () =>
  withWorld(async ({ store, registry, signer, other, ref, run }) => {
    registry.push(REPO, '1', amd64);
    signer.sign(registry, REPO, amd64.root.digest, 'bundle');
    await fetch(ref, { store, verify: by(signer) });
    registry.requests.length = 0;
    const verify = (...args: string[]) => run('images', 'verify', ...args);
    const good = await verify('--signatures', '--verify-key', signer.key);
    assert.equal(good.code, 0, good.err);
    assert.match(
      good.out,
      /:1: verified sha256:\w+: key SHA256:.*\njudged 1 images: all of them may come in\n$/,
    );
    const bad = await verify('--signatures', '--verify-key', other.key, ref);
    assert.equal(bad.code, 1);
    assert.match(bad.out, /^refused .*none good: 1 is by another key.*\njudged 1 images: 1 of them may not/);
    assert.match(bad.err, /1 of 1 images may not come in\nhint: Only the signatures in the store /);
    for (const [args, says] of [
      [['--verify-key', signer.key], /--verify-key goes with --signatures/],
      [['--signatures', '--verify-key', signer.key, '--limit-rate', '1M'], /--limit-rate does not go/],
    ] as const) {
      const { code, err } = await verify(...args);
      assert.equal(code, 2);
      assert.match(err, says);
    }
    const nobody = await verify('--signatures', '--policy', 'none');
    assert.match(nobody.err, /Nobody is there to ask/);
    await rejectsWith('InvalidArgument', /Nobody is there/, verifySignatures({ store }));
    assert.deepEqual(registry.requests, []);
  }));

test('a hint tells of missing signatures where they are missing, and nowhere else', () =>
  withWorld(async ({ store, registry, ref, other, path, far, run }) => {
    registry.push(REPO, '1', amd64);
    await fetch(ref, { store });
    const accept = { default: [{ type: 'insecureAcceptAnything' }] };
    for (const [name, policy] of Object.entries({ reject: { default: [{ type: 'reject' }] }, accept }))
      writeFileSync(path(name), JSON.stringify(policy));
    for (const [flags, says] of [
      [
        ['--policy', path('reject')],
        /the policy rejects it.*hint: Take another image, or let the owner of the policy/s,
      ],
      [['--policy', path('accept'), '--require-signed'], /hint: Name a policy that asks/],
      [['--verify-key', other.key], /hint: Only the signatures in the store .*--signatures \S+:1 /],
    ] as const)
      for (const command of [
        ['images', 'verify', '--signatures', ...flags],
        ['files', 'cat', '--pull', 'never', ...flags, ref, '/f'],
      ]) {
        const { code, out, err } = await run(...command);
        assert.equal(code, 1);
        assert.match(out + err, says);
      }
    await exportImages([ref], { store, to: { file: path('a.tar') } });
    const load = importImages({ store: await far(), from: path('a.tar'), unpack: false, verify: by(other) });
    await assert.rejects(load, (err) =>
      /in the archive .*fetch with signatures: true/.test(hintOf(err) ?? ''),
    );
  }));

test('images verify --signatures judges whatever can be run: under a name of cosign’s, under none, without its layers', () =>
  withWorld(async ({ store, registry, signer, ref, run }) => {
    const judge = async (...more: string[]) => {
      const key = ['--verify-key', signer.key];
      const { code, out } = await run('images', 'verify', '--signatures', ...key, ...more);
      return { code, out };
    };
    assert.deepEqual(await judge(), { code: 0, out: 'judged 0 images: there is none to judge\n' });
    const tag = `sha256-${'a'.repeat(64)}.sig`;
    registry.push(REPO, tag, amd64);
    await fetch(`${registry.host}/${REPO}:${tag}`, { store });
    const [image] = await store.images.list();
    assert.ok(image);
    assert.match((await judge()).out, /^refused .*is not signed.*\njudged 1 images: 1 /);
    const id = JSON.parse(new TextDecoder().decode(amd64.root.bytes)).config.digest;
    await partsOf(store).backend.images.put(id, image.target, {});
    assert.match((await judge()).out, /judged 1 images: 1 /, 'a second name is no second image');
    await store.images.delete(image.name);
    assert.match((await judge()).out, /^refused .*no name says whose.*\njudged 1 images: 1 /);
    await store.images.delete(id);

    registry.push(REPO, '1', index);
    signer.sign(registry, REPO, amd64.root.digest, 'bundle');
    await fetch(ref, { store, platforms: 'all', signatures: true });
    assert.equal((await judge('--platform', 'linux/amd64')).code, 0);
    assert.equal((await run('content', 'prune', 'references', '--all')).code, 0);
    await store.collect();
    assert.match(
      (await judge()).out,
      new RegExp(`^refused .*of its manifest ${arm64.root.digest}: it is not`),
    );
  }));

test('an image of the store is read, or goes into a directory, by the signatures of the store; its registry is asked where these will not do', () =>
  withWorld(async ({ store, registry, signer, other, ref, path, run }) => {
    registry.push(REPO, '1', amd64);
    signer.sign(registry, REPO, amd64.root.digest, 'bundle');
    await fetch(ref, { store, verify: by(signer) });
    const unpack = (to: string, key: Signer, ...more: string[]) =>
      run('unpack', ref, '--rootfs', path(to), '--owner', 'ours', '--verify-key', key.key, ...more);
    registry.requests.length = 0;
    const done = await unpack('a', signer, '--pull', 'never');
    assert.equal(done.code, 0, done.err);
    const refused = await unpack('b', other, '--pull', 'never');
    assert.match(refused.err, /is by another key.*\nhint: Only the signatures in the store/s);
    for (const [key, code] of [
      [signer.key, 0],
      [other.key, 1],
    ] as const) {
      const how = ['--pull', 'never', '--verify-key', key];
      for (const command of [
        ['files', 'cat', ...how, ref, '/f'],
        ['cp', ...how, `${ref}:/f`, path('.')],
      ]) {
        const read = await run(...command);
        assert.equal(read.code, code, `${command} ${read.err}`);
      }
    }
    assert.deepEqual(registry.requests, []);
    other.sign(registry, REPO, amd64.root.digest, 'bundle');
    const catted = await run('files', 'cat', '--verify-key', other.key, ref, '/f');
    assert.deepEqual([catted.code, catted.out], [0, 'amd64'], catted.err);
    const asked = await unpack('c', other);
    assert.equal(asked.code, 0, asked.err);
    assert.match(registry.log().join(), /referrers/);
  }));

test('with --lacks the signatures go along, whatever the other side has', () =>
  withWorld(async ({ store, registry, signer, ref, path, far }) => {
    const there = await far();
    registry.push(REPO, '1', amd64);
    signer.sign(registry, REPO, amd64.root.digest, 'bundle');
    signer.sign(registry, REPO, amd64.root.digest, 'attachment');
    await fetch(ref, { store, signatures: true });
    await exportImages([ref], { store, to: { file: path('whole.tar') }, signatures: false });
    await importImages({ store: there, from: path('whole.tar'), unpack: false });
    const { delta } = await exportImages([ref], {
      ...{ store, to: { file: path('delta.tar') } },
      lacks: [path('whole.tar')],
    });
    assert.equal(delta?.leftOut.blobs, 1);
    await importImages({ store: there, from: path('delta.tar'), unpack: false, verify: by(signer) });
    const [judged] = await verifySignatures({ store: there, verify: by(signer) });
    assert.equal(judged?.problem, undefined);
    await isGone(there, ref);
  }));

test('a lock: its images come, go out and come in again with their signatures', () =>
  withWorld(async ({ store, registry, signer, other, path, far, run }) => {
    const refs = FORMS.map((form) => {
      const ref = registry.push(form, '1', amd64);
      signer.sign(registry, form, amd64.root.digest, form);
      return ref;
    });
    writeFileSync(path('list'), refs.join('\n'));
    const { out } = await run('lock', path('list'));
    writeFileSync(path('images.lock'), out);
    const come = await run('content', 'fetch', '-f', path('images.lock'), '--verify-key', signer.key);
    assert.equal(come.code, 0, come.err);
    const go = await run('export', '-f', path('images.lock'), path('all.tar'));
    assert.equal(go.code, 0, go.err);
    const there = await far();
    const load = (by_: Signer) =>
      importImages({ store: there, from: path('all.tar'), unpack: false, verify: by(by_) });
    await rejectsWith('PermissionDenied', /by another key/, load(other));
    await load(signer);
    for (const kept of [store, there])
      assert.deepEqual(
        (await verifySignatures({ store: kept, verify: by(signer) })).map(({ problem }) => problem),
        [undefined, undefined],
      );
  }));

test('a child of a signed index that is another: nothing comes in', () =>
  withWorld(async ({ store, registry, signer, ref }) => {
    registry.push(REPO, '1', index);
    signer.sign(registry, REPO, index.root.digest, 'bundle');
    const { mediaType, digest } = amd64.root;
    registry.putManifest(REPO, digest, mediaType, arm64.root.bytes, digest);
    const come = fetch(ref, { store, verify: by(signer), platforms: ['linux/amd64'] });
    await rejectsWith('DataLoss', /sha256/, come);
    assert.deepEqual(await store.images.list(), []);
  }));

test('push --referrers brings signatures to where cosign looks for them, and leaves those that are there', async () => {
  const to: TestRegistry = await startRegistry({ ...API, uploads: {} });
  try {
    await withWorld(async ({ store, registry, signer, other, ref, events }) => {
      const { digest } = amd64.root;
      registry.push(REPO, '1', amd64);
      const signed = FORMS.map((form) => signer.sign(registry, REPO, digest, form));
      await fetch(ref, { store, signatures: true });
      const remote = `${to.host}/far/app:1`;
      const onProgress = (event: ProgressEvent) => void events.push(event);
      await push(ref, { store, to: remote, referrers: true, onProgress });
      const tag = `${digest.replace(':', '-')}.sig`;
      assert.equal(digestOf((await to.content('far/app', tag)) ?? new Uint8Array()), signed[0]);
      const theirs = other.sign(to, 'far/app', digest, 'attachment');
      await push(ref, { store, to: remote, referrers: true, onProgress });
      assert.equal(digestOf((await to.content('far/app', tag)) ?? new Uint8Array()), theirs);
      const [warning] = events.flatMap((one) => (one.type === 'warning' ? [one.message] : []));
      assert.match(
        warning ?? '',
        /^Left the tag sha256-\w+\.sig of \S+\/far\/app, which names other signatures, as it is$/,
      );
    });
  } finally {
    await to.close();
  }
});

/** Puts signatures of random forms beside what an index lists; those at cosign's tags by subject, and the bundles. */
async function signAtRandom(registry: TestRegistry, signers: readonly Signer[], seed: number) {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[next(list.length)] ?? assert.fail();
  const subjects = [index, amd64, arm64].map(({ root }) => root.digest as string);
  // A signature of a signature: cosign signs any manifest.
  const bundles = subjects.flatMap((digest) =>
    Array.from({ length: next(3) }, () => pick(signers).sign(registry, REPO, digest, 'bundle')),
  );
  const tagged = new Map<string, string>();
  for (const digest of subjects) {
    const before = [...tagged.values()];
    if (next(4) === 0) continue;
    if (next(2) === 0 && before.length > 0) {
      // One document for several subjects, with a payload for each.
      const document = pick(before);
      const bytes = (await registry.content(REPO, document)) ?? assert.fail();
      registry.putManifest(REPO, tagOf(digest), OCI_MANIFEST, bytes);
      tagged.set(digest, document);
    } else {
      const layers = subjects.map((one) => pick(signers).layer(registry, REPO, one, { optional: next(9) }));
      tagged.set(digest, attach(registry, REPO, digest, layers));
    }
  }
  return { tagged, bundles: [...new Set(bundles)] };
}

const tagOf = (digest: string) => `${digest.replace(':', '-')}.sig`;

for (let round = 0; round < 4; round++)
  test(`whatever signs an image in the store signs it where it is pushed to, in both forms: round ${round}`, async (t) => {
    const seed = chosenSeed() + round;
    t.diagnostic(`HAWSER_SEED=${seed}`);
    const to: TestRegistry = await startRegistry({ ...API, uploads: {} });
    try {
      await withWorld(async ({ store, registry, signer, other, ref, path, far }) => {
        registry.push(REPO, '1', index);
        const { tagged, bundles } = await signAtRandom(registry, [signer, other], seed);
        await fetch(ref, { store, platforms: 'all', signatures: true });
        await exportImages([ref], { store, to: { directory: path('o') } });
        const there = await far();
        await importImages({ store: there, from: path('o'), unpack: false, platforms: 'all' });
        for (const [at, from] of [store, there].entries()) {
          const repo = `far/app${at}`;
          const told: string[] = [];
          const onProgress = (event: ProgressEvent) =>
            void (event.type === 'warning' && told.push(event.message));
          for (let time = 0; time < 2; time++) {
            await push(ref, { store: from, to: `${to.host}/${repo}:1`, referrers: true, onProgress });
            for (const { root } of [index, amd64, arm64]) {
              const bytes = await to.content(repo, tagOf(root.digest));
              assert.equal(bytes && digestOf(bytes), tagged.get(root.digest), `HAWSER_SEED=${seed}`);
            }
            for (const one of bundles) assert.ok(await to.content(repo, one), `HAWSER_SEED=${seed}`);
            assert.deepEqual(told, []);
          }
        }
      });
    } finally {
      await to.close();
    }
  });
