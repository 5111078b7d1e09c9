import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLabels } from '../../../src/core/content/labels.ts';
import { ALL_ADMITTED, admittedIn, admittedLabel } from '../../../src/core/images/admitted.ts';
import {
  appendSource,
  childLabels,
  convertedLabels,
  snapshotLabelKey,
  sourceLabelKey,
} from '../../../src/core/images/gc-labels.ts';
import { platformNames, runnable } from '../../../src/core/images/select.ts';
import type { Descriptor, Platform } from '../../../src/core/oci/descriptor.ts';
import { makeDigest } from '../../../src/core/oci/digest.ts';
import { only } from '../../../src/core/platforms/match.ts';
import { rank } from '../../../src/core/platforms/pick.ts';

const OCI = 'application/vnd.oci.image.';
const child = (n: number, mediaType: string, platform?: Platform): Descriptor => ({
  mediaType,
  digest: makeDigest('sha256', n.toString(16).padStart(64, '0')),
  size: 10,
  platform,
});
const digest = (n: number): string => `sha256:${n.toString(16).padStart(64, '0')}`;

test('GC labels of a manifest and of an index, with containerd’s keys', () => {
  assert.deepEqual(
    childLabels([
      child(1, `${OCI}config.v1+json`),
      child(2, `${OCI}layer.v1.tar+gzip`),
      child(3, `${OCI}layer.v1.tar`),
    ]),
    {
      'containerd.io/gc.ref.content.config': digest(1),
      'containerd.io/gc.ref.content.l.0': digest(2),
      'containerd.io/gc.ref.content.l.1': digest(3),
    },
  );
  assert.deepEqual(
    childLabels([
      child(1, `${OCI}manifest.v1+json`),
      child(2, `${OCI}index.v1+json`),
      child(3, `${OCI}manifest.v1+json`),
      child(4, 'a/b'),
    ]),
    {
      'containerd.io/gc.ref.content.m.0': digest(1),
      'containerd.io/gc.ref.content.0': digest(2),
      'containerd.io/gc.ref.content.m.1': digest(3),
      'containerd.io/gc.ref.content.1': digest(4),
    },
  );
  assert.deepEqual(
    Object.keys(childLabels([child(1, `${OCI}config.v1+json`), child(2, `${OCI}config.v1+json`)])),
    ['containerd.io/gc.ref.content.config', 'containerd.io/gc.ref.content.config1'],
  );
  const keys = (...types: string[]): string[] =>
    Object.keys(childLabels(types.map((type, at) => child(at, type)))).map((key) =>
      key.replace('containerd.io/gc.ref.content.', ''),
    );
  assert.deepEqual(keys(`${OCI}config.v1+json`, 'application/vnd.in-toto+json'), ['config', '0']);
  const manifest = 'application/vnd.docker.distribution.manifest.v2+json';
  assert.deepEqual(keys(manifest, manifest, `${OCI}manifest.v1+json`), ['m.0', 'm.1', 'm.2']);
  const others = ['octet-stream', 'vnd.oci.empty.v1+json', 'vnd.docker.distribution.manifest.list.v2+json'];
  assert.deepEqual(keys(...others.map((type) => `application/${type}`)), ['0', '1', '2']);
  for (const type of ['container.criu.checkpoint.criu.tar', 'container.checkpoint.config.v1+proto']) {
    assert.deepEqual(keys(`application/vnd.containerd.${type}`), ['config']);
  }
  assert.equal(snapshotLabelKey('native'), 'containerd.io/gc.ref.snapshot.native');
});

const SUBJECT = { 'io.containerd.manifest.subject': digest(1) };
const referrer = (hex: string, mediaType = `${OCI}manifest.v1+json`): Descriptor => ({
  mediaType,
  digest: makeDigest('sha256', hex.padEnd(64, '0')),
  size: 10,
  annotations: SUBJECT,
});

test('GC labels of referrers are named by the first 12 digits of their digests, whatever they are', () => {
  const key = 'containerd.io/gc.ref.content.referrer.sha256.';
  const children = [
    child(1, `${OCI}manifest.v1+json`),
    referrer('abc0123456789def'),
    referrer('bbb', `${OCI}index.v1+json`),
    child(2, `${OCI}manifest.v1+json`),
    referrer('bbb', `${OCI}index.v1+json`),
  ];
  assert.deepEqual(childLabels(children), {
    'containerd.io/gc.ref.content.m.0': digest(1),
    [`${key}abc012345678`]: children[1]?.digest,
    [`${key}bbb000000000`]: children[2]?.digest,
    'containerd.io/gc.ref.content.m.1': digest(2),
  });
});

test('the entries that a record says to have come in: of its index alone, with those of before, and as many as a label holds', () => {
  const [root, other] = [child(1, 'a/b').digest, child(2, 'a/b').digest];
  const first = admittedLabel(root, [digest(3)]);
  assert.deepEqual([...(admittedIn(root, first) ?? [])], [digest(3)]);
  assert.equal(admittedIn(other, first), undefined);
  assert.equal(admittedIn(root, {}), undefined);
  assert.equal(admittedIn(root, ALL_ADMITTED), undefined);
  assert.deepEqual([...(admittedIn(root, admittedLabel(root, [])) ?? ['all'])], []);
  assert.deepEqual(
    [...(admittedIn(root, admittedLabel(root, [digest(4)], first)) ?? [])],
    [digest(4), digest(3)],
  );
  assert.deepEqual([...(admittedIn(other, admittedLabel(other, [digest(4)], first)) ?? [])], [digest(4)]);
  const many = Array.from({ length: 500 }, (_, n) => digest(n + 10));
  const label = admittedLabel(root, many, first);
  checkLabels(label);
  assert.deepEqual([...(admittedIn(root, label) ?? [])], many.slice(0, 55));
});

test('of two referrers that would share a key both are kept (containerd: the last)', () => {
  const two = [referrer('abc0123456781'), referrer('abc0123456782'), child(3, 'a/b')];
  assert.deepEqual(Object.values(childLabels(two)), two.map((one) => one.digest)); // biome-ignore format: one line
});

test('GC labels of what was converted are counted, whatever the children are', () => {
  const converted = [child(1, `${OCI}config.v1+json`), child(2, `${OCI}layer.v1.tar`), child(2, 'a/b')];
  assert.deepEqual(convertedLabels(converted), {
    'containerd.io/gc.ref.content.0': digest(1),
    'containerd.io/gc.ref.content.1': digest(2),
    'containerd.io/gc.ref.content.2': digest(2),
  });
  assert.deepEqual(convertedLabels([]), {});
});

test('distribution source: host without port, repositories sorted and once', () => {
  assert.equal(sourceLabelKey('127.0.0.1:5000'), 'containerd.io/distribution.source.127.0.0.1');
  assert.equal(sourceLabelKey('docker.io'), 'containerd.io/distribution.source.docker.io');
  assert.equal(sourceLabelKey('[::1]:5000'), 'containerd.io/distribution.source.::1');
  assert.equal(appendSource(undefined, 't/all'), 't/all');
  assert.equal(appendSource('t/img', 't/all'), 't/all,t/img');
  assert.equal(appendSource('', 'library/busybox'), 'library/busybox');
  assert.equal(
    appendSource('library/busybox,library/redis,library/busybox', 'library/alpine'),
    'library/alpine,library/busybox,library/redis',
  );
  assert.equal(appendSource('library/busybox,library/redis', ''), 'library/busybox,library/redis');
  assert.equal(appendSource('', ''), '');
});

const MANIFEST = `${OCI}manifest.v1+json`;
const linux = (architecture: string, variant?: string): Platform => ({ os: 'linux', architecture, variant });

test('selection: the best match for a platform, the first of equals; what has no platform comes last', () => {
  const index = [
    child(1, MANIFEST, linux('386')),
    child(2, MANIFEST, linux('amd64')),
    child(3, MANIFEST, linux('amd64')),
    child(4, MANIFEST, linux('arm64', 'v8')),
    child(5, MANIFEST, linux('unknown')),
    child(6, `${OCI}index.v1+json`),
  ];
  assert.deepEqual(rank(index, only(linux('amd64'))), [index[1], index[2], index[0], index[5]]);
  assert.deepEqual(rank(index, only(linux('arm64'))), [index[3], index[5]]);
  assert.deepEqual(rank(index, only(linux('s390x'))), [index[5]]);
  // containerd fetches only what the platform names exactly, and then unpacks by this rule: nothing is there.
  const arm = [child(7, MANIFEST, linux('arm', 'v6')), child(8, MANIFEST, linux('arm', 'v7'))];
  assert.deepEqual(rank(arm, only(linux('arm64')))[0], arm[1], 'arm64 runs arm/v7');
});

test('selection of everything leaves attestations out of what is unpacked', () => {
  const index = [
    child(1, MANIFEST, linux('amd64')),
    child(2, MANIFEST, linux('amd64')),
    child(3, MANIFEST, { os: 'unknown', architecture: 'unknown' }),
  ];
  assert.deepEqual([...runnable(index)], [['linux/amd64', [index[0], index[1]]]]);
  assert.deepEqual(platformNames(index), ['linux/amd64']);
});
