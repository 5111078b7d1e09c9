/** Tables, trees and JSON as ctr 1.6.20 printed them for the same image (trees of images: containerd 2.x). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderContent, renderContentInfo } from '../../../src/cli/render/content.ts';
import { renderImageTree } from '../../../src/cli/render/image-tree.ts';
import { renderChecks, renderImages } from '../../../src/cli/render/images.ts';
import {
  renderMounts,
  renderSnapshotInfo,
  renderSnapshots,
  renderSnapshotTree,
  renderUsage,
} from '../../../src/cli/render/snapshots.ts';
import { traceLine } from '../../../src/cli/render/trace.ts';
import type { Image } from '../../../src/core/images/image-store.ts';
import type { ImageNode } from '../../../src/core/images/inspect.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import type { SnapshotInfo } from '../../../src/core/snapshots/snapshotter.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const D1 = parseDigest('sha256:8148d8f09df4a49b952be6a350a77d4dde83bf5ce4426055535b6e9d6a563dc7');
const D2 = parseDigest('sha256:3b53a87fe8377780c5cc8bc885217e1012f07e6c518790ba1e94a4e76f805fc3');
const image = (name: string, mediaType: string, digest: Descriptor['digest'], labels = {}): Image => ({
  name,
  target: { mediaType, digest, size: 532 },
  labels,
  createdAt: 0,
  updatedAt: 1500,
});
const multi = image('example.com/a/multi:1', INDEX, D1);
const single = image('example.com/single:latest', MANIFEST, D2);

test('tables: images list', () => {
  const rows = [
    { image: multi, size: 3453, platforms: ['linux/amd64', 'linux/arm/v7'], warnings: [] },
    { image: single, size: 2921, platforms: ['linux/amd64'], warnings: [] },
  ];
  assert.equal(
    renderImages(rows),
    'REF                       TYPE                                       DIGEST                                                                  SIZE    PLATFORMS                LABELS \n' +
      'example.com/a/multi:1     application/vnd.oci.image.index.v1+json    sha256:8148d8f09df4a49b952be6a350a77d4dde83bf5ce4426055535b6e9d6a563dc7 3.4 KiB linux/amd64,linux/arm/v7 -      \n' +
      'example.com/single:latest application/vnd.oci.image.manifest.v1+json sha256:3b53a87fe8377780c5cc8bc885217e1012f07e6c518790ba1e94a4e76f805fc3 2.9 KiB linux/amd64              -      \n',
  );
});

test('tables: images list without platforms, with sorted labels and hostile ones', () => {
  const rows = [
    {
      image: image('a', 'x\ty', D1, { b: '2\n', a: '\u001b[1m' }),
      size: 0,
      platforms: undefined,
      warnings: [],
    },
  ];
  assert.match(renderImages(rows), /^a {3}x\\x09y sha256:\w+ 0\.0 B - {9}a=\\x1b\[1m,b=2\\x0a $/m);
});

test('tables: images check', () => {
  const desc = (size: number): Descriptor => ({ mediaType: 'x', digest: D1, size });
  const all = [desc(248), desc(98), desc(2035)];
  const rows = [
    { image: multi, status: { available: true, required: all, present: all }, unpacked: true, errors: [] },
    {
      image: single,
      status: { available: true, required: all, present: all.slice(0, 1) },
      unpacked: false,
      errors: [],
    },
    {
      image: multi,
      status: { available: false, required: [desc(5)], present: [] },
      unpacked: false,
      errors: [],
    },
    { image: multi, status: undefined, unpacked: false, errors: [] },
  ];
  const cells = renderChecks(rows)
    .split('\n')
    .map((line) => line.slice(141));
  assert.deepEqual(cells, [
    'STATUS            SIZE            UNPACKED ',
    'complete (3/3)    2.3 KiB/2.3 KiB true',
    'incomplete (1/3)  248.0 B/2.3 KiB false',
    'unavailable (0/?) 0.0 B/?         false',
    'error             -               false',
    '',
  ]);
  assert.equal(renderChecks([]), '');
});

test('tables: content list', () => {
  const info = { digest: D1, size: 2035, createdAt: 0, updatedAt: 0, labels: { b: '2', a: '1' } };
  assert.equal(
    renderContent([info, { ...info, digest: D2, size: 95, labels: {} }], 500),
    'DIGEST\t\t\t\t\t\t\t\t\tSIZE\tAGE\t\t\tLABELS\n' +
      `${D1}\t2.035kB\tLess than a second\ta=1,b=2\n` +
      `${D2}\t95B\tLess than a second\t-\n`,
  );
});

test('tables: content info', () => {
  const info = { digest: D1, size: 5, createdAt: 0, updatedAt: 1500, labels: { k: '<v>' } };
  assert.deepEqual(JSON.parse(renderContentInfo(info)), {
    Digest: D1,
    Size: 5,
    CreatedAt: '1970-01-01T00:00:00Z',
    UpdatedAt: '1970-01-01T00:00:01.5Z',
    Labels: { k: '<v>' },
  });
});

const snapshot = (name: string, parent = '', kind: SnapshotInfo['kind'] = 'Committed'): SnapshotInfo => ({
  name,
  parent,
  kind,
  labels: {},
  createdAt: 0,
  updatedAt: 0,
});

test('tables: snapshots list, usage and mounts', () => {
  assert.equal(
    renderSnapshots([snapshot('bb', 'a'), snapshot('a'), snapshot('k', 'bb', 'Active')]),
    'KEY PARENT KIND      \nbb  a      Committed \na          Committed \nk   bb     Active    \n',
  );
  const rows = [{ key: 'a', size: 8192, inodes: 2 }];
  assert.equal(renderUsage(rows, false), 'KEY SIZE    INODES \na   8.0 KiB 2      \n');
  assert.equal(renderUsage(rows, true), 'KEY SIZE INODES \na   8192 2      \n');
  const mount = { type: 'overlay', source: 'overlay', options: ['index=off', 'lowerdir=/b:/a'] };
  assert.equal(renderMounts([mount], '/mnt'), 'mount -t overlay overlay /mnt -o index=off,lowerdir=/b:/a\n');
});

test('tables: snapshots tree', () => {
  const infos = [snapshot('a'), snapshot('b', 'a'), snapshot('c', 'b'), snapshot('d', 'a'), snapshot('e')];
  assert.equal(renderSnapshotTree(infos), ' a\n  \\_ b\n    \\_ c\n  \\_ d\n e\n');
});

test('tables: snapshots info leaves out an empty parent and empty labels', () => {
  assert.equal(
    renderSnapshotInfo(snapshot('a')),
    '{\n    "Kind": "Committed",\n    "Name": "a",\n    "Created": "1970-01-01T00:00:00Z",\n    "Updated": "1970-01-01T00:00:00Z"\n}\n',
  );
  const full = { ...snapshot('b', 'a', 'Active'), labels: { z: '1', a: '2' } };
  assert.match(
    renderSnapshotInfo(full),
    /"Parent": "a",\n {4}"Labels": \{\n {8}"a": "2",\n {8}"z": "1"\n {4}\},\n/,
  );
});

test('tables: an image as a tree', () => {
  const node = (desc: Descriptor, more: Partial<ImageNode> = {}): ImageNode => ({
    desc,
    present: true,
    bytes: undefined,
    labels: {},
    children: [],
    ...more,
  });
  const manifest = {
    mediaType: MANIFEST,
    digest: D2,
    size: 578,
    platform: { os: 'linux', architecture: 'amd64' },
  };
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: D1, size: 3 };
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: D2, size: 9 };
  const absent = { ...manifest, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } };
  const bytes = new TextEncoder().encode('{"a":"\\u001b"}');
  const tree = node(multi.target, {
    children: [
      node(manifest, { children: [node(config, { bytes, labels: { k: 'v' } }), node(layer)] }),
      node(absent, { present: false }),
    ],
  });
  const lines = renderImageTree({ image: image('n', INDEX, D1, { l: 'x' }), tree }, true).split('\n');
  assert.deepEqual(lines, [
    'n',
    '│    Created: 1970-01-01T00:00:00Z',
    '│    Updated: 1970-01-01T00:00:01.5Z',
    '│    Label "l": "x"',
    `└── ${INDEX} @${D1} (532 bytes)`,
    `    ├── ${MANIFEST} @${D2} (578 bytes)`,
    '    │   │    Platform: linux/amd64',
    `    │   ├── ${config.mediaType} @${D1} (3 bytes)`,
    '    │   │   ┌────────Labels─────────',
    '    │   │   │"k": "v"',
    '    │   │   └───────────────────────',
    '    │   │   ┌────────Content────────',
    '    │   │   │{',
    '    │   │   │   "a": "\\u001b"',
    '    │   │   │}',
    '    │   │   └───────────────────────',
    `    │   └── ${layer.mediaType} @${D2} (9 bytes)`,
    `    └── ${MANIFEST} @${D2} (578 bytes)`,
    '        │    Platform: linux/arm/v7',
    '        └──  Content does not exist locally, skipping',
    '',
  ]);
});

test('tables: an HTTP exchange in a line', () => {
  assert.equal(
    traceLine({ method: 'GET', url: 'https://h/v2/', status: 200, ms: 12.3456, length: 5 }),
    'http: GET https://h/v2/ 200 in 12.346ms, 5 bytes',
  );
  assert.equal(
    traceLine({ method: 'GET', url: 'https://h/v2/', error: 'reset', ms: 1 }),
    'http: GET https://h/v2/ failed (reset) in 1ms',
  );
});

test('images ls on a terminal: no line is wider, names can be typed again, and piped all is there', () => {
  const row = (name: string, platforms: string[]) => ({
    image: {
      name,
      target: {
        mediaType: 'application/vnd.oci.image.index.v1+json',
        digest: parseDigest(`sha256:${'ab'.repeat(32)}`),
        size: 5,
      },
      labels: { a: 'b' },
      createdAt: 0,
      updatedAt: 0,
    },
    ...{ size: 123_456_789, platforms, warnings: [] },
  });
  const many = ['linux/amd64', 'linux/arm/v7', 'linux/arm64/v8', 'linux/ppc64le', 'linux/s390x'];
  const rows = [
    row('docker.io/library/alpine:3.20', many),
    row('docker.io/team/app:1', ['linux/amd64']),
    row(`registry.example.com/a/very/long/path/of/an/organisation/image:${'1.2.3-'.repeat(6)}rc`, many),
  ];
  for (const columns of [30, 40, 80, 120]) {
    const lines = renderImages(rows, columns).trimEnd().split('\n');
    for (const line of lines) assert.ok(line.trimEnd().length <= columns, `${columns}: ${line}`);
    assert.equal(lines.length, 4);
    for (const line of lines.slice(1)) assert.match(line, /abababababab +117\.7 MiB/);
  }
  const [head, alpine, team] = renderImages(rows.slice(0, 2), 80).split('\n');
  assert.match(head ?? '', /^REF +DIGEST +SIZE +PLATFORMS/);
  assert.match(
    alpine ?? '',
    /^alpine:3\.20 +abababababab +117\.7 MiB +linux\/amd64,linux\/arm\/v7,linux\/arm64\/v8 \+2$/,
  );
  assert.match(team ?? '', /^team\/app:1 /);
  const others = ['docker.io/localhost/app:1', 'docker.io/library/alpine', 'docker.io/x.y/c:1', 'docker.io/'];
  const shown = renderImages(
    others.map((name) => row(name, many)),
    80,
  )
    .trimEnd()
    .split('\n');
  assert.deepEqual(
    shown.slice(1).map((line) => line.split(' ')[0]),
    others,
  );
  const full = renderImages(rows);
  assert.equal(renderImages(rows, 1000), full);
  assert.ok(full.includes(rows[2]?.image.name ?? '?') && full.includes('a=b'));
});
