/** Attacks on the way to signatures: limits, mirrors, lists without end, documents that lie (section 6 of the facts about trust). */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { isKind } from '../../../src/core/errors.ts';
import { parsePlatform } from '../../../src/core/platforms/parse.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { ALL_CAPABILITIES, type Host } from '../../../src/core/registry/hosts.ts';
import type { RegistryOptions } from '../../../src/core/registry/open.ts';
import { parsePolicy } from '../../../src/core/trust/policy.ts';
import { policyJudge } from '../../../src/core/trust/policy-judge.ts';
import type { Verdict } from '../../../src/core/trust/verdict.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { createSignatureChecks } from '../../../src/platform/trust/checks.ts';
import { withClient } from '../../registry/client.ts';
import { buildImage } from '../../registry/image.ts';
import { startRegistry, type TestRegistry } from '../../registry/registry.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const SIMPLE = 'application/vnd.dev.cosign.simplesigning.v1+json';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const NAME = 'signed.test/a';

const image = await buildImage({ layers: [{ entries: [{ name: 'f', data: 'x' }] }] });
const DIGEST = image.root.digest;
const [ours, theirs] = [
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
];
const keyData = Buffer.from(ours.publicKey.export({ type: 'spki', format: 'pem' })).toString('base64');
const platform = parsePlatform('linux/amd64', { os: 'linux', architecture: 'amd64' });
const deps = {
  fs: createFileSystem(),
  guard: async () => {},
  clock: createClock(),
  signatures: async () => createSignatureChecks(),
};

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

/** A registry where the image is `a:1`. */
async function withRegistry(body: (registry: TestRegistry) => Promise<void>, api = true): Promise<void> {
  const referrers = { filters: true, annotations: true };
  const registry = await startRegistry(api ? { lists: { referrers } } : {});
  registry.push('a', '1', image);
  try {
    await body(registry);
  } finally {
    await registry.close();
  }
}

function put(registry: TestRegistry, bytes: Uint8Array, mediaType: string) {
  const digest = digestOf(bytes);
  registry.putBlob('a', digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

const payload = (digest = DIGEST, name = NAME) =>
  json({
    critical: {
      identity: { 'docker-reference': name },
      image: { 'docker-manifest-digest': digest },
      type: 'cosign container image signature',
    },
    optional: null,
  });

/** A signature of cosign's old form, as a layer. */
function attachment(registry: TestRegistry, key: KeyObject, body: Uint8Array = payload()) {
  const signature = base64(sign('sha256', body, key));
  return { ...put(registry, body, SIMPLE), annotations: { 'dev.cosignproject.cosign/signature': signature } };
}

function attach(registry: TestRegistry, layers: readonly unknown[], mediaType = MANIFEST): void {
  const config = put(registry, json({}), 'application/vnd.oci.image.config.v1+json');
  const manifest = json({ schemaVersion: 2, mediaType, config, layers });
  registry.putManifest('a', `${DIGEST.replace(':', '-')}.sig`, mediaType, manifest);
}

const STATEMENT = {
  _type: 'https://in-toto.io/Statement/v1',
  predicateType: 'https://sigstore.dev/cosign/sign/v1',
};
const TYPE = 'application/vnd.in-toto+json';

function bundleOf(key: KeyObject, statement: unknown, more: object = {}): unknown {
  const body = json(statement);
  const signed = Buffer.concat([Buffer.from(`DSSEv1 ${TYPE.length} ${TYPE} ${body.length} `), body]);
  const signatures = [{ sig: base64(sign('sha256', signed, key)) }];
  return {
    mediaType: BUNDLE,
    verificationMaterial: {},
    dsseEnvelope: { payload: base64(body), payloadType: TYPE, signatures, ...more },
  };
}

const ofImage = (digest = DIGEST) => ({
  ...STATEMENT,
  subject: [{ digest: { sha256: digest.slice(7) } }],
  predicate: {},
});

/** Puts a bundle among the referrers; its descriptor. */
function refer(registry: TestRegistry, bundle: unknown, more: object = {}) {
  const config = put(registry, json({}), 'application/vnd.oci.empty.v1+json');
  const layer = put(registry, json(bundle), BUNDLE);
  const subject = { mediaType: MANIFEST, digest: DIGEST, size: image.root.bytes.length };
  const manifest = json({
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: BUNDLE,
    config,
    layers: [layer],
    subject,
    ...more,
  });
  const digest = registry.putManifest('a', digestOf(manifest), MANIFEST, manifest);
  return { mediaType: MANIFEST, digest, size: manifest.length, artifactType: BUNDLE };
}

async function judged(
  registry: TestRegistry,
  options: RegistryOptions = {},
  reference = parseReference(`${registry.host}/a:1`),
): Promise<Verdict> {
  const identity = { type: 'exactRepository', dockerRepository: NAME };
  const policy = json({ default: [{ type: 'sigstore', keyData, signedIdentity: identity }] });
  return await withClient(options, async (client) => {
    const { root } = await client.resolve(reference);
    const evidence = client.evidence(reference);
    return await policyJudge(deps, parsePolicy(policy, 'P', true)).judge(
      { reference, root, platforms: [platform], evidence },
      {},
    );
  });
}

function assertRefused(verdict: Verdict, says: RegExp): void {
  assert.ok(!verdict.accepted, 'it was let in');
  assert.match(verdict.reason, says);
  assert.match(verdict.hint ?? '', /^Have the image signed as the policy asks/);
}

test('the images of these tests are accepted as they are, in either form', () =>
  withRegistry(async (registry) => {
    attach(registry, [attachment(registry, ours.privateKey)]);
    assert.ok((await judged(registry)).accepted);
  }).then(() =>
    withRegistry(async (registry) => {
      refer(registry, bundleOf(ours.privateKey, ofImage()));
      assert.ok((await judged(registry)).accepted);
    }),
  ));

for (const [count, isGood] of [
  [64, true],
  [65, false],
] as const) {
  test(`${count} signatures, of which the last is good: ${isGood ? 'accepted' : 'refused'}, by their number`, () =>
    withRegistry(async (registry) => {
      const bad = attachment(registry, theirs.privateKey);
      attach(registry, [...Array(count - 1).fill(bad), attachment(registry, ours.privateKey)]);
      const verdict = await judged(registry);
      if (isGood) assert.ok(verdict.accepted);
      else assertRefused(verdict, /there are 65 signatures, more than 64/);
    }));
}

for (const [count, isGood] of [
  [32, true],
  [33, false],
] as const) {
  test(`${count} bundles, of which one is good: ${isGood ? 'accepted' : 'refused'}, by their number`, () =>
    withRegistry(async (registry) => {
      for (let at = 1; at < count; at++) refer(registry, bundleOf(theirs.privateKey, { ...ofImage(), at }));
      refer(registry, bundleOf(ours.privateKey, ofImage()));
      const verdict = await judged(registry);
      if (isGood) assert.ok(verdict.accepted);
      else assertRefused(verdict, /there are 33 bundles, more than 32/);
    }));
}

test('a payload, a bundle and a manifest beyond their limits are not read', () =>
  withRegistry(async (registry) => {
    const huge = {
      mediaType: SIMPLE,
      digest: digestOf(json('x')),
      size: 2 ** 53 - 1,
      annotations: { 'dev.cosignproject.cosign/signature': 'AAAA' },
    };
    attach(registry, [huge]);
    registry.requests.length = 0;
    assertRefused(await judged(registry), /has 9007199254740991 bytes, more than 65536/);
    assert.equal(registry.traffic(huge.digest).requests, 0);
    refer(
      registry,
      bundleOf(ours.privateKey, { ...ofImage(), predicate: { noise: 'x'.repeat(256 * 1024) } }),
    );
    assertRefused(await judged(registry), /more than 262144/);
  }));

/** The refusal, or the error that keeps the image out likewise, in words. */
async function kept(verdict: Promise<Verdict>): Promise<string> {
  const found = await verdict.catch((err: Error) => err);
  if (found instanceof Error) return found.message;
  assert.ok(!found.accepted, 'it was let in');
  return found.reason;
}

test('a list of referrers without end is left after four pages, and nothing is taken of it', () =>
  withRegistry(async (registry) => {
    refer(registry, bundleOf(ours.privateKey, ofImage()));
    for (let page = 1; page < 50; page++) {
      const next = `</v2/a/referrers/${DIGEST}?page=${page}>; rel="next"`;
      registry.faults.push({ match: /referrers/, times: 1, headers: { Link: next } });
    }
    assert.match(await kept(judged(registry)), /more than 4 pages/);
    const asked = registry.requests.filter(({ path }) => path.includes('/referrers/'));
    assert.equal(asked.length, 4);
  }));

test('a list that goes on elsewhere is not followed', () =>
  withRegistry(async (registry) => {
    await withRegistry(async (other) => {
      refer(registry, bundleOf(ours.privateKey, ofImage()));
      const Link = `<${other.url}/v2/a/referrers/x>; rel="next"`;
      registry.faults.push({ match: /referrers/, headers: { Link } });
      assert.match(await kept(judged(registry)), /another place/);
      assert.equal(other.requests.length, 0);
    });
  }));

const ODD: Readonly<Record<string, readonly [(registry: TestRegistry) => void, RegExp]>> = {
  'an index under the tag of signatures': [
    (registry) => attach(registry, [], INDEX),
    /of no use|not be read|Cannot/,
  ],
  'a manifest with a member twice': [
    (registry) => {
      const text = `{"schemaVersion":2,"mediaType":"${MANIFEST}","layers":[],"layers":[]}`;
      registry.putManifest('a', `${DIGEST.replace(':', '-')}.sig`, MANIFEST, Buffer.from(text));
    },
    /neither a manifest nor an index/,
  ],
  'a bundle of another image that is listed here': [
    (registry) => void refer(registry, bundleOf(ours.privateKey, ofImage(`sha256:${'a'.repeat(64)}`))),
    /is of another image/,
  ],
  'a bundle with two signatures': [
    (registry) =>
      void refer(
        registry,
        bundleOf(ours.privateKey, ofImage(), { signatures: [{ sig: 'AAAA' }, { sig: 'AAAA' }] }),
      ),
    /has not one signature/,
  ],
  'a bundle without signatures': [
    (registry) => void refer(registry, bundleOf(ours.privateKey, ofImage(), { signatures: [] })),
    /has not one signature/,
  ],
  'a bundle that signs a message': [
    (registry) => void refer(registry, { mediaType: BUNDLE, messageSignature: { signature: 'AAAA' } }),
    /has no DSSE envelope/,
  ],
  'a bundle that is a list': [(registry) => void refer(registry, []), /must be an object/],
  'a bundle in base64 with white space': [
    (registry) => {
      const bundle = bundleOf(ours.privateKey, ofImage()) as { dsseEnvelope: { payload: string } };
      bundle.dsseEnvelope.payload = `${bundle.dsseEnvelope.payload.slice(0, 8)}\n${bundle.dsseEnvelope.payload.slice(8)}`;
      refer(registry, bundle);
    },
    /is not in base64/,
  ],
  'a bundle with two layers': [
    (registry) => {
      const layer = put(registry, json(bundleOf(ours.privateKey, ofImage())), BUNDLE);
      refer(registry, {}, { layers: [layer, layer] });
    },
    /refers to something else/,
  ],
  'a payload that names the tag as a repository would not': [
    (registry) =>
      attach(registry, [attachment(registry, ours.privateKey, payload(DIGEST, 'signed.test/a b'))]),
    /names no image/,
  ],
  'a payload by the right key of another digest algorithm': [
    (registry) =>
      attach(registry, [attachment(registry, ours.privateKey, payload(DIGEST.replace('sha256', 'sha512')))]),
    /is of another image/,
  ],
};
for (const [what, [prepare, says]] of Object.entries(ODD)) {
  test(`refused: ${what}`, () =>
    withRegistry(async (registry) => {
      prepare(registry);
      assertRefused(await judged(registry), says);
    }));
}

const PREDICATE = 'dev.sigstore.bundle.predicateType';
const SBOM = { [PREDICATE]: 'https://spdx.dev/Document' };

/** `count` attestations; their descriptors, with or without what they say that they are. */
const attestations = (registry: TestRegistry, count: number, more: object = { annotations: SBOM }) =>
  Array.from({ length: count }, (_, at) =>
    refer(registry, bundleOf(ours.privateKey, { ...ofImage(), predicateType: SBOM[PREDICATE], at }), more),
  );

/** Puts a list as pushers write the fallback: its entries do not say what they are. */
const list = (registry: TestRegistry, manifests: readonly unknown[]) =>
  registry.putManifest(
    'a',
    DIGEST.replace(':', '-'),
    INDEX,
    json({ schemaVersion: 2, mediaType: INDEX, manifests }),
  );

test('an image with many attestations and one signature comes in; what says nothing of itself is asked', async () => {
  await withRegistry(async (registry) => {
    attestations(registry, 100);
    refer(registry, bundleOf(ours.privateKey, ofImage()));
    registry.requests.length = 0;
    assertAccepted(await judged(registry));
    assert.ok(registry.requests.length < 10, registry.log().join('\n'));
  });
  await withRegistry(async (registry) => {
    const all = attestations(registry, 40);
    list(registry, [...all, refer(registry, bundleOf(ours.privateKey, ofImage()))]);
    assertAccepted(await judged(registry));
  }, false);
});

test('attestations are looked at behind the rest, and so many only as there is room: what they say is a hint', () =>
  withRegistry(async (registry) => {
    attestations(registry, 40);
    assertRefused(
      await judged(registry),
      /40 bundles, none good: 32 is an attestation.*; 8 says that it is an/,
    );
    // A signature that says to be something else is its own enemy, where it is one of many.
    const lies = { annotations: SBOM };
    refer(registry, bundleOf(ours.privateKey, ofImage()), lies);
    registry.requests.length = 0;
    await judged(registry);
    assert.ok(registry.requests.length < 80, `${registry.requests.length}`);
  }));

for (const [what, count, more, says, most] of [
  [
    'that say that they are signatures',
    33,
    { annotations: { [PREDICATE]: STATEMENT.predicateType } },
    33,
    10,
  ],
  ['that say nothing', 50, {}, 50, 40],
  ['that say what they are when they are asked', 200, { annotations: SBOM }, 200 - 128, 140],
] as const)
  test(`too many bundles ${what} are refused, with an end to the questions`, () =>
    withRegistry(async (registry) => {
      const all = attestations(registry, count, more);
      const said = (one: object) => ('annotations' in more && count === 33 ? { ...one, ...more } : one);
      list(registry, [...all.map(said), refer(registry, bundleOf(ours.privateKey, ofImage()))]);
      registry.requests.length = 0;
      const verdict = await judged(registry);
      assertRefused(verdict, new RegExp(`there are ${says + 1} bundles, more than 32`));
      assert.ok(registry.requests.length <= most, `${registry.requests.length}`);
    }, false));

test('too many bundles that cannot be asked what they are: a failure to look, and no refusal; fewer are as before', async () => {
  const away = { match: /\/manifests\/sha256:/, when: () => isAway, status: 503 };
  let isAway = false;
  const registry = await startRegistry({ faults: [away] });
  const options = { retry: { tries: 0 } };
  try {
    registry.push('a', '1', image);
    const good = refer(registry, bundleOf(ours.privateKey, ofImage()));
    const all = attestations(registry, 40);
    list(registry, [...all, good]);
    isAway = true;
    const isFailure = (err: unknown) =>
      isKind(err, 'Unavailable') && /Cannot look for signatures/.test(`${err}`);
    await assert.rejects(judged(registry, options), isFailure);
    isAway = false;
    assertAccepted(await judged(registry, options));
    // What cannot be read is no reason where there are few enough without an answer.
    registry.faults.unshift({ match: all[0]?.digest ?? '', status: 503 });
    assertAccepted(await judged(registry, options));
  } finally {
    await registry.close();
  }
});

test('the fallback list under the tag: an ordinary tag, which may hold anything', () =>
  withRegistry(async (registry) => {
    const tag = DIGEST.replace(':', '-');
    registry.putManifest('a', tag, MANIFEST, image.root.bytes);
    assertRefused(await judged(registry), /no list of them/);
    const good = refer(registry, bundleOf(ours.privateKey, ofImage()));
    const junk = Array.from({ length: 40 }, (_, at) => ({
      ...good,
      digest: `sha256:${String(at).padStart(64, '0')}`,
    }));
    list(registry, [...junk, good]);
    assertRefused(await judged(registry), /there are 41 bundles/);
    list(registry, [{ ...good, artifactType: 'application/spdx' }]);
    assertRefused(await judged(registry), /is not signed/);
    list(registry, [junk[0], good]);
    const verdict = await judged(registry).catch((err) => err);
    assert.ok(isKind(verdict, 'NotFound') || verdict.accepted, String(verdict));
  }, false));

function assertAccepted(verdict: Verdict): void {
  assert.equal(verdict.accepted ? undefined : verdict.reason, undefined);
}

function hosts(...list: readonly Partial<Host>[]): RegistryOptions {
  const all = list.map((one) => ({
    name: 'x',
    base: new URL('http://x/v2'),
    capabilities: ALL_CAPABILITIES,
    ...one,
  }));
  return { hosts: async () => ({ source: 'hosts.toml', hosts: all }) };
}

const mirrorOf = ({ url, host }: TestRegistry): Partial<Host> => ({
  name: host,
  base: new URL(`${url}/v2`),
  namespace: 'up.test',
});
const originOf = ({ url, host }: TestRegistry): Partial<Host> => ({ name: host, base: new URL(`${url}/v2`) });
const REFERENCE = parseReference('up.test/a:1');

for (const form of ['attachment', 'bundle'] as const) {
  test(`a mirror without the ${form} is not the last word: the registry is asked`, () =>
    withRegistry((mirror) =>
      withRegistry(async (origin) => {
        if (form === 'attachment') attach(origin, [attachment(origin, ours.privateKey)]);
        else refer(origin, bundleOf(ours.privateKey, ofImage()));
        const verdict = await judged(mirror, hosts(mirrorOf(mirror), originOf(origin)), REFERENCE);
        assert.ok(verdict.accepted, JSON.stringify(verdict));
      }),
    ));

  test(`a ${form} of a mirror is as good as the registry’s, and is checked as well`, () =>
    withRegistry((mirror) =>
      withRegistry(async (origin) => {
        if (form === 'attachment') attach(mirror, [attachment(mirror, ours.privateKey)]);
        else refer(mirror, bundleOf(ours.privateKey, ofImage()));
        const options = hosts(mirrorOf(mirror), originOf(origin));
        assert.ok((await judged(mirror, options, REFERENCE)).accepted);
      }),
    ));
}

test('what a failing mirror hides is not taken for absence', () =>
  withRegistry((mirror) =>
    withRegistry(async (origin) => {
      mirror.faults.push({ match: /\.sig|referrers/, status: 503 });
      const text = await kept(judged(mirror, hosts(mirrorOf(mirror), originOf(origin)), REFERENCE));
      assert.doesNotMatch(text, /it is not signed/);
      assert.ok(
        origin.log().some((line) => line.endsWith('.sig')),
        'the registry was asked, too',
      );
    }),
  ));

test('signatures that do not come in time keep an image out', () =>
  withRegistry(async (registry) => {
    registry.faults.push({ match: /\.sig/, hang: true });
    const reference = parseReference(`${registry.host}/a:1`);
    const policy = parsePolicy(json({ default: [{ type: 'sigstore', keyData }] }), 'P', true);
    const quick = {
      ...deps,
      clock: {
        ...deps.clock,
        sleep: (ms: number, signal?: AbortSignal) => deps.clock.sleep(ms / 100, signal),
      },
    };
    await withClient({}, async (client) => {
      const { root } = await client.resolve(reference);
      const subject = { reference, root, platforms: [platform], evidence: client.evidence(reference) };
      const err = await policyJudge(quick, policy)
        .judge(subject, {})
        .catch((one) => one);
      assert.ok(isKind(err, 'DeadlineExceeded'), String(err));
    });
  }));
