/** What of sigstore's libraries is mended here, and which keys are taken. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isKind } from '../../../../src/core/errors.ts';
import { createSignatureChecks } from '../../../../src/platform/trust/checks.ts';
import { certificate, pem, subject } from '../../../support/certificates.ts';
import { isDeno } from '../../../support/needs.ts';
import { keyFile } from '../../../support/trust-fixtures.ts';

const { crypto } = await import('@sigstore/core');
const checks = createSignatureChecks();
const data = Buffer.from('what is signed');
const spki = (key: KeyObject): Buffer => Buffer.from(key.export({ type: 'spki', format: 'pem' }) as string);

test('the library still leaves the digest away: when this fails, drop the mending in platform/trust/libraries.ts', () => {
  const file = join(import.meta.dirname, '../../../../node_modules/@sigstore/core/dist/crypto.js');
  assert.match(readFileSync(file, 'utf8'), /crypto_1\.default\.verify\(algorithm, data, key, signature\)/);
});

test('the library checks signatures without a named digest, on every runtime', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const plain = generateKeyPairSync('ed25519');
  for (const { publicKey, privateKey } of [ec, rsa, plain]) {
    const algorithm = publicKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
    const signature = sign(algorithm, data, privateKey);
    assert.equal(crypto.verify(data, publicKey, signature), true, `by ${publicKey.asymmetricKeyType}`);
    assert.equal(crypto.verify(Buffer.from('other'), publicKey, signature), false);
  }
});

describe('keys', () => {
  const [one, other] = [generateKeyPairSync('ec', { namedCurve: 'P-256' }), generateKeyPairSync('ed25519')];
  const file = (name: string) => readFileSync(keyFile(name));
  const REFUSED: Readonly<Record<string, () => Uint8Array>> = {
    'a private key': () => Buffer.from(one.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
    'a certificate': () => file('ca.pem'),
    'two keys': () => Buffer.concat([file('k1.pub'), file('k2.pub')]),
    'a key and other text': () => Buffer.concat([Buffer.from('my key\n'), file('k1.pub')]),
    'an empty file': () => new Uint8Array(),
    'a JSON': () => file('trusted_root.json'),
    'a PKCS#1 key': () =>
      Buffer.from(
        generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({
          type: 'pkcs1',
          format: 'pem',
        }) as string,
      ),
    'an RSA key of 1024 bits': () => spki(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey),
    'a key to agree on keys': () => spki(generateKeyPairSync('x25519').publicKey),
    'PEM of something else': () =>
      Buffer.from('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'),
  };
  for (const [what, bytes] of Object.entries(REFUSED)) {
    test(`${what} is no key`, () => {
      assert.throws(
        () => checks.key(bytes()),
        (err) => isKind(err, 'InvalidArgument'),
      );
    });
  }

  test('the key decides the algorithm: a signature by another kind of key, or with another digest, is none', () => {
    const key = checks.key(spki(one.publicKey));
    assert.equal(key.verify(data, sign('sha256', data, one.privateKey)), true);
    assert.equal(key.verify(data, sign('sha384', data, one.privateKey)), false);
    assert.equal(key.verify(data, sign(null, data, other.privateKey)), false);
    assert.equal(key.verify(data, new Uint8Array()), false);
  });
});

test('files of certificates hold certificates only', () => {
  const root = subject('root');
  const der = certificate(root, root, { authority: true });
  assert.equal(checks.certificates(pem(der, der)).length, 2);
  const wrong = [Buffer.from('x'), Buffer.concat([pem(der), readFileSync(keyFile('k1.pub'))]), pem()];
  for (const bytes of wrong) assert.throws(() => checks.certificates(bytes), /not certificates in PEM/);
  assert.throws(() => checks.certificates(pem(...Array(65).fill(der))), /more than 64/);
});

test('a trusted root names authorities and logs', () => {
  const root = JSON.parse(readFileSync(keyFile('trusted_root.json'), 'utf8'));
  checks.trustedRoot(root);
  for (const without of ['tlogs', 'certificateAuthorities'])
    assert.throws(
      () => checks.trustedRoot({ ...root, [without]: [] }),
      /names no certificate authority, or no log/,
    );
  for (const other of [{}, null, 1, 'x', { ...root, tlogs: [{}] }])
    assert.throws(
      () => checks.trustedRoot(other),
      (err) => isKind(err, 'InvalidArgument'),
    );
});

test('the libraries are less than 7 in 100 of the program in one file', {
  skip: isDeno ? 'esbuild is run by Node' : false,
}, async () => {
  const { build } = await import('esbuild');
  const { metafile } = await build({
    entryPoints: [join(import.meta.dirname, '../../../../src/entry/hawser.ts')],
    ...{ bundle: true, minify: true, metafile: true, write: false },
    ...{ platform: 'node', format: 'esm', logLevel: 'error', loader: { '.wasm': 'binary' } },
  });
  const [{ bytes, inputs } = { bytes: 0, inputs: {} }] = Object.values(metafile.outputs);
  const ours = Object.entries(inputs).filter(([path]) => path.includes('/@sigstore/'));
  const size = ours.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
  assert.ok(size > 0 && size < 0.07 * (bytes - size), `${size} of ${bytes} bytes`);
});
