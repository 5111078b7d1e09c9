/** Hostile endpoints, redirects and challenges, by number: what is sent where, whatever a registry or a mirror says. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '../../../src/core/errors.ts';
import type { HttpRequest, TransportOptions, Transports } from '../../../src/core/ports/transport.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import type { Host, Hosts } from '../../../src/core/registry/hosts.ts';
import { ALL_CAPABILITIES } from '../../../src/core/registry/hosts.ts';
import type { RegistryOptions } from '../../../src/core/registry/open.ts';
import { scripted, withClient } from '../../registry/client.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const MANIFEST = { 'content-type': 'application/vnd.oci.image.manifest.v1+json', 'content-length': '10' };
const FOUND = { headers: { ...MANIFEST, 'docker-content-digest': DIGEST } };
const SECRETS = /hunter2|swordfish/;

type Answer = Parameters<typeof scripted>[0];

interface Sent extends HttpRequest {
  /** What the transport that it was sent by was opened with. */
  readonly by: TransportOptions;
}

/** Like `scripted`, but remembers by which of several transports each request went. */
function recording(answer: Answer): Transports & { readonly sent: Sent[] } {
  const sent: Sent[] = [];
  return {
    sent,
    open: (by = {}) => {
      const inner = scripted((request) => {
        sent.push({ ...request, by });
        return answer(request);
      });
      return inner.open();
    },
  };
}

const listed =
  (...hosts: Host[]): Hosts =>
  async () => ({ source: 'test', hosts });
const host = (url: string, more: Partial<Host> = {}): Host => {
  const base = new URL(url);
  return { name: base.host, base, capabilities: ALL_CAPABILITIES, ...more };
};

async function resolve(transports: Transports, options: RegistryOptions): Promise<unknown> {
  return await withClient({ transports, retry: { time: 0 }, ...options }, async (client) =>
    client.resolve(parseReference('reg.test/a:1')).then(
      () => undefined,
      (err: unknown) => err,
    ),
  );
}

const header = ({ headers }: HttpRequest, name: string): string | undefined =>
  Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
const challenge = (text: string) => ({ status: 401, headers: { 'www-authenticate': text } });

test('what is set for one host, such as skip_verify, does not hold for its token server (H1)', async () => {
  const transports = recording(({ url, headers }) => {
    if (url.host === 'auth.test') return { body: '{"token":"t"}' };
    return 'authorization' in headers ? FOUND : challenge('Bearer realm="https://auth.test/token"');
  });
  const tls = { skipVerify: true, cert: 'C', key: 'K', extraCa: 'CA' };
  assert.equal(await resolve(transports, { hosts: listed(host('https://reg.test/v2', { tls })) }), undefined);
  const by = (name: string) => transports.sent.find(({ url }) => url.host === name)?.by;
  assert.equal(by('reg.test')?.skipVerify, true);
  assert.equal(by('reg.test')?.cert, 'C');
  assert.equal(by('auth.test')?.skipVerify, undefined);
  assert.equal(by('auth.test')?.cert, undefined);
  assert.equal(by('auth.test')?.extraCa, 'CA');
});

test('a mirror gets the credential for its own name, never the registry’s (H1)', async () => {
  const asked: string[] = [];
  const transports = recording(({ url, headers }) => {
    if (url.host === 'reg.test' && 'authorization' in headers) return FOUND;
    return challenge('Basic realm="x"');
  });
  const credentials = async (name: string) => {
    asked.push(name);
    return name === 'reg.test' ? { username: 'me', secret: 'hunter2' } : undefined;
  };
  const hosts = listed(host('https://m1/v2', { namespace: 'reg.test' }), host('https://reg.test/v2'));
  assert.equal(await resolve(transports, { hosts, credentials }), undefined);
  assert.deepEqual(asked, ['m1', 'reg.test']);
  for (const request of transports.sent.filter(({ url }) => url.host === 'm1')) {
    assert.equal(header(request, 'authorization'), undefined);
  }
});

const KEPT = { authorization: 'Bearer hunter2', 'x-api-key': 'swordfish', 'user-agent': 'mine' };

test('headers of the configuration stay with their origin, and do not come back to it (H4)', async () => {
  const transports = recording(({ url }) => {
    if (url.host === 'cdn.test') return { status: 307, headers: { location: 'https://reg.test/again' } };
    return url.pathname === '/again' ? FOUND : { status: 307, headers: { location: 'https://cdn.test/x' } };
  });
  assert.equal(
    await resolve(transports, { hosts: listed(host('https://reg.test/v2', { headers: KEPT })) }),
    undefined,
  );
  const [first, ...others] = transports.sent;
  assert.ok(first);
  for (const [name, value] of Object.entries(KEPT)) assert.equal(header(first, name), value);
  assert.equal(others.length, 2);
  for (const request of others) assert.doesNotMatch(JSON.stringify(request.headers), SECRETS);
});

test('headers of the configuration go to a token server only when it is the host itself (H4)', async () => {
  for (const [realm, expected] of [
    ['https://reg.test/token', 'swordfish'],
    ['https://auth.test/token', undefined],
  ] as const) {
    const transports = recording(({ url, headers }) => {
      if (url.pathname === '/token') return { body: '{"token":"t"}' };
      return headers.authorization === 'Bearer t' ? FOUND : challenge(`Bearer realm="${realm}"`);
    });
    const headers = { 'x-api-key': 'swordfish' };
    assert.equal(
      await resolve(transports, { hosts: listed(host('https://reg.test/v2', { headers })) }),
      undefined,
    );
    const token = transports.sent.find(({ url }) => url.pathname === '/token') ?? assert.fail();
    assert.equal(header(token, 'x-api-key'), expected);
  }
});

test('a mirror on this machine may not lead a registry’s clients to a metadata service (H6)', async () => {
  const transports = recording(() => ({
    status: 302,
    headers: { location: 'http://169.254.169.254/latest' },
  }));
  const err = await resolve(transports, { hosts: listed(host('http://127.0.0.1:5000/v2')) });
  assert.ok(isKind(err, 'FailedPrecondition'), String(err));
  assert.equal(transports.sent.length, 1);
});

test('Link is not followed (H7)', async () => {
  const link = '<https://evil.test/next>; rel="next"';
  const transports = recording(() => ({ headers: { ...FOUND.headers, link } }));
  assert.equal(await resolve(transports, { hosts: listed(host('https://reg.test/v2')) }), undefined);
  assert.deepEqual(
    transports.sent.map(({ url }) => url.host),
    ['reg.test'],
  );
});

const src: string = join(import.meta.dirname, '../../../src');
const sources: readonly (readonly [string, string])[] = readdirSync(src, {
  recursive: true,
  encoding: 'utf8',
})
  .filter((name) => name.endsWith('.ts'))
  .map((name) => [name, readFileSync(join(src, name), 'utf8')]);

test('nothing but the three transports, the server, and the probe that tells one protocol from the other speaks HTTP or TLS (H10)', () => {
  const speaks =
    /(?<![.#\w])fetch\((?!text|reference|desc)|'undici['/]|node:https?'|node:tls'|node:http2'|WebSocket|XMLHttpRequest/;
  const guilty = sources.filter(([, text]) => speaks.test(text)).map(([name]) => name);
  assert.deepEqual(guilty.sort(), [
    'platform/deno/transport.ts',
    'platform/http/other-protocol.ts',
    'platform/http/send-body.ts',
    'platform/http/server.ts',
    'platform/http/system-roots.ts',
    'platform/http/undici-dispatcher.ts',
    'platform/http/undici-parts.d.ts',
    'platform/http/undici-transport.ts',
    'platform/web/transport.ts',
  ]);
});

const ODD: readonly string[] = [
  ...[
    'reg.test/a/../b:1',
    'reg.test/./b:1',
    'reg.test/a%2fb:1',
    'reg.test/a%2e%2e/b:1',
    'reg.test/a\u2024\u2024/b:1',
  ],
  ...[
    'reg.test/a\\b:1',
    'reg.test/a b:1',
    'reg.test/a\r\nX: y:1',
    'reg.test/a:1?x=y',
    'reg.test/a:1#x',
    'me:pw@reg.test/a:1',
  ],
  ...[
    'reg.test:99999999/a:1',
    'reg..test/a:1',
    '-reg.test/a:1',
    'r\u0435g.test/a:1',
    'reg.test/\u0000:1',
    'http://reg.test/a:1',
  ],
  ...[`reg.test/${'a'.repeat(10_240)}:1`, `${'a.'.repeat(5120)}test/a:1`, `reg.test/a:${'1'.repeat(10_240)}`],
];
for (const text of ODD) {
  test(`refused before anything is asked: ${JSON.stringify(text.slice(0, 40))} (H11)`, () => {
    assert.throws(
      () => parseReference(text),
      (err) => isKind(err, 'InvalidArgument'),
    );
  });
}

test('events about hosts, attempts and exchanges hold no secret (H13)', async () => {
  const events: string[] = [];
  const transports = recording(({ url, headers }) => {
    if (url.pathname === '/token') return { body: '{"token":"hunter2"}' };
    if (!('authorization' in headers)) return challenge('Bearer realm="https://reg.test/token?sig=hunter2"');
    return { status: 307, headers: { location: 'https://u:hunter2@cdn.test/x?X-Amz-Signature=hunter2' } };
  });
  await resolve(transports, {
    hosts: listed(host('https://reg.test/v2', { headers: { 'x-api-key': 'swordfish' } })),
    credentials: async () => ({ username: 'me', secret: 'hunter2', source: '--user' }),
    proxy: () => new URL('http://me:hunter2@proxy.test:3128'),
    observe: (event) => void events.push(JSON.stringify(event)),
  });
  const types = new Set(events.map((event) => (JSON.parse(event) as { type: string }).type));
  for (const type of ['hosts', 'credential', 'attempt', 'request']) assert.ok(types.has(type), type);
  assert.ok(events.some((event) => event.includes('"proxy":"http://proxy.test:3128"')));
  assert.ok(events.some((event) => event.includes('REDACTED')));
  for (const event of events) assert.doesNotMatch(event, SECRETS);
});

test('a pull has no way to upload: a body goes to token servers only, and what writes is for push and copy (H14)', () => {
  const found = (pattern: RegExp): string[] =>
    sources.flatMap(([name, text]) => (pattern.test(text) ? [name] : [])).sort();
  assert.deepEqual(found(/method: '(?:POST|PUT|PATCH|DELETE)'/), [
    'core/push/put-manifest.ts',
    'core/push/upload-session.ts',
    'core/registry/auth/tokens.ts',
  ]);
  assert.deepEqual(found(/\.writer\(/), [
    'core/carry/with-layouts.ts',
    'core/verbs/copy.ts',
    'core/verbs/push.ts',
  ]);
});
