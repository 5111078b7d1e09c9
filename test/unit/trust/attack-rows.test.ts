/** Attacks that need no forged signature: old schemas, other hashes, lengths that lie, lists that loop, a clock of the past. See attacks.test.ts. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { messageOf } from '../../../src/core/errors.ts';
import { parsePlatform } from '../../../src/core/platforms/parse.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { parsePolicy } from '../../../src/core/trust/policy.ts';
import { policyJudge } from '../../../src/core/trust/policy-judge.ts';
import type { Subject } from '../../../src/core/trust/verdict.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { createSignatureChecks } from '../../../src/platform/trust/checks.ts';
import { withClient } from '../../registry/client.ts';
import { buildImage, buildIndex } from '../../registry/image.ts';
import { startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { BUNDLE, digestOf, type Form, newSigner, refer, type Signer } from '../../support/signing.ts';
import { tempDir } from '../../support/tmp.ts';
import { MADE, policyOf, serveTrustFixtures, trustCases } from '../../support/trust-fixtures.ts';

const SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
const image = await buildImage({ layers: [{ entries: [{ name: 'f', data: 'x' }] }] });
const DIGEST = image.root.digest;
const platform = parsePlatform('linux/amd64', { os: 'linux', architecture: 'amd64' });
const deps = {
  fs: createFileSystem(),
  guard: async () => {},
  clock: createClock(),
  signatures: async () => createSignatureChecks(),
};
const FORMS: readonly Form[] = ['attachment', 'bundle'];

async function withRegistry(body: (registry: TestRegistry, signer: Signer) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const registry = await startRegistry({ lists: { referrers: { filters: true } } });
  registry.push('a', '1', image);
  try {
    await body(registry, newSigner(dir.path));
  } finally {
    await registry.close();
    dir[Symbol.dispose]();
  }
}

/** Undefined: let in. Else why not, be it a refusal or an error. */
async function whyNot(
  registry: TestRegistry,
  name: string,
  policy: string,
  {
    clock = deps.clock,
    fs = deps.fs,
    platforms = [platform],
  }: { clock?: Clock; fs?: Pick<typeof deps.fs, 'readFile'>; platforms?: Subject['platforms'] } = {},
): Promise<string | undefined> {
  const reference = parseReference(`${registry.host}/${name}`);
  return await withClient({}, async (client) => {
    const { root } = await client.resolve(reference);
    const evidence = client.evidence(reference);
    const parsed = parsePolicy(new TextEncoder().encode(policy), 'P', true);
    const judge = policyJudge({ ...deps, clock, fs }, parsed);
    try {
      const verdict = await judge.judge({ reference, root, platforms, evidence }, {});
      return verdict.accepted ? undefined : verdict.reason;
    } catch (err) {
      return messageOf(err);
    }
  });
}

const byKey = ({ key }: Signer) => JSON.stringify({ default: [{ type: 'sigstore', keyPath: key }] });

test('schema 1 comes in where anything does; a signature of it proves nothing', () =>
  withRegistry(async (registry, signer) => {
    const fixture = (name: string) =>
      new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/schema1', name)));
    const digest = `sha256:${createHash('sha256').update(fixture('payload.json')).digest('hex')}`;
    registry.putManifest('a', 'old', SCHEMA1, fixture('served.json'), digest);
    for (const form of FORMS) signer.sign(registry, 'a', digest, form);
    assert.match((await whyNot(registry, 'a:old', byKey(signer))) ?? '', /^it is of schema 1/);
    const any = JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] });
    assert.equal(await whyNot(registry, 'a:old', any), undefined);
  }));

for (const form of FORMS)
  test(`an image by its sha512 must be signed by its sha512: ${form}`, () =>
    withRegistry(async (registry, signer) => {
      const { bytes, mediaType } = image.root;
      const digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
      registry.putManifest('a', digest, mediaType, bytes, digest);
      signer.sign(registry, 'a', DIGEST, form);
      const ask = () => whyNot(registry, `a@${digest}`, byKey(signer));
      assert.match((await ask()) ?? '', /is not signed/);
      // What names the image by another hash is of another image.
      signer.sign(registry, 'a', digest, form, DIGEST);
      assert.match((await ask()) ?? '', /1 is of another image/);
      signer.sign(registry, 'a', digest, form);
      assert.equal(await ask(), undefined);
    }));

test('a bundle with a member twice is refused', () =>
  withRegistry(async (registry, signer) => {
    const good = signer.sign(registry, 'a', DIGEST, 'bundle');
    assert.equal(await whyNot(registry, 'a:1', byKey(signer)), undefined);
    const manifest = JSON.parse(new TextDecoder().decode(await registry.content('a', good)));
    const bundle = new TextDecoder().decode(await registry.content('a', manifest.layers[0].digest));
    const twice = bundle.replace('{', '{"dsseEnvelope":{},');
    refer(registry, 'a', DIGEST, { artifactType: BUNDLE, text: twice });
    registry.putManifest('a', good, manifest.mediaType, Buffer.from('{}'), good);
    assert.match((await whyNot(registry, 'a:1', byKey(signer))) ?? '', /duplicate key "dsseEnvelope"/);
  }));

test('a manifest of signatures of 1 GB is left before its body', () =>
  withRegistry(async (registry, signer) => {
    signer.sign(registry, 'a', DIGEST, 'attachment');
    registry.faults.push({ match: /\.sig$/, headers: { 'Content-Length': String(1 << 30) } });
    assert.match((await whyNot(registry, 'a:1', byKey(signer))) ?? '', /more than 1048576 byte/);
  }));

test('a list of referrers that leads to itself has an end', () =>
  withRegistry(async (registry, signer) => {
    signer.sign(registry, 'a', DIGEST, 'bundle');
    const Link = `</v2/a/referrers/${DIGEST}>; rel="next"`;
    registry.faults.push({ match: /referrers/, headers: { Link } });
    assert.notEqual(await whyNot(registry, 'a:1', byKey(signer)), undefined);
    assert.ok(registry.requests.filter(({ path }) => path.includes('/referrers/')).length <= 4);
  }));

for (const part of ['manifest', 'layer'] as const)
  for (const form of FORMS)
    test(`a good signature under a digest that is not its own proves nothing: the ${part} of ${form === 'bundle' ? 'a bundle' : 'an attachment'}`, () =>
      withRegistry(async (registry, signer) => {
        const good = signer.sign(registry, 'b', DIGEST, form, DIGEST, 'a');
        const bytes = (await registry.content('b', good)) ?? assert.fail();
        const manifest = JSON.parse(new TextDecoder().decode(bytes));
        const [layer] = manifest.layers;
        const lie = `sha256:${'0'.repeat(64)}`;
        for (const { digest } of [layer, manifest.config])
          registry.putBlob('a', digest, (await registry.content('b', digest)) ?? assert.fail());
        registry.putBlob('a', lie, (await registry.content('b', layer.digest)) ?? assert.fail());
        const other = Buffer.from(JSON.stringify({ ...manifest, layers: [{ ...layer, digest: lie }] }));
        const object = form === 'bundle' ? lie : `${DIGEST.replace(':', '-')}.sig`;
        if (part === 'manifest') registry.putManifest('a', object, manifest.mediaType, bytes, lie);
        else registry.putManifest('a', object.replace(lie, digestOf(other)), manifest.mediaType, other);
        const ask = () => whyNot(registry, 'a:1', byKey(signer));
        assert.match(
          (await ask()) ?? '',
          /not what its descriptor says|content is sha256:\w+, want sha256:0/,
        );
        registry.putManifest('a', object.replace(lie, good), manifest.mediaType, bytes);
        if (form === 'attachment') assert.equal(await ask(), undefined);
      }));

test('a key file that changes while an image is judged: one reading decides on all manifests of the image', () =>
  withRegistry(async (registry, signer) => {
    const arm64 = await buildImage({
      layers: [{ entries: [{ name: 'f', data: 'y' }] }],
      platform: { os: 'linux', architecture: 'arm64' },
    });
    const dir = tempDir();
    const thief = newSigner(dir.path);
    registry.push('a', 'index', buildIndex([image, arm64]));
    signer.sign(registry, 'a', DIGEST, 'bundle');
    thief.sign(registry, 'a', arm64.root.digest, 'bundle');
    let readings = 0;
    const readFile: typeof deps.fs.readFile = (path, ...rest) =>
      deps.fs.readFile(path === signer.key && readings++ > 0 ? thief.key : path, ...rest);
    const why = await whyNot(registry, 'a:index', byKey(signer), { fs: { readFile }, platforms: 'all' });
    assert.match(why ?? '', /1 is by another key/);
    assert.equal(readings, 1);
    dir[Symbol.dispose]();
  }));

for (const [named, says] of [
  ['b', /1 names \S+\/b, where \S+\/a is needed/],
  ['a', undefined],
] as const)
  test(`a registry that leads the tag of the signatures to another repository: what is signed for ${named} decides`, () =>
    withRegistry(async (registry, signer) => {
      const away = signer.sign(registry, 'b', DIGEST, 'attachment', DIGEST, named);
      const { layers } = JSON.parse(new TextDecoder().decode(await registry.content('b', away)));
      for (const { digest } of layers)
        registry.putBlob('a', digest, (await registry.content('b', digest)) ?? assert.fail());
      const redirect = `http://${registry.host}/v2/b/manifests/${DIGEST.replace(':', '-')}.sig`;
      registry.faults.push({ match: /a\/manifests\/sha256-\w+\.sig/, redirect });
      const why = await whyNot(registry, 'a:1', byKey(signer));
      if (says === undefined) assert.equal(why, undefined);
      else assert.match(why ?? '', says);
    }));

test('a list of referrers that is led to another repository brings no bundle that is not in the one that was asked for', () =>
  withRegistry(async (registry, signer) => {
    registry.push('b', '1', image);
    signer.sign(registry, 'b', DIGEST, 'bundle');
    const redirect = `http://${registry.host}/v2/b/referrers/${DIGEST}`;
    registry.faults.push({ match: /a\/referrers/, redirect });
    assert.notEqual(await whyNot(registry, 'a:1', byKey(signer)), undefined);
  }));

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** What a list of referrers, a manifest and a bundle say of themselves, and what comes of a good signature in them. */
const LIES: readonly (readonly [string, object, object, RegExp | undefined])[] = [
  ['nothing', {}, {}, undefined],
  ['the list calls it an index', { mediaType: INDEX }, {}, /1 is listed as no manifest/],
  [
    'the list calls it an SBOM',
    { artifactType: 'application/spdx+json' },
    {},
    /no bundle among its referrers/,
  ],
  ['the list gives another size', { size: 7 }, {}, /not what its descriptor says|SHORT|bytes/],
  ['the manifest says to be an index', {}, { mediaType: INDEX }, /index/],
  [
    'the manifest is about another image',
    {},
    { subject: { mediaType: MANIFEST, digest: `sha256:${'1'.repeat(64)}`, size: 1 } },
    /1 refers to something else/,
  ],
  ['the manifest has a second layer', {}, { layers: 2 }, /1 refers to something else/],
];
for (const [what, listed, more, says] of LIES)
  test(`a bundle whose types lie: ${what}`, async () => {
    const dir = tempDir();
    const registry = await startRegistry({});
    registry.push('a', '1', image);
    try {
      const signer = newSigner(dir.path);
      const good = signer.sign(registry, 'a', DIGEST, 'bundle');
      const manifest = JSON.parse(new TextDecoder().decode(await registry.content('a', good)));
      const layers = 'layers' in more ? [...manifest.layers, ...manifest.layers] : manifest.layers;
      const bytes = Buffer.from(JSON.stringify({ ...manifest, ...more, layers }));
      const digest = registry.putManifest('a', digestOf(bytes), MANIFEST, bytes);
      const entry = { mediaType: MANIFEST, digest, size: bytes.length, artifactType: BUNDLE, ...listed };
      const list = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [entry] }));
      registry.putManifest('a', DIGEST.replace(':', '-'), INDEX, list);
      const why = await whyNot(registry, 'a:1', byKey(signer));
      if (says === undefined) assert.equal(why, undefined);
      else assert.match(why ?? '', says);
    } finally {
      await registry.close();
      dir[Symbol.dispose]();
    }
  });

test('a clock of the past revives no certificate', () =>
  withRegistry(async (registry) => {
    serveTrustFixtures(registry);
    const one = trustCases.find(({ id }) => id === 'p01-valid');
    assert.ok(one);
    const at = (now: number) =>
      whyNot(registry, one.ref, policyOf(one, registry.host), { clock: { ...deps.clock, now: () => now } });
    assert.equal(await at(MADE), undefined);
    assert.match((await at(Date.parse('2026-10-01'))) ?? '', /a clock of the past/);
  }));
