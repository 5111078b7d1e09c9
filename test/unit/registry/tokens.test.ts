/** Token servers (spec/remote.md 4.2 to 4.4): what they are asked, what is made of their answers, and when it ends. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hintOf, kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { statusOf } from '../../../src/core/registry/failures.ts';
import { ALL_CAPABILITIES } from '../../../src/core/registry/hosts.ts';
import type { Credential, RegistryOptions } from '../../../src/core/registry/open.ts';
import { basic } from '../../registry/auth.ts';
import { fakeClock, scripted, withClient } from '../../registry/client.ts';
import { failure } from '../../support/failure.ts';

const FOO = { username: 'foo', secret: 'bar' };
const given = (credential: Credential): RegistryOptions => ({ credentials: async () => credential });

type Answer = { status?: number; body?: string; headers?: Record<string, string> };

const BEARER = 'Bearer realm="https://auth.test/t"';

/** What the token server of a scripted registry is asked, and whether what it gives is taken. */
async function tokenRequests(
  challenge: string,
  answer: Answer | ((method: string) => Answer),
  options: RegistryOptions = {},
) {
  const transports = scripted(({ url, method, headers }) => {
    if (url.host === 'auth.test') return typeof answer === 'function' ? answer(method) : answer;
    if (headers.authorization === 'Bearer T') return { status: 404 };
    return { status: 401, headers: { 'www-authenticate': challenge } };
  });
  const err = await withClient(
    { transports, ...options },
    async (client) => await failure(client.resolve(parseReference('reg.test/foo/bar:x'))),
  );
  const asked = transports.requests.filter(({ url }) => url.host === 'auth.test');
  const requests = transports.requests.map(({ method, url }) => `${method} ${url.host}`);
  return { asked, requests, err, last: transports.requests.at(-1)?.headers.authorization };
}

test('auth: the scope of the challenge is asked for alone, for it may call the repository otherwise', async () => {
  const challenge = `Bearer realm="https://auth.test/t",scope="repository:proxy/hub/bar:pull"`;
  const { asked } = await tokenRequests(challenge, { body: '{"token":"T"}' });
  assert.deepEqual(
    asked.map(({ url }) => url.search),
    ['?scope=repository%3Aproxy%2Fhub%2Fbar%3Apull'],
  );
});

test('auth: without a scope in the challenge, the repository is that of the path that is asked', async () => {
  const base = new URL('https://reg.test/v2/proj/hub');
  const hosts = async () => ({
    source: 'test',
    hosts: [{ name: 'reg.test', base, capabilities: ALL_CAPABILITIES }],
  });
  const { asked } = await tokenRequests(BEARER, { body: '{"token":"T"}' }, { hosts });
  assert.deepEqual(
    asked.map(({ url }) => url.search),
    ['?scope=repository%3Aproj%2Fhub%2Ffoo%2Fbar%3Apull'],
  );
});

for (const status of [401, 403, 404]) {
  for (const challenge of ['Basic realm="x"', BEARER]) {
    test(`auth: a registry that hides behind ${status} and challenges at its root: ${challenge}`, async () => {
      const transports = scripted(({ url, method, headers }) => {
        if (url.host === 'auth.test') return { body: '{"token":"T"}' };
        if (headers.authorization !== undefined) return { status: 404, body: '{"errors":[{"code":"SEEN"}]}' };
        if (url.pathname === '/v2/') return { status: 401, headers: { 'www-authenticate': challenge } };
        return { status, body: method === 'HEAD' ? '' : '{"errors":[{"code":"HIDDEN"}]}' };
      });
      const ask = async (options: RegistryOptions) =>
        await withClient(
          { transports, ...options },
          async (client) => await failure(client.resolve(parseReference('reg.test/foo/bar:x'))),
        );
      assert.match((await ask({})).message, /hidden/, 'nothing to authorize with');
      assert.ok(!transports.requests.some(({ url }) => url.pathname === '/v2/'));
      assert.match((await ask(given(FOO))).message, /seen/);
      assert.equal(transports.requests.filter(({ url }) => url.pathname === '/v2/').length, 1);
    });
  }
}

test('auth: a root without a challenge leaves the refusal as it is, with its words', async () => {
  const transports = scripted(({ url }) =>
    url.pathname === '/v2/' ? {} : { status: 403, body: '{"errors":[{"code":"DENIED","message":"no way"}]}' },
  );
  const err = await withClient(
    { transports, ...given({ ...FOO, source: '/x/config.json' }) },
    async (client) => await failure(client.resolve(parseReference('reg.test/foo/bar:x'))),
  );
  assert.match(err.message, /denied: no way/);
  assert.match(hintOf(err) ?? '', /the user foo of \/x\/config\.json was refused/);
});

test('auth: a refused token names the account and where it is from', async () => {
  const { err } = await tokenRequests(BEARER, { status: 401 }, given({ ...FOO, source: '/x/config.json' }));
  assert.match(hintOf(err) ?? '', /password or token of the user foo of \/x\/config\.json/);
  const anonymous = await tokenRequests(BEARER, { status: 403 });
  assert.match(hintOf(anonymous.err) ?? '', /--user NAME/);
});

test('auth: scopes of the challenge are sorted, each once', async () => {
  const scope = 'repository:foo/bar:pull,push repository:foo/bar:pull';
  const challenge = `Bearer realm="https://auth.test/t?own=1",scope="${scope}"`;
  const { asked, last } = await tokenRequests(challenge, { body: '{"token":"no","access_token":"T"}' });
  assert.deepEqual(
    asked.map(({ url }) => url.search),
    ['?own=1&scope=repository%3Afoo%2Fbar%3Apull&scope=repository%3Afoo%2Fbar%3Apull%2Cpush'],
  );
  assert.equal(last, 'Bearer T', 'access_token comes before token');
  const posted = await tokenRequests(challenge, { body: '{"token":"T"}' }, given(FOO));
  assert.equal(
    new TextDecoder().decode(posted.asked[0]?.body as Uint8Array),
    'client_id=hawser&grant_type=password&password=bar&scope=repository%3Afoo%2Fbar%3Apull+repository%3Afoo%2Fbar%3Apull%2Cpush&service=&username=foo',
  );
  assert.equal(posted.asked[0]?.headers['content-type'], 'application/x-www-form-urlencoded; charset=utf-8');
});

test('auth: a refresh token, when POST is not known: GET with Basic and no user', async () => {
  const answer = (method: string) => (method === 'POST' ? { status: 404 } : { body: '{"token":"T"}' });
  const { asked, last } = await tokenRequests(BEARER, answer, given({ refreshToken: 'RTOK' }));
  assert.deepEqual(
    asked.map(({ method, headers }) => [method, headers.authorization]),
    [
      ['POST', undefined],
      ['GET', basic('', 'RTOK')],
    ],
  );
  assert.equal(last, 'Bearer T');
});

// containerd: for ever.
for (const said of ['', ',"expires_in":0', ',"expires_in":-5', ',"expires_in":"300"']) {
  test(`auth: a token that does not say when it expires (${said}) is good for a minute, less the skew`, async () => {
    const clock = fakeClock();
    const transports = scripted(({ url, headers }) => {
      if (url.host === 'auth.test') return { body: `{"token":"T"${said}}` };
      if (headers.authorization === 'Bearer T') return { status: 404 };
      return { status: 401, headers: { 'www-authenticate': BEARER } };
    });
    const issued = () => transports.requests.filter(({ url }) => url.host === 'auth.test').length;
    await withClient({ transports, clock }, async (client) => {
      for (const [later, tokens] of [
        [0, 1],
        [44_000, 1],
        [2_000, 2],
      ] as const) {
        clock.advance(later);
        await failure(client.resolve(parseReference('reg.test/foo/bar:x')));
        assert.equal(issued(), tokens);
      }
    });
  });
}

test('auth: a registry that takes no token, and does not say why: a token for each request, then its 401', async () => {
  // containerd 1.6: one token, and six times HEAD. Here HEAD's token is taken for an old one by the GET that asks why.
  const { requests, err } = await tokenRequests(BEARER, { body: '{"token":"no"}' });
  assert.deepEqual(requests, [
    'HEAD reg.test',
    'GET auth.test',
    'HEAD reg.test',
    'GET reg.test',
    'GET auth.test',
    'GET reg.test',
  ]);
  assert.equal(kindOf(err), 'Unauthenticated');
  assert.equal(statusOf(err), 401);
});

test('auth: a challenge of no scheme that is known is no challenge, and nobody gets a secret', async () => {
  for (const challenge of ['Negotiate', 'Digest realm="x",nonce="y"', '']) {
    const { requests, err, last } = await tokenRequests(challenge, {}, given(FOO));
    assert.deepEqual(
      requests,
      ['HEAD reg.test', 'GET reg.test', 'GET reg.test'],
      `${challenge}: the root is asked too`,
    );
    assert.equal(last, undefined);
    assert.equal(statusOf(err), 401);
  }
});

test('auth: without a secret the token is asked for anonymously, under our name', async () => {
  const { asked } = await tokenRequests(
    BEARER,
    { body: '{"token":"T"}' },
    given({ username: 'foo', secret: '' }),
  );
  assert.deepEqual(
    asked.map(({ method, headers }) => [method, headers.authorization, headers['user-agent']]),
    [['GET', undefined, 'hawser']],
  );
});

const POST = 'unexpected status from POST request to https://auth.test/t';
const GET = 'unexpected status from GET request to https://auth.test/t?scope=repository%3Afoo%2Fbar%3Apull';
const REFUSED: readonly (readonly [
  title: string,
  answer: Answer,
  credential: Credential | undefined,
  said: string,
])[] = [
  [
    'no token',
    { body: '{}' },
    undefined,
    'anonymous token: authorization server did not include a token in the response',
  ],
  [
    'an empty one',
    { body: '{"token":""}' },
    FOO,
    'oauth token: authorization server did not include a token in the response',
  ],
  ['500', { status: 500 }, FOO, `oauth token: ${GET}: 500 Internal Server Error`],
  ['429', { status: 429 }, FOO, `oauth token: ${POST}: 429 Too Many Requests`],
  [
    '405 to a refresh token',
    { status: 405 },
    { refreshToken: 'R' },
    `oauth token: ${POST}: 405 Method Not Allowed`,
  ],
  ['403', { status: 403 }, FOO, `oauth token: ${GET}: 403 Forbidden`],
];
for (const [title, answer, credential, said] of REFUSED) {
  test(`auth: what is said of a token server that answers with ${title}`, async () => {
    const { err, asked } = await tokenRequests(BEARER, answer, credential && given(credential));
    assert.equal(err.message, `failed to authorize: failed to fetch ${said}`);
    assert.equal(asked.length, said.includes(GET) ? 2 : 1);
  });
}
