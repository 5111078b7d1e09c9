/** `hawser resolve`: the answer, how it was found, and that no secret is told. Against the test registry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../../src/cli/run.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { openRegistry, type RegistryOptions } from '../../../src/core/registry/open.ts';
import { createHashers } from '../../../src/platform/codecs/hashers.ts';
import { fakeClock, transports } from '../../registry/client.ts';
import { buildImage, buildIndex, type TestImage } from '../../registry/image.ts';
import { startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { schema1 } from '../../registry/zoo/images.ts';
import { fakeRuntime } from './fake-runtime.ts';

const AUTH = { mode: 'bearer', user: 'u', pass: 'hunter2hunter2' } as const;
const USER = ['--user', 'u:hunter2hunter2'];
const SECRET = /hunter2|token-\d|dTpodW50/;

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

type Go = (
  args: readonly string[],
  env?: Record<string, string>,
  hosts?: RegistryOptions['hosts'],
) => Promise<Ran>;

async function withRegistry(
  body: (registry: TestRegistry, ref: string, go: Go) => Promise<void>,
): Promise<void> {
  const limits = { 'RateLimit-Remaining': '76;w=21600', 'Docker-RateLimit-Source': '192.0.2.1' };
  const warns = { Warning: '299 - "use%20v2"' };
  const faults = [
    { match: '/manifests/v1', headers: limits },
    { match: '/manifests/old', headers: warns },
  ];
  const registry = await startRegistry({ auth: AUTH, faults });
  try {
    const image = await buildImage({ layers: [] });
    registry.push('a/b', 'old', image);
    const ref = registry.push('a/b', 'v1', image);
    await body(registry, ref, async (args, env = {}, hosts = undefined) => {
      const fake = fakeRuntime({ env });
      const open = (_: unknown, opts: RegistryOptions) =>
        openRegistry({ transports: transports(), clock: fakeClock() }, { ...opts, ...(hosts && { hosts }) });
      const runtime = { ...fake.runtime, hashers: createHashers() };
      const code = await run(runtime, ['resolve', ...args], {
        openRegistry: open,
      } as unknown as Services);
      const ran = { code, out: fake.out(), err: fake.err() };
      assert.doesNotMatch(ran.out + ran.err, SECRET);
      return ran;
    });
  } finally {
    await registry.close();
  }
}

test('resolve: the digest and nothing else; as JSON the descriptor', async () => {
  await withRegistry(async (registry, ref, go) => {
    const { code, out, err } = await go([ref, ...USER]);
    assert.match(out, /^sha256:[0-9a-f]{64}\n$/);
    assert.deepEqual([code, err], [0, '']);
    const document = JSON.parse((await go([ref, ...USER, '--json'])).out);
    assert.deepEqual(Object.keys(document), ['v', 'type', 'name', 'root']);
    assert.equal(`${document.root.digest}\n`, out);
    assert.equal(document.name, ref);
    assert.equal(registry.traffic('/blobs/').requests, 0);
  });
});

test('resolve: what the registry warns of, once', async () => {
  await withRegistry(async ({ host }, ref, go) => {
    const old = ref.replace(':v1', ':old');
    const plain = await go([old, ...USER]);
    assert.match(plain.out, /^sha256:[0-9a-f]{64}\n$/);
    assert.equal(plain.err, `warning: ${host} says: use v2\n`);
    const explained = await go(['--explain', old, ...USER]);
    assert.ok(explained.out.includes(`warnings\n  ${host} says: use v2\nresult\n`), explained.out);
    assert.equal(explained.err, '');
  });
});

test('resolve --explain: hosts, credentials, attempts, requests and limits, in this order', async () => {
  await withRegistry(async ({ host }, ref, go) => {
    const { out } = await go(['--explain', ref, ...USER]);
    const headings = out.split('\n').filter((line) => line !== '' && !line.startsWith(' '));
    assert.deepEqual(headings, [
      `reference ${ref}`,
      `hosts for ${host} (from default)`,
      'credentials',
      'attempts',
      'requests',
      'rate limits',
      'result',
      'verdict',
    ]);
    assert.match(out, /1\. http:\/\/127\.0\.0\.1:\d+\/v2: may pull, resolve, push, referrers; no proxy\n/);
    assert.match(out, /credentials\n {2}127\.0\.0\.1:\d+: from \S+/);
    assert.match(out, /attempts\n {2}http:\/\/127\.0\.0\.1:\d+\/v2: answered in /);
    assert.match(out, /HEAD \S+ 401 .*\n {2}POST \S+\/token 200 .*\n {2}HEAD \S+ 200 /);
    assert.match(out, /: docker-ratelimit-source 192\.0\.2\.1\n.*: ratelimit-remaining 76;w=21600\n/);
    assert.match(
      out,
      /result\n {2}application\/vnd\.oci\.image\.manifest\.v1\+json sha256:[0-9a-f]{64} \d+ bytes\nverdict\n {2}the image may come in, and nobody vouches for it\n$/,
    );
  });
});

test('resolve --explain: why each host was left, whatever came of it', async () => {
  await withRegistry(async (registry, ref, go) => {
    const closed = await startRegistry();
    await closed.close();
    const base = (url: string) => ({ name: new URL(url).host, base: new URL(url) });
    const hosts: RegistryOptions['hosts'] = async () => ({
      source: '/etc/hosts.d/hosts.toml',
      hosts: [
        { ...base(`${closed.url}/v2`), capabilities: ['pull', 'resolve'], namespace: 'x' },
        {
          ...base('http://127.0.0.1:2/v2'),
          capabilities: ['push'],
          namespace: 'x',
          headers: { 'x-key': 's' },
        },
        { ...base(`${registry.url}/v2`), capabilities: ['pull', 'resolve'] },
      ],
    });
    const { code, out } = await go(['--explain', ref, ...USER], {}, hosts);
    assert.equal(code, 0);
    assert.match(
      out,
      /from \/etc\/hosts\.d\/hosts\.toml\)\n {2}1\. http:\/\/127\.0\.0\.1:\d+\/v2: mirror; may pull, resolve;/,
    );
    assert.match(out, /2\. .*: mirror; may push; no proxy; adds x-key\n/);
    assert.match(out, /:2\/v2: not asked to resolve: its capabilities are push\n/);
    assert.match(out, /:\d+\/v2: left after .*refused.*\n.*: answered in /);

    const failed = await go(['--explain', ref.replace(':v1', ':v2'), ...USER], {}, hosts);
    assert.equal(failed.code, 1);
    assert.match(failed.out, /left after .*: not found.*\nrequests\n/);
    assert.match(failed.out, /result\n {2}failed: .*not found/);
    assert.match(failed.err, /^hawser: failed to resolve reference "/);
    const document = JSON.parse((await go(['--json', '--explain', ref.replace(':v1', ':v2'), ...USER])).out);
    assert.equal(document.error.kind, 'NotFound');
    assert.ok(document.events.some((event: { type: string }) => event.type === 'attempt'));
  });
});

test('resolve --explain: anonymous, and the proxy without its password', async () => {
  await withRegistry(async (_, ref, go) => {
    const anonymous = await go(['--explain', ref]);
    assert.equal(anonymous.code, 1);
    assert.match(anonymous.out, /credentials\n {2}127\.0\.0\.1:\d+: none, asked anonymously\n/);
    assert.match(anonymous.out, /GET \S+\/token\?service=testsvc&scope=\S+ 401 /);
    const env = { HTTPS_PROXY: 'http://me:hunter2@127.0.0.1:1' };
    const proxied = await go(['--explain', 'registry.invalid/a:1'], env);
    assert.match(proxied.out, /through the proxy http:\/\/127\.0\.0\.1:1\n/);
  });
});

test('resolve: without a reference, and one that is none', async () => {
  await withRegistry(async (_, __, go) => {
    assert.match((await go([])).err, /please provide an image reference to resolve/);
    assert.equal((await go(['https://x/y:1'])).code, 1);
  });
});

test('resolve --platform: what a pull of each platform would take, nested or not, and no layer is asked for', async () => {
  await withRegistry(async (registry, _, go) => {
    const layers = [{ entries: [{ name: 'a', data: 'x' }] }];
    const of = (architecture: string) => buildImage({ layers, platform: { os: 'linux', architecture } });
    const [amd, arm, s390] = [await of('amd64'), await of('arm64'), await of('s390x')];
    const untold = { ...s390, platform: undefined };
    const index = buildIndex([amd, { ...buildIndex([arm]), platform: undefined }, untold]);
    const ref = registry.push('a/i', 'v1', index);
    const digests = (...images: TestImage[]) => images.map(({ root }) => `${root.digest}\n`).join('');
    const platforms = (...names: string[]) => names.flatMap((name) => ['--platform', name]);
    const two = await go([ref, ...USER, ...platforms('linux/arm64', 'amd64')]);
    assert.deepEqual([two.code, two.out, two.err], [0, digests(arm, amd), '']);
    assert.equal((await go([ref, ...USER, ...platforms('linux/s390x')])).out, digests(s390), 'by its config');
    assert.equal(registry.traffic(amd.layers[0]?.digest).requests, 0);

    const json = JSON.parse((await go([ref, ...USER, '--json', ...platforms('linux/arm64')])).out);
    assert.equal(json.root.digest, index.root.digest);
    const { mediaType, digest, bytes } = arm.root;
    assert.deepEqual(json.platforms, [{ platform: 'linux/arm64', mediaType, digest, size: bytes.length }]);
    const explained = await go([ref, ...USER, '--explain', ...platforms('linux/arm64')]);
    assert.ok(
      explained.out.includes(`\n  linux/arm64: ${mediaType} ${digest} ${bytes.length} bytes\nverdict\n`),
    );

    const absent = await go([ref, ...USER, ...platforms('linux/arm64', 'linux/riscv64')]);
    assert.deepEqual([absent.code, absent.out], [1, '']);
    assert.match(
      absent.err,
      /no match for platform linux\/riscv64\n.*The image has: linux\/amd64, linux\/arm64, linux\/s390x\./,
    );
  });
});

test('resolve --platform: a manifest is the answer when it is for the platform', async () => {
  await withRegistry(async (registry, ref, go) => {
    const plain = await go([ref, ...USER]);
    assert.equal((await go([ref, ...USER, '--platform', 'linux/amd64'])).out, plain.out);
    const other = await go([ref, ...USER, '--platform', 'linux/arm64']);
    assert.match(other.err, /no match for platform linux\/arm64\n.*The image has: linux\/amd64\./);
    const old = await go([registry.push('a/s', 'v1', schema1()), ...USER, '--platform', 'linux/amd64']);
    assert.match(old.err, /Cannot tell the platform of .*: it is of schema 1\n/);
    assert.match((await go([ref, ...USER, '--platform', 'a/b/c/d'])).err, /cannot parse platform/);
  });
});
