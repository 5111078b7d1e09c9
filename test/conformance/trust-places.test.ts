/** Each place that brings an image somewhere, or tells of one, tells the verdict, too: who vouches, and what finding that has cost. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseReference } from '../../src/core/reference/parse.ts';
import type { PullThroughOptions } from '../../src/core/verbs/pull-through.ts';
import { PullThrough } from '../../src/core/verbs/pull-through.ts';
import { partsOf } from '../../src/entry/stores.ts';
import { copy, fetch, openStore, pull, type Store, type Voucher } from '../../src/mod.ts';
import { withClient } from '../registry/client.ts';
import { buildIndex } from '../registry/image.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { image, rejectsWith, runtimeOf } from '../support/bench.ts';
import { type RanHere, runHere } from '../support/command-line.ts';
import { needs } from '../support/needs.ts';
import { tempDir } from '../support/tmp.ts';
import { keyFile, policyOf, serveTrustFixtures, trustCases } from '../support/trust-fixtures.ts';

const API = { lists: { referrers: { filters: true } } };
const [OURS, THEIRS] = [keyFile('k1.pub'), keyFile('k2.pub')];
const SIGNED = 'fx/b01-valid';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const ATTESTATION = {
  platform: { os: 'unknown', architecture: 'unknown' },
  annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
};

interface World {
  readonly registry: TestRegistry;
  readonly store: Store;
  readonly dir: string;
  readonly ref: string;
  go(...args: readonly string[]): Promise<RanHere>;
}

async function withWorld(
  body: (world: World) => Promise<void>,
  options: RegistryOptions = API,
): Promise<void> {
  const dir = tempDir();
  const registry = await startRegistry({ uploads: { checks: true }, ...options });
  serveTrustFixtures(registry);
  const store = await openStore({ root: join(dir.path, 'runtime') });
  const runtime = runtimeOf(store);
  const go: World['go'] = (...args) => runHere(runtime, join(dir.path, 'root'), args);
  try {
    await body({ registry, store, dir: dir.path, ref: `${registry.host}/${SIGNED}:1`, go });
  } finally {
    await store[Symbol.asyncDispose]();
    await registry.close();
    dir[Symbol.dispose]();
  }
}

/** A policy that takes what the key has signed under the name that the fixture was made with. */
function policyFor(name: string, dir: string): string {
  const path = join(dir, `${name.replaceAll('/', '-')}.json`);
  const rule = { type: 'exactRepository', dockerRepository: `registry.test/${name}` };
  const requirement = { type: 'sigstore', keyPath: OURS, signedIdentity: rule };
  writeFileSync(path, JSON.stringify({ default: [requirement] }));
  return path;
}

/** What finding a signature costs (section 4 of the facts about trust): requests after that for the manifest, and bytes of their answers. */
const COSTS: readonly (readonly [string, string, RegistryOptions, number, number])[] = [
  ['at the tag of signatures', 'fx/k12b-rollback-no-tag', API, 2, 1000],
  ['a bundle by the API', SIGNED, API, 4, 2600],
  ['a bundle by the fallback tag', SIGNED, {}, 5, 2900],
  ['keyless, at the tag of signatures', 'fx/f01-valid', API, 2, 5000],
  ['keyless, a bundle by the API', 'fx/b20-keyless', API, 3, 5900],
  ['keyless, a bundle by the fallback tag', 'fx/b20-keyless', {}, 4, 5900],
];
for (const [what, name, options, requests, most] of COSTS)
  test(`a voucher has what it has cost: ${what}`, () =>
    withWorld(async ({ registry, store, dir }) => {
      const before = registry.requests.length;
      const keyless = trustCases.find(({ id, cosign }) => `fx/${id}` === name && cosign?.key === undefined);
      const policy = keyless === undefined ? policyFor(name, dir) : join(dir, 'keyless.json');
      if (keyless !== undefined) writeFileSync(policy, policyOf(keyless, registry.host));
      const { verified } = await fetch(`${registry.host}/${name}:1`, { store, verify: { policy } });
      const [voucher] = verified?.[0]?.vouchers ?? [];
      assert.equal(voucher?.requests, requests);
      // The first of all is for the image.
      const asked = registry.requests.slice(before + 1, before + 1 + requests);
      assert.equal(
        voucher?.bytes,
        asked.reduce((sum, { sent }) => sum + sent, 0),
      );
      assert.ok((voucher?.bytes ?? 0) < most, `${voucher?.bytes} bytes`);
    }, options));

test('of an index that is not signed, each voucher has what was asked since the one before', () =>
  withWorld(async ({ registry, store, dir }) => {
    const name = 'fx/k25-instance-signed';
    const { verified } = await fetch(`${registry.host}/${name}:1`, {
      ...{ store, platforms: ['linux/amd64'] },
      verify: { policy: policyFor(name, dir) },
    });
    const vouchers = verified?.[0]?.vouchers ?? [];
    // The tag of the index and its referrers, in vain; the index; tag and payload.
    assert.deepEqual(
      vouchers.map(({ requests }) => requests),
      [5],
    );
  }));

test('resolve --explain tells what a pull would do, as text and as JSON', () =>
  withWorld(async ({ ref, go, registry, dir }) => {
    const good = await go('resolve', '--explain', ref, '--verify-key', OURS);
    assert.equal(good.code, 0, good.err);
    const line =
      /\nverdict\n {2}verified: key SHA256:\S+, by a bundle among the referrers, 4 requests, \S+ \S+ \(policy of the command line, scope default\)\n/;
    assert.match(good.out, line);
    const json = JSON.parse((await go('resolve', '--explain', ref, '--verify-key', OURS, '--json')).out);
    assert.equal(json.verdict.accepted, true);
    assert.deepEqual(json.verdict.by, ['policy of the command line, scope default']);
    assert.equal(json.verdict.verified[0].requests, 4);
    const bad = await go('resolve', '--explain', ref, '--verify-key', THEIRS);
    assert.equal(bad.code, 1);
    assert.match(
      bad.out,
      /\nresult\n.* sha256:\w+ .*\nverdict\n {2}the image may not come in: .*none good: 1 is by another key/,
    );
    assert.match(bad.err, /1 is by another key/);
    const refused = JSON.parse((await go('resolve', '--explain', ref, '--verify-key', THEIRS, '--json')).out);
    assert.deepEqual([refused.verdict.accepted, refused.verdict.error.kind], [false, 'PermissionDenied']);
    assert.match(refused.root.digest, /^sha256:/);
    const none = await go('resolve', '--explain', ref);
    assert.match(none.out, /\nverdict\n {2}the image may come in, and nobody vouches for it\n/);
    // A registry that cannot be asked for signatures is no refusal, and nothing else either.
    registry.faults.push({ match: /\.sig|referrers/, status: 500 });
    const away = await go('resolve', '--explain', ref, '--verify-key', OURS, '--retry-time', '0s');
    assert.equal(away.code, 1);
    assert.match(away.out, /the image may not come in: /);
    const odd = await go('resolve', '--explain', ref, '--policy', join(dir, 'none.json'));
    assert.match(odd.err, /none\.json/);
    assert.notEqual(odd.code, 0);
  }));

test('resolve prints the digest of an image only if those who are asked let it in', () =>
  withWorld(async ({ ref, go, registry }) => {
    const good = await go('resolve', ref, '--verify-key', OURS);
    assert.deepEqual([good.code, /^sha256:\w+\n$/.test(good.out)], [0, true], good.err);
    for (const args of [['--verify-key', THEIRS], ['--require-signed']]) {
      const { code, out } = await go('resolve', ref, ...args);
      assert.deepEqual([code, out], [1, ''], `${args}`);
    }
    registry.requests.length = 0;
    assert.equal((await go('resolve', ref)).code, 0);
    assert.equal(registry.requests.length, 1, registry.log().join('\n'));
  }));

test('a pull tells the verdict in its events, its result, its JSON and its report', () =>
  withWorld(async ({ ref, go, dir }) => {
    const report = join(dir, 'report.html');
    const flags = ['--verify-key', OURS];
    const pulled = await go('pull', ...flags, '--json', '--report', report, ref);
    assert.equal(pulled.code, 0, pulled.err);
    const { verified } = JSON.parse(pulled.out).done[0] as { verified: readonly Voucher[] };
    assert.deepEqual([verified[0]?.format, verified[0]?.requests], ['bundle', 4]);
    const page = readFileSync(report, 'utf8');
    assert.match(
      page,
      /<p>Verified: key SHA256:\S+, by a bundle among the referrers, 4 requests, .*scope default\)<\/p>/,
    );
    const events = await go('pull', ...flags, '--progress', 'json', ref);
    const lines = events.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(lines.find(({ type }) => type === 'verified')?.vouchers[0].requests, 4);
  }));

const DIRECTORIES: Readonly<Record<string, (ref: string, out: string) => readonly string[]>> = {
  'unpack --rootfs': (ref, out) => ['unpack', ref, '--rootfs', out],
  bundle: (ref, out) => ['bundle', ref, out],
};
for (const [what, args] of Object.entries(DIRECTORIES))
  test(`${what} tells the verdict, as text and as JSON`, () =>
    withWorld(async ({ ref, go, dir }) => {
      const how = ['--owner', 'ours', '--verify-key', OURS];
      const text = await go(...args(ref, join(dir, 'text')), ...how);
      assert.equal(text.code, 0, text.err);
      assert.match(text.out + text.err, /: verified sha256:\w+: key SHA256:/);
      const json = await go(...args(ref, join(dir, 'json')), ...how, '--json');
      assert.equal(json.code, 0, json.err);
      assert.equal(JSON.parse(json.out).done[0].verified[0].format, 'bundle');
    }));

test('the library: a pull has the vouchers in its result', () =>
  withWorld(async ({ ref, store }) => {
    const { verified } = await pull(ref, { store, verify: { keys: [OURS] } });
    assert.equal(verified?.length, 1);
    await rejectsWith(
      'PermissionDenied',
      /1 is by another key/,
      pull(ref, { store, verify: { keys: [THEIRS] } }),
    );
  }));

test('serve --pull-through tells its operator who vouches for an image, once', () =>
  withWorld(async ({ registry, store }) => {
    const { backend, runtime } = partsOf(store);
    const told: string[] = [];
    const verified: PullThroughOptions['verified'] = ({ name, by }) => void told.push(`${name} ${by}`);
    const accept = async () =>
      ({
        accepted: true,
        by: 'a test',
        vouchers: [{ by: 'verifier', digest: 'sha256:x', signer: 'p' }],
      }) as never;
    await withClient({ clock: runtime.clock }, async (client) => {
      const options = { hosts: new Set([registry.host]), id: 'x', keep: 60_000, warn: () => {}, verified };
      const deps = { backend, registry: client, clock: runtime.clock };
      const upstream = new PullThrough(deps, { ...options, judges: [{ judge: accept }] });
      const reference = parseReference(`${registry.host}/${SIGNED}:1`);
      try {
        for (let time = 0; time < 2; time++) await upstream.tag(reference, {});
      } finally {
        await upstream[Symbol.asyncDispose]();
      }
    });
    assert.deepEqual(told, [`${registry.host}/${SIGNED}:1 a test`]);
  }));

test('copy asks before the first byte goes on; what is refused is not there', () =>
  withWorld(async ({ ref, go, registry }) => {
    const to = `${registry.host}/copied/a:1`;
    const bad = await go('copy', '--verify-key', THEIRS, ref, to);
    assert.equal(bad.code, 1);
    assert.match(bad.err, /none good: 1 is by another key/);
    const written = () => registry.requests.filter(({ method }) => method !== 'GET' && method !== 'HEAD');
    assert.deepEqual(written(), []);
    assert.equal(registry.traffic('copied').requests, 0);
    const good = await go('copy', '--verify-key', OURS, ref, to, '--json');
    assert.equal(good.code, 0, good.err);
    assert.equal(JSON.parse(good.out).done[0].verified[0].by, 'key');
    assert.ok(written().length > 0);
    const verify = { keys: [THEIRS] };
    await rejectsWith(
      'PermissionDenied',
      /another key/,
      copy(ref, `${registry.host}/copied/b:1`, { verify, plainHttp: true }),
    );
    const { verified } = await copy(ref, `${registry.host}/copied/b:1`, {
      verify: { keys: [OURS] },
      plainHttp: true,
    });
    assert.equal(verified?.length, 1);
    // Signatures that are copied by themselves are signed by nobody.
    const sig = registry.log().find((line) => line.endsWith('.sig'));
    assert.ok(sig !== undefined);
  }));

/** What an unsigned index lists beside the image that is signed, what is copied of it, and the refusal. */
const COPIED: readonly (readonly [string, readonly string[], object, RegExp | undefined])[] = [
  [
    'all',
    [],
    { platform: { os: 'linux', architecture: 's390x' } },
    /of its manifest sha256:\w+: it is not signed/,
  ],
  ['all', [], ATTESTATION, /of its manifest sha256:\w+: it is not signed/],
  ['one platform', ['--platform', 'linux/amd64'], ATTESTATION, undefined],
  [
    'one platform and the index',
    ['--platform', 'linux/amd64', '--index', 'keep'],
    ATTESTATION,
    /nobody vouches for sha256:\w+, which goes along/,
  ],
  [
    'one platform and a new index',
    ['--platform', 'linux/amd64', '--index', 'rewrite'],
    ATTESTATION,
    /nobody vouches for/,
  ],
  [
    'one platform',
    ['--platform', 'linux/amd64'],
    { platform: { os: 'linux', architecture: 's390x' } },
    undefined,
  ],
];
for (const [what, flags, beside, says] of COPIED)
  test(`copy of an unsigned index, ${what} (${flags.at(-1) ?? 'keep'}), beside ${'annotations' in beside ? 'an attestation' : 'another image'}: ${says === undefined ? 'goes on' : 'refused'}`, () =>
    withWorld(async ({ registry, go, ref }) => {
      const other = await image('beside');
      registry.push(SIGNED, 'beside', other);
      const { root } = JSON.parse((await go('resolve', ref, '--json')).out);
      const strange = {
        mediaType: other.root.mediaType,
        digest: other.root.digest,
        size: other.root.bytes.length,
      };
      const manifests = [
        { ...root, platform: { os: 'linux', architecture: 'amd64' } },
        { ...strange, ...beside },
      ];
      const bytes = new TextEncoder().encode(
        JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }),
      );
      registry.putManifest(SIGNED, 'mixed', INDEX, bytes);
      const from = `${registry.host}/${SIGNED}:mixed`;
      const to = `${registry.host}/copied/mixed:1`;
      const { code, err } = await go('copy', ...flags, '--verify-key', OURS, from, to);
      assert.equal(code, says === undefined ? 0 : 1, err);
      if (says !== undefined) assert.match(err, says);
      const put = registry.requests.filter(
        ({ method, path }) => method === 'PUT' && path.includes('/copied/'),
      );
      if (says !== undefined) assert.deepEqual(put, []);
    }));

test('without a policy a pull makes no request more than tag, documents and layers take, and loads nothing that checks', () =>
  withWorld(async ({ registry, store }) => {
    const signatures = async () => assert.fail('what checks signatures was loaded');
    const runtime = { ...runtimeOf(store), signatures };
    const one = await image('plain');
    registry.push('plain/a', '1', one);
    registry.push(
      'plain/many',
      '1',
      buildIndex([one, await image('other', { platform: { os: 'linux', architecture: 's390x' } })]),
    );
    for (const [name, count] of [
      ['plain/a', 5],
      ['plain/many', 6],
    ] as const) {
      for (const args of [[], ['--policy', 'none']]) {
        registry.requests.length = 0;
        const root = join(tempDir().path, 'root');
        const ref = `${registry.host}/${name}:1`;
        const { code, err } = await runHere(runtime, root, [
          'pull',
          '--platform',
          'linux/amd64',
          ...args,
          ref,
        ]);
        assert.equal(code, 0, err);
        assert.equal(registry.requests.length, count, registry.log().join('\n'));
      }
    }
  }));

test(
  'a key, or a policy, that everybody can change proves nothing to root',
  {
    skip: needs({ root: true }),
  },
  () =>
    withWorld(async ({ ref, go, dir }) => {
      const key = join(dir, 'cosign.pub');
      writeFileSync(key, readFileSync(OURS));
      assert.equal((await go('content', 'fetch', '--verify-key', key, ref)).code, 0);
      chmodSync(key, 0o666);
      const { code, err } = await go('content', 'fetch', '--verify-key', key, ref);
      assert.equal(code, 1);
      assert.match(
        err,
        /Cannot use the key \S+cosign\.pub: \S+ can be written to by other users\nhint: Let nobody but root/,
      );
      const policy = policyFor(SIGNED, dir);
      chmodSync(policy, 0o606);
      const other = await go('verify', '--policy', policy, ref);
      assert.match(other.err, /Cannot use the policy \S+: \S+ can be written to by other users/);
    }),
);
