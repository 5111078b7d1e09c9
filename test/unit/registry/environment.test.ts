/** What the machine says: SSL_CERT_FILE among it. Directories, proxies and credentials have tests of their own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError } from '../../../src/core/errors.ts';
import { environmentOptions } from '../../../src/core/registry/environment.ts';

const BUNDLE = '-----BEGIN CERTIFICATE-----\n';

async function look(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
  ca?: string,
) {
  const warnings: string[] = [];
  const runtime = {
    host: { env: (name: string) => env[name] },
    programs: {},
    fs: {
      readFile: async (path: string) => {
        const text = files[path];
        if (text === undefined) throw new HawserError('NotFound', 'no such file');
        return new TextEncoder().encode(text);
      },
    },
  } as never;
  const tls = ca === undefined ? { skipVerify: false } : { ca };
  const options = await environmentOptions(runtime, { tls, warn: (text) => warnings.push(text) }, {});
  return { ca: options.tls?.ca, proxied: options.proxy !== undefined, warnings };
}

test('SSL_CERT_FILE replaces the roots, unless a CA was given', async () => {
  const files = { '/b.pem': BUNDLE };
  assert.equal((await look(files, { SSL_CERT_FILE: '/b.pem' })).ca, BUNDLE);
  assert.equal((await look(files, { SSL_CERT_FILE: '/b.pem' }, 'given')).ca, 'given');
  assert.equal((await look(files, { SSL_CERT_FILE: '' })).ca, undefined);
  assert.equal((await look(files, {})).ca, undefined);
});

test('an SSL_CERT_FILE that cannot be used is told of', async () => {
  const absent = await look({}, { SSL_CERT_FILE: '/b.pem' });
  assert.deepEqual(absent.warnings, ['SSL_CERT_FILE=/b.pem is not used: no such file']);
  const empty = await look({ '/b.pem': 'x' }, { SSL_CERT_FILE: '/b.pem' });
  assert.equal(empty.ca, undefined);
  assert.match(empty.warnings[0] ?? '', /no certificates/);
});

test('proxies are taken from the environment', async () => {
  assert.equal((await look({}, { https_proxy: 'http://p' })).proxied, true);
  assert.equal((await look({}, {})).proxied, false);
});
