/** Which images prune may take: what is used stays, by which rule is said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFilters } from '../../../src/core/filter/filter.ts';
import type { Survey } from '../../../src/core/gc/survey.ts';
import type { Image } from '../../../src/core/images/image-store.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import type { SnapshotInfo, SnapshotKind } from '../../../src/core/snapshots/snapshotter.ts';
import { choosePruned } from '../../../src/core/verbs/prune.ts';

const NOW = 1_000_000;
const digest = (letter: string) => parseDigest(`sha256:${letter.repeat(64)}`);
const times = { createdAt: 0, updatedAt: 0 };

function image(name: string, letter: string, updatedAt = 0): Image {
  const target = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digest(letter), size: 1 };
  return { name, target, labels: {}, createdAt: 0, updatedAt };
}

const snapshot = (name: string, kind: SnapshotKind, parent: string): SnapshotInfo => ({
  ...{ name, kind, parent, labels: {} },
  ...times,
});

/** Image `base` unpacked as S1, `app` over it as S2; each is its own config. */
function roles(
  images: readonly Image[],
  snapshots: readonly SnapshotInfo[],
  leases: Survey['namespaces'][0]['state']['leases'] = [],
) {
  const top = { a: 'S1', b: 'S2' };
  const content = Object.entries(top).map(([letter, name]) => ({
    digest: digest(letter),
    labels: { 'containerd.io/gc.ref.snapshot.overlayfs': name },
  }));
  const survey: Survey = {
    now: NOW,
    namespaces: [
      {
        name: 'testing',
        state: {
          leases,
          images: images.map(({ name, target, labels }) => ({ name, digest: target.digest, labels })),
          content,
          snapshots: snapshots.map((one) => ({ ...one, snapshotter: 'overlayfs' })),
          ingests: [],
        },
        broken: [],
        bytes: new Map(),
      },
    ],
    strays: [],
    records: 0,
  };
  const parts = {
    namespace: 'testing',
    images: { list: async () => images },
    snapshotterNames: ['overlayfs'],
    snapshotter: () => ({ list: async () => snapshots }),
    survey: async () => survey,
  };
  return parts as unknown as Parameters<typeof choosePruned>[0];
}

const BOTH = [image('r.test/base:1', 'a'), image('r.test/app:1', 'b')];
const LAYERS = [snapshot('S1', 'Committed', ''), snapshot('S2', 'Committed', 'S1')];

async function goes(of: Parameters<typeof choosePruned>[0], more: object = {}): Promise<string[]> {
  const choice = await choosePruned(of, { filter: parseFilters([]), now: NOW, ...more });
  return choice.goes.map(({ name }) => name);
}

for (const [title, used, left] of [
  ['a writable snapshot over the top layer', snapshot('K', 'Active', 'S2'), ['r.test/base:1']],
  ['a view', snapshot('K', 'View', 'S2'), ['r.test/base:1']],
  ['one over the base uses the base, not what is built on it', snapshot('K', 'View', 'S1'), ['r.test/app:1']],
  [
    'an extraction is no use',
    snapshot('extract-1-abcd S2', 'Active', 'S2'),
    ['r.test/base:1', 'r.test/app:1'],
  ],
  ['a snapshot of its own', snapshot('K', 'Active', ''), ['r.test/base:1', 'r.test/app:1']],
] as const) {
  test(`prune: ${title}`, async () => {
    assert.deepEqual(await goes(roles(BOTH, [...LAYERS, used])), left);
  });
}

test('prune: a lease that lists an image', async () => {
  const resources = [{ type: 'images', id: 'r.test/app:1' }];
  const lease = { id: 'L', labels: {}, live: true, resources };
  assert.deepEqual(await goes(roles(BOTH, LAYERS, [lease])), ['r.test/base:1']);
});

test('prune: the last of each repository, by change and then by name; names that are no references', async () => {
  const of = roles(
    [
      image('r.test/a:1', 'c', 5),
      image('r.test/a:2', 'c', 9),
      image('r.test/a:3', 'c', 9),
      image('Not One!', 'c'),
    ],
    [],
  );
  assert.deepEqual(await goes(of, { keep: 1 }), ['r.test/a:1', 'r.test/a:3']);
  assert.deepEqual(await goes(of, { keep: 2 }), ['r.test/a:1']);
  assert.deepEqual(await goes(of, { keep: 0, olderThan: NOW - 6 }), ['r.test/a:1', 'Not One!']);
  assert.deepEqual(await goes(of, { filter: parseFilters(['name~=a:1']) }), ['r.test/a:1']);
});
