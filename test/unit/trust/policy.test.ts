/** Policies: what of a file is refused, which scope applies, and which signed names will do (vectors 9 to 11 and 29 of trust). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { parsePolicy } from '../../../src/core/trust/policy.ts';
import type { IdentityRule } from '../../../src/core/trust/requirements.ts';
import { applied, scopesOf } from '../../../src/core/trust/scopes.ts';
import { nameMismatch } from '../../../src/core/trust/signed-name.ts';

const parse = (text: string, own = false) => parsePolicy(new TextEncoder().encode(text), 'P', own);
const ANY = '[{"type":"insecureAcceptAnything"}]';
const docker = (scopes: string) => `{"default":[{"type":"reject"}],"transports":{"docker":{${scopes}}}}`;
const requirement = (text: string) => docker(`"a.test":[${text}]`);
const signed = (members: string) => requirement(`{"type":"sigstoreSigned",${members}}`);
const own = (members: string) => requirement(`{"type":"sigstore",${members}}`);
const FULCIO = '"fulcio":{"caPath":"/c","oidcIssuer":"i","subjectEmail":"e"}';

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['no default', '{}', /no "default"/],
  ['a list in its place', '[]', /must be an object/],
  ['an empty list', '{"default":[]}', /default: an empty list of requirements/],
  ['an empty list of a scope', docker('"a.test":[]'), /an empty list of requirements/],
  ['an unknown member', `{"default":${ANY},"x":1}`, /unknown member "x"/],
  ['a scope twice', docker(`"a.test":${ANY},"a.test":${ANY}`), /duplicate key "a\.test"/],
  ['a comment', `{"default":${ANY} /* all */}`, /not valid JSON/],
  ['text behind', `{"default":${ANY}}x`, /trailing data/],
  ['no type', requirement('{}'), /type: must be a text/],
  ['a member of accept', requirement('{"type":"insecureAcceptAnything","x":1}'), /unknown member "x"/],
  ['a member of reject', requirement('{"type":"reject","keyPath":"/k"}'), /unknown member "keyPath"/],
  ['no key', signed('"signedIdentity":{"type":"matchExact"}'), /exactly one of keyPath, keyPaths/],
  ['two keys', signed('"keyPath":"/k","keyData":"aGk="'), /exactly one of keyPath/],
  ['no keys', signed('"keyPaths":[]'), /keyPaths: an empty list/],
  ['a key that is no base64', signed('"keyData":"aGk"'), /keyData: must be base64/],
  ['an empty path', signed('"keyPath":""'), /must be a text that is not empty/],
  ['an unknown member of signed', signed('"keyPath":"/k","keys":1'), /unknown member "keys"/],
  [
    'two logs',
    signed('"keyPath":"/k","rekorPublicKeyPath":"/r","rekorPublicKeyData":"aGk="'),
    /exactly one of rekor/,
  ],
  ['fulcio without a log', signed(FULCIO), /fulcio needs one of rekor/],
  [
    'fulcio without an issuer',
    signed('"rekorPublicKeyPath":"/r","fulcio":{"caPath":"/c","subjectEmail":"e"}'),
    /no "oidcIssuer"/,
  ],
  [
    'fulcio without a CA',
    signed('"rekorPublicKeyPath":"/r","fulcio":{"oidcIssuer":"i","subjectEmail":"e"}'),
    /exactly one of caPath/,
  ],
  [
    'pki with a log',
    signed('"rekorPublicKeyPath":"/r","pki":{"caRootsPath":"/c","subjectEmail":"e"}'),
    /pki goes without a log/,
  ],
  ['pki without a subject', signed('"pki":{"caRootsPath":"/c"}'), /needs one of subjectEmail/],
  ['an unknown identity', signed('"keyPath":"/k","signedIdentity":{"type":"any"}'), /unknown type "any"/],
  [
    'an identity with more',
    signed('"keyPath":"/k","signedIdentity":{"type":"matchExact","x":1}'),
    /unknown member "x"/,
  ],
  [
    'an identity with less',
    signed('"keyPath":"/k","signedIdentity":{"type":"remapIdentity","prefix":"a"}'),
    /no "signedPrefix"/,
  ],
];

for (const [what, text, says] of REFUSED) {
  test(`a policy with ${what} is refused as a whole`, () => {
    assert.throws(
      () => parse(text),
      (err) => isKind(err, 'InvalidArgument') && says.test(String(err)),
    );
  });
}

const OWN_REFUSED: readonly (readonly [string, string, RegExp])[] = [
  [
    'identities without a root',
    own('"identities":[{"issuer":"i","subject":"s"}]'),
    /exactly one of trustedRootPath/,
  ],
  ['a root without identities', own('"keyPath":"/k","trustedRootPath":"/t"'), /goes with identities/],
  ['no identity', own('"identities":[],"trustedRootPath":"/t"'), /an empty list/],
  ['an identity without issuer', own('"identities":[{"subject":"s"}],"trustedRootPath":"/t"'), /no "issuer"/],
  ['an unknown format', own('"keyPath":"/k","formats":["x"]'), /must be some of attachment, bundle/],
  ['a format twice', own('"keyPath":"/k","formats":["bundle","bundle"]'), /a format twice/],
];
for (const [what, text, says] of OWN_REFUSED) {
  test(`hawser’s own requirement with ${what} is refused`, () => {
    assert.throws(() => parse(text, true), says);
  });
}

test('hawser’s own requirement counts in its own files only; elsewhere it refuses its scope, as GPG and unknown ones do', () => {
  const reference = parseReference('a.test/x:1');
  const typeOf = (text: string, isOwn: boolean) =>
    applied(parse(text, isOwn), reference).requirements[0]?.type;
  assert.equal(typeOf(own('"keyPath":"/k"'), true), 'signed');
  assert.equal(typeOf(own('"keyPath":"/k"'), false), 'unknown');
  assert.equal(
    typeOf(requirement('{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}'), true),
    'unknown',
  );
  assert.equal(typeOf(requirement('{"type":"later","x":1}'), true), 'unknown');
});

test('all scopes of a reference, the most specific first', () => {
  assert.deepEqual(scopesOf(parseReference('a.b.test:5000/x/y/z:1')), [
    ...['a.b.test:5000/x/y/z:1', 'a.b.test:5000/x/y/z', 'a.b.test:5000/x/y', 'a.b.test:5000/x'],
    ...['a.b.test:5000', '*.b.test', '*.test'],
  ]);
  const digest = `sha256:${'a'.repeat(64)}`;
  assert.deepEqual(scopesOf(parseReference(`a.test/x@${digest}`)).slice(0, 2), [
    `a.test/x@${digest}`,
    'a.test/x',
  ]);
});

const SCOPES: readonly (readonly [string, readonly string[], string])[] = [
  ['a.test/x/y:1', ['a.test', 'a.test/x', 'a.test/x/y'], 'a.test/x/y'],
  ['a.test/x/y:1', ['a.test', 'a.test/x', 'a.test/x/y:1'], 'a.test/x/y:1'],
  ['a.test/xy:1', ['a.test/x'], 'default'],
  ['a.test/x/yz:1', ['a.test/x/y'], 'default'],
  ['sub.example.com/x:1', ['*.example.com'], '*.example.com'],
  ['deep.sub.example.com/x:1', ['*.example.com', '*.sub.example.com'], '*.sub.example.com'],
  ['example.com/x:1', ['*.example.com'], 'default'],
  ['sub.example.com:5000/x:1', ['*.example.com'], '*.example.com'],
  ['notexample.com/x:1', ['*.example.com', 'example.com'], 'default'],
  ['a.test:5000/x:1', ['a.test'], 'default'],
  ['alpine', ['docker.io/library'], 'docker.io/library'],
  ['alpine', ['docker.io/library/alpine:latest'], 'docker.io/library/alpine:latest'],
  ['a.test/x:1', [''], 'docker'],
  ['a.test/x:1', ['', '*.test'], '*.test'],
];
for (const [reference, scopes, wanted] of SCOPES) {
  test(`of the scopes ${JSON.stringify(scopes)} ${wanted} applies to ${reference}`, () => {
    const policy = parse(docker(scopes.map((one) => `"${one}":${ANY}`).join(',')));
    assert.equal(applied(policy, parseReference(reference)).scope, wanted);
  });
}

test('scopes of other transports say nothing of registries', () => {
  const policy = parse(`{"default":[{"type":"reject"}],"transports":{"oci":{"":${ANY}},"docker":{}}}`);
  assert.equal(applied(policy, parseReference('a.test/x:1')).scope, 'default');
});

const D = `sha256:${'a'.repeat(64)}`;
const E = `sha256:${'b'.repeat(64)}`;
const REMAP: IdentityRule = { type: 'remapIdentity', prefix: 'm.test/x', signedPrefix: 'a.test' };
const NAMES: readonly (readonly [IdentityRule | IdentityRule['type'], string, string, boolean])[] = [
  ['matchExact', 'a.test/x:1', 'a.test/x:1', true],
  ['matchExact', 'a.test/x:1', 'a.test/x:2', false],
  ['matchExact', 'a.test/x', 'a.test/x:1', false],
  ['matchExact', `a.test/x@${D}`, `a.test/x@${D}`, true],
  ['matchExact', `a.test/x@${E}`, `a.test/x@${D}`, false],
  ['matchExact', 'a.test/x:1', `a.test/x@${D}`, false],
  ['matchRepoDigestOrExact', 'a.test/x:1', 'a.test/x:1', true],
  ['matchRepoDigestOrExact', 'a.test/x:0', 'a.test/x:1', false],
  ['matchRepoDigestOrExact', 'a.test/x:0', `a.test/x@${D}`, true],
  ['matchRepoDigestOrExact', 'a.test/x:1', `a.test/x:1@${D}`, true],
  ['matchRepoDigestOrExact', 'a.test/x:0', `a.test/x:1@${D}`, false],
  ['matchRepoDigestOrExact', 'a.test/y:0', `a.test/x@${D}`, false],
  // cosign signs names without a tag, which this rule never takes.
  ['matchRepoDigestOrExact', 'a.test/x', 'a.test/x:1', false],
  ['matchRepoDigestOrExact', 'a.test/x', `a.test/x@${D}`, false],
  ['matchRepository', 'a.test/x', 'a.test/x:1', true],
  ['matchRepository', 'a.test/x:9', 'a.test/x:1', true],
  ['matchRepository', 'a.test/xy', 'a.test/x:1', false],
  ['matchRepository', 'b.test/x', 'a.test/x:1', false],
  ['matchRepository', 'alpine', 'docker.io/library/alpine:3', true],
  [{ type: 'exactRepository', dockerRepository: 'a.test/x' }, 'a.test/x:7', 'm.test/z:1', true],
  [{ type: 'exactRepository', dockerRepository: 'a.test/x' }, 'm.test/z:1', 'm.test/z:1', false],
  [{ type: 'exactReference', dockerReference: 'a.test/x:1' }, 'a.test/x:1', 'm.test/z:9', true],
  [{ type: 'exactReference', dockerReference: 'a.test/x:1' }, 'a.test/x:2', 'm.test/z:2', false],
  [{ type: 'exactReference', dockerReference: 'a.test/x:1' }, 'a.test/x', 'm.test/z:1', false],
  [REMAP, 'a.test/y:1', 'm.test/x/y:1', true],
  [REMAP, 'a.test/y:1', 'm.test/x/y:2', false],
  [REMAP, 'a.testz/y:1', 'm.test/xz/y:1', false],
  [REMAP, 'b.test/y:1', 'b.test/y:1', true],
  ['matchRepository', 'not a name', 'a.test/x:1', false],
  ['matchRepository', '', 'a.test/x:1', false],
];
for (const [rule, name, asked, isGood] of NAMES) {
  const whole = (typeof rule === 'string' ? { type: rule } : rule) as IdentityRule;
  test(`${JSON.stringify(whole)} ${isGood ? 'takes' : 'refuses'} "${name}" for ${asked}`, () => {
    const why = nameMismatch(whole, name, parseReference(asked));
    assert.equal(why === undefined, isGood, why ?? 'it was taken');
  });
}

test('a relative path in a policy is refused: which file it is would depend on the directory', () => {
  const pki = { caRootsPath: '/a', subjectEmail: 'a@b.c' };
  const fulcio = { caPath: '/a', oidcIssuer: 'https://i', subjectEmail: 'a@b.c' };
  const sigstore = { type: 'sigstore', trustedRootPath: '/a', identities: [{ issuer: 'i', subject: 's' }] };
  for (const requirement of [
    { type: 'sigstoreSigned', keyPath: '/a' },
    { type: 'sigstoreSigned', keyPaths: ['/b', '/a'] },
    { type: 'sigstore', keyPath: '/a' },
    { type: 'sigstoreSigned', keyPath: '/b', rekorPublicKeyPath: '/a' },
    { type: 'sigstoreSigned', fulcio, rekorPublicKeyPath: '/b' },
    { type: 'sigstoreSigned', pki },
    { type: 'sigstoreSigned', pki: { ...pki, caRootsPath: '/b', caIntermediatesPath: '/a' } },
    sigstore,
  ]) {
    const text = JSON.stringify({ default: [requirement] });
    const read = (one: string) => parsePolicy(new TextEncoder().encode(one), 'p', true);
    read(text);
    for (const path of ['a', './a', '../a'])
      assert.throws(() => read(text.replace('"/a"', `"${path}"`)), /is no absolute path/, text);
  }
});
