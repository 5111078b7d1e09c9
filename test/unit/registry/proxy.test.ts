/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go reads them; and a registry behind a proxy. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findError, kindOf } from '../../../src/core/errors.ts';
import type { TlsOptions } from '../../../src/core/ports/transport.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { codeOf } from '../../../src/core/registry/failures.ts';
import { proxiesOf } from '../../../src/core/registry/proxy.ts';
import { makeCerts } from '../../registry/certs.ts';
import { bytesOf, transports, withClient } from '../../registry/client.ts';
import { buildImage } from '../../registry/image.ts';
import { startRegistry } from '../../registry/registry.ts';
import { startProxy } from '../../support/http-proxy.ts';
import { startSocks } from '../../support/socks-proxy.ts';

type Env = Readonly<Record<string, string>>;
const choose = (env: Env) => proxiesOf((name) => env[name]);
const proxyFor = (env: Env, url: string): string | undefined => choose(env)?.(new URL(url))?.href;

const CHOICES: readonly (readonly [Env, string, string | undefined])[] = [
  [{ HTTP_PROXY: 'http://p:3128' }, 'http://reg.io/', 'http://p:3128/'],
  [{ HTTP_PROXY: 'http://p:3128' }, 'https://reg.io/', undefined],
  [{ HTTPS_PROXY: 'http://p:3128' }, 'https://reg.io/', 'http://p:3128/'],
  [{ HTTPS_PROXY: 'http://p:3128' }, 'http://reg.io/', undefined],
  [{ http_proxy: 'http://p:3128' }, 'http://reg.io/', 'http://p:3128/'],
  [{ https_proxy: 'http://p:3128' }, 'https://reg.io/', 'http://p:3128/'],
  [{ HTTPS_PROXY: 'http://upper', https_proxy: 'http://lower' }, 'https://reg.io/', 'http://upper/'],
  [{ HTTPS_PROXY: '', https_proxy: 'http://lower' }, 'https://reg.io/', 'http://lower/'],
  [{ HTTPS_PROXY: 'p:3128' }, 'https://reg.io/', 'http://p:3128/'],
  [{ HTTPS_PROXY: 'socks5://p:1080' }, 'https://reg.io/', 'socks5://p:1080'],
  [{ HTTPS_PROXY: 'socks5h://u:s@p:1080' }, 'https://reg.io/', 'socks5://u:s@p:1080'],
  [{ HTTPS_PROXY: 'https://u:s@p' }, 'https://reg.io/', 'https://u:s@p/'],
  // httpoxy: the variable is then a header of somebody else's request.
  [{ HTTP_PROXY: 'http://p', REQUEST_METHOD: 'GET' }, 'http://reg.io/', undefined],
  [{ ALL_PROXY: 'http://p' }, 'https://reg.io/', undefined],
];
for (const [env, url, expected] of CHOICES) {
  test(`proxy: ${JSON.stringify(env)} for ${url}`, () => assert.equal(proxyFor(env, url), expected));
}

test('proxy: none is configured', () => {
  assert.equal(choose({}), undefined);
  assert.equal(choose({ NO_PROXY: '*', HTTP_PROXY: '' }), undefined);
});

const WRONG = ['socks4://p:1080', 'ftp://p', 'http://', 'http://p:port', '://'];
for (const text of WRONG) {
  test(`proxy: ${text} is refused, without showing a password`, () => {
    const secret = text.replace('://p', '://u:hunter2@p');
    assert.throws(
      () => proxyFor({ https_proxy: secret }, 'https://reg.io/'),
      (err: Error) =>
        kindOf(err) === 'InvalidArgument' &&
        /^https_proxy is not/.test(err.message) &&
        !err.message.includes('hunter2'),
    );
    assert.equal(
      proxyFor({ https_proxy: secret }, 'http://reg.io/'),
      undefined,
      'it harms only its own requests',
    );
    assert.equal(proxyFor({ https_proxy: secret, NO_PROXY: 'reg.io' }, 'https://reg.io/'), undefined);
  });
}

const EXCLUDED: readonly (readonly [string, string, boolean])[] = [
  ['*', 'https://reg.io/', true],
  ['reg.io', 'https://reg.io/', true],
  ['REG.IO', 'https://reg.io/', true],
  ['reg.io', 'https://REG.io./', true],
  ['reg.io', 'https://a.reg.io/', true],
  ['reg.io', 'https://xreg.io/', false],
  ['.reg.io', 'https://reg.io/', false],
  ['.reg.io', 'https://a.reg.io/', true],
  ['*.reg.io', 'https://a.b.reg.io/', true],
  ['*.reg.io', 'https://reg.io/', false],
  ['reg.io:5000', 'https://reg.io:5000/', true],
  ['reg.io:5000', 'https://reg.io/', false],
  ['reg.io:443', 'https://reg.io/', true],
  ['reg.io:80', 'http://reg.io/', true],
  ['a.io, reg.io ,b.io', 'https://reg.io/', true],
  ['a.io reg.io', 'https://reg.io/', true],
  ['', 'https://reg.io/', false],
  [',,', 'https://reg.io/', false],
  ['10.0.0.0/8', 'https://10.1.2.3/', true],
  ['10.0.0.0/8', 'https://11.1.2.3/', false],
  ['10.0.0.0/8', 'https://10.example.com/', false],
  ['192.168.1.128/25', 'https://192.168.1.127/', false],
  ['192.168.1.128/25', 'https://192.168.1.129:5000/', true],
  ['0.0.0.0/0', 'https://8.8.8.8/', true],
  ['0.0.0.0/0', 'https://[2001:db8::1]/', false],
  ['10.0.0.0/33', 'https://10.1.2.3/', false],
  ['10.0.0.0/x', 'https://10.1.2.3/', false],
  ['2001:db8::/32', 'https://[2001:db8:1::5]/', true],
  ['2001:db8::/32', 'https://[2001:db9::5]/', false],
  ['10.1.2.3', 'https://10.1.2.3:5000/', true],
  ['10.1.2.3:5000', 'https://10.1.2.3:5000/', true],
  ['10.1.2.3:5000', 'https://10.1.2.3/', false],
  ['10.1.2.3', 'https://[::ffff:10.1.2.3]/', true],
  ['[2001:db8::1]', 'https://[2001:db8::1]/', true],
  ['2001:db8::1', 'https://[2001:db8::1]:5000/', true],
  ['[2001:db8::1]:5000', 'https://[2001:db8::1]/', false],
  // This very machine, whatever is said.
  ['', 'https://localhost:5000/', true],
  ['', 'https://127.0.0.2/', true],
  ['', 'https://[::1]:5000/', true],
];
for (const [noProxy, url, direct] of EXCLUDED) {
  test(`proxy: NO_PROXY=${noProxy} ${direct ? 'excludes' : 'does not exclude'} ${url}`, () => {
    const both = { HTTP_PROXY: 'http://p', HTTPS_PROXY: 'http://p' };
    assert.equal(proxyFor({ ...both, NO_PROXY: noProxy }, url) === undefined, direct);
    assert.equal(proxyFor({ ...both, no_proxy: noProxy }, url) === undefined, direct);
  });
}

test('a registry behind a SOCKS5 proxy, which looks the name up', async () => {
  const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'x' }] }] });
  const registry = await startRegistry();
  registry.push('t/a', 'x', image);
  const proxy = await startSocks({ ports: { 'reg.test': registry.port }, user: 'me', pass: 'pw' });
  try {
    const ask = async (url: string) =>
      await withClient({ plainHttp: true, proxy: choose({ HTTP_PROXY: url }) }, async (client) => {
        const { root } = await client.resolve(parseReference('reg.test/t/a:x'));
        return root.digest;
      });
    assert.equal(await ask(`socks5h://me:pw@127.0.0.1:${proxy.port}`), image.root.digest);
    assert.deepEqual(proxy.asked, ['reg.test:80']);
    const err = await ask(`socks5://me:hunter2@127.0.0.1:${proxy.port}`).then(() => assert.fail(), findError);
    assert.match(err?.message ?? '', /through the proxy socks5:/);
    assert.ok(!err?.message.includes('hunter2'));
  } finally {
    await proxy.close();
    await registry.close();
  }
});

test('a registry with TLS behind a SOCKS5 proxy: the tunnel is for the registry alone', async () => {
  const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'x' }] }] });
  const certs = makeCerts();
  const registry = await startRegistry({ tls: certs, auth: { mode: 'basic', user: 'me', pass: 'pw' } });
  registry.push('t/a', 'x', image);
  const ports = { 'registry.test': registry.port, 'other.test': registry.port };
  const proxy = await startSocks({ ports, user: 'me', pass: 'proxied' });
  try {
    const ask = async (host: string, tls: TlsOptions) => {
      const chosen = choose({ HTTPS_PROXY: `socks5://me:proxied@127.0.0.1:${proxy.port}` });
      const credentials = async () => ({ username: 'me', secret: 'pw' });
      return await withClient({ proxy: chosen, tls, credentials }, async (client) => {
        const reference = parseReference(`${host}/t/a:x`);
        const { root } = await client.resolve(reference);
        return (await bytesOf(await client.fetcher(reference).fetch(root))).length;
      });
    };
    assert.equal(await ask('registry.test', { ca: certs.ca }), image.root.bytes.length);
    assert.ok(proxy.asked.length > 0);
    assert.deepEqual(
      new Set(proxy.asked),
      new Set(['registry.test:443']),
      'names are looked up by the proxy',
    );
    // The certificate is checked through the proxy, too: an unknown root, another name.
    for (const [host, tls] of [
      ['registry.test', {}],
      ['other.test', { ca: certs.ca }],
    ] as const) {
      const err = await ask(host, tls).then(() => assert.fail(), findError);
      assert.equal(codeOf(err), 'TLS', String(err));
      assert.match(err?.message ?? '', /through the proxy socks5:\/\/127\.0\.0\.1:\d+: TLS failed/);
      assert.ok(!err?.message.includes('proxied'));
    }
  } finally {
    await proxy.close();
    await registry.close();
  }
});

test('a registry behind a proxy that wants a password', async () => {
  const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'x' }] }] });
  const registry = await startRegistry();
  registry.push('t/a', 'x', image);
  const proxy = await startProxy({ ports: { 'reg.test': registry.port }, user: 'me', pass: 'p@ss' });
  try {
    const url = proxy.url.replace('//', '//me:p%40ss@');
    const options = { plainHttp: true, proxy: choose({ HTTP_PROXY: url }) };
    const events: string[] = [];
    await withClient(
      { ...options, observe: (event) => void events.push(JSON.stringify(event)) },
      async (client) => {
        const { root } = await client.resolve(parseReference('reg.test/t/a:x'));
        assert.equal(root.digest, image.root.digest);
      },
    );
    assert.deepEqual(proxy.log, ['HEAD http://reg.test/v2/t/a/manifests/x']);
    assert.equal(registry.requests[0]?.headers.get('host'), 'reg.test');
    assert.equal(registry.requests[0]?.headers.get('proxy-authorization'), undefined);
    assert.ok(events[0]?.includes(`"proxy":"${proxy.url}"`), String(events[0]));
    assert.ok(!events.some((event) => event.includes('p%40ss') || event.includes('p@ss')));
  } finally {
    await proxy.close();
    await registry.close();
  }
});

test('a proxy that refuses, or is not there, is named', async () => {
  const proxy = await startProxy({ user: 'me', pass: 'right' });
  const transport = transports().open({ proxy: () => new URL(proxy.url.replace('//', '//me:hunter2@')) });
  try {
    for (const url of ['http://reg.test/v2/', 'https://reg.test/v2/']) {
      const err = await transport
        .send({ method: 'GET', url: new URL(url), headers: {} })
        .then(() => assert.fail(), findError);
      assert.ok(err);
      assert.equal(codeOf(err), 'PROXY', String(err));
      assert.ok(err?.message.includes(`through the proxy ${proxy.url}: the proxy failed`), err?.message);
      assert.ok(err?.message.includes('407') && !err.message.includes('hunter2'), err?.message);
    }
  } finally {
    await transport[Symbol.asyncDispose]();
    await proxy.close();
  }
  const gone = transports().open({ proxy: () => new URL(proxy.url) });
  const request = { method: 'GET', url: new URL('https://reg.test/'), headers: {} } as const;
  await assert.rejects(gone.send(request), (err: Error) =>
    err.message.includes(`through the proxy ${proxy.url}: connection refused`),
  );
  await gone[Symbol.asyncDispose]();
});
