/** The suites of the stores over a containerd of the test's own, and what it does otherwise than our contract says. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openContainerdBackend } from '../../src/backends/containerd/open.ts';
import type { Backend } from '../../src/core/backend.ts';
import { isKind } from '../../src/core/errors.ts';
import { defaultPlatform } from '../../src/core/platforms/host.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { contentSuite, type Departures, type StoreUnderTest } from '../suites/content.ts';
import { diffSuite } from '../suites/diff.ts';
import { gcSuite } from '../suites/gc.ts';
import { imagesSuite } from '../suites/images.ts';
import { leasesSuite } from '../suites/leases.ts';
import { namespacesSuite } from '../suites/namespaces.ts';
import { type SnapshotterUnderTest, snapshotterSuite } from '../suites/snapshotter.ts';
import { type Containerd, type Installation, installations, startContainerd } from '../support/containerd.ts';
import { failure } from '../support/failure.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';
import { close, digestOf, someBytes } from '../support/stores.ts';

const skip = needs({ root: true, tools: ['containerd', 'ctr'] });

let daemon: Containerd;
let runtime: Runtime;
let count = 0;

function open(namespace: string): Promise<Backend> {
  return openContainerdBackend(runtime, { address: daemon.socket, namespace });
}

/** The namespaces of a test are its own. */
async function store(): Promise<StoreUnderTest> {
  const opened: Backend[] = [];
  const id = count++;
  return {
    open: async (namespace) => {
      const backend = await open(`${namespace}-of-${id}`);
      opened.push(backend);
      return backend;
    },
    done: async () => {
      for (const backend of opened) await backend[Symbol.asyncDispose]();
    },
  };
}

async function snapshots(): Promise<SnapshotterUnderTest> {
  const dir = scratch();
  const backend = await open(`snapshots-of-${count++}`);
  return {
    backend,
    snapshotter: backend.snapshotter(),
    mounter: await runtime.mounter(),
    scratch: dir.path,
    done: async () => {
      await backend[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const DAEMONS = 'the policy of sharing is a setting of containerd’s';
const CONTENT: Departures = {
  'UpdateStatus: ref, offset, total and times while writing':
    'containerd does not say which digest an ingest is to have',
  'a digest with another size than its blob has is not taken for it':
    'containerd asks for the digest only; we then refuse the blob at once',
  'CrossNamespaceShare: another namespace shares at once, each deletes for itself':
    'containerd opens an ingest that has all bytes, to be committed',
  'CrossNamespaceIsolate: isolated, a namespace gets a blob by its bytes only': DAEMONS,
  'SharedNamespaceIsolate: isolated, a namespace that is labelled shareable shares all the same': DAEMONS,
};
const SHA256_ONLY: Departures = { 'sha256, sha384 and sha512': 'containerd 1.6 stores by sha256 only' };
const SNAPSHOTS: Departures = {
  'a layer that leaves its root alone keeps the root’s attributes':
    'containerd gives the root of each layer attributes of its own',
  'Rebase: a parent for an active snapshot without one':
    'containerd learns the parent at the commit (test/integration/containerd-rebase.test.ts)',
};

// In a group of its own: Deno forgets the hooks of a file some tests of which are skipped.
for (const installation of installations)
  describe(`over ${installation.name}`, { skip }, () => over(installation));

function over(installation: Installation): void {
  const { name } = installation;
  before(async () => {
    // What the suites make nothing refers to: it must not be collected meanwhile.
    const never =
      '[plugins."io.containerd.gc.v1.scheduler"]\n  mutation_threshold = 1000000000\n  startup_delay = "24h"\n';
    daemon = await startContainerd(undefined, never, installation);
    runtime = await defaultRuntime();
  });
  after(async () => {
    await runtime?.workers[Symbol.asyncDispose]();
    await daemon?.close();
  });

  contentSuite(name, store, false, name === 'containerd' ? { ...CONTENT, ...SHA256_ONLY } : CONTENT);
  leasesSuite(name, store);
  imagesSuite(name, store);
  namespacesSuite(name, store);
  gcSuite(name, store);
  snapshotterSuite(name, snapshots, false, SNAPSHOTS);
  diffSuite(name, snapshots, false, 'content');

  test(`platform/${name}: amd64 without a level, as containerd runs it`, async () => {
    const backend = await open('platforms');
    const machine = { os: 'linux', arch: 'amd64', variant: 'v4' };
    assert.deepEqual(defaultPlatform(backend, machine), { os: 'linux', architecture: 'amd64' });
    await backend[Symbol.asyncDispose]();
  });
  test(`snapshots/${name}: of a chain, what is committed is found at once, and kept by the lease`, async () => {
    const { backend, snapshotter, done } = await snapshots();
    try {
      const { id: lease } = await backend.leases.create({});
      const committed = async (...chain: string[]) =>
        [...((await snapshotter.committedOf?.(chain, { lease })) ?? assert.fail('it can tell'))].sort();
      const held = async () => (await backend.leases.resources(lease)).map(({ id }) => id);
      for (const [key, parent] of [
        ['one', ''],
        ['two', 'one'],
        ['other', ''],
      ] as const) {
        await snapshotter.prepare(`${key}-active`, parent);
        await snapshotter.commit(key, `${key}-active`);
      }
      await snapshotter.prepare('three', 'two');
      assert.deepEqual([await committed(), await committed('none', 'three'), await held()], [[], [], []]);
      assert.deepEqual(await committed('one', 'two', 'three', 'none'), ['one', 'two']);
      assert.deepEqual(await held(), ['two']);
      const err = await failure(committed('one', 'other'));
      assert.ok(isKind(err, 'DataLoss'), String(err));
      assert.match(String(err), /other lies over nothing, and not over one: it does not show the image/);
    } finally {
      await done();
    }
  });
  test(`content/${name}: what another namespace has is committed without a byte`, async () => {
    const { open, done } = await store();
    try {
      const [one, other] = [(await open('one')).content, (await open('other')).content];
      const bytes = someBytes(3000);
      const want = { digest: digestOf(bytes), size: bytes.length };
      for (const [content, offset] of [
        [one, 0],
        [other, bytes.length],
      ] as const) {
        const ingest = await content.ingest('ref', want);
        assert.equal(ingest.offset, offset);
        if (offset === 0) await ingest.write(bytes);
        assert.equal(ingest.isNew, false);
        assert.equal(await ingest.commit({ labels: { of: content === one ? 'one' : 'other' } }), want.digest);
        assert.equal(ingest.isNew, true);
        await close(ingest);
      }
      assert.deepEqual((await other.info(want.digest)).labels, { of: 'other' });
    } finally {
      await done();
    }
  });
}
