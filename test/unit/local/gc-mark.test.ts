/** The mark phase on containerd's worked examples (core/metadata/gc_test.go and the documented label grammar). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GcState } from '../../../src/core/gc/graph.ts';
import { mark } from '../../../src/core/gc/mark.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const PAST = '2025-12-31T23:59:59Z';
const FUTURE = '2026-01-01T01:00:00+00:00';
const p = (key: string): string => `containerd.io/gc.${key}`;

type Labels = Record<string, string>;
type Partial = { -readonly [K in keyof GcState]?: GcState[K] };

const content = (entries: Record<string, Labels>): GcState['content'] =>
  Object.entries(entries).map(([digest, labels]) => ({ digest, labels }));
const snapshots = (entries: Record<string, [parent: string, labels?: Labels]>): GcState['snapshots'] =>
  Object.entries(entries).map(([name, [parent, labels]]) => ({
    snapshotter: 'overlayfs',
    name,
    parent,
    labels: labels ?? {},
  }));
const lease = (
  id: string,
  resources: readonly (readonly [type: string, id: string])[],
  labels: Labels = {},
  live = true,
): GcState['leases'][number] => ({
  id,
  labels,
  live,
  resources: resources.map(([type, target]) => ({ type, id: target })),
});

function survivors(parts: Partial): string[] {
  const state: GcState = { leases: [], images: [], content: [], snapshots: [], ingests: [], ...parts };
  const keep = mark(state, NOW);
  return [
    ...state.leases.filter(({ id }) => keep.lease(id)).map(({ id }) => `lease ${id}`),
    ...state.images.filter(({ name }) => keep.has('images', name)).map(({ name }) => `image ${name}`),
    ...state.content.filter(({ digest }) => keep.has('content', digest)).map(({ digest }) => digest),
    ...state.snapshots
      .filter((one) => keep.has(`snapshots/${one.snapshotter}`, one.name))
      .map(({ name }) => name),
    ...state.ingests.filter(({ ref }) => keep.has('ingests', ref)).map(({ ref }) => `ingest ${ref}`),
  ];
}

const image = (labels: Labels = {}): GcState['images'] => [{ name: 'I', digest: 'X', labels }];
const pulled: Partial = {
  content: content({
    X: { [p('ref.content.m.0')]: 'M1', [p('ref.content.m.1')]: 'M2' },
    M1: { [p('ref.content.config')]: 'C', [p('ref.content.l.0')]: 'L' },
    C: { [p('ref.snapshot.overlayfs')]: 'S2' },
    L: {},
    other: {},
  }),
  snapshots: snapshots({ S1: [''], S2: ['S1'], S3: ['S1'] }),
};

test('an image keeps its whole graph; a missing child is no error', () => {
  assert.deepEqual(survivors({ ...pulled, images: image() }), ['image I', 'X', 'M1', 'C', 'L', 'S1', 'S2']);
});

test('without the image nothing stays, in one pass', () => {
  assert.deepEqual(survivors(pulled), []);
});

test('a lease on a snapshot keeps its chain only', () => {
  const leases = [lease('Z', [['snapshots/overlayfs', 'S2']])];
  assert.deepEqual(survivors({ ...pulled, leases }), ['lease Z', 'S1', 'S2']);
});

test('a flat lease does not follow labels, but a snapshot’s parents and an image’s target', () => {
  const flat = { [p('flat')]: '' };
  assert.deepEqual(survivors({ ...pulled, leases: [lease('Z', [['content', 'M1']], flat)] }), [
    'lease Z',
    'M1',
  ]);
  const labelled = snapshots({
    S1: ['', { [p('ref.content')]: 'L' }],
    S2: ['S1', { [p('ref.content')]: 'C' }],
  });
  const onSnapshot = [lease('Z', [['snapshots/overlayfs', 'S2']], flat)];
  assert.deepEqual(survivors({ ...pulled, snapshots: labelled, leases: onSnapshot }), [
    'lease Z',
    'S1',
    'S2',
  ]);
  const onImage = [lease('Z', [['images', 'I']], flat)];
  const expired = image({ [p('expire')]: PAST });
  assert.deepEqual(survivors({ ...pulled, images: expired, leases: onImage }), ['lease Z', 'image I', 'X']);
});

test('held both flat and in full is held in full', () => {
  const leases = [lease('F', [['content', 'M1']], { [p('flat')]: '' }), lease('Z', [['content', 'M1']])];
  assert.deepEqual(survivors({ ...pulled, leases }), ['lease F', 'lease Z', 'M1', 'C', 'L', 'S1', 'S2']);
});

test('an expired lease is gone with what it held; garbage never expires; a dead process’s does not count', () => {
  const held = [['content', 'L']] as const;
  assert.deepEqual(survivors({ ...pulled, leases: [lease('Z', held, { [p('expire')]: PAST })] }), []);
  assert.deepEqual(survivors({ ...pulled, leases: [lease('Z', held, { [p('expire')]: FUTURE })] }), [
    'lease Z',
    'L',
  ]);
  assert.deepEqual(survivors({ ...pulled, leases: [lease('Z', held, { [p('expire')]: 'garbage' })] }), [
    'lease Z',
    'L',
  ]);
  assert.deepEqual(survivors({ ...pulled, leases: [lease('Z', held, {}, false)] }), []);
});

test('an ingest keeps the blob that it expects, while it lives', () => {
  const ingest = (live: boolean): GcState['ingests'] => [{ ref: 'r', expected: 'L', live }];
  assert.deepEqual(survivors({ ...pulled, ingests: ingest(true) }), ['L', 'ingest r']);
  assert.deepEqual(survivors({ ...pulled, ingests: ingest(false) }), []);
  const leases = [lease('Z', [['ingests', 'r']])];
  assert.deepEqual(survivors({ ...pulled, ingests: ingest(false), leases }), ['lease Z', 'L', 'ingest r']);
});

test('root labels: any key that starts gc.root, whatever the value but none', () => {
  const blobs = content({
    a: { [p('root')]: 'x', [p('ref.content')]: 'd' },
    b: { [p('root.anything')]: 'x' },
    c: { [p('root')]: '' },
    d: {},
  });
  assert.deepEqual(survivors({ content: blobs, snapshots: snapshots({ s: ['', { [p('root')]: '1' }] }) }), [
    'a',
    'b',
    'd',
    's',
  ]);
});

test('label grammar: what follows the type', () => {
  const blobs = content({
    root: {
      [p('root')]: '1',
      [p('ref.content')]: 'plain',
      [p('ref.content.anything-1')]: 'dot',
      [p('ref.content/anything-1')]: 'slash',
      [p('ref.contentbad')]: 'bad',
      [p('ref.snapshot.overlayfs')]: 's-plain',
      [p('ref.snapshot.overlayfs/any')]: 's-slash',
      [p('ref.snapshot.other')]: 's-other',
      [p('ref.snapshot')]: 's-none',
      [p('ref.image')]: 'I',
    },
    plain: {},
    dot: {},
    slash: {},
    bad: {},
    X: {},
  });
  const state = {
    content: blobs,
    snapshots: snapshots({ 's-plain': [''], 's-slash': [''], 's-other': [''], 's-none': [''] }),
    images: image({ [p('expire')]: PAST }),
  };
  const expected = ['image I', 'root', 'plain', 'dot', 'slash', 'X', 's-plain', 's-slash'];
  assert.deepEqual(survivors(state), expected);
});

test('an expired image is gone unless something else names it', () => {
  assert.deepEqual(survivors({ ...pulled, images: image({ [p('expire')]: PAST }) }), []);
  assert.equal(survivors({ ...pulled, images: image({ [p('expire')]: FUTURE }) })[0], 'image I');
});

test('a back reference keeps the child while its parent stays', () => {
  const blobs = content({
    X: {},
    child: { [p('bref.image')]: 'I' },
    grandchild: { [p('bref.content.x')]: 'child' },
  });
  assert.deepEqual(survivors({ content: blobs, images: image() }), ['image I', 'X', 'child', 'grandchild']);
  assert.deepEqual(survivors({ content: blobs }), []);
  const layers = snapshots({
    s: ['', { [p('bref.snapshot.overlayfs')]: 't' }],
    t: ['', { [p('root')]: '1' }],
  });
  assert.deepEqual(survivors({ snapshots: layers }), ['s', 't']);
});

test('an active snapshot keeps its parent only if something keeps it', () => {
  const chain = snapshots({ S: [''], active: ['S'] });
  assert.deepEqual(survivors({ snapshots: chain }), []);
  const leases = [lease('Z', [['snapshots/overlayfs', 'active']])];
  assert.deepEqual(survivors({ snapshots: chain, leases }), ['lease Z', 'S', 'active']);
});

test('cycles end', () => {
  const blobs = content({ a: { [p('root')]: '1', [p('ref.content')]: 'b' }, b: { [p('ref.content')]: 'a' } });
  assert.deepEqual(survivors({ content: blobs }), ['a', 'b']);
});
