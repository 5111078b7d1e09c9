/** What the commands that look after a store print: runs of blanks as one, tabs as |. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderView } from '../../../src/cli/render/view.ts';
import type { View } from '../../../src/cli/views/view.ts';
import type { GcPlan } from '../../../src/core/gc/survey.ts';
import type { Image } from '../../../src/core/images/image-store.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';

const NOW = Date.parse('2026-01-01T12:00:00.500Z');
const D1 = parseDigest(`sha256:${'1'.repeat(64)}`);

function linesOf(view: View): string[] {
  return renderView(view)
    .split('\n')
    .map((line) => line.replaceAll(/\t+/g, '|').replaceAll(/ +/g, ' ').trimEnd());
}

const document = (view: View) => JSON.parse(renderView(view));

const image: Image = {
  name: 'r.test/a:1',
  target: { mediaType: 'a/b', digest: D1, size: 1 },
  labels: {},
  createdAt: 0,
  updatedAt: 0,
};
const plan: GcPlan = {
  goes: [
    { namespace: 'n', type: 'content', id: D1, bytes: 2048 },
    { namespace: '', type: 'snapshots', id: 'snapshots/overlayfs/3', bytes: 0 },
  ],
  stays: [
    {
      namespace: 'n',
      type: 'images',
      id: 'i',
      bytes: 0,
      cause: { root: { type: 'image', id: 'i' }, path: [] },
    },
    {
      ...{ namespace: 'n', type: 'content', id: 'sha256:2', bytes: 10 },
      cause: {
        root: { type: 'image', id: 'i' },
        path: [
          { type: 'images', id: 'i' },
          { type: 'content', id: 'sha256:2' },
        ],
      },
    },
    {
      namespace: 'n',
      type: 'leases',
      id: 'l',
      bytes: 0,
      cause: { root: { type: 'lease', id: 'l' }, path: [] },
    },
  ],
  bytes: 2048,
};

test('gc: what would go, and of what stays a line for each thing that keeps something', () => {
  assert.deepEqual(linesOf({ type: 'gc-plan', plan, json: false }), [
    'KIND ID NAMESPACE SIZE',
    `blob ${D1} n 2.0 KiB`,
    'snapshot snapshots/overlayfs/3 - 0.0 B',
    'would remove 1 blob, 1 snapshot, 2.0 KiB',
    'stays, because of',
    ' image i (n): 1 blob, 10.0 B',
    ' lease l (n): nothing',
    '',
  ]);
  const { type, frees, goes, stays } = document({ type: 'gc-plan', plan, json: true });
  assert.deepEqual([type, frees, goes.length], ['gc-plan', 2048, 2]);
  assert.deepEqual(stays[1].because.path.length, 2);
  const empty = { goes: [], stays: [], bytes: 0 };
  assert.deepEqual(linesOf({ type: 'gc-plan', plan: empty, json: false }), ['would remove nothing', '']);
});

test('gc --explain: the way from what keeps a thing to the thing', () => {
  assert.deepEqual(linesOf({ type: 'gc-explanation', policy: { file: '', images: [] }, plan, json: false }), [
    'image i (n), 0.0 B: stays',
    ' image i',
    'blob sha256:2 (n), 10.0 B: stays',
    ' image i',
    ' -> blob sha256:2',
    'lease l (n), 0.0 B: stays',
    ' lease l',
    `blob ${D1} (n), 2.0 KiB: goes with the next collection: nothing keeps it`,
    'snapshot snapshots/overlayfs/3, 0.0 B: goes with the next collection: nothing keeps it',
    '',
  ]);
});

test('gc: what was removed; a containerd does not say', () => {
  const result = { blobs: 1, snapshots: 2, bytes: 1024 };
  assert.deepEqual(linesOf({ type: 'gc', result, json: false }), [
    'removed 1 blob (1.0 KiB) and 2 snapshots',
    '',
  ]);
  assert.deepEqual(document({ type: 'gc', result, json: true }).removed, result);
  assert.equal(document({ type: 'gc', result: undefined, json: true }).removed, null);
  assert.match(renderView({ type: 'gc', result: undefined, json: false }), /containerd has collected/);
});

test('prune: names; with a plan why each other image stays', () => {
  const choice = { goes: [image], stays: [{ image: { ...image, name: 'b' }, why: 'it is pinned' }] };
  assert.deepEqual(linesOf({ type: 'prune', choice, plan: undefined, json: false }), ['r.test/a:1', '']);
  assert.deepEqual(linesOf({ type: 'prune', choice, plan, json: false }).slice(-2), [
    'image b stays: it is pinned',
    '',
  ]);
  const told = document({ type: 'prune', choice, plan, json: true });
  assert.deepEqual(told.images, { goes: ['r.test/a:1'], stays: [{ name: 'b', why: 'it is pinned' }] });
  assert.deepEqual([told.dryRun, told.plan.frees], [true, 2048]);
});

test('df: images, then the whole store', () => {
  const one = { count: 1, bytes: 1024 };
  const none = { count: 0, bytes: 0 };
  const usage = {
    images: [{ namespace: 'n', name: 'i', content: 1024, snapshots: 0, unique: 1000, shared: 24 }],
    ...{ content: one, snapshots: none, partial: none, strays: none, records: 2048 },
    ...{ total: 3072, reclaimable: 0 },
  };
  assert.deepEqual(linesOf({ type: 'df', usage, json: false }), [
    'NAMESPACE IMAGE CONTENT SNAPSHOTS UNIQUE SHARED',
    'n i 1.0 KiB 0.0 B 1000.0 B 24.0 B',
    '',
    'WHOLE STORE COUNT SIZE',
    'content 1 1.0 KiB',
    'snapshots 0 0.0 B',
    'partial downloads 0 0.0 B',
    'files without a record 0 0.0 B',
    'database and other files - 2.0 KiB',
    'total - 3.0 KiB',
    'reclaimable (hawser gc) - 0.0 B',
    '',
  ]);
  assert.deepEqual(document({ type: 'df', usage, json: true }), { v: 1, type: 'df', ...usage });
});

test('leases, downloads, namespaces, labels, snapshots: tables as ctr has them, and documents', () => {
  const lease = { id: 'l', createdAt: NOW, labels: { b: '2', a: '1' } };
  const rows = [{ lease, resources: [{ type: 'content', id: D1 }] }];
  assert.deepEqual(linesOf({ type: 'leases', rows, json: false }), [
    'ID CREATED AT LABELS',
    'l 2026-01-01T12:00:00Z a=1,b=2',
    '',
  ]);
  assert.equal(document({ type: 'leases', rows, json: true }).leases[0].expires, null);
  const times = { startedAt: NOW - 60_000, updatedAt: NOW };
  const statuses = [{ ref: 'layer-x', offset: 1500, total: 3000, expected: D1, ...times }];
  assert.deepEqual(linesOf({ type: 'ingests', statuses, now: NOW, json: false }), [
    'REF|SIZE|AGE|',
    'layer-x|1.5kB|About a minute|',
    '',
  ]);
  assert.equal(document({ type: 'ingests', statuses, now: NOW, json: true }).ingests[0].expected, D1);
  const namespaces = [{ name: 'n', labels: { k: 'v' } }];
  assert.deepEqual(linesOf({ type: 'namespaces', namespaces, json: false }), ['NAME LABELS', 'n k=v', '']);
  assert.deepEqual(linesOf({ type: 'labels', of: 'x', labels: { b: '2', a: '1' }, json: false }), [
    'a=1,b=2',
    '',
  ]);
  assert.equal(renderView({ type: 'labels', of: 'x', labels: {}, json: false }), '');
  const info = { name: 's', kind: 'View', parent: 'p', labels: {}, createdAt: NOW, updatedAt: NOW } as const;
  assert.equal(document({ type: 'snapshots', infos: [info], json: true }).snapshots[0].kind, 'View');
});

test('images, checks, blobs, usage: documents', () => {
  const labels = { b: '2', a: '1' };
  const named: Image = { ...image, labels, createdAt: NOW, updatedAt: NOW };
  const of = (view: View) => document(view);
  const rows = [
    { image: named, size: 5, platforms: ['linux/amd64'], warnings: [] },
    { image: named, size: 0, platforms: undefined, warnings: [] },
  ];
  const [first, second] = of({ type: 'images', rows, json: true }).images;
  assert.deepEqual(first, {
    ...{ name: 'r.test/a:1', target: { mediaType: 'a/b', digest: D1, size: 1 } },
    ...{ createdAt: '2026-01-01T12:00:00.5Z', updatedAt: '2026-01-01T12:00:00.5Z' },
    ...{ labels, size: 5, platforms: ['linux/amd64'] },
  });
  assert.equal(second.platforms, null);
  const desc = { mediaType: 'a/b', digest: D1, size: 1 };
  const status = { available: true, present: [desc], required: [desc, desc], missing: [desc] };
  const checks = [
    { image, status, unpacked: true, errors: [] },
    { image, status: undefined, unpacked: false, errors: [] },
  ];
  const [checked, failed] = of({ type: 'checks', rows: checks, json: true }).images;
  assert.deepEqual([checked.present.length, checked.required.length, checked.unpacked], [1, 2, true]);
  assert.deepEqual([failed.status, failed.required], [null, null]);
  const infos = [{ digest: D1, size: 7, createdAt: NOW, updatedAt: NOW, labels }];
  assert.equal(of({ type: 'blobs', infos, now: NOW, json: true }).blobs[0].size, 7);
  const usage = [{ key: 'k', size: 4096, inodes: 2 }];
  assert.deepEqual(of({ type: 'usage', rows: usage, inBytes: false, json: true }).usage, usage);
});

test('what comes from a store is safe for a terminal', () => {
  const evil = 'a\u001b[31mb';
  const lease = { id: evil, createdAt: NOW, labels: { [evil]: evil } };
  const views: View[] = [
    { type: 'leases', rows: [{ lease, resources: [] }], json: false },
    { type: 'leases', rows: [{ lease, resources: [] }], json: true },
    { type: 'labels', of: evil, labels: { [evil]: evil }, json: false },
    { type: 'namespaces', namespaces: [{ name: evil, labels: { [evil]: evil } }], json: false },
    { type: 'prune', choice: { goes: [{ ...image, name: evil }], stays: [] }, plan: undefined, json: false },
    {
      type: 'gc-plan',
      plan: { ...plan, goes: [{ namespace: evil, type: 'ingests', id: evil, bytes: 0 }] },
      json: false,
    },
    {
      type: 'gc-explanation',
      policy: { file: '', images: [] },
      plan: { ...plan, goes: [{ namespace: evil, type: 'ingests', id: evil, bytes: 0 }] },
      json: false,
    },
  ];
  for (const view of views) assert.doesNotMatch(renderView(view), /\u001b/, view.type);
});
