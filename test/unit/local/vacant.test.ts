/** Where there is no store, and none is to be made: every role refuses what would bring something, and writes nothing. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { type LocalBackend, openLocalBackend } from '../../../src/backends/local/open.ts';
import type { LocalSnapshotter } from '../../../src/backends/local/snapshots/snapshotter.ts';
import { type Kind, kindOf } from '../../../src/core/errors.ts';
import { extractKey } from '../../../src/core/layers/extract-key.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { bytesOf, digestOf } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

const DIGEST = digestOf(bytesOf('a manifest'));
const target = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: 10 };
const IMAGE = { name: 'a', target, labels: {}, createdAt: 0, updatedAt: 0 };

/** What each role answers where there is no store: a kind, or a value. */
type Answer = Kind | { readonly value: unknown };
type Rows = Readonly<Record<string, readonly (readonly [Answer, (backend: LocalBackend) => unknown])[]>>;

const REFUSED = 'FailedPrecondition';
const ABSENT = 'NotFound';
const snapshotter = (backend: LocalBackend): LocalSnapshotter =>
  backend.snapshotter('native') as LocalSnapshotter;

/** Each role: the members that change something, each called, and those that only read, or are no calls. */
const ROLES: Readonly<
  Record<
    string,
    { readonly of: (b: LocalBackend) => object; readonly changes: Rows; readonly reads: readonly string[] }
  >
> = {
  content: {
    of: (b) => b.content,
    changes: {
      ingest: [
        [REFUSED, (b) => b.content.ingest('ref', {})],
        [
          REFUSED,
          async (b) => b.content.ingest('ref', { digest: DIGEST }, { lease: (await b.leases.create()).id }),
        ],
      ],
      abort: [[ABSENT, (b) => b.content.abort('ref')]],
      verify: [[ABSENT, (b) => b.content.verify(DIGEST)]],
      label: [[ABSENT, (b) => b.content.label(DIGEST, { a: 'b' })]],
      delete: [[ABSENT, (b) => b.content.delete(DIGEST)]],
    },
    reads: [
      'blobPath',
      'growing',
      'info',
      'open',
      'arriving',
      'status',
      'inTheWay',
      'listStatuses',
      'list',
      'records',
    ],
  },
  images: {
    of: (b) => b.images,
    changes: {
      put: [[REFUSED, (b) => b.images.put('a', target, {})]],
      label: [[ABSENT, (b) => b.images.label('a', { a: 'b' })]],
      delete: [[ABSENT, (b) => b.images.delete('a')]],
      deleteAll: [[{ value: [] }, (b) => b.images.deleteAll(['a'])]],
      deleteUnchanged: [[{ value: [] }, (b) => b.images.deleteUnchanged?.([IMAGE])]],
    },
    reads: ['get', 'list'],
  },
  leases: {
    of: (b) => b.leases,
    changes: {
      create: [
        [REFUSED, (b) => b.leases.create({ id: 'mine' })],
        [{ value: [] }, async (b) => b.leases.resources((await b.leases.create({ expiresIn: 1000 })).id)],
      ],
      add: [
        [ABSENT, (b) => b.leases.add('mine', { type: 'content', id: DIGEST })],
        [
          { value: undefined },
          async (b) => b.leases.add((await b.leases.create()).id, { type: 'content', id: DIGEST }),
        ],
      ],
      delete: [[ABSENT, (b) => b.leases.delete('mine')]],
      release: [[ABSENT, (b) => b.leases.release?.('mine', 1000)]],
    },
    reads: ['list', 'resources', 'abandoned'],
  },
  namespaceStore: {
    of: (b) => b.namespaceStore,
    changes: {
      create: [[REFUSED, (b) => b.namespaceStore.create('ci', {})]],
      label: [[ABSENT, (b) => b.namespaceStore.label('ci', { a: 'b' })]],
      delete: [[ABSENT, (b) => b.namespaceStore.delete('ci')]],
    },
    reads: ['list'],
  },
  snapshotter: {
    of: snapshotter,
    changes: {
      check: [[{ value: undefined }, (b) => snapshotter(b).check()]],
      prepare: [
        [REFUSED, (b) => snapshotter(b).prepare('key', '')],
        [REFUSED, async (b) => snapshotter(b).prepare('key', '', { lease: (await b.leases.create()).id })],
        [REFUSED, (b) => snapshotter(b).prepare(extractKey(DIGEST, 0), '')],
        [ABSENT, (b) => snapshotter(b).prepare('key', 'parent')],
      ],
      view: [[REFUSED, (b) => snapshotter(b).view('key', '')]],
      commit: [[ABSENT, (b) => snapshotter(b).commit('name', 'key')]],
      label: [[ABSENT, (b) => snapshotter(b).label('key', { a: 'b' })]],
      rebase: [[ABSENT, (b) => snapshotter(b).rebase('key', 'parent', { nodes: [], guesses: [] })]],
      replace: [[ABSENT, (b) => snapshotter(b).replace('name', 'by')]],
      remove: [[ABSENT, (b) => snapshotter(b).remove('key')]],
    },
    reads: [
      ...[
        'name',
        'stacking',
        'maxLayers',
        'layerTree',
        'stat',
        'list',
        'usage',
        'mounts',
        'extraction',
        'diff',
        'rebases',
      ],
    ],
  },
  applier: {
    of: (b) => b.applier,
    changes: {
      apply: [[ABSENT, (b) => b.applier.apply(target, { id: 1, trees: { upper: '/nowhere', lowers: [] } })]],
    },
    reads: ['prepare', 'checkType'],
  },
  checker: { of: (b) => b.checker ?? {}, changes: {}, reads: ['check'] },
  backend: {
    of: (b) => ({ ...b }),
    changes: {
      collect: [[{ value: { blobs: 0, snapshots: 0, bytes: 0 } }, (b) => b.collect()]],
      collectWhenDue: [[{ value: undefined }, (b) => b.collectWhenDue?.()]],
      sync: [[{ value: undefined }, (b) => b.sync()]],
      policy: [[{ value: undefined }, (b) => b.policy?.()]],
      checkRecords: [[{ value: undefined }, (b) => b.checkRecords?.()]],
    },
    reads: [
      ...[
        'namespace',
        'root',
        'lostIndexes',
        'content',
        'images',
        'leases',
        'namespaceStore',
        'applier',
        'checker',
      ],
      ...['snapshotterNames', 'snapshotter', 'namespaces', 'space', 'survey'],
    ],
  },
};

/** Every file below a directory with its size and its time. */
function listing(dir: string): string[] {
  if (!fs.existsSync(dir)) return [];
  const names = fs.readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();
  return names.map((name) => {
    const { size, mtimeMs } = fs.lstatSync(`${dir}/${name}`);
    return `${name} ${size} ${mtimeMs}`;
  });
}

/** The calls of a role's members, and what else there is. */
function membersOf(role: object): string[] {
  const shared = Object.getPrototypeOf(role);
  const own = shared === Object.prototype ? [] : Object.getOwnPropertyNames(shared);
  return [...Object.keys(role), ...own.filter((name) => name !== 'constructor')].sort();
}

async function answerOf(work: () => unknown): Promise<Answer> {
  try {
    return { value: await work() };
  } catch (err) {
    return kindOf(err);
  }
}

for (const [name, { of, changes, reads }] of Object.entries(ROLES)) {
  const skip = name === 'snapshotter' && needs({ root: true });
  test(`${name}: nothing is brought where there is no store`, { skip }, async () => {
    const dir = tempDir();
    const runtime = bareRuntime();
    const opts = { root: `${dir.path}/store`, namespace: 'testing' };
    const vacant = await openLocalBackend(runtime, { ...opts, existing: true });
    try {
      assert.deepEqual([...Object.keys(changes), ...reads].sort(), membersOf(of(vacant)));
      // Another process may make the store meanwhile, with all of its directories.
      for (const isMade of [false, true]) {
        if (isMade) await (await openLocalBackend(runtime, opts))[Symbol.asyncDispose]();
        const before = listing(opts.root);
        for (const [member, rows] of Object.entries(changes)) {
          for (const [answer, call] of rows) {
            assert.deepEqual(await answerOf(() => call(vacant)), answer, member);
            assert.deepEqual(listing(opts.root), before, member);
          }
        }
        const { content, images, leases } = vacant;
        const lists = [content.records?.(), content.listStatuses(), images.list(), leases.list()];
        assert.deepEqual(await Promise.all([...lists, snapshotter(vacant).list()]), [[], [], [], [], []]);
      }
    } finally {
      await vacant[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    }
  });
}

test('a store that another process makes while one looks for it is not seen: nothing is, or fails', async () => {
  const dir = tempDir();
  const runtime = bareRuntime();
  const opts = { root: `${dir.path}/store`, namespace: 'testing' };
  fs.mkdirSync(opts.root, { mode: 0o700 });
  const files = runtime.fs;
  let isMade = false;
  const racing = bareRuntime({
    fs: Object.assign(Object.create(files), {
      list: async (...args: Parameters<typeof files.list>) => {
        const found = await files.list(...args);
        if (!isMade) {
          isMade = true;
          const other = await openLocalBackend(runtime, opts);
          await other.images.put('a', target, {});
          await other[Symbol.asyncDispose]();
        }
        return found;
      },
    }),
  });
  try {
    const vacant = await openLocalBackend(racing, { ...opts, existing: true });
    assert.ok(isMade);
    assert.deepEqual(await vacant.images.list(), []);
    assert.deepEqual(vacant.lostIndexes, []);
    assert.equal(await answerOf(() => vacant.images.put('b', target, {})), REFUSED);
    await vacant[Symbol.asyncDispose]();
    const whole = await openLocalBackend(runtime, opts);
    assert.equal((await whole.images.list()).length, 1);
    await whole[Symbol.asyncDispose]();
  } finally {
    dir[Symbol.dispose]();
  }
});
