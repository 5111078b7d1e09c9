/** Tags, repositories and referrers: pages, limits, who is asked, and what is done without the referrers API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hintOf, isKind, messageOf } from '../../../src/core/errors.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { OCI_INDEX } from '../../../src/core/oci/media-types.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { ALL_CAPABILITIES, type Host } from '../../../src/core/registry/hosts.ts';
import type { RegistryOptions } from '../../../src/core/registry/open.ts';
import { nextLink } from '../../../src/core/registry/pages.ts';
import { scripted, withClient } from '../../registry/client.ts';
import { buildImage } from '../../registry/image.ts';
import {
  type RegistryOptions as ServerOptions,
  startRegistry,
  type TestRegistry,
} from '../../registry/registry.ts';

const image = await buildImage({ layers: [] });
const DIGEST = parseDigest(image.root.digest);
const MANIFEST = image.root.mediaType;

async function withRegistry(
  options: ServerOptions,
  body: (registry: TestRegistry) => Promise<void>,
): Promise<void> {
  await withServer(options, async (registry) => {
    for (const tag of ['a', 'b', 'c', 'd', 'e']) registry.push('x/y', tag, image);
    await body(registry);
  });
}

async function withServer(
  options: ServerOptions,
  body: (registry: TestRegistry) => Promise<void>,
): Promise<void> {
  const registry = await startRegistry(options);
  try {
    await body(registry);
  } finally {
    await registry.close();
  }
}

/** The first has the five tags. */
const withServers = (
  one: ServerOptions,
  other: ServerOptions,
  body: (one: TestRegistry, other: TestRegistry) => Promise<void>,
): Promise<void> => withRegistry(one, (registry) => withServer(other, (second) => body(registry, second)));

const tagsOf = (registry: TestRegistry, options: RegistryOptions = {}, repository = 'x/y') =>
  withClient(options, (client) => client.tags(parseReference(`${registry.host}/${repository}`)));

/** A manifest that refers to the image. Its digest. */
function refer(registry: TestRegistry, artifactType: string, note = ''): string {
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: DIGEST, size: 2 };
  const subject = { mediaType: MANIFEST, digest: DIGEST, size: image.root.bytes.length };
  const document = { schemaVersion: 2, mediaType: MANIFEST, artifactType, config, layers: [], subject, note };
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  const digest = registry.putManifest('x/y', 'gone', MANIFEST, bytes);
  return digest;
}

const referrersOf = (registry: TestRegistry, artifactType?: string, options: RegistryOptions = {}) =>
  withClient(options, (client) =>
    client.referrers(parseReference(`${registry.host}/x/y:a`), { artifactType }),
  );

test('lists: tags over pages, each once, in order; 1000 are asked for', async () => {
  for (const page of [1, 2, 5, 100])
    await withRegistry({ lists: { page } }, async (registry) => {
      assert.deepEqual(await tagsOf(registry), ['a', 'b', 'c', 'd', 'e']);
      assert.equal(registry.requests.length, Math.ceil(5 / page));
      assert.equal(registry.requests[0]?.path, '/v2/x/y/tags/list?n=1000');
    });
});

test('lists: a registry that refuses the length of a page is asked without one', async () => {
  await withRegistry({ faults: [{ match: 'n=1000', status: 400 }] }, async (registry) => {
    assert.deepEqual(await tagsOf(registry), ['a', 'b', 'c', 'd', 'e']);
    assert.equal(registry.requests.at(-1)?.path, '/v2/x/y/tags/list');
  });
});

test('lists: a page that fails for a moment is asked again, and only that page', async () => {
  const faults = [{ match: 'last=b', status: 503, times: 1 }];
  await withRegistry({ lists: { page: 2 }, faults }, async (registry) => {
    assert.equal((await tagsOf(registry, { retry: { tries: 2 } })).length, 5);
    assert.equal(registry.requests.length, 4);
  });
});

test('lists: with a token of the right scope for tags and for repositories; it is got once', async () => {
  const auth = { mode: 'bearer', user: 'u', pass: 'p' } as const;
  const credentials: RegistryOptions['credentials'] = async () => ({ username: 'u', secret: 'p' });
  await withRegistry({ auth, lists: { page: 2 } }, async (registry) => {
    await withClient({ credentials }, async (client) => {
      assert.equal((await client.tags(parseReference(`${registry.host}/x/y`))).length, 5);
      assert.equal(registry.gate.issued, 1);
      assert.deepEqual(await client.catalog(registry.host), ['x/y']);
      assert.equal(registry.gate.issued, 2);
    });
  });
  const challenge = ['Bearer realm="{origin}/token",service="testsvc"'];
  await withRegistry({ auth: { ...auth, challenge } }, async (registry) => {
    await withClient({ credentials }, async (client) => {
      assert.equal((await client.tags(parseReference(`${registry.host}/x/y`))).length, 5);
      assert.deepEqual(await client.catalog(registry.host), ['x/y'], 'the challenge names no scope');
    });
  });
});

test('lists: what is absent, refused or no list', async () => {
  await withRegistry({}, async (registry) => {
    await assert.rejects(tagsOf(registry, {}, 'no/such'), (err) => isKind(err, 'NotFound'));
    for (const [status, kind] of [
      [401, 'Unauthenticated'],
      [404, 'NotFound'],
      [405, 'FailedPrecondition'],
    ] as const) {
      registry.faults.splice(0, 9, { match: '_catalog', status });
      const asked = withClient({}, (client) => client.catalog(registry.host));
      await assert.rejects(asked, (err) => isKind(err, kind) && /does not list/.test(messageOf(err)));
    }
    for (const body of ['<html>', '[]', '{}', '{"tags":{}}', '{"tags":[1]}', '{"tags":["a\\u001b[2J"]}']) {
      registry.faults.splice(0, 9, { match: 'tags/list', body });
      await assert.rejects(tagsOf(registry), (err) => isKind(err, 'InvalidArgument'), body);
    }
    registry.faults.splice(0, 9, { match: 'tags/list', body: '{"tags":null}' });
    assert.deepEqual(await tagsOf(registry), [], 'no tags at all');
    registry.faults.splice(0, 9, { match: 'tags/list', cutAfter: 5 });
    await assert.rejects(tagsOf(registry), (err) => isKind(err, 'Unavailable'));
  });
});

test('lists: pages in a circle, without end, or too large are refused', async () => {
  const page = (link: string, body = '{"tags":["a"]}') => ({
    headers: { link: `<${link}>; rel="next"` },
    body,
  });
  const ask = (script: Parameters<typeof scripted>[0]) => {
    const transports = scripted(script);
    const asked = withClient({ transports }, (client) => client.tags(parseReference('reg.test/a/b')));
    return { asked, transports };
  };
  await assert.rejects(ask(() => page('/v2/a/b/tags/list?last=a')).asked, /lead in a circle/);
  let count = 0;
  const large = `{"tags":["a"],"x":"${'x'.repeat((8 << 20) - 100)}"}`;
  await assert.rejects(ask(() => page(`?last=${++count}`, large)).asked, /more than 67108864 bytes/);
  await assert.rejects(ask(() => page('?', `${large}${' '.repeat(100)}`)).asked, /8388608 bytes in one page/);
});

test('lists: a next page elsewhere gets no credentials, and leads nowhere that a redirect may not', async () => {
  const auth = { mode: 'basic', user: 'u', pass: 'p' } as const;
  const credentials: RegistryOptions['credentials'] = async () => ({ username: 'u', secret: 'p' });
  await withServers({ auth }, {}, async (registry, other) => {
    other.push('x/y', 'f', image);
    const leads = (to: string) =>
      registry.faults.splice(0, 9, { match: 'n=1000', headers: { Link: `<${to}>; rel="next"` } });
    leads(`${other.url}/v2/x/y/tags/list`);
    const base = new URL(`${registry.url}/v2`);
    const hosts: RegistryOptions['hosts'] = async () => ({
      source: 'test',
      hosts: [{ name: registry.host, base, capabilities: ALL_CAPABILITIES, headers: { 'x-key': 'secret' } }],
    });
    assert.deepEqual(await tagsOf(registry, { credentials, hosts }), ['a', 'b', 'c', 'd', 'e', 'f']);
    assert.equal(registry.requests.at(-1)?.headers.get('x-key'), 'secret');
    assert.equal(other.requests[0]?.authorization, undefined);
    assert.equal(other.requests[0]?.headers.get('x-key'), undefined);
    for (const to of ['http://169.254.169.254/latest', 'ftp://x/y']) {
      leads(to);
      await assert.rejects(tagsOf(registry, { credentials }), (err) => isKind(err, 'FailedPrecondition'), to);
    }
    leads('http://[');
    await assert.rejects(tagsOf(registry, { credentials }), /has no URL/);
  });
  const transports = scripted(() => ({
    headers: { link: '<http://reg.test/x>; rel=next' },
    body: '{"tags":[]}',
  }));
  const asked = withClient({ transports }, (client) => client.tags(parseReference('reg.test/a/b')));
  await assert.rejects(asked, /it would leave TLS/);
});

test('lists: tags and repositories are asked of the registry, never of a mirror, which has a part of them', async () => {
  await withServers({}, {}, async (registry, mirror) => {
    mirror.push('x/y', 'm1', image);
    const hostOf = ({ host, url }: TestRegistry): Host => ({
      name: host,
      base: new URL(`${url}/v2`),
      capabilities: ALL_CAPABILITIES,
    });
    const mirrored = { ...hostOf(mirror), namespace: 'reg.test' };
    const options = (...hosts: Host[]): RegistryOptions => ({
      hosts: async () => ({ source: 'test', hosts }),
    });
    const both = options(mirrored, hostOf(registry));
    assert.equal((await tagsOf(registry, both)).length, 5);
    assert.deepEqual(await withClient(both, (client) => client.catalog('reg.test')), ['x/y']);
    const alone = options(mirrored);
    await assert.rejects(tagsOf(registry, alone), (err) => /^The tags are asked of/.test(hintOf(err) ?? ''));
    await assert.rejects(
      withClient(alone, (client) => client.catalog('reg.test')),
      (err) => /^The repositories are asked of/.test(hintOf(err) ?? ''),
    );
    assert.equal(mirror.requests.length, 0);
  });
});

test('referrers: by the API, filtered there or here, over pages', async () => {
  for (const filters of [true, false])
    await withRegistry({ lists: { page: 1, referrers: { filters } } }, async (registry) => {
      const [sbom, one, two] = [
        refer(registry, 't/sbom'),
        refer(registry, 't/sig'),
        refer(registry, 't/sig', '2'),
      ];
      const all = await referrersOf(registry);
      assert.deepEqual([all.source, all.subject.digest], ['api', DIGEST]);
      assert.deepEqual(
        all.referrers.map(({ digest }) => digest),
        [sbom, one, two],
      );
      const some = await referrersOf(registry, 't/sig');
      assert.deepEqual(
        some.referrers.map(({ digest }) => digest),
        [one, two],
      );
      assert.deepEqual((await referrersOf(registry, 't/none')).referrers, []);
    });
});

test('referrers: a registry that filtered is believed, though it leaves types out', async () => {
  const entry = { mediaType: MANIFEST, digest: DIGEST, size: 3 };
  const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] });
  const fault = { match: '/referrers/', status: 200, body, contentType: OCI_INDEX };
  await withRegistry({ lists: { referrers: { filters: true } } }, async (registry) => {
    registry.faults.push({ ...fault, headers: { 'OCI-Filters-Applied': 'artifactType' } });
    assert.equal((await referrersOf(registry, 't/sig')).referrers.length, 1);
    registry.faults.splice(0, 1, fault);
    assert.equal((await referrersOf(registry, 't/sig')).referrers.length, 0);
  });
});

test('referrers: without the API by the tag of the digest, and nothing where there is none', async () => {
  for (const status of [400, 404, 405, 406])
    await withRegistry({}, async (registry) => {
      registry.faults.push({ match: '/referrers/', status });
      assert.deepEqual(await referrersOf(registry).then(({ source, referrers }) => [source, referrers]), [
        'tag',
        [],
      ]);
      const manifests = ['t/sig', 't/sbom'].map((artifactType) => ({
        ...{ mediaType: MANIFEST, size: 3, artifactType },
        digest: refer(registry, artifactType),
      }));
      const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
      registry.putManifest('x/y', DIGEST.replace(':', '-'), OCI_INDEX, new TextEncoder().encode(index));
      assert.equal((await referrersOf(registry)).referrers.length, 2);
      const [only, ...none] = (await referrersOf(registry, 't/sbom')).referrers;
      assert.deepEqual([only?.digest, none], [manifests[1]?.digest, []]);
    });
});

test('referrers: only an answer that says so is no API: other refusals, and a list that breaks off, are errors', async () => {
  await withRegistry({ lists: { page: 1, referrers: { filters: false } } }, async (registry) => {
    for (const type of ['t/1', 't/2']) refer(registry, type);
    registry.faults.push({ match: 'from=1', status: 404 });
    await assert.rejects(referrersOf(registry), /no list of referrers/);
    for (const status of [403, 500]) {
      registry.faults.splice(0, 9, { match: '/referrers/', status });
      await assert.rejects(referrersOf(registry), new RegExp(String(status)));
    }
    registry.faults.splice(0, 9, { match: '/referrers/', body: '<html>', contentType: 'text/html' });
    assert.equal((await referrersOf(registry)).source, 'tag');
    registry.faults.splice(0, 9, { match: '/referrers/', body: '{"manifests":[{}]}' });
    await assert.rejects(referrersOf(registry), /manifests\[0\]\.mediaType: must be a media type/);
    registry.faults.splice(0, 9, { match: '/manifests/a', status: 404 });
    await assert.rejects(referrersOf(registry), (err) => isKind(err, 'NotFound'), 'there is no such image');
  });
});

const LINKS: readonly (readonly [header: string, next: string | undefined])[] = [
  ['', undefined],
  ['</a?n=1&last=x>; rel="next"', '/a?n=1&last=x'],
  ['</a>;rel=next', '/a'],
  ['</a,b>; title="x, <y>; rel=prev"; rel="last next"', '/a,b'],
  ['</a>; rel="prev", </b>; rel="NEXT"', '/b'],
  ['</a>; rel="prev"', undefined],
  ['</a>', '/a'],
  ['</a; rel="next"', undefined],
  ['/a; rel="next"', undefined],
  [`<a>${';x="'.repeat(10_000)}`, 'a'],
];
for (const [header, next] of LINKS)
  test(`link: ${header.slice(0, 60)}`, () => assert.equal(nextLink(header), next));
