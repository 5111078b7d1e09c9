/** Directories of hosts: which one is for a namespace, and what is asked then (spec/remote.md 2.1, 2.2, 2.4, 2.6). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import type { Reference } from '../../../src/core/reference/reference.ts';
import {
  type Host,
  type HostList,
  type Hosts,
  isCapable,
  objectUrl,
} from '../../../src/core/registry/hosts.ts';
import { type HostsDirOptions, hostsFromDirs } from '../../../src/core/registry/hosts-dir/load.ts';
import { descriptor, scripted, withClient } from '../../registry/client.ts';

const CERT = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';
const KEY = '-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n';

/** Files by path; a path that ends with `/` is a directory, and an error is thrown. */
type Files = Readonly<Record<string, string | Error>>;

function fileSystem(files: Files) {
  const absent = (path: string) => new HawserError('NotFound', `no such file: ${path}`);
  return {
    readFile: async (path: string) => {
      const found = files[path];
      if (found === undefined) throw absent(path);
      if (found instanceof Error) throw found;
      return new TextEncoder().encode(found);
    },
    list: async (path: string) => {
      const dir = files[`${path}/`];
      if (dir instanceof Error) throw dir;
      const below = Object.keys(files).filter((name) => name.startsWith(`${path}/`));
      if (below.length === 0) throw absent(path);
      const names = below.map((name) => name.slice(path.length + 1).split('/')[0] ?? '');
      return [...new Set(names)]
        .filter((name) => name !== '')
        .sort()
        .map((name) => ({ name, type: 'file' as const }));
    },
  };
}

async function look(
  files: Files,
  namespace: string,
  options: HostsDirOptions = { dir: '/h' },
): Promise<HostList & { warnings: string[] }> {
  const warnings: string[] = [];
  const hosts = hostsFromDirs({ fs: fileSystem(files), warn: (text) => warnings.push(text) }, options);
  return { ...(await hosts({ host: namespace } as Reference, {})), warnings };
}

const bases = ({ hosts }: HostList): string[] => hosts.map(({ base }) => base.href);

const DIRECTORIES: readonly (readonly [string, readonly string[], string])[] = [
  ['myreg.io:5000', ['myreg.io_5000_', 'myreg.io:5000', '_default'], 'myreg.io_5000_'],
  ['myreg.io:5000', ['myreg.io:5000', '_default'], 'myreg.io:5000'],
  ['myreg.io:5000', ['myreg.io', '_default'], '_default'],
  ['myreg.io', ['myreg.io', '_default'], 'myreg.io'],
  ['[::1]:5000', ['[::1]_5000_', '[::1]:5000'], '[::1]_5000_'],
  ['[::1]', ['[:_1]_', '[::1]'], '[:_1]_'],
  ['docker.io', ['registry-1.docker.io', '_default'], '_default'],
];
for (const [namespace, names, expected] of DIRECTORIES) {
  test(`hosts directory of ${namespace} among ${names.join(' ')}`, async () => {
    const files = Object.fromEntries(
      names.map((name) => [`/h/${name}/hosts.toml`, `server = "found-${name.replace(/\W/g, '')}"`]),
    );
    const { source, hosts } = await look(files, namespace);
    assert.equal(source, `/h/${expected}/hosts.toml`);
    assert.equal(hosts[0]?.base.hostname, `found-${expected.replace(/\W/g, '')}`);
  });
}

test('no directory for the namespace: its own registry', async () => {
  const list = await look({ '/h/other/hosts.toml': '' }, 'reg.io');
  assert.equal(list.source, 'default');
  assert.deepEqual(bases(list), ['https://reg.io/v2']);
});

test('a directory without hosts.toml, or with an empty one, stops the search', async () => {
  for (const file of ['hosts.toml', 'note']) {
    const list = await look(
      { [`/h/reg.io/${file}`]: '', '/h/_default/hosts.toml': 'server = "m1"' },
      'reg.io',
    );
    assert.equal(list.source, '/h/reg.io');
    assert.deepEqual(bases(list), ['https://reg.io/v2']);
  }
});

test('a --hosts-dir that is not there is an error', async () => {
  await assert.rejects(look({}, 'reg.io'), (err: Error) => {
    assert.equal(kindOf(err), 'InvalidArgument');
    assert.match(err.message, /^Cannot use the hosts directory \/h: no such file/);
    return true;
  });
});

test('the default directories: containerd’s before Docker’s, each with its _default', async () => {
  const docker = { '/etc/docker/certs.d/reg.io/hosts.toml': 'server = "d"' };
  const both = { ...docker, '/etc/containerd/certs.d/_default/hosts.toml': 'server = "c"' };
  assert.deepEqual(bases(await look(docker, 'reg.io', {})), ['https://d/v2']);
  assert.deepEqual(bases(await look(both, 'reg.io', {})), ['https://c/v2']);
  assert.equal((await look({}, 'reg.io', {})).source, 'default');
});

test('a default directory that may not be read is told of; a given one is an error', async () => {
  const denied = new HawserError('PermissionDenied', 'no');
  const list = await look({ '/etc/containerd/certs.d/reg.io/': denied }, 'reg.io', {});
  assert.equal(list.source, 'default');
  assert.match(list.warnings[0] ?? '', /^\/etc\/containerd\/certs\.d may not be read/);
  await assert.rejects(look({ '/h/': denied }, 'reg.io'), (err) => kindOf(err) === 'PermissionDenied');
  const file = { '/etc/docker/certs.d/reg.io/hosts.toml': denied };
  await assert.rejects(look(file, 'reg.io', {}), (err) => kindOf(err) === 'PermissionDenied');
});

test('hosts in order, the server last, and its own registry where none is named', async () => {
  const text = '[host."https://m2"]\n[host."http://m1:5000/x"]\noverride_path = true\n';
  const files = (more: string): Files => ({ '/h/reg.io/hosts.toml': more + text });
  assert.deepEqual(bases(await look(files(''), 'reg.io')), [
    'https://m2/v2',
    'http://m1:5000/x',
    'https://reg.io/v2',
  ]);
  assert.equal(bases(await look(files('server = "https://up"\n'), 'reg.io')).at(-1), 'https://up/v2');
});

test('the registry in place of a missing server keeps what the top level says, capabilities too', async () => {
  const text = 'capabilities = ["push"]\nskip_verify = true\nheader = { a = "b" }\ndial_timeout = "1s"\n';
  const [own] = (await look({ '/h/reg.io/hosts.toml': text }, 'reg.io')).hosts;
  assert.deepEqual(own, {
    name: 'reg.io',
    base: new URL('https://reg.io/v2'),
    capabilities: ['push'],
    tls: { skipVerify: true },
    headers: { a: 'b' },
    dialTimeout: 1000,
  });
});

test('--plain-http is for the registry itself only; TLS settings make a local one TLS', async () => {
  const text = '[host.m1]\n';
  const plain = await look({ '/h/reg.io/hosts.toml': text }, 'reg.io', { dir: '/h', plainHttp: true });
  assert.deepEqual(bases(plain), ['https://m1/v2', 'http://reg.io/v2']);
  const local = await look({ '/h/_default/hosts.toml': 'skip_verify = true' }, 'localhost:5000');
  assert.deepEqual(bases(local), ['https://localhost:5000/v2']);
  assert.deepEqual(bases(await look({ '/h/_default/hosts.toml': '#' }, 'localhost:5000')), [
    'http://localhost:5000/v2',
  ]);
});

const OWN: readonly (readonly [string, string, Partial<Host>])[] = [
  ['reg.io', 'https://m1', { name: 'm1', namespace: 'reg.io' }],
  ['reg.io', 'https://m1:5000', { name: 'm1:5000', namespace: 'reg.io' }],
  ['reg.io', 'https://reg.io', { name: 'reg.io' }],
  ['reg.io', 'https://reg.io:443', { name: 'reg.io' }],
  ['reg.io', 'https://reg.io:5000', { name: 'reg.io:5000', namespace: 'reg.io' }],
  ['docker.io', 'https://registry-1.docker.io', { name: 'docker.io' }],
  ['docker.io', 'http://127.0.0.1:15000', { name: '127.0.0.1:15000', namespace: 'docker.io' }],
  ['registry-1.docker.io', 'https://docker.io', { name: 'docker.io', namespace: 'registry-1.docker.io' }],
];
for (const [namespace, server, expected] of OWN) {
  test(`ns and credentials: ${server} for ${namespace}`, async () => {
    const { hosts } = await look({ '/h/_default/hosts.toml': `server = "${server}"` }, namespace);
    assert.equal(hosts[0]?.name, expected.name);
    assert.equal(hosts[0]?.namespace, expected.namespace);
  });
}

test('a host listed twice is asked once, unless the second may do more', async () => {
  const files = (capabilities: string): Files => ({
    '/h/reg.io/hosts.toml': `server = "m1"\n[host.m1]\ncapabilities = ${capabilities}`,
  });
  assert.equal((await look(files('["pull", "resolve"]'), 'reg.io')).hosts.length, 1);
  assert.equal((await look(files('["pull"]'), 'reg.io')).hosts.length, 2);
});

test('certificates of hosts.toml, relative to it or absolute', async () => {
  const text = '[host.m1]\nca = ["ca.pem", "/abs.pem"]\nclient = [["c.pem", "k.pem"]]\n';
  const files: Files = {
    '/h/reg.io/hosts.toml': text,
    '/h/reg.io/ca.pem': `${CERT}1`,
    '/abs.pem': `${CERT}2`,
    '/h/reg.io/c.pem': CERT,
    '/h/reg.io/k.pem': KEY,
  };
  const [host] = (await look(files, 'reg.io')).hosts;
  assert.deepEqual(host?.tls, { extraCa: `${CERT}1\n${CERT}2`, cert: CERT, key: KEY });
});

const BROKEN_FILES: readonly (readonly [string, Files, RegExp])[] = [
  ['ca = "x.pem"', {}, / \/h\/reg\.io\/hosts\.toml:1: ca: no such file: \/h\/reg\.io\/x\.pem$/],
  ['\nca = "x.pem"', { '/h/reg.io/x.pem': 'no' }, /hosts\.toml:2: ca: \S+x\.pem holds no certificate/],
  ['client = "x.pem"', { '/h/reg.io/x.pem': CERT }, /:1: client: \S+x\.pem holds no unencrypted key/],
  ['server = 5', {}, / \/h\/reg\.io\/hosts\.toml:1: server: must be a string/],
  ['server = ', {}, / \/h\/reg\.io\/hosts\.toml:1:/],
];
for (const [text, files, message] of BROKEN_FILES) {
  test(`a broken hosts directory is an error, never the default: ${JSON.stringify(text)}`, async () => {
    await assert.rejects(look({ '/h/reg.io/hosts.toml': text, ...files }, 'reg.io'), message);
  });
}

test('Docker’s layout: .crt, .cert with or without .key; a .key alone is nothing', async () => {
  const dir = '/h/localhost:5000';
  const ca: Files = { [`${dir}/a.crt`]: CERT, [`${dir}/b.crt`]: CERT, [`${dir}/alone.key`]: KEY };
  const list = await look(ca, 'localhost:5000');
  assert.deepEqual(bases(list), ['https://localhost:5000/v2']);
  assert.deepEqual(list.hosts[0]?.tls, { extraCa: `${CERT}\n${CERT}` });
  const pair = await look({ [`${dir}/x.cert`]: CERT, [`${dir}/x.key`]: KEY }, 'localhost:5000');
  assert.deepEqual(pair.hosts[0]?.tls, { cert: CERT, key: KEY });
  const both = await look({ [`${dir}/x.cert`]: CERT + KEY }, 'localhost:5000');
  assert.deepEqual(both.hosts[0]?.tls, { cert: CERT + KEY, key: CERT + KEY });
  await assert.rejects(
    look({ [`${dir}/x.cert`]: CERT }, 'localhost:5000'),
    /x\.cert holds no unencrypted key/,
  );
  await assert.rejects(look({ [`${dir}/x.crt`]: '' }, 'localhost:5000'), /x\.crt holds no certificate/);
});

test('a second client certificate is not used, and that is told', async () => {
  const files: Files = { '/h/reg.io/a.cert': CERT + KEY, '/h/reg.io/b.cert': CERT + KEY };
  const { warnings } = await look(files, 'reg.io');
  assert.deepEqual(warnings, ['/h/reg.io: only the first of 2 client certificates is used']);
});

test('skip_verify = false of a host is kept, whatever holds for all', async () => {
  const tls = { skipVerify: true };
  const file = {
    '/h/_default/hosts.toml': 'skip_verify = false\n[host.m1]\nskip_verify = false\n[host.m2]\n',
  };
  const { hosts } = await look(file, 'reg.io', { dir: '/h', tls });
  assert.deepEqual(
    hosts.map((host) => host.tls?.skipVerify),
    [false, undefined, false],
  );
});

test('a mirror below a path for docker.io: the tag is for the server, the digest for the mirror, both with ns', async () => {
  const text = `server = "http://127.0.0.1:15000"
[host."http://127.0.0.1:15001/v2/cache"]
  capabilities = ["pull"]
  override_path = true
`;
  const { hosts } = await look({ '/h/docker.io/hosts.toml': text }, 'docker.io');
  const asked = (operation: 'resolve' | 'fetch', object: string): string[] =>
    hosts
      .filter((host) => isCapable(host, operation, { digest: undefined }))
      .map((host) => objectUrl(host, 'library/alpine', 'manifests', object).href);
  assert.deepEqual(asked('resolve', 'single'), [
    'http://127.0.0.1:15000/v2/library/alpine/manifests/single?ns=docker.io',
  ]);
  assert.deepEqual(asked('fetch', 'sha256:0'), [
    'http://127.0.0.1:15001/v2/cache/library/alpine/manifests/sha256:0?ns=docker.io',
    'http://127.0.0.1:15000/v2/library/alpine/manifests/sha256:0?ns=docker.io',
  ]);
});

test('a namespace is looked up once, however much is asked and fetched', async () => {
  let looked = 0;
  const hosts = hostsFromDirs(
    { fs: fileSystem({ '/h/reg.io/hosts.toml': 'server = "m1"' }), warn: () => {} },
    { dir: '/h' },
  );
  const counted: Hosts = async (...asked) => {
    looked++;
    return await hosts(...asked);
  };
  const transports = scripted(() => ({ status: 404 }));
  await withClient({ hosts: counted, transports }, async (client) => {
    const asked = ['reg.io/a:1', 'reg.io/b:1'].map((name) => client.resolve(parseReference(name)));
    const answers = await Promise.allSettled(asked);
    assert.ok(answers.every(({ status }) => status === 'rejected'));
    const desc = descriptor('x/y', `sha256:${'0'.repeat(64)}`, 1);
    await assert.rejects(client.fetcher(parseReference('reg.io/a:1')).fetch(desc));
  });
  assert.equal(looked, 1);
  assert.equal(
    transports.requests.length,
    6,
    'HEAD and GET of two tags; GET of the content at both endpoints',
  );
  assert.ok(transports.requests.every(({ url }) => url.host === 'm1' && url.search === '?ns=reg.io'));
});
