/** The registry that `serve` is, without sockets: requests of spec/airgap.md 5 and their answers, over a store of several registries. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { LocalBackend } from '../../../src/backends/local/open.ts';
import { HawserError, messageOf } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import type { RequestHandler, ServerResponse } from '../../../src/core/ports/http-server.ts';
import { Documents } from '../../../src/core/serve/documents.ts';
import type { ServeEvent } from '../../../src/core/serve/events.ts';
import { registryHandler, type ServeOptions } from '../../../src/core/serve/handler.ts';
import { BasicAuth, parseUsers } from '../../../src/core/serve/htpasswd.ts';
import {
  addBlob,
  bytesOf,
  collectStream,
  digestOf,
  type TestStore,
  withStore,
} from '../../support/stores.ts';

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const ABSENT = `sha256:${'0'.repeat(64)}`;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

let finish: () => void;
let store: TestStore;
let backend: LocalBackend;
let handler: RequestHandler;
const events: ServeEvent[] = [];
/** Digests by a name. */
const digests: Record<string, string> = {};

function handlerWith(options: Partial<ServeOptions> = {}): RequestHandler {
  return registryHandler(backend, store.runtime, {
    tell: (event) => void events.push(event),
    ...options,
  });
}

async function ask(
  target: string,
  headers: Readonly<Record<string, string>> = {},
  { method = 'GET', by = handler }: { method?: string; by?: RequestHandler } = {},
): Promise<Answer> {
  const response = await by({
    method,
    target,
    headers: { get: (name) => headers[name] ?? null },
    peer: 'test',
    signal: new AbortController().signal,
  });
  return { status: response.status, headers: response.headers, body: await textOf(response) };
}

async function textOf({ body }: ServerResponse): Promise<string> {
  if (body === undefined) return '';
  return new TextDecoder('latin1').decode(body instanceof Uint8Array ? body : await collectStream(body));
}

async function addDocument(name: string, mediaType: string, document: object): Promise<object> {
  const bytes = bytesOf(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
  const children = [document].flatMap((one) =>
    'config' in one ? [(one as { config: { digest: string } }).config] : [],
  );
  const labels = Object.fromEntries(
    (children.length > 0 ? children : [{ digest: ABSENT }]).map(({ digest }, at) => [
      `containerd.io/gc.ref.content.${at}`,
      digest,
    ]),
  );
  const digest = await addBlob(backend, bytes, { labels });
  digests[name] = digest;
  return { mediaType, digest, size: bytes.length };
}

async function addBytes(name: string, bytes: Uint8Array, mediaType: string): Promise<object> {
  const digest = await addBlob(backend, bytes);
  digests[name] = digest;
  return { mediaType, digest, size: bytes.length };
}

/** Bytes whose values tell their positions. */
const LAYER = new Uint8Array(2048).map((_, at) => at % 251);

/** An image for docker.io, others of the same names elsewhere, an index of which one platform is here, and a signature. */
async function fill(): Promise<void> {
  const config = await addBytes(
    'config',
    bytesOf('{"architecture":"amd64","os":"linux"}'),
    'application/vnd.oci.image.config.v1+json',
  );
  const layer = await addBytes('layer', LAYER, 'application/vnd.oci.image.layer.v1.tar');
  await addBytes('one', bytesOf('x'), 'text/plain');
  await addBytes('stranger', bytesOf('belongs to nobody'), 'text/plain');
  const manifest = await addDocument('manifest', OCI_MANIFEST, { config, layers: [layer] });
  const absent = {
    mediaType: OCI_MANIFEST,
    digest: ABSENT,
    size: 5,
    platform: { os: 'linux', architecture: 'arm64' },
  };
  const index = await addDocument('index', OCI_INDEX, {
    manifests: [{ ...manifest, platform: { os: 'linux', architecture: 'amd64' } }, absent],
  });
  await addDocument('signature', OCI_MANIFEST, {
    config: { ...config, mediaType: 'application/vnd.example.signature' },
    layers: [],
    subject: manifest,
    annotations: { who: 'me' },
  });
  await addDocument('sbom', OCI_INDEX, {
    manifests: [],
    subject: manifest,
    artifactType: 'application/sbom',
  });
  // As hawser import does; nothing names the SBOM.
  const label = `containerd.io/gc.ref.content.referrer.sha256.${digests.signature?.slice(7, 19)}`;
  await backend.content.label(parseDigest(digests.manifest ?? ''), { [label]: digests.signature ?? '' });
  // A document that gives itself no type.
  const bare = await addBytes(
    'bare',
    bytesOf(JSON.stringify({ schemaVersion: 2, manifests: [manifest] })),
    OCI_INDEX,
  );
  const put = async (name: string, target: object) =>
    void (await backend.images.put(name, target as never, {}));
  await put('docker.io/library/alpine:3', index);
  await put('docker.io/library/alpine:latest', index);
  await put('docker.io/org/app:1', manifest);
  await put('localhost:5000/a/b:v1', manifest);
  await put(`localhost:5000/a/b:v2@${digests.manifest}`, manifest);
  await put(`quay.io/pinned/it@${digests.manifest}`, manifest);
  await put('quay.io/twice/here:1', manifest);
  await put('ghcr.io/twice/here:1', index);
  await put('ghcr.io/bare/one:1', bare);
  await put(`sha256:${'a'.repeat(64)}`, manifest);
}

before(async () => {
  let ready: () => void;
  const readiness = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const ended = new Promise<void>((resolve) => {
    finish = resolve;
  });
  void withStore(async (opened) => {
    store = opened;
    backend = opened.backend;
    await fill();
    handler = handlerWith();
    ready();
    await ended;
  });
  await readiness;
});
after(() => finish());

/** `NAME` in a target or answer is a digest. */
function spell(text: string): string {
  return text.replace(/\b[A-Z]+\b(?=$|[/?" ])/g, (word) => digests[word.toLowerCase()] ?? word);
}

/** Target, status, and code of the error or what the body is of. */
const TABLE: readonly (readonly [target: string, status: number, about?: string])[] = [
  ['/v2/', 200],
  ['/v2', 200],
  ['/healthz', 200],
  ['/v2/library/alpine/manifests/3', 200, 'INDEX'],
  ['/v2/alpine/manifests/3', 200, 'INDEX'],
  ['/v2/docker.io/alpine/manifests/3', 200, 'INDEX'],
  ['/v2/docker.io/library/alpine/manifests/latest', 200, 'INDEX'],
  ['/v2/library/alpine/manifests/3?ns=docker.io', 200, 'INDEX'],
  ['/v2/library/alpine/manifests/3?ns=registry-1.docker.io', 200, 'INDEX'],
  ['/v2/library/alpine/manifests/3?ns=quay.io', 404, 'NAME_UNKNOWN'],
  ['/v2/a/b/manifests/v1?ns=localhost%3A5000', 200, 'MANIFEST'],
  ['/v2/localhost_5000/a/b/manifests/v1', 200, 'MANIFEST'],
  ['/v2/a/b/manifests/v1', 200, 'MANIFEST'],
  ['/v2/a/b/manifests/v2', 200, 'MANIFEST'],
  ['/v2/a/b/manifests/v3', 404, 'MANIFEST_UNKNOWN'],
  ['/v2/none/manifests/v3', 404, 'NAME_UNKNOWN'],
  ['/v2/twice/here/manifests/1', 404, 'NAME_UNKNOWN'],
  ['/v2/ghcr.io/twice/here/manifests/1', 200, 'INDEX'],
  ['/v2/bare/one/manifests/1', 200, 'BARE'],
  ['/v2/a/b/manifests/MANIFEST', 200, 'MANIFEST'],
  ['/v2/anything/manifests/MANIFEST', 200, 'MANIFEST'],
  [`/v2/a/b/manifests/${ABSENT}`, 404, 'MANIFEST_UNKNOWN'],
  ['/v2/a/b/manifests/CONFIG', 404, 'MANIFEST_UNKNOWN'],
  ['/v2/a/b/manifests/LAYER', 404, 'MANIFEST_UNKNOWN'],
  ['/v2/a/b/manifests/sha256:baddigeststring', 400, 'DIGEST_INVALID'],
  ['/v2/a/b/manifests/-bad', 404, 'MANIFEST_UNKNOWN'],
  ['/v2/a/b/blobs/CONFIG', 200, 'CONFIG'],
  ['/v2/a/b/blobs/MANIFEST', 200, 'MANIFEST'],
  [`/v2/a/b/blobs/${ABSENT}`, 404, 'BLOB_UNKNOWN'],
  ['/v2/a/b/blobs/sha256:baddigeststring', 400, 'DIGEST_INVALID'],
  ['/v2/a/b/blobs/v1', 404, 'MANIFEST_UNKNOWN'],
  ['/v2/A/b/manifests/v1', 400, 'NAME_INVALID'],
  ['/v2/a/../b/manifests/v1', 404, 'UNSUPPORTED'],
  ['/v2/a/%2e%2e/b/manifests/v1', 404, 'UNSUPPORTED'],
  ['/v2/a%2fb/manifests/v1', 404, 'UNSUPPORTED'],
  ['/v2/a/b%00/manifests/v1', 404, 'UNSUPPORTED'],
  ['/v2/a/%zz/manifests/v1', 404, 'UNSUPPORTED'],
  ['/v2//a//b/manifests/v1', 400, 'NAME_INVALID'],
  ['/v2/a/%252e%252e/b/manifests/v1', 400, 'NAME_INVALID'],
  ['/v2/../../etc/passwd/blobs/CONFIG', 404, 'UNSUPPORTED'],
  [`/v2/${'a/'.repeat(300)}b/manifests/v1`, 400, 'NAME_INVALID'],
  [`/v2/${'a'.repeat(5000)}`, 414, 'NAME_INVALID'],
  ['/', 404, 'UNSUPPORTED'],
  ['/v1/search', 404, 'UNSUPPORTED'],
  ['/v2/a/b/tags/lists', 404, 'UNSUPPORTED'],
  ['/v2/a/b/tags/list?n=x', 400, 'UNSUPPORTED'],
  ['/v2/a/b/tags/list?n=-1', 400, 'UNSUPPORTED'],
  ['/v2/none/tags/list', 404, 'NAME_UNKNOWN'],
  ['/v2/a/b/referrers/sha256:bad', 400, 'DIGEST_INVALID'],
];

for (const [target, status, about] of TABLE)
  test(`A38, HA17: GET ${target.slice(0, 70)}`, async () => {
    const answer = await ask(spell(target));
    assert.equal(answer.status, status, answer.body);
    assert.equal(answer.headers['content-length'], String(answer.body.length));
    if (status >= 400) {
      const { errors } = JSON.parse(answer.body);
      assert.equal(errors[0].code, about);
      assert.ok(errors[0].message !== '' && !answer.body.includes(store.root));
    } else if (about !== undefined) {
      const digest = spell(about);
      assert.equal(answer.headers['docker-content-digest'], digest);
      assert.equal(answer.headers.etag, `"${digest}"`);
      assert.equal(digestOf(bytesOf(answer.body)), digest);
    }
    const head = await ask(spell(target), {}, { method: 'HEAD' });
    assert.equal(head.status, answer.status);
    assert.deepEqual(head.headers, answer.headers, 'HEAD has the headers of GET');
  });

test('an ambiguous name is answered with the names that are not', async () => {
  const { body } = await ask('/v2/twice/here/manifests/1');
  assert.match(
    body,
    /ghcr\.io\/twice\/here and quay\.io\/twice\/here|quay\.io\/twice\/here and ghcr\.io\/twice\/here/,
  );
});

test('types: of the document, by its form where it says none; the namespace that was asked for is named', async () => {
  const typeOf = async (target: string) => (await ask(spell(target))).headers['content-type'];
  assert.equal(await typeOf('/v2/a/b/manifests/v1'), OCI_MANIFEST);
  assert.equal(await typeOf('/v2/bare/one/manifests/1'), OCI_INDEX);
  assert.equal(await typeOf('/v2/a/b/blobs/LAYER'), 'application/octet-stream');
  const { headers } = await ask('/v2/library/alpine/manifests/3?ns=docker.io');
  assert.equal(headers['oci-namespace'], 'docker.io');
  assert.equal(headers['cache-control'], 'no-cache');
  assert.match((await ask(spell('/v2/a/b/manifests/MANIFEST'))).headers['cache-control'] ?? '', /immutable/);
  assert.equal((await ask('/v2/?ns=a%0d%0ab')).headers['oci-namespace'], undefined);
});

test('what would change the registry is refused with 405, and nothing changes', async () => {
  const before = await backend.content.list();
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'])
    for (const target of [
      '/v2/a/b/manifests/v1',
      '/v2/a/b/blobs/LAYER',
      '/v2/a/b/blobs/uploads/',
      '/v2/a/b/tags/v1',
    ]) {
      const answer = await ask(spell(target), {}, { method });
      assert.equal(answer.status, 405, `${method} ${target}`);
      assert.equal(answer.headers.allow, 'GET, HEAD');
      assert.equal(JSON.parse(answer.body).errors[0].code, 'UNSUPPORTED');
    }
  assert.deepEqual(await backend.content.list(), before);
});

const W = LAYER.length;
/** Range on a blob of 2048 bytes: the part, or the status. */
const RANGES: readonly (
  | readonly [range: string, start: number, end: number]
  | readonly [range: string, status: 200 | 416]
)[] = [
  ['bytes=0-9', 0, 9],
  ['bytes=500-', 500, W - 1],
  ['bytes=-500', W - 500, W - 1],
  ['bytes=-5000', 0, W - 1],
  ['bytes=2000-99999', 2000, W - 1],
  ['bytes=0-0', 0, 0],
  [`bytes=${W - 1}-`, W - 1, W - 1],
  [`bytes=0-${W - 1}`, 0, W - 1],
  ['Bytes=1-2', 1, 2],
  [`bytes=${W}-`, 416],
  ['bytes=99999999999999999999-', 416],
  ['bytes=500-0', 416],
  ['bytes=-0', 416],
  ['bytes=0-1,5-9', 200],
  ['bytes=-', 200],
  [`bytes=${'0-1,'.repeat(3000)}5-`, 200],
  ['bytes=a-b', 200],
  ['items=0-9', 200],
];

for (const [range, ...wanted] of RANGES)
  test(`A36: Range: ${range.slice(0, 40)}`, async () => {
    const answer = await ask(spell('/v2/a/b/blobs/LAYER'), { range });
    assert.equal(answer.headers['content-length'], String(answer.body.length));
    if (wanted.length === 2) {
      const [start, end] = wanted;
      assert.equal(answer.status, 206);
      assert.equal(answer.headers['content-range'], `bytes ${start}-${end}/${W}`);
      assert.deepEqual(bytesOfLatin(answer.body), LAYER.slice(start, end + 1));
    } else {
      assert.equal(answer.status, wanted[0]);
      if (answer.status === 416) assert.equal(answer.headers['content-range'], `bytes */${W}`);
      else assert.deepEqual(bytesOfLatin(answer.body), LAYER);
    }
    assert.equal((await ask(spell('/v2/a/b/blobs/LAYER'), { range }, { method: 'HEAD' })).status, 200);
  });

/** latin1 of TextDecoder is windows-1252: 0x80 to 0x9f have other code points. */
function bytesOfLatin(text: string): Uint8Array {
  const decoder = new TextDecoder('latin1');
  const table = new Map(
    Array.from({ length: 256 }, (_, byte) => [decoder.decode(new Uint8Array([byte])), byte]),
  );
  return Uint8Array.from(text, (char) => table.get(char) ?? -1);
}

test('A36: a blob of no bytes has no ranges, one of one byte has one', async () => {
  const empty = await addBlob(backend, new Uint8Array(0));
  for (const range of ['bytes=0-', 'bytes=-1', 'bytes=5-']) {
    const answer = await ask(`/v2/a/b/blobs/${empty}`, { range });
    assert.deepEqual([answer.status, answer.body, answer.headers['content-length']], [200, '', '0']);
  }
  assert.equal((await ask(spell('/v2/a/b/blobs/ONE'), { range: 'bytes=0-' })).status, 206);
  assert.equal((await ask(spell('/v2/a/b/blobs/ONE'), { range: 'bytes=1-' })).status, 416);
});

test('A36: conditions: If-None-Match, If-Match, If-Range', async () => {
  const other = `"${ABSENT}"`;
  for (const object of ['blobs/LAYER', 'manifests/MANIFEST', 'manifests/v1']) {
    const target = spell(`/v2/a/b/${object}`);
    const digest = object === 'blobs/LAYER' ? digests.layer : digests.manifest;
    const statusOf = async (headers: Readonly<Record<string, string>>) => (await ask(target, headers)).status;
    for (const tag of [`"${digest}"`, `W/"${digest}"`, `${digest}`, '*', `${other}, "${digest}"`]) {
      const answer = await ask(target, { 'if-none-match': tag });
      assert.deepEqual([answer.status, answer.body, answer.headers.etag], [304, '', `"${digest}"`], tag);
    }
    assert.equal(await statusOf({ 'if-none-match': other }), 200);
    assert.equal(await statusOf({ 'if-match': other }), 412);
    assert.equal(await statusOf({ 'if-match': `W/"${digest}"` }), 412);
    assert.equal(await statusOf({ 'if-match': `"${digest}"` }), 200);
    assert.equal(await statusOf({ 'if-modified-since': 'Mon, 30 Nov 2026 11:00:00 GMT' }), 200);
  }
  const part = (tag: string) => ask(spell('/v2/a/b/blobs/LAYER'), { range: 'bytes=1-2', 'if-range': tag });
  assert.equal((await part(`"${digests.layer}"`)).status, 206);
  assert.equal((await part(other)).status, 200);
  assert.equal((await part('Mon, 30 Nov 2026 11:00:00 GMT')).status, 200);
});

/** All pages, by following Link. */
async function pages(target: string, key: 'tags' | 'repositories'): Promise<string[][]> {
  const found: string[][] = [];
  for (let next: string | undefined = target; next !== undefined && found.length < 50; ) {
    const answer: Answer = await ask(next);
    found.push(JSON.parse(answer.body)[key]);
    next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.link ?? '')?.[1];
  }
  return found;
}

test('A39: tags in pages: n, last, the namespace kept; nothing beyond the end', async () => {
  assert.deepEqual(await pages('/v2/a/b/tags/list', 'tags'), [['v1', 'v2']]);
  assert.deepEqual(await pages('/v2/a/b/tags/list?n=1&ns=localhost:5000', 'tags'), [['v1'], ['v2']]);
  assert.deepEqual(await pages('/v2/a/b/tags/list?n=0', 'tags'), [[]]);
  assert.deepEqual(await pages('/v2/a/b/tags/list?n=2', 'tags'), [['v1', 'v2']]);
  assert.deepEqual(await pages('/v2/a/b/tags/list?last=v1', 'tags'), [['v2']]);
  assert.deepEqual(await pages('/v2/a/b/tags/list?last=v10', 'tags'), [['v2']]);
  assert.deepEqual(await pages('/v2/a/b/tags/list?last=zzz&n=5', 'tags'), [[]]);
  assert.deepEqual(await pages('/v2/pinned/it/tags/list', 'tags'), [[]]);
});

test('A39: the catalog has the names by which the repositories can be asked for', async () => {
  const [all = []] = await pages('/v2/_catalog', 'repositories');
  assert.deepEqual(all, [
    'docker.io/library/alpine',
    'docker.io/org/app',
    'ghcr.io/bare/one',
    'ghcr.io/twice/here',
    'localhost_5000/a/b',
    'quay.io/pinned/it',
    'quay.io/twice/here',
  ]);
  for (const name of all) assert.equal((await ask(`/v2/${name}/tags/list`)).status, 200, name);
  assert.deepEqual(await pages('/v2/_catalog?n=3', 'repositories'), [
    all.slice(0, 3),
    all.slice(3, 6),
    all.slice(6),
  ]);
  assert.deepEqual(await pages('/v2/_catalog?ns=docker.io', 'repositories'), [['library/alpine', 'org/app']]);
});

test('referrers: those that are here, their types and annotations; none is an empty index', async () => {
  const of = async (query = '') => {
    const answer = await ask(spell(`/v2/a/b/referrers/MANIFEST${query}`));
    assert.equal(answer.headers['content-type'], OCI_INDEX);
    return { ...answer, manifests: JSON.parse(answer.body).manifests };
  };
  const all = await of();
  assert.deepEqual(
    new Set(all.manifests.map((one: { digest: string }) => one.digest)),
    new Set([digests.signature, digests.sbom]),
  );
  const signatures = await of('?artifactType=application/vnd.example.signature');
  assert.equal(signatures.headers['oci-filters-applied'], 'artifactType');
  assert.equal(signatures.manifests.length, 1);
  assert.deepEqual(signatures.manifests[0].annotations, { who: 'me' });
  assert.equal(
    signatures.manifests[0].size,
    JSON.stringify(JSON.parse((await ask(spell('/v2/a/b/manifests/SIGNATURE'))).body)).length,
  );
  assert.deepEqual((await of('?artifactType=other')).manifests, []);
  const none = await ask(`/v2/never/heard/referrers/${ABSENT}`);
  assert.deepEqual([none.status, JSON.parse(none.body).manifests], [200, []]);
  const first = await of('?n=1');
  const link = /^<([^>]+)>/.exec(first.headers.link ?? '')?.[1] ?? '';
  assert.equal(JSON.parse((await ask(link)).body).manifests.length, 1);
});

test('users: without one 401 with a challenge; content is given only where the repository reaches it', async () => {
  // The password of `me` is `secret`, of cost 4.
  const { hash } = await import('bcryptjs');
  const users = parseUsers(`# users\nme:${await hash('secret', 4)}\n`, 'users');
  const by = handlerWith({ auth: new BasicAuth(users, store.runtime.hashers) });
  const authorization = `Basic ${btoa('me:secret')}`;
  for (const header of [
    undefined,
    'Bearer x',
    `Basic ${btoa('me:wrong')}`,
    `Basic ${btoa('you:secret')}`,
    'Basic !',
    `Basic ${btoa('me')}`,
  ]) {
    const answer = await ask('/v2/', header === undefined ? {} : { authorization: header }, { by });
    assert.equal(answer.status, 401, String(header));
    assert.match(answer.headers['www-authenticate'] ?? '', /^Basic realm="hawser"/);
  }
  assert.equal((await ask('/healthz', {}, { by })).status, 200);
  assert.equal((await ask('/v2/x', {}, { by, method: 'DELETE' })).status, 401);
  const statusOf = async (target: string) => (await ask(spell(target), { authorization }, { by })).status;
  for (const [target, status] of [
    ['/v2/', 200],
    ['/v2/library/alpine/manifests/3', 200],
    ['/v2/library/alpine/manifests/MANIFEST', 200],
    ['/v2/library/alpine/blobs/LAYER', 200],
    ['/v2/library/alpine/blobs/INDEX', 200],
    ['/v2/pinned/it/blobs/LAYER', 200],
    ['/v2/pinned/it/blobs/INDEX', 404],
    ['/v2/library/alpine/blobs/STRANGER', 404],
    ['/v2/library/alpine/manifests/SBOM', 404],
    ['/v2/library/alpine/manifests/SIGNATURE', 200],
    ['/v2/library/alpine/blobs/CONFIG', 200],
    ['/v2/nobody/blobs/LAYER', 404],
    ['/v2/nobody/manifests/MANIFEST', 404],
    ['/v2/nobody/referrers/MANIFEST', 404],
  ] as const)
    assert.equal(await statusOf(target), status, target);
  const referrers = await ask(spell('/v2/a/b/referrers/MANIFEST'), { authorization }, { by });
  const given = JSON.parse(referrers.body).manifests.map((one: { digest: string }) => one.digest);
  assert.deepEqual(given, [digests.signature], 'what a label of the image names');
});

test('reach: a damaged document hides its own children only, and is told once; children are read once, absent ones looked up', async () => {
  const layer = await addBytes('deep', bytesOf('deep down'), 'text/plain');
  const whole = await addDocument('whole', OCI_MANIFEST, { config: layer, layers: [] });
  const absent = { mediaType: OCI_MANIFEST, digest: ABSENT, size: 5 };
  const sparse = await addDocument('sparse', OCI_INDEX, { manifests: [absent, whole] });
  const bad = await addDocument('bad', OCI_INDEX, { manifests: 'none' });
  const told: string[] = [];
  let opened = 0;
  let failing = false;
  const content: ConstructorParameters<typeof Documents>[0] = {
    info: (digest, call) => backend.content.info(digest, call),
    list: (call) => backend.content.list(call),
    open: async (digest, call) => {
      opened++;
      if (failing) throw new HawserError('Unavailable', 'the daemon is gone');
      return await backend.content.open(digest, call);
    },
  };
  const documents = new Documents(content, (digest) => void told.push(digest));
  const roots = [bad, sparse] as Descriptor[];
  const reaches = (digest = '') => documents.reaches(roots, parseDigest(digest), {});
  failing = true;
  await assert.rejects(reaches(digests.deep), /the daemon is gone/);
  failing = false;
  opened = 0;
  for (let n = 0; n < 3; n++) assert.equal(await reaches(digests.deep), true);
  assert.deepEqual([told, opened], [[digests.bad], 3 + 2], 'the bad one each time, the others once');
  for (const name of ['bad', 'sparse', 'whole']) assert.equal(await reaches(digests[name]), true, name);
  assert.equal(await reaches(ABSENT), true);
  assert.equal(await reaches(digests.stranger), false);
});

test('users: lines in other forms are refused with their number; a flood of passwords is told to wait', async () => {
  for (const text of [
    '',
    'me:secret',
    'me:{SHA}x',
    'me',
    ':$2y$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    `me:$2y$31$${'a'.repeat(53)}`,
  ])
    assert.throws(
      () => parseUsers(`${text}\n`, 'u'),
      (err) => /^u(:1: | has no user)/.test(messageOf(err)),
      text,
    );
  const { hash } = await import('bcryptjs');
  const auth = new BasicAuth(parseUsers(`me:${await hash('secret', 4)}`, 'u'), store.runtime.hashers);
  const { signal } = new AbortController();
  const verdicts = await Promise.all(
    Array.from({ length: 80 }, (_, n) => auth.check(`Basic ${btoa(`me:${n}`)}`, signal)),
  );
  assert.equal(verdicts.filter((one) => one === 'busy').length, 80 - 64);
  assert.equal(await auth.check(`Basic ${btoa('me:secret')}`, signal), 'known');
});

/** The only copy of a blob, changed in place. */
function rot(digest: string): void {
  const path = join(store.root, backend.content.blobPath(parseDigest(digest)).slice(store.root.length));
  writeFileSync(path, new Uint8Array(statSync(path).size).fill(7), { flag: 'r+' });
}

test('a rotten blob is never sent whole, in parts neither; it is said once, and counts as absent for a while', async () => {
  for (const range of [undefined, 'bytes=0-99', 'bytes=400000-', `bytes=0-499999`]) {
    const by = handlerWith();
    const digest = await addBlob(backend, new Uint8Array(500_000).fill(range?.length ?? 1));
    rot(digest);
    events.length = 0;
    const response = await by({
      method: 'GET',
      target: `/v2/a/b/blobs/${digest}`,
      headers: { get: (name) => (name === 'range' ? (range ?? null) : null) },
      peer: '',
      signal: new AbortController().signal,
    });
    assert.ok([200, 206].includes(response.status));
    let got = 0;
    await assert.rejects(async () => {
      for await (const bytes of response.body as ReadableStream<Uint8Array>) got += bytes.length;
    }, /have the digest sha256:/);
    assert.ok(got < Number(response.headers['content-length']), `${got} bytes of ${range}`);
    const told = events.filter(({ type }) => type === 'failure');
    assert.equal(told.length, 1);
    assert.match(JSON.stringify(told), new RegExp(`${digest} is damaged, and was not sent whole`));
    assert.equal((await ask(`/v2/a/b/blobs/${digest}`, {}, { by })).status, 404);
  }
});

test('a blob that another one fetches is sent while it arrives, whole only once its digest held', async () => {
  const bytes = new Uint8Array(6_000_000).map((_, at) => (at * 7 + (at >> 9)) & 0xff);
  const open = async (digest: string): Promise<ServerResponse> =>
    await handler({
      method: 'GET',
      target: `/v2/a/b/blobs/${digest}`,
      headers: { get: () => null },
      peer: '',
      signal: new AbortController().signal,
    });
  for (const right of [true, false]) {
    const digest = digestOf(right ? bytes : bytes.subarray(1));
    const size = right ? bytes.length : bytes.length - 1;
    const ingest = await backend.content.ingest(`layer-${digest}`, { digest, size });
    await ingest.write(bytes.subarray(0, 4_000_000));
    const response = await open(digest);
    assert.deepEqual([response.status, response.headers['content-length']], [200, String(size)]);
    const head = await ask(`/v2/a/b/blobs/${digest}`, {}, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length']], [200, String(size)]);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const got: Uint8Array[] = [];
    const first = await reader.read();
    got.push(first.value as Uint8Array);
    // Bytes came before the rest was there.
    await ingest.write(bytes.subarray(4_000_000, size));
    if (right) await ingest.commit({ digest, size });
    else await assert.rejects(ingest.commit({ digest, size }));
    const readAll = async (): Promise<void> => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) got.push(part.value);
    };
    if (right) await readAll();
    else await assert.rejects(readAll(), /have the digest sha256:/);
    await ingest[Symbol.asyncDispose]();
    if (!right) assert.equal((await open(digest)).status, 404, 'nobody writes it any more');
    const length = got.reduce((sum, part) => sum + part.length, 0);
    if (right) assert.equal(digestOf(new Uint8Array(Buffer.concat(got))), digest);
    else assert.ok(length < size, `${length} of ${size} wrong bytes went out`);
  }
  const left = digestOf(bytes.subarray(2));
  const ingest = await backend.content.ingest(`layer-${left}`, { digest: left, size: bytes.length - 2 });
  await ingest.write(bytes.subarray(2, 3_000_000));
  const response = await open(left);
  await ingest[Symbol.asyncDispose]();
  await assert.rejects(
    collectStream(response.body as ReadableStream<Uint8Array>),
    /nobody fetches it any more/,
  );
});

test('a rotten manifest is 500, without a path of this machine', async () => {
  const bytes = bytesOf(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }));
  const digest = await addBlob(backend, bytes);
  rot(digest);
  const answer = await ask(`/v2/a/b/manifests/${digest}`);
  assert.equal(answer.status, 500);
  assert.match(answer.body, /"UNKNOWN".*damaged/);
});

test('parts of a sound blob are hashed once, and a reader that leaves closes the file', async () => {
  const by = handlerWith();
  const digest = await addBlob(backend, new Uint8Array(3_000_000).fill(3));
  const opened = () => readdirSync('/proc/self/fd').length;
  const before = opened();
  for (let n = 0; n < 20; n++) {
    const response = await by({
      method: 'GET',
      target: `/v2/a/b/blobs/${digest}`,
      headers: { get: () => null },
      peer: '',
      signal: new AbortController().signal,
    });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.cancel();
  }
  assert.ok(opened() <= before + 2);
  let opens = 0;
  const content = {
    info: (...args: Parameters<typeof backend.content.info>) => backend.content.info(...args),
    list: () => backend.content.list(),
    open: (...[which, opts]: Parameters<typeof backend.content.open>) => {
      if ((opts?.offset ?? 0) === 0) opens++;
      return backend.content.open(which, opts);
    },
  };
  const counted = registryHandler({ content, images: backend.images }, store.runtime, {
    tell: () => {},
  });
  for (const range of ['bytes=10-19', 'bytes=1000-2000', 'bytes=-5'])
    assert.equal((await ask(`/v2/a/b/blobs/${digest}`, { range }, { by: counted })).status, 206);
  assert.equal(opens, 1);
});
