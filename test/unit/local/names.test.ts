import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkIdentifier } from '../../../src/backends/local/identifiers.ts';
import { checkLabels } from '../../../src/core/content/labels.ts';
import { refKey } from '../../../src/core/content/ref-key.ts';
import { randomLeaseId } from '../../../src/core/leases/ids.ts';
import { bytesOf, digestOf } from '../../support/stores.ts';

/** Without its map of prefixes that a client may add: no media type here is the client's own. */
test('ref keys are containerd’s', () => {
  const digest = digestOf(bytesOf('x'));
  const key = (mediaType: string, annotations?: Record<string, string>): string =>
    refKey({ mediaType, digest, size: 1, annotations });
  const vectors = {
    'application/vnd.oci.image.manifest.v1+json': 'manifest',
    'application/vnd.docker.distribution.manifest.v2+json': 'manifest',
    'application/vnd.oci.image.index.v1+json': 'index',
    'application/vnd.docker.distribution.manifest.list.v2+json': 'index',
    'application/vnd.oci.image.layer.v1.tar+gzip': 'layer',
    'application/vnd.docker.image.rootfs.diff.tar.gzip': 'layer',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip': 'layer',
    'application/vnd.oci.image.config.v1+json': 'config',
    'application/vnd.docker.container.image.v1+json': 'config',
    'application/vnd.docker.image.rootfs.diff.tar.zstd': 'layer',
    'application/vnd.oci.image.layer.v1.tar+gzip+encrypted': 'layer',
    'application/vnd.erofs.layer.v1': 'layer',
    'application/vnd.containerd.container.criu.checkpoint.criu.tar': 'config',
    'application/vnd.containerd.container.checkpoint.config.v1+proto': 'config',
    'application/vnd.oci.empty.v1+json': 'unknown',
    'application/vnd.in-toto+json': 'attestation',
    'application/octet-stream': 'unknown',
    'application/vnd.docker.distribution.manifest.v1+prettyjws': 'unknown',
  };
  for (const [mediaType, prefix] of Object.entries(vectors))
    assert.equal(key(mediaType), `${prefix}-${digest}`);
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
  assert.equal(key('application/vnd.oci.image.manifest.v1+json', annotations), `manifest-latest@${digest}`);
});

test('lease ids: the nanosecond of the second and four base64url characters', () => {
  const fixed =
    (...bytes: number[]) =>
    () =>
      new Uint8Array(bytes);
  assert.equal(randomLeaseId(1_700_000_000_088, fixed(0xff, 0xff, 0xff, 0, 0, 1)), '88000001-____');
  assert.equal(randomLeaseId(1_700_000_000_000, fixed(0, 0, 0, 0, 0, 0)), '0-AAAA');
  assert.equal(randomLeaseId(1_700_000_000_999, fixed(0xfb, 0xef, 0xbe, 0, 0, 0)), '999000000-----');
});

test('labels: 4096 bytes in all, keys must not be empty; merging', () => {
  checkLabels({ k: 'x'.repeat(4095) });
  assert.throws(
    () => checkLabels({ k: 'x'.repeat(4096) }),
    /\(4097 bytes\) greater than maximum size \(4096 bytes\), key: k$/,
  );
  assert.throws(() => checkLabels({ ['k'.repeat(4097)]: '' }), /key: k{64}$/);
  assert.throws(() => checkLabels({ '': 'x' }), /key is empty/);
});

test('identifiers: containerd’s rule and words', () => {
  for (const good of ['a', 'default', 'k8s.io', 'A-1_b.c', 'x'.repeat(76)]) checkIdentifier(good);
  for (const bad of ['.', 'a.', '-a', 'a--b', 'a b', 'a/b', 'ä', 'a\n']) {
    assert.throws(() => checkIdentifier(bad), /must match \^\[A-Za-z0-9\]\+/);
  }
  assert.throws(() => checkIdentifier(''), /identifier must not be empty/);
  assert.throws(() => checkIdentifier('x'.repeat(77)), /greater than maximum length \(76 characters\)/);
});
