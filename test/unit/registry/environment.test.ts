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
      list: async (dir: string) => {
        const below = Object.keys(files).filter((path) => path.startsWith(`${dir}/`));
        if (below.length === 0) throw new HawserError('NotFound', 'no such directory');
        return below.map((path) => ({ name: path.slice(dir.length + 1), type: 'file' }));
      },
    },
  } as never;
  const tls = ca === undefined ? { skipVerify: false } : { ca };
  const options = environmentOptions(runtime, { tls, warn: (text) => warnings.push(text) });
  const trusted = { ...options.tls, ...(await options.roots?.({})) };
  return {
    ca: trusted.ca,
    extraCa: trusted.extraCa,
    proxied: options.proxy !== undefined,
    warnings,
  };
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

test('SSL_CERT_DIR adds to the roots: certificates of all files, each once', async () => {
  const other = `${BUNDLE}other`;
  const files = {
    '/d/a.pem': BUNDLE,
    '/d/1234.0': BUNDLE,
    '/d/readme': 'x',
    '/e/b.crt': other,
    '/b.pem': 'f',
  };
  const both = await look(files, { SSL_CERT_DIR: '/d:/e:' });
  assert.deepEqual([both.ca, both.extraCa], [undefined, [BUNDLE, other].join('\n')]);
  const beside = await look({ ...files, '/b.pem': BUNDLE }, { SSL_CERT_FILE: '/b.pem', SSL_CERT_DIR: '/e' });
  assert.deepEqual([beside.ca, beside.extraCa], [BUNDLE, other]);
  const given = await look(files, { SSL_CERT_DIR: '/d' }, 'given');
  assert.deepEqual([given.ca, given.extraCa], ['given', undefined]);
  const absent = await look(files, { SSL_CERT_DIR: '/none' });
  assert.deepEqual(absent.warnings, ['SSL_CERT_DIR=/none is not used: no such directory']);
});

test('proxies are taken from the environment', async () => {
  assert.equal((await look({}, { https_proxy: 'http://p' })).proxied, true);
  assert.equal((await look({}, {})).proxied, false);
});
