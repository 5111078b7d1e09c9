/** `tags`, `catalog`, `manifest`, `config`, `digest`, `referrers`: what is printed, against the test registry and docker-registry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../../src/cli/run.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { openRegistry, type RegistryOptions } from '../../../src/core/registry/open.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { fakeClock, transports } from '../../registry/client.ts';
import { buildImage, buildIndex, type TestImage } from '../../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { schema1 } from '../../registry/zoo/images.ts';
import { needs } from '../../support/needs.ts';
import { startDockerRegistry } from '../../support/real-registry.ts';
import { fakeRuntime } from './fake-runtime.ts';

/** A whole run; nothing but the registry can be opened. */
async function go(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return await goOn({}, ...args);
}

async function goOn(terminal: { readonly columns?: number }, ...args: readonly string[]) {
  const fake = fakeRuntime({ env: {}, ...terminal });
  const open = (_: unknown, options: RegistryOptions) =>
    openRegistry({ transports: transports(), clock: fakeClock() }, { ...options, retry: { tries: 0 } });
  const runtime = { ...fake.runtime, hashers: createHashers() };
  const code = await run(runtime, args, { openRegistry: open } as unknown as Services);
  return { code, out: fake.out(), err: fake.err() };
}

const of = (architecture: string): Promise<TestImage> =>
  buildImage({ layers: [], platform: { os: 'linux', architecture }, config: { author: 'A \u{1f40b}' } });
const [amd, arm] = [await of('amd64'), await of('arm64')];
const index = buildIndex([amd, arm]);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const configOf = (image: TestImage): string => {
  const { config } = JSON.parse(text(image.root.bytes));
  return text(image.blobs.get(config.digest) ?? new Uint8Array());
};

async function withImages(body: (registry: TestRegistry, ref: string) => Promise<void>): Promise<void> {
  const registry = await startRegistry({ lists: { page: 1, referrers: { filters: true } } });
  try {
    registry.push('a/plain', 'v1', amd);
    await body(registry, registry.push('a/b', 'v1', index));
  } finally {
    await registry.close();
  }
}

test('manifest: the very bytes, of the index or of a platform, and as JSON', async () => {
  await withImages(async ({ host }, ref) => {
    assert.deepEqual(await go('manifest', ref), { code: 0, out: text(index.root.bytes), err: '' });
    assert.equal((await go('manifest', ref, '--platform', 'linux/arm64')).out, text(arm.root.bytes));
    const { mediaType, digest, bytes } = index.root;
    assert.deepEqual(JSON.parse((await go('manifest', '--json', ref)).out), {
      ...{ v: 1, type: 'manifest', name: ref },
      descriptor: { mediaType, digest, size: bytes.length },
      document: JSON.parse(text(bytes)),
    });
    assert.match((await go('manifest', ref, '--platform', 'linux/s390x')).err, /no match for platform/);
    const both = await go('manifest', ref, '--platform', 'linux/arm64', '--platform', 'linux/amd64');
    assert.deepEqual([both.code, both.out], [2, '']);
    const layerless = `${host}/a/b@${sha256(new TextEncoder().encode(configOf(amd)))}`;
    assert.match((await go('manifest', layerless)).err, /neither a manifest|is a blob, and no manifest/);
  });
});

test('config: of this machine, of a platform, of an image that is no index', async () => {
  await withImages(async ({ host }, ref) => {
    assert.deepEqual(await go('config', ref), { code: 0, out: configOf(amd), err: '' });
    assert.equal((await go('config', ref, '--platform', 'linux/arm64')).out, configOf(arm));
    assert.equal((await go('config', `${host}/a/plain:v1`)).out, configOf(amd));
    const other = await go('config', `${host}/a/plain:v1`, '--platform', 'linux/arm64');
    assert.deepEqual([other.code, other.out], [1, '']);
    const json = JSON.parse((await go('config', '--json', ref)).out);
    assert.deepEqual([json.v, json.type, json.document.architecture], [1, 'config', 'amd64']);
    assert.equal(json.descriptor.digest, sha256(new TextEncoder().encode(configOf(amd))));
  });
});

test('config: bytes of a registry command no terminal, and a file gets them as they are', async () => {
  const hostile = await buildImage({ layers: [], config: { author: 'A \u009b31m \u{1f40b}' } });
  assert.match(configOf(hostile), /\u009b/);
  const registry = await startRegistry();
  try {
    const ref = registry.push('a/b', 'v1', hostile);
    assert.equal((await go('config', ref)).out, configOf(hostile));
    const shown = await goOn({ columns: 80 }, 'config', ref);
    assert.deepEqual([shown.code, shown.out], [0, configOf(hostile).replace('\u009b', '\\x9b')]);
  } finally {
    await registry.close();
  }
});

test('manifest, config: nothing is printed of bytes whose digest does not hold', async () => {
  await withImages(async (registry, ref) => {
    const { digest } = JSON.parse(text(amd.root.bytes)).config;
    for (const [match, args] of [
      [`/manifests/v1`, ['manifest', ref]],
      [arm.root.digest, ['manifest', ref, '--platform', 'linux/arm64']],
      [digest, ['config', ref]],
    ] as const) {
      registry.faults.splice(0, 9, { match, method: 'GET', corrupt: 20 });
      const { code, out, err } = await go(...args);
      assert.deepEqual([code, out], [1, ''], err);
      assert.match(err, /content is sha256:[0-9a-f]{64}, want sha256:/);
      assert.doesNotMatch(err, /Throw away/);
    }
  });
});

test('manifest, config: of schema 1', async () => {
  await withImages(async (registry) => {
    const ref = registry.push('a/old', 'v1', schema1());
    const { out } = await go('manifest', ref);
    assert.equal(JSON.parse(out).schemaVersion, 1);
    assert.match((await go('config', ref)).err, /has no config: its manifest is of schema 1/);
  });
});

test('digest: what resolve says', async () => {
  await withImages(async (_, ref) => {
    for (const flags of [[], ['--platform', 'linux/arm64'], ['--json']]) {
      const digest = await go('digest', ref, ...flags);
      assert.equal(digest.code, 0);
      assert.deepEqual(digest, await go('resolve', ref, ...flags));
    }
    assert.equal((await go('digest', ref)).out, `${index.root.digest}\n`);
  });
});

test('tags, catalog: one a line over all pages, and as JSON', async () => {
  await withImages(async (registry, ref) => {
    const { host } = registry;
    registry.push('a/b', 'v2', amd);
    assert.deepEqual(await go('tags', `${host}/a/b`), { code: 0, out: 'v1\nv2\n', err: '' });
    assert.equal((await go('tags', ref)).out, 'v1\nv2\n', 'the tag is of no matter');
    const name = `${host}/a/b`;
    const tags = { v: 1, type: 'tags', name, tags: ['v1', 'v2'] };
    assert.deepEqual(JSON.parse((await go('tags', name, '--json')).out), tags);
    assert.equal((await go('catalog', host)).out, 'a/b\na/plain\n');
    const catalog = { v: 1, type: 'repositories', host, repositories: ['a/b', 'a/plain'] };
    assert.deepEqual(JSON.parse((await go('catalog', host, '--json')).out), catalog);
    const absent = await go('tags', `${host}/no/such`);
    assert.deepEqual([absent.code, absent.out], [1, '']);
    assert.match(absent.err, /failed to list the tags of \S+\/no\/such: \S+: not found\n/);
    assert.match((await go('catalog', `${host}/a`)).err, /it is not the host of a registry alone/);
    assert.match((await go('catalog')).err, /please provide the host of a registry/);
  });
});

test('referrers: a table, only those of a type, and as JSON', async () => {
  await withImages(async (registry, ref) => {
    const subject = {
      mediaType: index.root.mediaType,
      digest: index.root.digest,
      size: index.root.bytes.length,
    };
    for (const artifactType of ['t/sbom', 't/sig']) {
      const manifest = { ...JSON.parse(text(amd.root.bytes)), artifactType, subject };
      const bytes = new TextEncoder().encode(JSON.stringify(manifest));
      registry.putManifest('a/b', sha256(bytes), amd.root.mediaType, bytes);
    }
    const { out } = await go('referrers', ref);
    assert.match(out, /^TYPE\s+DIGEST\s+SIZE\s*\nt\/sbom\s+sha256:.*\nt\/sig\s+sha256:.*\n$/);
    const { code, out: json } = await go('referrers', ref, '--json', '--artifact-type', 't/sig');
    const document = JSON.parse(json);
    assert.deepEqual([code, document.v, document.type, document.source], [0, 1, 'referrers', 'api']);
    assert.deepEqual(document.subject, subject);
    assert.deepEqual(
      document.referrers.map((one: { artifactType: string }) => one.artifactType),
      ['t/sig'],
    );
    assert.deepEqual(await go('referrers', `${registry.host}/a/plain:v1`), { code: 0, out: '', err: '' });
  });
});

test('ask: docker-registry', { skip: needs({ tools: ['docker-registry'] }) }, async () => {
  const registry = await startDockerRegistry();
  try {
    const { host } = registry;
    const put = async (url: string, type: string, body: string | Uint8Array<ArrayBuffer>) => {
      const response = await fetch(url, { method: 'PUT', headers: { 'content-type': type }, body });
      assert.ok(response.ok, `${url}: ${response.status} ${await response.text()}`);
    };
    for (const [digest, bytes] of amd.blobs) {
      const begun = await fetch(`http://${host}/v2/a/b/blobs/uploads/`, { method: 'POST' });
      await begun.arrayBuffer();
      const url = new URL(begun.headers.get('location') ?? '', `http://${host}`);
      url.searchParams.set('digest', digest);
      await put(url.href, 'application/octet-stream', Uint8Array.from(bytes));
    }
    const tags = ['t1', 't2', 't3'];
    for (const tag of tags)
      await put(
        `http://${host}/v2/a/b/manifests/${tag}`,
        amd.root.mediaType,
        Uint8Array.from(amd.root.bytes),
      );
    const ref = `${host}/a/b:t1`;
    assert.deepEqual((await go('tags', ref)).out.split('\n').sort(), ['', ...tags]);
    assert.equal((await go('catalog', host)).out, 'a/b\n');
    assert.equal((await go('manifest', ref)).out, text(amd.root.bytes));
    assert.equal((await go('config', ref)).out, configOf(amd));
    assert.equal((await go('digest', ref)).out, `${amd.root.digest}\n`);
    assert.deepEqual(await go('referrers', ref), { code: 0, out: '', err: '' });
    const { mediaType, digest, bytes } = amd.root;
    const manifests = [{ mediaType, digest, size: bytes.length, artifactType: 't/sig' }];
    const type = 'application/vnd.oci.image.index.v1+json';
    const list = JSON.stringify({ schemaVersion: 2, mediaType: type, manifests });
    await put(`http://${host}/v2/a/b/manifests/${digest.replace(':', '-')}`, type, list);
    assert.match((await go('referrers', ref)).out, new RegExp(`t/sig +${digest} `));
    assert.match((await go('tags', `${host}/no/such`)).err, /not found/);
  } finally {
    await registry.close();
  }
});
