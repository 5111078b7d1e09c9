/** Paths of certificates: the table of what path validators of npm let through, each rule broken alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind, messageOf } from '../../../../src/core/errors.ts';
import { createSignatureChecks } from '../../../../src/platform/trust/checks.ts';
import {
  CODE_SIGNING,
  certificate,
  DAY,
  NOW,
  type Parts,
  pem,
  SERVER_AUTH,
  SIGNS,
  SIGNS_CERTIFICATES,
  subject,
} from '../../../support/certificates.ts';

const checks = createSignatureChecks();
const parties = {
  root: subject('root'),
  middle: subject('middle'),
  lower: subject('lower'),
  leaf: subject('leaf'),
  stranger: subject('stranger'),
};
type Party = keyof typeof parties;

const ROOT: Parts = { authority: true };
const MAIL: Parts = { emails: ['a@example.test'] };

interface Chain {
  readonly roots?: readonly Uint8Array[];
  readonly between?: readonly Uint8Array[];
  readonly signer: Uint8Array;
  readonly at?: number;
}

const made = (of: Party, by: Party, parts: Parts): Uint8Array => certificate(parties[of], parties[by], parts);
const own = (parts: Parts = {}) => made('root', 'root', { ...ROOT, ...parts });
const inner = (parts: Parts = {}) => made('middle', 'root', { authority: true, ...parts });
const second = (parts: Parts = {}) => made('lower', 'middle', { authority: true, ...parts });
const signerBy = (by: Party, parts: Parts = {}) => made('leaf', by, { ...MAIL, ...parts });

function trace({ roots = [own()], between = [], signer, at = NOW }: Chain): void {
  const all = (ders: readonly Uint8Array[]) => (ders.length === 0 ? [] : checks.certificates(pem(...ders)));
  const [one] = checks.certificates(pem(signer));
  assert.ok(one);
  checks.authorities(all(roots), []).trace(one, all(between), at);
}

const GOOD: Readonly<Record<string, Chain>> = {
  'by the root': { signer: signerBy('root') },
  'by an intermediate': { between: [inner()], signer: signerBy('middle') },
  'by the second intermediate': { between: [inner(), second()], signer: signerBy('lower') },
  'pathlen:0 with nothing below': { between: [inner({ authority: 0 })], signer: signerBy('middle') },
  'pathlen:1 with one below': { between: [inner({ authority: 1 }), second()], signer: signerBy('lower') },
  'an authority without key usage': { roots: [own({ usage: undefined })], signer: signerBy('root') },
  'an authority for code signing': {
    between: [inner({ purposes: [CODE_SIGNING] })],
    signer: signerBy('middle'),
  },
  'two roots of one name': { roots: [made('stranger', 'stranger', ROOT), own()], signer: signerBy('root') },
  'a stranger among the intermediates': {
    between: [made('stranger', 'root', ROOT)],
    signer: signerBy('root'),
  },
  'a name that is no critical extension we know, not critical': {
    signer: signerBy('root', { more: [['1.2.3.4', false, Buffer.from([5, 0])]] }),
  },
};
for (const [what, chain] of Object.entries(GOOD)) test(`a path that is good: ${what}`, () => trace(chain));

const NAME_CONSTRAINTS = Buffer.from('3012a010300e810c6578616d706c652e74657374', 'hex');
const BAD: Readonly<Record<string, readonly [() => Chain, RegExp]>> = {
  'issued by a leaf': [
    () => ({ between: [signerBy('root')], signer: made('lower', 'leaf', MAIL) }),
    /no authority’s/,
  ],
  'pathlen:0 exceeded': [
    () => ({ between: [inner({ authority: 0 }), second()], signer: signerBy('lower') }),
    /longer than an authority allows/,
  ],
  'a root with pathlen:0 and an intermediate': [
    () => ({ roots: [own({ authority: 0 })], between: [inner()], signer: signerBy('middle') }),
    /longer than an authority allows/,
  ],
  'name constraints of an authority': [
    () => ({
      between: [inner({ more: [['2.5.29.30', true, NAME_CONSTRAINTS]] })],
      signer: signerBy('middle'),
    }),
    /2\.5\.29\.30 is not known/,
  ],
  'name constraints that are not critical': [
    () => ({ roots: [own({ more: [['2.5.29.30', false, NAME_CONSTRAINTS]] })], signer: signerBy('root') }),
    /name constraints are not known/,
  ],
  'an unknown critical extension in the leaf': [
    () => ({ signer: signerBy('root', { more: [['1.2.3.4', true, Buffer.from([5, 0])]] }) }),
    /critical extension 1\.2\.3\.4 is not known/,
  ],
  'an extension twice': [
    () => ({
      signer: signerBy('root', {
        more: [
          ['1.2.3.4', false, Buffer.from([5, 0])],
          ['1.2.3.4', false, Buffer.from([5, 0])],
        ],
      }),
    }),
    /extension twice/,
  ],
  'an authority without keyCertSign': [
    () => ({ between: [inner({ usage: SIGNS })], signer: signerBy('middle') }),
    /may not sign others/,
  ],
  'a leaf for servers': [
    () => ({ signer: signerBy('root', { purposes: [SERVER_AUTH] }) }),
    /not for signing code/,
  ],
  'a leaf without purposes': [
    () => ({ signer: signerBy('root', { purposes: undefined }) }),
    /not for signing code/,
  ],
  'a leaf for any purpose': [
    () => ({ signer: signerBy('root', { purposes: ['2.5.29.37.0'] }) }),
    /not for signing code/,
  ],
  'a leaf that signs nothing': [
    () => ({ signer: signerBy('root', { usage: SIGNS_CERTIFICATES }) }),
    /not for signatures/,
  ],
  'a leaf without key usage': [
    () => ({ signer: signerBy('root', { usage: undefined }) }),
    /not for signatures/,
  ],
  'a leaf that is an authority': [
    () => ({ signer: signerBy('root', { authority: true, usage: [1, 0x86], purposes: [CODE_SIGNING] }) }),
    /is an authority’s/,
  ],
  'an authority that is for servers': [
    () => ({ between: [inner({ purposes: [SERVER_AUTH] })], signer: signerBy('middle') }),
    /authority is not for signing code/,
  ],
  'a leaf that has ended': [
    () => ({ signer: signerBy('root', { to: NOW - 1000 }) }),
    /was valid from .* not at/,
  ],
  'a leaf of the future': [
    () => ({ signer: signerBy('root', { from: NOW + 1000 }) }),
    /was valid from .* not at/,
  ],
  'an intermediate that has ended': [
    () => ({ between: [inner({ to: NOW - 1000 })], signer: signerBy('middle') }),
    /was valid from .* not at/,
  ],
  'a root that has ended': [
    () => ({ roots: [own({ to: NOW - 1000 })], signer: signerBy('root') }),
    /was valid from .* not at/,
  ],
  'another time': [() => ({ signer: signerBy('root'), at: NOW + 2 * DAY }), /was valid from .* not at/],
  'a root of the same name with another key': [
    () => ({ signer: made('leaf', 'stranger', { ...MAIL, issuerName: 'root' }) }),
    /no authority of the policy has signed/,
  ],
  'no root at all': [() => ({ signer: signerBy('middle') }), /no authority of the policy has issued/],
  'an intermediate that leads to no root': [
    () => ({ between: [made('middle', 'stranger', ROOT)], signer: signerBy('middle') }),
    /no authority of the policy/,
  ],
  'itself, as a root brings itself along': [
    () => ({ between: [made('stranger', 'stranger', ROOT)], signer: signerBy('stranger') }),
    /no authority of the policy/,
  ],
  'two names for its algorithm': [
    () => ({ signer: signerBy('root', { outerAlgorithm: '1.2.840.10045.4.3.3' }) }),
    /names two algorithms/,
  ],
  'a signature with SHA-1': [
    () => ({ signer: signerBy('root', { algorithm: '1.2.840.10045.4.1' }) }),
    /algorithm 1\.2\.840\.10045\.4\.1 is not taken/,
  ],
  'a signature that says RSA, by an EC key': [
    () => ({ signer: signerBy('root', { algorithm: '1.2.840.113549.1.1.11' }) }),
    /another kind of key/,
  ],
  'X.509 v1': [() => ({ signer: signerBy('root', { version: 0 }) }), /not X\.509 v3/],
  'a byte behind': [
    () => ({ signer: Buffer.concat([signerBy('root'), Buffer.from([0])]) }),
    /a certificate cannot be used/,
  ],
  'a name with a zero byte': [
    () => ({ signer: signerBy('root', { emails: ['a@example.test\0.evil'] }) }),
    /not printable ASCII/,
  ],
};
for (const [what, [chain, says]] of Object.entries(BAD)) {
  test(`a path that is refused: ${what}`, () => {
    assert.throws(
      () => trace(chain()),
      (err) => isKind(err, 'PermissionDenied', 'InvalidArgument') && says.test(messageOf(err)),
    );
  });
}

test('intermediates that issue each other have an end', () => {
  const twins = [made('middle', 'lower', { authority: true }), made('lower', 'middle', { authority: true })];
  assert.throws(
    () => trace({ between: [...Array(20).fill(twins)].flat(), signer: signerBy('middle') }),
    /no authority/,
  );
});

test('what a certificate says of its subject is read whole', () => {
  const der = signerBy('root', { emails: ['a@x.test', 'b@x.test'], uris: ['https://x.test/y'] });
  const [one] = checks.certificates(pem(der));
  assert.deepEqual(
    [one?.emails, one?.uris, one?.hosts],
    [['a@x.test', 'b@x.test'], ['https://x.test/y'], []],
  );
});
