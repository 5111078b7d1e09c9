import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify, realmRefusal, redirectRefusal } from '../../../src/core/registry/addresses.ts';
import { reachByLookup } from '../../../src/core/registry/reach.ts';

const CLASSES: Readonly<Record<string, string>> = {
  'http://example.com': 'public',
  'http://8.8.8.8': 'public',
  'http://172.32.0.1': 'public',
  'http://[2001:db8::1]': 'public',
  'http://localhost': 'loopback',
  'http://a.localhost': 'loopback',
  'http://127.0.0.1': 'loopback',
  'http://127.8.8.8': 'loopback',
  'http://0x7f.1': 'loopback',
  'http://2130706433': 'loopback',
  'http://[::1]': 'loopback',
  'http://[::ffff:127.0.0.1]': 'loopback',
  'http://[64:ff9b::7f00:1]': 'loopback',
  'http://10.1.2.3': 'private',
  'http://172.16.0.1': 'private',
  'http://192.168.1.1': 'private',
  'http://100.64.0.1': 'private',
  'http://[fd12::1]': 'private',
  'http://[2002:c0a8:101::1]': 'private',
  'http://0.0.0.0': 'special',
  'http://[::]': 'special',
  'http://169.254.169.254': 'special',
  'http://[::ffff:a9fe:a9fe]': 'special',
  'http://[fe80::1]': 'special',
  'http://[fd00:ec2::254]': 'special',
  'http://100.100.100.200': 'special',
  'http://168.63.129.16': 'special',
  'http://224.0.0.1': 'special',
  'http://255.255.255.255': 'special',
  'http://metadata.google.internal': 'special',
};
for (const [url, expected] of Object.entries(CLASSES)) {
  test(`${url} is ${expected} (H2, H6)`, () => assert.equal(classify(new URL(url).hostname), expected));
}

const REALMS: readonly (readonly [string, string, boolean])[] = [
  ['https://auth.docker.io/token', 'https://registry-1.docker.io', true],
  ['https://r.example/token', 'https://r.example', true],
  ['http://r.example/token', 'https://r.example', false],
  ['http://auth.example/token', 'http://r.example', true],
  ['https://169.254.169.254/latest', 'https://r.example', false],
  ['https://0.0.0.0/', 'https://r.example', false],
  ['https://[::]/', 'https://r.example', false],
  ['https://127.0.0.1/', 'https://r.example', false],
  ['https://localhost/', 'https://r.example', false],
  ['https://10.0.0.5/', 'https://r.example', false],
  ['https://10.0.0.5:8443/', 'https://10.0.0.5:5000', true],
  ['https://10.0.0.6/', 'https://10.0.0.5:5000', true],
  ['https://10.0.0.6/', 'http://localhost:5000', true],
  ['https://127.0.0.1/', 'https://10.0.0.5:5000', false],
  ['https://169.254.169.254/', 'https://10.0.0.5:5000', false],
  ['http://localhost:5001/', 'http://127.0.0.1:5000', true],
  ['file:///etc/passwd', 'https://r.example', false],
];
for (const [realm, registry, allowed] of REALMS) {
  test(`realm ${realm} for ${registry}: ${allowed} (H2)`, () => {
    assert.equal(realmRefusal(new URL(realm), new URL(registry)) === undefined, allowed);
  });
}

const REDIRECTS: readonly (readonly [string, string, boolean])[] = [
  ['https://cdn.example/x', 'https://r.example', true],
  ['https://169.254.169.254/', 'https://r.example', false],
  ['https://10.0.0.1/', 'https://r.example', false],
  ['https://localhost/', 'https://r.example', false],
  ['https://127.0.0.1/', 'https://10.0.0.1:5000', false],
  ['https://10.0.0.2/', 'https://10.0.0.1:5000', true],
  ['http://127.0.0.1:9/', 'http://localhost:5000', true],
  ['http://169.254.169.254/', 'http://localhost:5000', false],
  ['http://169.254.1.1:5000/x', 'http://169.254.1.1:5000', true],
  ['http://169.254.1.2:5000/x', 'http://169.254.1.1:5000', false],
  ['ftp://cdn.example/', 'https://r.example', false],
  ['data:,x', 'https://r.example', false],
];
for (const [target, registry, allowed] of REDIRECTS) {
  test(`redirect of ${registry} to ${target}: ${allowed} (H5, H6)`, () => {
    assert.equal(redirectRefusal(new URL(target), new URL(registry)) === undefined, allowed);
  });
}

test('the class of a registry is that of its addresses, the most public one; looked up once', async () => {
  const names: Readonly<Record<string, readonly string[]>> = {
    'reg.lan': ['10.9.0.1', 'fd12::1'],
    'both.test': ['127.0.0.1', '203.0.113.5'],
    'self.test': ['::1', '127.0.0.1'],
  };
  const asked: string[] = [];
  const reach = reachByLookup({
    lookup: async (name) => {
      asked.push(name);
      return names[name] ?? Promise.reject(new Error('no such name'));
    },
  });
  const classes = [];
  for (const name of ['reg.lan', 'reg.lan', 'both.test', 'self.test', 'gone.test', '10.1.1.1', 'localhost']) {
    classes.push(await reach(new URL(`https://${name}/v2`)));
  }
  assert.deepEqual(classes, ['private', 'private', 'public', 'loopback', 'public', 'private', 'loopback']);
  assert.deepEqual(asked, ['reg.lan', 'both.test', 'self.test', 'gone.test']);
});
