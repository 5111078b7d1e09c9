/** Signatures before the first byte: the verbs over a store and a test registry that serves signed images. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fetchImage } from '../../src/core/verbs/fetch.ts';
import { withDeps } from '../../src/entry/api.ts';
import { apiGate } from '../../src/entry/gate.ts';
import { fetch, importImages, type PolicyChoice, type Subject, type Verdict } from '../../src/mod.ts';
import { buildIndex } from '../registry/image.ts';
import type { RegistryOptions } from '../registry/registry.ts';
import { type Bench, image, rejectsWith, runtimeOf, withBench } from '../support/bench.ts';
import { runHere } from '../support/command-line.ts';
import { failure } from '../support/failure.ts';
import { tempDir } from '../support/tmp.ts';
import { keyFile, repositoryOf, serveTrustFixtures } from '../support/trust-fixtures.ts';

const API = { lists: { referrers: { filters: true } } };
const K1: PolicyChoice = { keys: [keyFile('k1.pub')] };
const SIGNED = 'fx/b01-valid';
const INDEX = 'application/vnd.oci.image.index.v1+json';

const withFixtures = (body: (bench: Bench) => Promise<void>, options: RegistryOptions = API): Promise<void> =>
  withBench(async (bench) => {
    serveTrustFixtures(bench.registry);
    await body(bench);
  }, options);

/** Nothing is recorded, and nothing but what was looked at was asked for. */
async function nothingCame({ store, registry }: Bench): Promise<void> {
  assert.deepEqual(await store.images.list(), []);
  assert.deepEqual(await store.content.list(), []);
  assert.deepEqual(await store.leases.list(), []);
  const asked = registry.log().filter((line) => /GET \/fx\/[^/]+\/blobs\//.test(line));
  for (const line of asked) {
    const digest = line.split('/').at(-1) ?? '';
    const bytes = await registry.content(SIGNED, digest);
    const text = new TextDecoder().decode(bytes);
    assert.doesNotMatch(text, /"rootfs"/, 'a config was fetched');
    assert.match(text, /^\{/, 'a layer was fetched');
  }
}

const refOf = ({ registry }: Bench, name = SIGNED) => `${registry.host}/${name}:1`;

test('a signature by the right key lets an image in; the result and the events say who vouches', () =>
  withFixtures(async (bench) => {
    const { store, registry, events } = bench;
    const result = await fetch(refOf(bench), {
      store,
      verify: K1,
      onProgress: (one) => void events.push(one),
    });
    const [voucher, ...more] = result.verified?.flatMap(({ vouchers }) => vouchers) ?? [];
    assert.deepEqual(more, []);
    assert.equal(voucher?.by, 'key');
    assert.equal(voucher?.format, 'bundle');
    assert.equal(voucher?.digest, result.target.digest);
    assert.match(voucher?.signer ?? '', /^SHA256:/);
    const verified = events.findIndex(({ type }) => type === 'verified');
    const first = events.findIndex(({ type }) => type === 'blob');
    assert.ok(verified >= 0 && verified < first, 'before the first blob');
    assert.ok(registry.log().length > 0);
  }));

test('another key, and no signature at all: nothing of the image is asked for', () =>
  withFixtures(async (bench) => {
    const verify = { keys: [keyFile('k2.pub')] };
    const { store } = bench;
    await rejectsWith(
      'PermissionDenied',
      /1 bundle, none good: 1 is by another key/,
      fetch(refOf(bench), { store, verify }),
    );
    const unsigned = fetch(refOf(bench, 'fx/k06-unsigned'), { store, verify: K1 });
    await rejectsWith(
      'PermissionDenied',
      /is not signed: no signature at sha256-\w+\.sig, no bundle among its referrers/,
      unsigned,
    );
    await nothingCame(bench);
  }));

const REQUESTS: readonly (readonly [string, string, RegistryOptions, readonly string[]])[] = [
  ['an attachment', 'fx/k12b-rollback-no-tag', API, ['.sig', 'blobs/']],
  ['a bundle by the API', SIGNED, API, ['.sig', 'referrers/', 'manifests/', 'blobs/']],
  [
    'a bundle by the fallback tag',
    SIGNED,
    {},
    ['.sig', 'referrers/', 'manifests/sha256-', 'manifests/', 'blobs/'],
  ],
  ['none', 'fx/k06-unsigned', API, ['.sig', 'referrers/']],
  ['none without the API', 'fx/k06-unsigned', {}, ['.sig', 'referrers/', 'manifests/sha256-']],
];
for (const [what, name, options, wanted] of REQUESTS) {
  test(`as few requests as there can be: ${what}`, () =>
    withFixtures(async (bench) => {
      const { registry, store } = bench;
      const accept = async (subject: Subject): Promise<Verdict> => {
        registry.requests.length = 0;
        return { accepted: true, by: `a test of ${subject.reference.name}`, vouchers: [] };
      };
      const seen: string[] = [];
      const refuse = async (): Promise<Verdict> => {
        seen.push(...registry.log());
        return { accepted: false, by: 'a test', reason: 'enough' };
      };
      // The names of the fixtures are of another registry.
      const path = join(tempDir().path, 'policy.json');
      const rule = { type: 'exactRepository', dockerRepository: `registry.test/${name}` };
      const requirement = { type: 'sigstore', keyPath: keyFile('k1.pub'), signedIdentity: rule };
      writeFileSync(path, JSON.stringify({ default: [requirement] }));
      const gate = apiGate(runtimeOf(store), { verify: { policy: path } });
      const judges = [{ judge: accept }, ...(gate.judges ?? []), { judge: refuse }];
      await failure(
        withDeps(refOf(bench, name), { store }, (own, given) => fetchImage(own, { ...given, judges })),
      );
      if (seen.length === 0) seen.push(...registry.log());
      assert.equal(seen.length, wanted.length, seen.join('\n'));
      for (const [at, part] of wanted.entries()) assert.ok(seen[at]?.includes(part), `${at}: ${seen[at]}`);
    }, options));
}

for (const status of [401, 403, 429, 500, 503]) {
  for (const match of [/\.sig$/, /referrers/]) {
    test(`an answer of ${status} to ${match.source} is no proof that there is no signature`, () =>
      withFixtures(async (bench) => {
        const { store, registry } = bench;
        registry.faults.push({ match, status });
        const ref = refOf(bench, 'fx/k06-unsigned');
        const err = await failure(fetch(ref, { store, verify: K1, retry: { tries: 0 } }));
        assert.match(err.message, new RegExp(`signatures|bundles|${status}`));
        assert.doesNotMatch(err.message, /is not signed/);
        await nothingCame(bench);
      }));
  }
}

test('one format that cannot be looked at does not hide a good signature of the other', () =>
  withFixtures(async (bench) => {
    bench.registry.faults.push({ match: /\.sig$/, status: 500 });
    const { verified } = await fetch(refOf(bench), { store: bench.store, verify: K1, retry: { tries: 0 } });
    assert.equal(verified?.length, 1);
  }));

test('a tag that moves between the verdict and the pull moves nothing: the judged digest is pulled', () =>
  withFixtures(async (bench) => {
    const { store, registry } = bench;
    const other = await image('other');
    const seen: string[] = [];
    const verify = async ({ root }: Subject): Promise<Verdict> => {
      seen.push(root.digest);
      registry.push(SIGNED, '1', other);
      return { accepted: true, by: 'a test', vouchers: [] };
    };
    const { target } = await fetch(refOf(bench), { store, verify });
    assert.deepEqual([target.digest], seen);
    assert.notEqual(target.digest, other.root.digest);
  }));

test('a function decides: its failure keeps the image out, and nothing but a plain yes lets it in', () =>
  withFixtures(async (bench) => {
    const { store } = bench;
    const failing = async (): Promise<Verdict> => {
      throw new Error('the service is away');
    };
    await assert.rejects(fetch(refOf(bench), { store, verify: failing }), /the service is away/);
    for (const odd of [undefined, null, true, {}, { accepted: 'yes' }]) {
      const verify = async () => odd as unknown as Verdict;
      await assert.rejects(fetch(refOf(bench), { store, verify }));
    }
    await nothingCame(bench);
  }));

test('a required signature: a policy that accepts anything is not enough', () =>
  withFixtures(async (bench) => {
    const { store } = bench;
    const path = join(tempDir().path, 'policy.json');
    writeFileSync(path, '{"default":[{"type":"insecureAcceptAnything"}]}');
    const verify = { policy: path };
    await rejectsWith(
      'PermissionDenied',
      /nobody vouches/,
      fetch(refOf(bench), { store, verify, requireSigned: true }),
    );
    await rejectsWith(
      'PermissionDenied',
      /nobody vouches/,
      fetch(refOf(bench), { store, requireSigned: true }),
    );
    await nothingCame(bench);
    const { verified } = await fetch(refOf(bench), { store, verify });
    assert.equal(verified, undefined);
  }));

test('all platforms of an index are wanted: all of them must be signed, or the index', () =>
  withFixtures(async (bench) => {
    const { store } = bench;
    const rule = (name: string) => ({ type: 'exactRepository', dockerRepository: `registry.test/${name}` });
    const policyFor = (name: string): PolicyChoice => {
      const path = join(tempDir().path, 'policy.json');
      const requirement = { type: 'sigstoreSigned', keyPath: keyFile('k1.pub'), signedIdentity: rule(name) };
      writeFileSync(path, JSON.stringify({ default: [requirement] }));
      return { policy: path };
    };
    const pulled = (name: string, platforms: readonly string[] | 'all') =>
      fetch(refOf(bench, name), { store, verify: policyFor(name), platforms });
    await pulled('fx/k24-index-signed', 'all');
    const instance = 'fx/k25-instance-signed';
    await pulled(instance, ['linux/amd64']);
    await assert.rejects(pulled(instance, 'all'), /of its manifest sha256:\w+: it is not signed/);
    await assert.rejects(pulled(instance, ['linux/amd64', 'linux/arm64']), /it is not signed/);
    // What is not there is no reason to let the rest in.
    await assert.rejects(pulled(instance, ['linux/s390x']));
  }));

const AMD64 = { os: 'linux', architecture: 'amd64' };
const S390X = { os: 'linux', architecture: 's390x' };
/** What an unsigned index lists before the image that is signed, and whether the signed image may come in for linux/amd64. */
const BESIDE: readonly (readonly [string, object, boolean])[] = [
  ['what its entry calls an artifact', { platform: AMD64, artifactType: 'application/x.evil' }, false],
  ['another image of the platform', { platform: AMD64 }, false],
  ['one for an older machine', { platform: { os: 'linux', architecture: '386' } }, false],
  ['one without a platform', {}, false],
  ['one for another machine', { platform: S390X }, true],
  ['an attestation', { platform: { os: 'unknown', architecture: 'unknown' } }, true],
];
for (const [what, more, comes] of BESIDE)
  for (const nested of [false, true])
    test(`an unsigned index: ${what}${nested ? ' in another index' : ''} beside what is signed ${comes ? 'stays away' : 'keeps it out'}`, () =>
      withFixtures(async (bench) => {
        const { store, registry } = bench;
        const listOf = (manifests: readonly object[]) =>
          new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
        const put = (bytes: Uint8Array, tag: string, mediaType: string) => ({
          ...{ mediaType, size: bytes.length },
          digest: registry.putManifest(SIGNED, tag, mediaType, bytes),
        });
        const other = await image('beside');
        registry.push(SIGNED, 'beside', other);
        const { mediaType, digest, bytes } = other.root;
        const evil = { mediaType, digest, size: bytes.length, ...more };
        const first = nested ? { ...put(listOf([evil]), 'nested', INDEX), ...more } : evil;
        const images = repositoryOf(SIGNED);
        const signed = images.tags['1'] ?? '';
        const signedBytes = images.manifests.get(signed) ?? Buffer.from('');
        const type = JSON.parse(signedBytes.toString()).mediaType;
        const good = { mediaType: type, digest: signed, size: signedBytes.length, platform: AMD64 };
        put(listOf([first, good]), 'mixed', INDEX);
        const ref = `${registry.host}/${SIGNED}:mixed`;
        const fetching = fetch(ref, { store, verify: K1, platforms: ['linux/amd64'], allMetadata: true });
        if (!comes)
          return await rejectsWith(
            'PermissionDenied',
            /of its manifest sha256:\w+: it is not signed/,
            fetching,
          );
        await fetching;
        const here = (await store.content.list()).map((one) => String(one.digest));
        assert.ok(here.includes(signed));
        assert.ok(!here.includes(digest), 'what nobody has vouched for came along');
        const runtime = runtimeOf(store);
        const plan = await runHere(runtime, join(tempDir().path, 'root'), [
          ...['pull', '--plan', '--all-metadata', '--platform', 'linux/amd64', '--json', ref],
          ...['--verify-key', keyFile('k1.pub')],
        ]);
        assert.doesNotMatch(plan.out, new RegExp(digest));
      }));

const LETS_IN: readonly (readonly ['fetch' | 'import', string, object])[] = [
  ['fetch', 'all platforms', { platforms: 'all' }],
  ['fetch', 'the metadata', { metadataOnly: true }],
  ['import', 'all platforms', { platforms: 'all' }],
];
for (const [way, what, options] of LETS_IN)
  test(`of an index that nobody vouches for only the entries of the verdict come, and what is below them: ${way}, ${what}`, () =>
    withFixtures(async ({ store, registry }) => {
      const [good, listed, evil, below] = await Promise.all(['a', 'b', 'c', 'd'].map((name) => image(name)));
      assert.ok(good && listed && evil && below);
      const vouched = buildIndex([listed]);
      const other = buildIndex([below]);
      const entryOf = ({ root }: typeof good) => ({
        ...{ mediaType: root.mediaType, digest: root.digest, size: root.bytes.length },
        platform: AMD64,
      });
      const parts = [good, vouched, evil, other];
      const manifests = parts.map(entryOf);
      const bytes = new TextEncoder().encode(
        JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }),
      );
      for (const [at, one] of [listed, below, ...parts].entries()) registry.push(SIGNED, `part${at}`, one);
      const root = registry.putManifest(SIGNED, 'parts', INDEX, bytes);
      const entries = [good.root.digest, vouched.root.digest];
      const vouchers = [{ by: 'key', signer: 'a test', format: 'bundle', digest: root }];
      const verify = async () => ({ accepted: true, by: 'a test', vouchers, entries }) as never;
      if (way === 'fetch') await fetch(`${registry.host}/${SIGNED}:parts`, { store, verify, ...options });
      else {
        const dir = join(tempDir().path, 'layout');
        mkdirSync(join(dir, 'blobs/sha256'), { recursive: true });
        writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
        const put = (digest: string, content: Uint8Array) =>
          writeFileSync(join(dir, 'blobs/sha256', digest.slice(7)), content);
        put(root, bytes);
        for (const one of [listed, below, ...parts]) {
          put(one.root.digest, one.root.bytes);
          for (const blob of one.blobs) put(...blob);
        }
        const annotations = { 'io.containerd.image.name': 'registry.test/a/b:1' };
        const named = { mediaType: INDEX, digest: root, size: bytes.length, annotations };
        writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
        await importImages({ store, from: dir, unpack: false, verify, ...options });
      }
      const here = new Set((await store.content.list()).map((one) => String(one.digest)));
      for (const one of [good, vouched, listed]) assert.ok(here.has(one.root.digest));
      for (const one of [evil, below]) assert.ok(!here.has(one.root.digest), 'nobody has vouched for it');
    }));

test('an unsigned index that lists no manifest: what it lists must be signed', () =>
  withFixtures(async (bench) => {
    const { store, registry } = bench;
    const text = JSON.stringify({
      ...{ schemaVersion: 2, mediaType: INDEX },
      manifests: [{ mediaType: 'application/x.thing', digest: `sha256:${'1'.repeat(64)}`, size: 2 }],
    });
    registry.putManifest(SIGNED, 'things', INDEX, new TextEncoder().encode(text));
    const ref = `${registry.host}/${SIGNED}:things`;
    await rejectsWith('PermissionDenied', /it is not signed/, fetch(ref, { store, verify: K1 }));
  }));

test('what a signed index lists has the digest that is signed, whatever the registry gives for it', () =>
  withFixtures(async (bench) => {
    const { store, registry } = bench;
    const name = 'fx/k24-index-signed';
    const path = join(tempDir().path, 'policy.json');
    const rule = { type: 'exactRepository', dockerRepository: `registry.test/${name}` };
    const requirement = { type: 'sigstore', keyPath: keyFile('k1.pub'), signedIdentity: rule };
    writeFileSync(path, JSON.stringify({ default: [requirement] }));
    const { tags, manifests } = repositoryOf(name);
    const [child] = JSON.parse(String(manifests.get(tags['1'] ?? ''))).manifests;
    const other = await image('other');
    const body = other.root.bytes;
    registry.faults.push({ match: `manifests/${child.digest}`, body, contentType: child.mediaType });
    const fetching = fetch(refOf(bench, name), {
      store,
      verify: { policy: path },
      platforms: ['linux/amd64'],
      retry: { tries: 0 },
    });
    await rejectsWith('DataLoss', /./, fetching);
    assert.deepEqual(await store.images.list(), []);
  }));

test('an index of unsigned images within a signed name is refused whatever its list says', () =>
  withFixtures(async (bench) => {
    const { store, registry } = bench;
    const ref = registry.push(SIGNED, 'index', buildIndex([await image('a'), await image('b')]));
    await rejectsWith(
      'PermissionDenied',
      /it is not signed/,
      fetch(ref, { store, verify: K1, platforms: 'all' }),
    );
    await rejectsWith('PermissionDenied', /it is not signed/, fetch(ref, { store, verify: K1 }));
  }));

test('the command line: keys, policies, the word none, and what contradicts itself', () =>
  withFixtures(async (bench) => {
    const { store, registry } = bench;
    const runtime = runtimeOf(store);
    const root = join(tempDir().path, 'root');
    const run = (...args: string[]) => runHere(runtime, root, ['content', 'fetch', refOf(bench), ...args]);
    const good = await run('--verify-key', keyFile('k1.pub'));
    assert.equal(good.code, 0, good.err);
    assert.match(
      good.out,
      /: verified sha256:\w+: key SHA256:\S+ \(policy of the command line, scope default\)/,
    );
    const bad = await run('--verify-key', keyFile('k2.pub'));
    assert.equal(bad.code, 1);
    assert.match(bad.err, /none good: 1 is by another key/);
    const either = await run('--verify-key', keyFile('k2.pub'), '--verify-key', keyFile('k1.pub'), '--json');
    assert.equal(JSON.parse(either.out).done[0].verified[0].by, 'key');
    const path = join(tempDir().path, 'policy.json');
    const scope = { [registry.host]: [{ type: 'sigstore', keyPath: keyFile('k1.pub') }] };
    writeFileSync(path, JSON.stringify({ default: [{ type: 'reject' }], transports: { docker: scope } }));
    const policy = await run('--policy', path);
    assert.match(policy.out, new RegExp(`policy ${path}, scope ${registry.host}`));
    const identity = ['--verify-identity', 'a@example.test', '--verify-issuer', 'https://issuer.test'];
    const WRONG: readonly (readonly [readonly string[], RegExp])[] = [
      [['--policy', path, '--verify-key', keyFile('k1.pub')], /a policy beside keys/],
      [['--verify-key', keyFile('k1.pub'), ...identity], /keys and an identity together/],
      [identity, /an identity, its issuer and a trusted root go together/i],
      [['--policy', '/nowhere/policy.json'], /nowhere/],
      [['--verify-key', '/nowhere/cosign.pub'], /Cannot use the key \/nowhere\/cosign\.pub/],
      [['--verify-key', keyFile('ca.pem')], /not one public key in PEM/],
      [['--policy', 'none', '--require-signed'], /nobody vouches/],
    ];
    for (const [args, says] of WRONG) {
      const { code, err } = await run(...args);
      assert.equal(code, 1, `${args}`);
      assert.match(err, says);
    }
    assert.equal((await run('--policy', 'none')).code, 0);
    const keyless = await runHere(runtime, root, [
      ...['content', 'fetch', refOf(bench, 'fx/b20-keyless'), ...identity],
      ...['--trusted-root', keyFile('trusted_root.json')],
    ]);
    assert.equal(keyless.code, 0, keyless.err);
    assert.match(
      keyless.out,
      /signed by a@example\.test, whom https:\/\/issuer\.test has identified, at 2026-/,
    );
  }));

test('what is read straight from a registry passes the same gate: cat, cp and unpack --tar', () =>
  withFixtures(async (bench) => {
    const { store, registry } = bench;
    const runtime = runtimeOf(store);
    const dir = tempDir();
    const root = join(dir.path, 'root');
    const ref = refOf(bench);
    const COMMANDS: readonly (readonly string[])[] = [
      ['files', 'cat', ref, '/hello.txt'],
      ['cp', `${ref}:/hello.txt`, dir.path],
      ['unpack', ref, '--tar', join(dir.path, 'out.tar')],
      ['unpack', ref, '--rootfs', join(dir.path, 'out')],
    ];
    for (const command of COMMANDS) {
      registry.requests.length = 0;
      const refused = await runHere(runtime, root, [...command, '--verify-key', keyFile('k2.pub')]);
      assert.equal(refused.code, 1, `${command}`);
      assert.match(refused.err, /none good: 1 is by another key/);
      await nothingCame(bench);
      const { code, err } = await runHere(runtime, root, [...command, '--verify-key', keyFile('k1.pub')]);
      assert.equal(code, 0, err);
    }
  }));

/** A layout with the blobs of a signed image; its index lists what `list` is told, of the image and the signature of that. */
function signedLayout(form: 'attachment' | 'bundle') {
  const name = form === 'bundle' ? SIGNED : 'fx/k12b-rollback-no-tag';
  const dir = join(tempDir().path, 'layout');
  mkdirSync(join(dir, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const images = repositoryOf(name);
  for (const bytes of [...images.blobs, ...images.manifests.values()]) {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(dir, 'blobs/sha256', hex), bytes);
  }
  const root = images.tags['1'] ?? '';
  const entry = (digest: string, annotations: object, more: object = {}) => {
    const bytes = images.manifests.get(digest) ?? Buffer.from('');
    return {
      mediaType: JSON.parse(bytes.toString()).mediaType,
      digest,
      size: bytes.length,
      annotations,
      ...more,
    };
  };
  const signature = Object.entries(images.tags).find(([tag]) => tag.endsWith('.sig'));
  const bundle = [...images.manifests].find(([, bytes]) => bytes.includes('"subject"'))?.[0];
  const image = entry(root, { 'io.containerd.image.name': `registry.test/${name}:1` });
  const signed =
    form === 'bundle'
      ? entry(bundle ?? '', {}, { artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json' })
      : entry(signature?.[1] ?? '', { 'org.opencontainers.image.ref.name': signature?.[0] });
  const list = (manifests: readonly object[]): void =>
    writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return { dir, name, image, signed, list };
}

for (const form of ['attachment', 'bundle'] as const) {
  test(`an archive is judged by the signatures in it, before anything is recorded: ${form}`, () =>
    withFixtures(async (bench) => {
      const { store, registry } = bench;
      const { dir, name, image, signed, list } = signedLayout(form);
      const load = (manifests: readonly object[], verify: PolicyChoice) => {
        list(manifests);
        return importImages({ store, from: dir, unpack: false, verify });
      };
      await rejectsWith('PermissionDenied', /is not signed/, load([image], K1));
      await rejectsWith(
        'PermissionDenied',
        /none good: 1 is by another key/,
        load([image, signed], { keys: [keyFile('k2.pub')] }),
      );
      assert.deepEqual(await store.images.list(), []);
      registry.requests.length = 0;
      const result = await load([image, signed], K1);
      const found = result.images.find((one) => one.name === `registry.test/${name}:1`);
      assert.equal(found?.verified?.[0]?.vouchers[0]?.format, form);
      assert.deepEqual(registry.log(), [], 'no registry is asked');
    }));
}

test('--pull never: no question to the registry; a policy that the signatures of the store do not satisfy refuses', () =>
  withFixtures(async (bench) => {
    const { store, registry } = bench;
    const runtime = runtimeOf(store);
    const root = join(tempDir().path, 'root');
    const ref = refOf(bench);
    const got = await runHere(runtime, root, ['content', 'fetch', ref]);
    assert.equal(got.code, 0, got.err);
    const cat = (...args: string[]) =>
      runHere(runtime, root, ['files', 'cat', '--pull', 'never', ...args, ref, '/hello.txt']);
    registry.requests.length = 0;
    for (const args of [['--verify-key', keyFile('k1.pub')], ['--require-signed'], ['--policy', 'system']]) {
      const { code, err } = await cat(...args);
      // Of the store; the policy of podman on this machine may ask for nothing.
      const isSure = !args.includes('system');
      if (isSure) {
        assert.equal(code, 1, `${args} ${err}`);
        assert.match(err, /not signed|nobody vouches/);
        assert.match(err, /\nhint: /);
      }
      const out = join(tempDir().path, 'out');
      const unpacked = await runHere(runtime, root, [
        'unpack',
        '--pull',
        'never',
        ...args,
        ref,
        '--rootfs',
        out,
      ]);
      if (isSure) {
        assert.equal(unpacked.code, 1, unpacked.err);
        assert.match(unpacked.err, /not signed|nobody vouches/);
        assert.match(unpacked.err, /\nhint: /);
      }
    }
    for (const args of [[], ['--policy', 'none']]) assert.equal((await cat(...args)).code, 0, `${args}`);
    assert.deepEqual(registry.requests, []);
  }));

test('--pull never goes with a question for the signatures in a layout', () =>
  withFixtures(async (bench) => {
    const { store, registry } = bench;
    const runtime = runtimeOf(store);
    const root = join(tempDir().path, 'root');
    const { dir, name, image, signed, list } = signedLayout('bundle');
    list([image, signed]);
    const ref = `oci:${dir}:registry.test/${name}:1`;
    const made = tempDir().path;
    for (const command of [
      ['cat', ref, '/hello.txt'],
      ['cp', `${ref}:/hello.txt`, made],
      ['unpack', ref, '--tar', join(made, 'a.tar')],
      ['unpack', ref, '--rootfs', join(made, 'rootfs'), '--owner', 'ours'],
      ['bundle', ref, join(made, 'bundle'), '--owner', 'ours'],
    ])
      for (const [key, told] of [
        ['k2.pub', /none good: 1 is by another key/],
        ['k1.pub', undefined],
      ] as const) {
        const how = ['--pull', 'never', '--verify-key', keyFile(key)];
        const { code, err } = await runHere(runtime, root, [...command, ...how]);
        assert.equal(code, told === undefined ? 0 : 1, `${command} ${err}`);
        if (told !== undefined) assert.match(err, told);
      }
    assert.deepEqual(registry.requests, []);
  }));
