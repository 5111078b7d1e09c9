import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { classify } from '../../../src/core/registry/addresses.ts';
import { isRetryable } from '../../../src/core/registry/failures.ts';
import { reachByLookup, realmRefusal, redirectRefusal } from '../../../src/core/registry/reach.ts';
import { lookupFailure } from '../../../src/platform/http/guarded-lookup.ts';
import { scripted, withClient } from '../../registry/client.ts';

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

/** A registry that is what its name says. */
const spelled = (registry: string) => ({
  registry: new URL(registry),
  reach: async ({ hostname }: URL) => classify(hostname),
});

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
  test(`realm ${realm} for ${registry}: ${allowed} (H2)`, async () => {
    assert.equal((await realmRefusal(new URL(realm), spelled(registry), {})) === undefined, allowed);
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
  test(`redirect of ${registry} to ${target}: ${allowed} (H5, H6)`, async () => {
    assert.equal((await redirectRefusal(new URL(target), spelled(registry), {})) === undefined, allowed);
  });
}

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'reg.lan': ['10.9.0.1', 'fd12::1'],
  'both.test': ['127.0.0.1', '203.0.113.5'],
  'self.test': ['::1', '127.0.0.1'],
};

/** Looks names up in NAMES, after the first `failing` look-ups. */
function lookingUp(failing = 0) {
  const asked: string[] = [];
  const lookup = async (name: string): Promise<readonly string[]> => {
    asked.push(name);
    if (asked.length <= failing)
      throw lookupFailure(name, { name: 'Error', message: 'try again', code: 'EAI_AGAIN' });
    const found = NAMES[name];
    if (found === undefined) throw lookupFailure(name, { name: 'Error', message: 'none', code: 'ENOTFOUND' });
    return found;
  };
  return { asked, lookup };
}

test('the class of a registry is that of its addresses, the most public one; looked up once', async () => {
  const { asked, lookup } = lookingUp();
  const reach = reachByLookup({ lookup });
  const classes = [];
  for (const name of ['reg.lan', 'reg.lan', 'both.test', 'self.test', 'gone.test', '10.1.1.1', 'localhost']) {
    classes.push(await reach(new URL(`https://${name}/v2`), {}));
  }
  assert.deepEqual(classes, ['private', 'private', 'public', 'loopback', 'public', 'private', 'loopback']);
  assert.deepEqual(asked, ['reg.lan', 'both.test', 'self.test', 'gone.test']);
});

test('a look-up that fails is an error that may pass, and is not remembered', async () => {
  const { asked, lookup } = lookingUp(1);
  const reach = reachByLookup({ lookup });
  const registry = new URL('https://reg.lan');
  const both = await Promise.allSettled([reach(registry, {}), reach(registry, {})]);
  for (const one of both) assert.ok(one.status === 'rejected' && isRetryable(one.reason));
  assert.equal(await reach(registry, {}), 'private');
  assert.deepEqual(asked, ['reg.lan', 'reg.lan']);
});

test('where a proxy looks names up, a look-up that fails here says nothing', async () => {
  const { asked, lookup } = lookingUp(1);
  const reach = reachByLookup({ lookup }, () => new URL('http://proxy.test'));
  for (let n = 0; n < 2; n++) assert.equal(await reach(new URL('https://reg.lan'), {}), 'public');
  assert.equal(asked.length, 1);
});

test('waiting for a look-up ends with the signal, for its caller alone', async () => {
  const answer = Promise.withResolvers<readonly string[]>();
  const reach = reachByLookup({ lookup: () => answer.promise });
  const registry = new URL('https://reg.lan');
  const stop = new AbortController();
  const [left, stays] = [reach(registry, stop), reach(registry, {})];
  const reason = new Error('enough');
  stop.abort(reason);
  await assert.rejects(left, (err) => err === reason);
  answer.resolve(['10.9.0.1']);
  assert.equal(await stays, 'private');
});

test('only a private or loopback target makes the registry be looked up', async () => {
  const { asked, lookup } = lookingUp();
  const leader = { registry: new URL('https://reg.lan'), reach: reachByLookup({ lookup }) };
  for (const host of ['s3.test', '169.254.169.254', '203.0.113.5', 'reg.lan']) {
    await redirectRefusal(new URL(`https://${host}`), leader, {});
    await realmRefusal(new URL(`https://${host}`), leader, {});
  }
  assert.deepEqual(asked, []);
  assert.equal(await redirectRefusal(new URL('https://10.0.0.1'), leader, {}), undefined);
  assert.equal(
    (await realmRefusal(new URL('https://127.0.0.1'), leader, {}))?.why.includes('loopback'),
    true,
  );
  assert.deepEqual(asked, ['reg.lan']);
});

test('one look-up that fails does not refuse a private registry’s storage: the question is asked again', async () => {
  const { lookup } = lookingUp(1);
  const body = JSON.stringify({ schemaVersion: 2, config: {}, layers: [] });
  const transports = scripted(({ url }) =>
    url.host === '10.9.0.2'
      ? { status: 200, headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }, body }
      : { status: 307, headers: { location: 'https://10.9.0.2/m' } },
  );
  const options = { transports: { ...transports, lookup }, retry: { tries: 1 } };
  const { root } = await withClient(options, (client) => client.resolve(parseReference('reg.lan/a:x')));
  assert.equal(root.size, body.length);
});
