/**
 * Labels and records of what was fetched (spec/remote.md 6.1, 6.3, 6.4, 6.8, 6.10): with containerd's keys, so that a garbage
 * collector, a later push, and the same verbs over a containerd find what they look for.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { fetch, type Store } from '../../src/mod.ts';
import { buildImage, buildIndex, type TestImage } from '../registry/image.ts';
import { sha256 } from '../registry/registry.ts';
import { image, withBench } from '../support/bench.ts';
import { tempDir } from '../support/tmp.ts';

const GC = 'containerd.io/gc.ref.content';
const SOURCE = 'containerd.io/distribution.source';
const OCTETS = 'application/octet-stream';

const documentOf = ({ root }: TestImage) => JSON.parse(new TextDecoder().decode(root.bytes));
const labelsOf = async (store: Store, digest: string) =>
  (await store.content.info(parseDigest(digest))).labels;

/** Without the sources. */
async function gcLabels(store: Store, digest: string): Promise<Record<string, string>> {
  const all = Object.entries(await labelsOf(store, digest));
  return Object.fromEntries(
    all.filter(([key]) => key.startsWith(GC)).map(([key, value]) => [key.slice(GC.length), value]),
  );
}

const statement = new TextEncoder().encode('{"_type":"https://in-toto.io/Statement/v0.1"}');

/** As BuildKit makes it. */
async function attestation(): Promise<TestImage> {
  const layer = {
    mediaType: 'application/vnd.in-toto+json',
    digest: sha256(statement),
    size: statement.length,
  };
  const made = await buildImage({
    layers: [],
    platform: { os: 'unknown', architecture: 'unknown' },
    manifest: { layers: [layer] },
  });
  return { ...made, blobs: new Map([...made.blobs, [layer.digest, statement]]) };
}

test('all children are labelled, those that were not wanted too', async () => {
  await withBench(async ({ store, registry }) => {
    const amd = await image('amd');
    const arm = await image('arm', { platform: { os: 'linux', architecture: 'arm', variant: 'v7' } });
    const note = await attestation();
    const ref = registry.push('a/i', 'v1', buildIndex([amd, arm, note]));
    const { target } = await fetch(ref, { store, platforms: ['linux/amd64'] });
    const manifests = { '.m.0': amd.root.digest, '.m.1': arm.root.digest, '.m.2': note.root.digest };
    assert.deepEqual(await gcLabels(store, target.digest), manifests);
    assert.equal((await store.content.list()).length, 5, 'index, manifest, config, two layers');
    await fetch(ref, { store, platforms: ['linux/amd64'], allMetadata: true });
    assert.deepEqual(await gcLabels(store, arm.root.digest), {
      '.config': documentOf(arm).config.digest,
      '.l.0': arm.layers[0]?.digest,
      '.l.1': arm.layers[1]?.digest,
    });
    assert.deepEqual(await gcLabels(store, note.root.digest), {
      '.config': documentOf(note).config.digest,
      '.0': sha256(statement),
    });
  });
});

test('a referrer that an index lists has a key of its own, and is kept by it', async () => {
  await withBench(async ({ store, registry }) => {
    const [amd, note] = [await image('amd'), await attestation()];
    const [first, second] = documentOf(buildIndex([amd, note])).manifests;
    const annotations = { 'io.containerd.manifest.subject': amd.root.digest };
    const made = buildIndex([amd, note], { manifests: [first, { ...second, annotations }] });
    const { target } = await fetch(registry.push('a/r', 'v1', made), { store, platforms: 'all' });
    const key = `.referrer.sha256.${note.root.digest.slice(7, 19)}`;
    assert.deepEqual(await gcLabels(store, target.digest), {
      '.m.0': amd.root.digest,
      [key]: note.root.digest,
    });
    await store.collect();
    assert.equal((await store.content.list()).length, 8);
  });
});

test('everything says which repositories have it, what was there already too', async () => {
  await withBench(async ({ store, registry }) => {
    const made = buildIndex([await image('x')]);
    await fetch(registry.push('t/img', 'v1', made), { store });
    registry.requests.length = 0;
    await fetch(registry.push('t/all', 'v1', made), { store });
    assert.deepEqual(registry.log(), ['HEAD /t/all/manifests/v1']);
    const infos = await store.content.list();
    assert.equal(infos.length, 5);
    for (const { labels } of infos) assert.equal(labels[`${SOURCE}.127.0.0.1`], 't/all,t/img');
  });
});

test('the source is the registry of the reference, never the mirror that was asked', async () => {
  const dir = tempDir();
  await withBench(async ({ store, registry }) => {
    registry.push('library/alpine', 'v1', await image('x'));
    mkdirSync(join(dir.path, 'docker.io'));
    const text = `server = "http://${registry.host}"\n[host."http://${registry.host}"]\n`;
    writeFileSync(join(dir.path, 'docker.io/hosts.toml'), text);
    await fetch('alpine:v1', { store, hostsDir: dir.path });
    for (const { labels } of await store.content.list()) {
      const sources = Object.entries(labels).filter(([key]) => key.startsWith(SOURCE));
      assert.deepEqual(sources, [[`${SOURCE}.docker.io`, 'library/alpine']]);
    }
  });
  dir[Symbol.dispose]();
});

test('a source label that would be longer than 4096 bytes stays as it is, with a warning', async () => {
  await withBench(async ({ store, registry, events }) => {
    const made = await image('x');
    await fetch(registry.push('a/b', 'v1', made), { store });
    const digest = made.root.digest as never;
    const key = `${SOURCE}.127.0.0.1`;
    const long = Array.from(
      { length: 40 },
      (_, i) => `${String(i).padStart(3, '0')}/${'r'.repeat(96)}`,
    ).join();
    await store.content.label(digest, { [key]: long });
    await fetch(registry.push(`b/${'c'.repeat(30)}`, 'v1', made), {
      store,
      onProgress: (event) => void events.push(event),
    });
    assert.ok((await store.content.info(digest)).labels[key] === long);
    assert.ok(events.some((e) => e.type === 'warning' && e.message.includes('would be too long')));
  });
});

/**
 * containerd records another image then, with the config's media type put right, and labels it 0, 1, 2. Ours keeps the
 * digest: it is what was asked for, what is signed, and what the registry knows. Every reader here takes such a config
 * for an image's (mayBeImageConfig).
 */
test('a config that is called octets: the manifest stays as it is, with the labels of its media types', async () => {
  await withBench(async ({ store, registry }) => {
    const plain = await image('x', { docker: true });
    const config = { ...documentOf(plain).config, mediaType: OCTETS };
    const octets = await image('x', { docker: true, manifest: { config } });
    for (const made of [octets, buildIndex([octets])]) {
      const ref = registry.push('a/o', 'v1', made);
      await fetch(ref, { store, labels: {} });
      assert.equal((await store.images.get(ref)).target.digest, made.root.digest);
      assert.deepEqual(await gcLabels(store, octets.root.digest), {
        '.0': config.digest,
        '.l.0': octets.layers[0]?.digest,
        '.l.1': octets.layers[1]?.digest,
      });
      await store.collect();
      assert.ok((await store.content.info(config.digest)).size === config.size, 'held by its label');
    }
    const layers = [{ mediaType: OCTETS, digest: sha256(statement), size: statement.length }];
    registry.putBlob('a/o', sha256(statement), statement);
    const other = registry.push('a/o', 'v2', await image('x', { manifest: { layers } }));
    const { target } = await fetch(other, { store });
    assert.deepEqual(Object.keys(await gcLabels(store, target.digest)), ['.0', '.config']);
  });
});

/**
 * containerd replaces the labels of a record with those of the last pull, so that a pull without --label drops what others
 * have set: owners, gc.expire, a pin. Ours changes what it is told to, and an empty value removes.
 */
test('pulled again, a record keeps the labels that are not named, and its name and time of making', async () => {
  await withBench(async ({ store, registry }) => {
    const ref = registry.push('a/b', 'v1', await image('one'));
    await fetch(ref, { store, labels: { team: 'deck', 'containerd.io/gc.expire': '2100-01-01T00:00:00Z' } });
    const first = await store.images.get(ref);
    assert.equal(first.name, ref);
    await fetch(ref, { store });
    assert.deepEqual((await store.images.get(ref)).labels, first.labels);
    registry.push('a/b', 'v1', await image('two'));
    await fetch(ref, { store, labels: { team: '', use: 'test' } });
    const moved = await store.images.get(ref);
    assert.notEqual(moved.target.digest, first.target.digest);
    assert.deepEqual(moved.labels, { use: 'test', 'containerd.io/gc.expire': '2100-01-01T00:00:00Z' });
    assert.equal(moved.createdAt, first.createdAt);
    assert.equal((await store.images.list()).length, 1);
  });
});

test('what is asked of a registry: one HEAD, then each document and blob once', async () => {
  await withBench(async ({ store, registry }) => {
    const one = await image('one');
    const ref = registry.push('a/b', 'v1', one);
    const config = documentOf(one).config.digest;
    await fetch(ref, { store });
    const [head, manifest, ...blobs] = registry.log();
    assert.deepEqual([head, manifest], ['HEAD /a/b/manifests/v1', `GET /a/b/manifests/${one.root.digest}`]);
    assert.deepEqual(
      blobs.sort(),
      [config, ...one.layers.map(({ digest }) => digest)].map((digest) => `GET /a/b/blobs/${digest}`).sort(),
    );
    await fetch(ref, { store });
    assert.deepEqual(registry.log().slice(5), ['HEAD /a/b/manifests/v1']);
  });
});
