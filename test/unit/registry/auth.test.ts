/** Basic and token authentication, and who gets which secret. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hintOf, kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import type { Credential, RegistryOptions } from '../../../src/core/registry/open.ts';
import { type AuthMode, basic } from '../../registry/auth.ts';
import { bytesOf, descriptor, fakeClock, scripted, withClient } from '../../registry/client.ts';
import type { Fault } from '../../registry/faults.ts';
import { buildImage } from '../../registry/image.ts';
import { startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { failure } from '../../support/failure.ts';

const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'x' }] }] });
const FOO = { username: 'foo', secret: 'bar' };
const given = (credential: Credential): RegistryOptions => ({ credentials: async () => credential });

function check(
  title: string,
  auth: AuthMode,
  body: (ground: { registry: TestRegistry; ref: string }) => Promise<void>,
  faults: readonly Fault[] = [],
): void {
  test(`auth: ${title}`, async () => {
    const registry = await startRegistry({ auth, faults });
    try {
      await body({ registry, ref: registry.push('t/a', 'x', image) });
    } finally {
      await registry.close();
    }
  });
}

async function resolve(ref: string, options: Parameters<typeof withClient>[0] = {}): Promise<string> {
  return await withClient(options, async (client) => (await client.resolve(parseReference(ref))).root.digest);
}

const TOKEN = '/token?service=testsvc&scope=repository%3At%2Fa%3Apull';

check('anonymous token', { mode: 'bearer' }, async ({ registry, ref }) => {
  assert.equal(await resolve(ref), image.root.digest);
  assert.deepEqual(registry.log(), ['HEAD /t/a/manifests/x', `GET ${TOKEN}`, 'HEAD /t/a/manifests/x']);
  assert.equal(registry.requests[1]?.authorization, undefined);
  assert.equal(registry.requests[2]?.authorization, 'Bearer token-1');
});

check(
  'one token for resolve and fetch, and for concurrent requests',
  { mode: 'bearer' },
  async ({ registry, ref }) => {
    await withClient({}, async (client) => {
      const reference = parseReference(ref);
      const { root } = await client.resolve(reference);
      const fetcher = client.fetcher(reference);
      await Promise.all([1, 2, 3, 4].map(async () => await bytesOf(await fetcher.fetch(root))));
    });
    assert.equal(registry.gate.issued, 1);
    assert.equal(registry.requests.length, 7);
  },
);

check(
  'user and password are posted',
  { mode: 'bearer', user: 'foo', pass: 'bar', member: 'access_token' },
  async ({ registry, ref }) => {
    await resolve(ref, given(FOO));
    const post = registry.requests[1];
    assert.equal(post?.method, 'POST');
    assert.equal(post?.path, '/token');
    assert.equal(
      post?.body,
      'client_id=hawser&grant_type=password&password=bar&scope=repository%3At%2Fa%3Apull&service=testsvc&username=foo',
    );
  },
);

for (const postStatus of [400, 401, 403, 404, 405, 415, 500, 501]) {
  check(
    `POST answered ${postStatus}: GET with Basic`,
    { mode: 'bearer', user: 'foo', pass: 'bar', postStatus },
    async ({ registry, ref }) => {
      await resolve(ref, given(FOO));
      assert.equal(registry.requests[2]?.path, TOKEN);
      assert.equal(registry.requests[2]?.authorization, 'Basic Zm9vOmJhcg==');
    },
  );
}

check('a refresh token is posted', { mode: 'bearer', refreshToken: 'RTOK' }, async ({ registry, ref }) => {
  await resolve(ref, given({ refreshToken: 'RTOK' }));
  assert.match(registry.requests[1]?.body ?? '', /grant_type=refresh_token&refresh_token=RTOK&/);
});

check(
  'a refresh token and 405 fails',
  { mode: 'bearer', refreshToken: 'RTOK', postStatus: 405 },
  async ({ ref }) => {
    assert.match((await failure(resolve(ref, given({ refreshToken: 'RTOK' })))).message, /405/);
  },
);

check(
  'a wrong password says so, without it',
  { mode: 'bearer', user: 'foo', pass: 'bar' },
  async ({ ref }) => {
    const err = await failure(resolve(ref, given({ username: 'foo', secret: 'hunter2' })));
    assert.equal(kindOf(err), 'Unauthenticated');
    assert.match(hintOf(err) ?? '', /password/);
    assert.ok(!JSON.stringify([err.message, err]).includes('hunter2'));
  },
);

check(
  '400 to a token that is no longer new: once more with another (ECR)',
  { mode: 'bearer' },
  async ({ registry, ref }) => {
    await withClient({}, async (client) => {
      const reference = parseReference(ref);
      const { root } = await client.resolve(reference);
      registry.faults.push({ match: '/manifests/', status: 400, times: 1 });
      await bytesOf(await client.fetcher(reference).fetch(root));
      assert.equal(registry.gate.issued, 2);
      registry.faults.push({ match: '/blobs/', status: 400 });
      const layer = image.layers[0] ?? assert.fail();
      await assert.rejects(client.fetcher(reference).fetch(descriptor('x/y', layer.digest, layer.size)));
      assert.equal(registry.gate.issued, 3);
      assert.equal(registry.requests.filter(({ path }) => path.includes('/blobs/')).length, 2);
    });
  },
);

check('Basic', { mode: 'basic', user: 'foo', pass: 'bar' }, async ({ registry, ref }) => {
  await withClient(given(FOO), async (client) => {
    const reference = parseReference(ref);
    const { root } = await client.resolve(reference);
    await bytesOf(await client.fetcher(reference).fetch(root));
  });
  assert.deepEqual(
    registry.requests.map(({ authorization }) => authorization),
    [undefined, basic('foo', 'bar'), basic('foo', 'bar')],
  );
});

check(
  'Basic without credentials: pull access denied',
  { mode: 'basic', user: 'foo', pass: 'bar' },
  async ({ ref }) => {
    const err = await failure(resolve(ref));
    assert.equal(kindOf(err), 'Unauthenticated');
    assert.match(
      err.message,
      /^pull access denied, repository does not exist or may require authorization: .*: 401 Unauthorized: unauthorized$/,
    );
    assert.match(hintOf(err) ?? '', /--user/);
  },
);

check(
  'Basic with wrong credentials ends',
  { mode: 'basic', user: 'foo', pass: 'bar' },
  async ({ registry, ref }) => {
    assert.equal(
      kindOf(await failure(resolve(ref, given({ username: 'foo', secret: 'no' })))),
      'Unauthenticated',
    );
    assert.ok(registry.requests.length <= 4);
  },
);

check(
  'Negotiate and Basic: Basic',
  { mode: 'bearer', challenge: ['Negotiate', 'Basic realm="x"'] },
  async ({ registry, ref }) => {
    await failure(resolve(ref, given(FOO)));
    assert.equal(registry.requests[1]?.authorization, basic('foo', 'bar'));
  },
);

for (const lines of [
  ['Basic realm="x"', 'Bearer realm="http://169.254.1.1/t"'],
  ['Bearer realm="http://169.254.1.1/t"', 'Basic realm="x"'],
]) {
  const challenge = [...lines, 'Digest realm="y"'];
  check(`Bearer before Basic: ${challenge.join(' | ')}`, { mode: 'bearer', challenge }, async (ground) => {
    // Which one was taken shows in that it is refused.
    const err = await failure(resolve(ground.ref, given(FOO)));
    assert.match(err.message, /token realm http:\/\/169\.254\.1\.1\/t refused/);
    assert.equal(ground.registry.requests.length, 1);
  });
}

check(
  'a Bearer challenge without realm',
  { mode: 'bearer', challenge: ['Bearer service="s"'] },
  async ({ ref }) => {
    assert.match((await failure(resolve(ref))).message, /no realm specified for token auth challenge/);
  },
);

check('tokens for something else end', { mode: 'bearer', wrongScope: true }, async ({ registry, ref }) => {
  const err = await failure(resolve(ref));
  assert.equal(kindOf(err), 'Unauthenticated');
  assert.ok(registry.gate.issued <= 2, `${registry.gate.issued} tokens`);
});

for (const challenge of [undefined, 'silent'] as const) {
  const title = `a token that is no longer taken is replaced, ${challenge === undefined ? 'with' : 'without'} error`;
  test(`auth: ${title}`, async () => {
    const registry = await startRegistry({ auth: { mode: 'bearer' } });
    if (challenge === 'silent') {
      const field = `Bearer realm="${registry.url}/token",service="testsvc"`;
      registry.faults.push({
        when: ({ headers }) => headers.get('authorization') === 'Bearer token-1',
        skip: 1,
        status: 401,
        headers: { 'WWW-Authenticate': field },
      });
    }
    const reference = parseReference(registry.push('t/a', 'x', image));
    await withClient({}, async (client) => {
      const { root } = await client.resolve(reference);
      registry.gate.expire();
      await bytesOf(await client.fetcher(reference).fetch(root));
    });
    assert.equal(registry.gate.issued, 2);
    await registry.close();
  });
}

check(
  'a token is renewed before it expires',
  { mode: 'bearer', expiresIn: 100 },
  async ({ registry, ref }) => {
    const clock = fakeClock();
    await withClient({ clock }, async (client) => {
      const reference = parseReference(ref);
      await client.resolve(reference);
      clock.advance(84_000);
      await client.resolve(reference);
      assert.equal(registry.gate.issued, 1);
      clock.advance(2_000);
      await client.resolve(reference);
      assert.equal(registry.gate.issued, 2);
      assert.ok(registry.requests.filter(({ status }) => status === 401).length === 1);
    });
  },
);

check(
  'a failed token request is not remembered',
  { mode: 'bearer' },
  async ({ ref }) => {
    await withClient({}, async (client) => {
      await failure(client.resolve(parseReference(ref)));
      await client.resolve(parseReference(ref));
    });
  },
  [{ match: '/token', status: 503, times: 1 }],
);

check(
  'the first to ask may leave, the others get the token',
  { mode: 'bearer' },
  async ({ registry, ref }) => {
    await withClient({}, async (client) => {
      const stop = new AbortController();
      const first = client.resolve(parseReference(ref), { signal: stop.signal });
      const second = client.resolve(parseReference(ref));
      while (!registry.requests.some(({ path }) => path.startsWith('/token'))) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      stop.abort();
      assert.equal(kindOf(await failure(first)), 'Canceled');
      await second;
    });
  },
  [{ match: '/token', delay: 100 }],
);

check('credentials are asked for once', { mode: 'bearer' }, async ({ registry, ref }) => {
  const asked: string[] = [];
  await withClient({ credentials: async (host) => void asked.push(host) as undefined }, async (client) => {
    await Promise.all([client.resolve(parseReference(ref)), client.resolve(parseReference(ref))]);
  });
  assert.deepEqual(asked, [registry.host]);
});

const BAD_TOKENS: Readonly<Record<string, string>> = {
  'no token': '{"expires_in":3}',
  'not JSON': '<html>',
  null: 'null',
  'line feed in the token': '{"token":"a\\r\\nX: y"}',
  number: '{"token":7}',
};
for (const [title, body] of Object.entries(BAD_TOKENS)) {
  check(
    `token answer: ${title} (H22)`,
    { mode: 'bearer' },
    async ({ ref }) => {
      assert.equal(kindOf(await failure(resolve(ref))), 'Unauthenticated');
    },
    [{ match: '/token', body }],
  );
}

check(
  'a token answer over 128 KiB is refused (H22)',
  { mode: 'bearer' },
  async ({ ref }) => {
    assert.equal(kindOf(await failure(resolve(ref))), 'ResourceExhausted');
  },
  [{ match: '/token', body: `{"token":"${'x'.repeat(200_000)}"}` }],
);

for (const realm of [
  'http://169.254.169.254/t',
  'http://0.0.0.0/t',
  'http://[::]/t',
  'http://169.254.1.1/t',
  'file:///etc/passwd',
  'nonsense',
]) {
  check(`realm ${realm} is refused (H2)`, { mode: 'bearer', realm }, async ({ registry, ref }) => {
    const err = await failure(resolve(ref, given(FOO)));
    assert.equal(kindOf(err), 'PermissionDenied');
    assert.match(err.message, /token realm .* refused/);
    assert.equal(registry.requests.length, 1);
  });
}

test('a TLS registry may not name a realm without TLS; no credential leaves (H2)', async () => {
  const transports = scripted(() => ({
    status: 401,
    headers: { 'www-authenticate': 'Bearer realm="http://auth.example/t"' },
  }));
  const options = { transports, ...given(FOO) };
  await withClient(options, async (client) => {
    assert.match((await failure(client.resolve(parseReference('r.example/a:x')))).message, /it has no TLS/);
  });
  assert.ok(
    transports.requests.every(
      ({ headers, body }) => headers.authorization === undefined && body === undefined,
    ),
  );
});

test('every hop of a token request is checked, and a password is not posted elsewhere (H3)', async () => {
  for (const [location, why] of [
    ['https://10.0.0.1/t', /may not lead to a private address/],
    ['http://auth.example/t', /it would leave TLS/],
    ['https://evil.example/t', /what is sent may hold secrets/],
  ] as const) {
    const transports = scripted(({ url }) =>
      url.host === 'auth.example'
        ? { status: 307, headers: { location } }
        : { status: 401, headers: { 'www-authenticate': 'Bearer realm="https://auth.example/t"' } },
    );
    await withClient({ transports, ...given(FOO) }, async (client) => {
      assert.match((await failure(client.resolve(parseReference('r.example/a:x')))).message, why);
    });
    assert.ok(transports.requests.every(({ url }) => ['r.example', 'auth.example'].includes(url.host)));
  }
});

test('docker.io: its own host, scope by repository, credentials by name', async () => {
  const transports = scripted(({ url, headers }) => {
    if (url.host === 'auth.docker.io') return { body: '{"token":"T"}' };
    if (headers.authorization === 'Bearer T') return { status: 404 };
    return {
      status: 401,
      headers: {
        'www-authenticate': 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
      },
    };
  });
  const asked: string[] = [];
  const credentials = async (host: string) => void asked.push(host) as undefined;
  await withClient({ transports, credentials }, async (client) => {
    await failure(client.resolve(parseReference('alpine')));
  });
  assert.deepEqual(asked, ['docker.io']);
  assert.deepEqual(
    transports.requests.map(({ url }) => url.href),
    [
      'https://registry-1.docker.io/v2/library/alpine/manifests/latest',
      'https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Falpine%3Apull',
      'https://registry-1.docker.io/v2/library/alpine/manifests/latest',
      'https://registry-1.docker.io/v2/library/alpine/manifests/latest',
    ],
  );
});

test('auth: a registry token is the bearer itself: no token server is asked', async () => {
  const transports = scripted(({ headers }) => {
    if (headers.authorization !== 'Bearer reg') {
      return { status: 401, headers: { 'www-authenticate': 'Bearer realm="https://auth.test/token"' } };
    }
    const digest = { 'docker-content-digest': image.root.digest, 'content-length': '5' };
    return { headers: { ...digest, 'content-type': image.root.mediaType } };
  });
  const options = { transports, ...given({ registryToken: 'reg' }) };
  assert.equal(await resolve('reg.test/t/a:x', options), image.root.digest);
  assert.deepEqual(
    transports.requests.map(({ url }) => url.host),
    ['reg.test', 'reg.test'],
  );
  const wrong = await failure(resolve('reg.test/t/a:x', { ...options, ...given({ registryToken: 'no' }) }));
  assert.equal(kindOf(wrong), 'Unauthenticated');
});

test('auth: of the repositories that were asked longest ago nothing is kept', async () => {
  const transports = scripted(({ url, headers }) => {
    if (url.host === 'auth.test') return { body: '{"token":"T","expires_in":100000}' };
    if (headers.authorization === 'Bearer T') return { status: 404 };
    return { status: 401, headers: { 'www-authenticate': 'Bearer realm="https://auth.test/t"' } };
  });
  const asked: string[] = [];
  const credentials = async (_: string, repository: string) => void asked.push(repository) as undefined;
  await withClient({ transports, credentials }, async (client) => {
    const ask = async (name: string): Promise<number> => {
      const before = transports.requests.length;
      await failure(client.resolve(parseReference(`reg.test/${name}:x`)));
      return transports.requests.length - before;
    };
    assert.deepEqual([await ask('first'), await ask('often')], [4, 4]);
    for (let n = 0; n < 1000; n++) {
      await ask(`r${n}`);
      if (n % 500 === 0) assert.equal(await ask('often'), 2);
    }
    assert.deepEqual([await ask('often'), await ask('first')], [2, 4]);
  });
  assert.equal(asked.filter((name) => name === 'first').length, 2);
});

for (const mode of ['basic', 'bearer'] as const)
  test(`auth: a password that was changed is asked of its source again, once (${mode})`, async () => {
    let [right, given, asked] = ['one', 'one', 0];
    const isRight = (header: string | undefined) => header === basic('foo', right);
    const digest = { 'docker-content-digest': image.root.digest, 'content-length': '5' };
    const transports = scripted(({ url, headers }) => {
      const { authorization } = headers;
      if (url.host === 'auth.test')
        return isRight(authorization) ? { body: '{"token":"T","expires_in":1}' } : { status: 401 };
      if (mode === 'basic' ? isRight(authorization) : authorization === 'Bearer T')
        return { headers: { ...digest, 'content-type': image.root.mediaType } };
      const challenge = mode === 'basic' ? 'Basic realm="x"' : 'Bearer realm="https://auth.test/t"';
      return { status: 401, headers: { 'www-authenticate': challenge } };
    });
    const clock = fakeClock();
    const credentials = async () => {
      asked++;
      return { username: 'foo', secret: given };
    };
    await withClient({ transports, credentials, clock }, async (client) => {
      const ask = () => client.resolve(parseReference('reg.test/t/a:x'));
      await ask();
      clock.advance(10_000);
      [right, given] = ['two', 'two'];
      await ask();
      assert.equal(asked, 2);
      clock.advance(10_000);
      right = 'three';
      assert.equal(kindOf(await failure(ask())), 'Unauthenticated');
      given = 'three';
      await ask();
    });
  });
