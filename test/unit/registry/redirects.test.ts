/** Redirects: followed by our own loop, secrets stay at home. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hintOf, kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { ALL_CAPABILITIES, type Host } from '../../../src/core/registry/hosts.ts';
import type { TraceEvent } from '../../../src/core/registry/open.ts';
import type { AuthMode } from '../../registry/auth.ts';
import { bytesOf, descriptor, scripted, withClient } from '../../registry/client.ts';
import { noise } from '../../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { failure } from '../../support/failure.ts';

const BLOB = noise(50_000, 9);
const desc = descriptor('application/vnd.oci.image.layer.v1.tar', sha256(BLOB), BLOB.length);
const FOO = { credentials: async () => ({ username: 'foo', secret: 's3cret' }) };

async function two(
  auth: AuthMode,
  storageAuth: AuthMode,
  body: (front: TestRegistry, storage: TestRegistry) => Promise<void>,
): Promise<void> {
  const storage = await startRegistry({ auth: storageAuth });
  const front = await startRegistry({ auth });
  storage.putBlob('s', desc.digest, BLOB);
  front.putBlob('t/a', desc.digest, BLOB);
  front.faults.push({
    match: '/blobs/',
    when: ({ headers }) => auth.mode === 'none' || headers.has('authorization'),
    redirect: `${storage.url}/v2/s/blobs/${desc.digest}?X-Amz-Signature=s3cret`,
  });
  try {
    await body(front, storage);
  } finally {
    await front.close();
    await storage.close();
  }
}

for (const auth of [
  { mode: 'basic', user: 'foo', pass: 's3cret' },
  { mode: 'bearer', user: 'foo', pass: 's3cret' },
] as const) {
  test(`${auth.mode} credentials do not follow a redirect to another origin (H4)`, async () => {
    await two(auth, { mode: 'none' }, async (front, storage) => {
      await withClient(FOO, async (client) => {
        const got = await client.fetcher(parseReference(`${front.host}/t/a:x`)).fetch(desc, { offset: 10 });
        assert.equal(got.offset, 10);
        assert.deepEqual(await bytesOf(got), BLOB.subarray(10));
      });
      assert.equal(storage.requests.length, 1);
      assert.equal(storage.requests[0]?.authorization, undefined);
      assert.equal(storage.requests[0]?.range, 'bytes=10-');
    });
  });

  test(`a ${auth.mode} challenge of the redirect's target gets nothing (H4)`, async () => {
    await two({ mode: 'basic', user: 'foo', pass: 's3cret' }, auth, async (front, storage) => {
      await withClient(FOO, async (client) => {
        const err = await failure(client.fetcher(parseReference(`${front.host}/t/a:x`)).fetch(desc));
        assert.equal(kindOf(err), 'Unauthenticated');
        assert.ok(!err.message.includes('s3cret'), err.message);
      });
      assert.ok(
        storage.requests.every(({ authorization, body }) => authorization === undefined && body === ''),
      );
      assert.equal(storage.requests.length, 1);
    });
  });
}

test('once dropped, Authorization stays dropped, also when the way leads back (H4)', async () => {
  const transports = scripted(({ url, headers }) => {
    if (url.pathname === '/back') return { status: 200, body: 'x' };
    if (url.host === 'cdn.example') return { status: 302, headers: { location: 'https://r.example/back' } };
    if (headers.authorization === undefined)
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };
    return { status: 302, headers: { location: 'https://cdn.example/x' } };
  });
  await withClient({ transports, ...FOO }, async (client) => {
    await bytesOf(await client.fetcher(parseReference('r.example/t/a:x')).fetch(desc));
  });
  const last = transports.requests.at(-1);
  assert.equal(last?.url.href, 'https://r.example/back');
  assert.equal(last?.headers.authorization, undefined);
});

// Go keeps Authorization for subdomains, and its newer versions for other ports.
for (const target of ['https://cdn.r.example/x', 'https://r.example:8443/x']) {
  test(`${target} is another origin; Range and Accept go there, Authorization and Referer do not (H4)`, async () => {
    const transports = scripted(({ url, headers }) => {
      if (url.href === target) return { status: 200, body: 'x' };
      if (headers.authorization !== undefined) return { status: 307, headers: { location: target } };
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };
    });
    await withClient({ transports, ...FOO }, async (client) => {
      await bytesOf(await client.fetcher(parseReference('r.example/t/a:x')).fetch(desc, { offset: 10 }));
    });
    const { headers = {} } = transports.requests.find(({ url }) => url.href === target) ?? {};
    assert.equal(headers.range, 'bytes=10-');
    assert.equal(headers.accept, `${desc.mediaType}, */*`);
    assert.deepEqual([headers.authorization, headers.referer], [undefined, undefined]);
  });
}

const REFUSED: readonly (readonly [string, string])[] = [
  ['H5', 'http://cdn.example/x'],
  ['H5', 'https://localhost/x'],
  ['H6', 'https://169.254.169.254/latest/meta-data'],
  ['H6', 'https://10.0.0.1/x'],
  ['H6', 'https://[::ffff:127.0.0.1]/x'],
  ['H6', 'file:///etc/passwd'],
  ['H6', 'https://'],
];
for (const [row, location] of REFUSED) {
  test(`a TLS registry may not redirect to ${location} (${row})`, async () => {
    const transports = scripted(() => ({ status: 302, headers: { location } }));
    await withClient({ transports }, async (client) => {
      const err = await failure(client.fetcher(parseReference('r.example/t/a:x')).fetch(desc));
      assert.equal(kindOf(err), 'FailedPrecondition');
      assert.match(err.message, /redirect to .* refused: /);
    });
    assert.equal(transports.requests.length, 1);
  });
}

test('a redirect loop ends after ten hops (H12)', async () => {
  const transports = scripted(() => ({ status: 307, headers: { location: '/again' } }));
  await withClient({ transports }, async (client) => {
    const err = await failure(client.resolve(parseReference('r.example/t/a:x')));
    assert.match(err.message, /stopped after 10 redirects/);
  });
  assert.equal(transports.requests.length, 11);
});

test('userinfo and fragment of a Location are not used', async () => {
  const transports = scripted(({ url }) =>
    url.host === 'r.example'
      ? { status: 301, headers: { location: 'https://u:p@cdn.example/x#y' } }
      : { body: 'x' },
  );
  await withClient({ transports }, async (client) => {
    await bytesOf(await client.fetcher(parseReference('r.example/t/a:x')).fetch(desc));
  });
  assert.equal(transports.requests[1]?.url.href, 'https://cdn.example/x');
});

type Reach = 'private' | 'loopback' | undefined;

/** `--reach`, the host's own `reach` in hosts.toml, its target. */
const REACH: readonly (readonly [flag: Reach, key: Reach, to: string, allowed: boolean])[] = [
  [undefined, undefined, 'http://10.9.0.2/x', false],
  [undefined, 'private', 'http://10.9.0.2/x', true],
  [undefined, 'private', 'http://127.0.0.1/x', false],
  [undefined, 'loopback', 'http://127.0.0.1/x', true],
  [undefined, 'loopback', 'http://169.254.169.254/x', false],
  ['private', undefined, 'http://10.9.0.2/x', true],
  ['private', undefined, 'http://127.0.0.1/x', false],
  ['private', undefined, 'http://other.example/x', true],
  ['loopback', undefined, 'http://127.0.0.1/x', true],
  ['loopback', undefined, 'http://10.9.0.2/x', true],
  ['loopback', undefined, 'http://169.254.169.254/x', false],
  ['private', 'loopback', 'http://127.0.0.1/x', true],
  ['loopback', 'private', 'http://127.0.0.1/x', true],
];

for (const [flag, key, to, allowed] of REACH) {
  test(`reach: ${flag} for all, ${key} in hosts.toml: to ${to} ${allowed ? 'a registry may' : 'no registry may'} lead`, async () => {
    const blob = descriptor('application/vnd.oci.image.layer.v1.tar', sha256(BLOB), BLOB.length);
    const base = new URL('http://reg.test/v2');
    const hosts = async () => ({
      source: 'test',
      hosts: [{ name: 'reg.test', base, capabilities: ALL_CAPABILITIES, reach: key }],
    });
    const transports = scripted(({ url }) =>
      url.host === 'reg.test' ? { status: 307, headers: { location: to } } : { body: 'x' },
    );
    await withClient({ transports, hosts, reach: flag }, async (client) => {
      const fetched = client.fetcher(parseReference('reg.test/a:x')).fetch(blob);
      if (allowed) return void (await bytesOf(await fetched));
      const err = await failure(fetched);
      assert.equal(kindOf(err), 'FailedPrecondition');
      const hint = hintOf(err) ?? '';
      const mended = /--reach (private|loopback), or reach = "(private|loopback)" .*hosts\.toml/.test(hint);
      assert.equal(mended, !to.includes('169.254'), hint);
    });
  });
}

test('a dump has the names of configured headers, not their values', async () => {
  const lines: string[] = [];
  const dump = (line: string): void => void lines.push(line);
  const host: Host = {
    name: 'reg.test',
    base: new URL('https://reg.test/v2'),
    capabilities: ALL_CAPABILITIES,
    headers: { 'x-site': 'hunter2', accept: 'hunter2/x' },
  };
  const hosts = async () => ({ source: 'test', hosts: [host] });
  const answer = scripted(({ url }) =>
    url.pathname === '/t'
      ? { status: 403 }
      : { status: 401, headers: { 'www-authenticate': 'Bearer realm="https://reg.test/t"' } },
  );
  await withClient({ transports: answer, hosts, dump }, async (client) => {
    await failure(client.resolve(parseReference('reg.test/a:x')));
  });
  assert.ok(answer.requests.some(({ url }) => url.pathname === '/t'));
  assert.ok(lines.filter((line) => line === '> x-site: REDACTED').length >= 2, lines.join('\n'));
  assert.ok(!lines.join().includes('hunter2'), lines.join('\n'));
});

test('trace and dump hold no secret and no blob (H13)', async () => {
  const events: TraceEvent[] = [];
  const lines: string[] = [];
  await two({ mode: 'bearer', user: 'foo', pass: 's3cret' }, { mode: 'none' }, async (front) => {
    front.putManifest(
      't/a',
      'x',
      'application/vnd.oci.image.manifest.v1+json',
      new TextEncoder().encode('{"hello":1}'),
    );
    front.faults.unshift({ match: '/manifests/', method: 'HEAD', noDigestHeader: true });
    const options = {
      ...FOO,
      trace: (event: TraceEvent) => events.push(event),
      dump: (line: string) => lines.push(line),
    };
    await withClient(options, async (client) => {
      const reference = parseReference(`${front.host}/t/a:x`);
      await client.resolve(reference);
      await bytesOf(await client.fetcher(reference).fetch(desc));
    });
  });
  const all = JSON.stringify([events, lines]);
  assert.ok(!/s3cret|token-1|Zm9v/.test(all), all);
  assert.ok(lines.includes('> authorization: REDACTED'));
  assert.ok(lines.includes('< {"hello":1}'));
  assert.ok(all.includes('X-Amz-Signature=REDACTED'));
  assert.ok(all.length < 20_000);
  assert.deepEqual(
    events.map(({ method, status }) => `${method} ${status}`),
    ['HEAD 401', 'POST 200', 'HEAD 200', 'GET 200', 'GET 307', 'GET 200'],
  );
});
