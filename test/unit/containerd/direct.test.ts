/** Whose directories a containerd's are: by a server on this machine that counts what is in them, or something else. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ContainerdApplier } from '../../../src/backends/containerd/applier.ts';
import { DirectAccess } from '../../../src/backends/containerd/direct.ts';
import { Durable } from '../../../src/backends/containerd/durable.ts';
import { Rebases } from '../../../src/backends/containerd/rebases.ts';
import { ContainerdSnapshotter } from '../../../src/backends/containerd/snapshotter.ts';
import { Unsynced } from '../../../src/backends/containerd/unsynced.ts';
import { waysOf } from '../../../src/backends/containerd/version.ts';
import { isNeedsBelow } from '../../../src/core/archive/guesses.ts';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import type { ApplyJob } from '../../../src/core/layers/workers.ts';
import { WriteOut } from '../../../src/core/layers/write-out.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { failure } from '../../support/failure.ts';
import { fakeContainerd, status } from '../../support/fake-containerd.ts';
import { intercept } from '../../support/intercept.ts';
import { needs } from '../../support/needs.ts';
import { digestOf, someBytes } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

const bytes = someBytes(500);
const digest = digestOf(bytes);
const layer: Descriptor = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest,
  size: bytes.length,
};

const skip = needs({ root: true });
/** Where the boot is not known, nothing is marked. */
const NO_BOOT = { readFile: () => Promise.reject(new Error('no such file')) };

interface Setting {
  /** What is counted in the snapshot. Default: all that is in its directory. */
  readonly count?: (dir: string) => number;
  readonly uid?: number;
  readonly snapshotter?: string;
  /** Of the mount, beside its directories. */
  readonly options?: readonly string[];
  readonly blob?: Uint8Array | 'none';
  /** In the snapshot's directory from the start. */
  readonly inside?: string;
  readonly contentRoot?: 'none';
  readonly removal?: 'fails';
  /** Done before anything is asked. */
  readonly before?: (dir: string, socket: string) => void;
  /** Done when containerd has counted twice: the proof is over. */
  readonly switched?: (dir: string) => void;
  /** The directory of the snapshots as containerd names it. */
  readonly through?: string;
}

type Apply = (key: string, codec?: 'portable', below?: 'unknown') => Promise<unknown>;

interface Seen {
  readonly jobs: ApplyJob[];
  /** Directories whose layer containerd was asked to apply. */
  readonly asked: string[];
  counted: number;
  readonly warnings: string[];
  readonly dir: string;
}

/** A containerd with snapshots a, b and c (over one another) and a content store in a directory of its own. */
async function withSetting(
  setting: Setting,
  body: (apply: Apply, seen: Seen, check: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const temp = tempDir();
  const dir = temp.path;
  const seen: Seen = { jobs: [], asked: [], counted: 0, warnings: [], dir };
  const at = (key: string) => join(dir, 'snapshots', key, 'fs');
  const upper = (key: string) => join(dir, setting.through ?? 'snapshots', key, 'fs');
  const { count = (path: string) => 1 + readdirSync(path).length, snapshotter = 'overlayfs' } = setting;
  const blob = join(dir, 'content/blobs', digest.replace(':', '/'));
  mkdirSync(dirname(blob), { recursive: true });
  if (setting.blob !== 'none') writeFileSync(blob, setting.blob ?? bytes);
  for (const key of 'abc') mkdirSync(at(key), { recursive: true });
  if (setting.inside !== undefined) writeFileSync(join(at('b'), setting.inside), '');
  /** Makes the directories of a snapshot, and returns its working directory. */
  const made = (key: string): string => {
    mkdirSync(at(key), { recursive: true });
    return join(dir, 'snapshots', key, 'work');
  };
  const fake = await fakeContainerd({
    'snapshots.v1.Snapshots/Remove': ({ request: { key } }) => {
      rmSync(join(dir, 'snapshots', String(key)), { recursive: true });
      return {};
    },
    'snapshots.v1.Snapshots/Prepare': ({ request: { key } }) => ({
      mounts: [
        {
          type: 'overlay',
          source: 'overlay',
          options: [
            ...(setting.options ?? ['index=off']),
            `workdir=${made(String(key))}`,
            `upperdir=${upper(String(key))}`,
            `lowerdir=${upper('a')}`,
          ],
        },
      ],
    }),
    'snapshots.v1.Snapshots/Usage': ({ request: { key } }) => {
      seen.counted++;
      if (setting.count !== undefined && Number.isNaN(setting.count(''))) throw status(5, 'no such snapshot');
      const inodes = count(upper(String(key)));
      if (seen.counted === 2) setting.switched?.(dir);
      return { size: 4096, inodes };
    },
    'diff.v1.Diff/Apply': ({ request }) => {
      const [mount] = request.mounts as { options: string[] }[];
      seen.asked.push(mount?.options.find((one) => one.startsWith('upperdir=')) ?? '');
      return { applied: { mediaType: 'x/y', digest, size: 1 } };
    },
  });
  const runtime = bareRuntime();
  const host = { ...runtime.host, uid: setting.uid ?? 0 };
  const contentRoot = setting.contentRoot === 'none' ? undefined : join(dir, 'content');
  const syscalls = intercept(await runtime.syscalls(), (call) => {
    if (setting.removal === 'fails' && call === 'rmdir') throw new HawserError('Internal', 'it stays');
  });
  const parts = { fs: runtime.fs, host, syscalls: async () => syscalls };
  const direct = new DirectAccess(fake.connection, parts, contentRoot);
  const workers = {
    warm: () => {},
    syncfs: async () => {},
    apply: async (job: ApplyJob) => {
      const [root, ...lowers] = [job.root, ...job.lowers].map((path) => realpathSync(path));
      seen.jobs.push({ ...job, root: root ?? '', lowers, blob: realpathSync(job.blob) });
      const times = { wait: 0, inflate: 0, verify: 0, apply: 0 };
      return { diffId: digest, size: 1, entries: 1, warnings: [], times, record: null } as never;
    },
  };
  const writeOut = new WriteOut(runtime);
  const durable = new Durable(workers, writeOut, new Unsynced(NO_BOOT));
  const applier = new ContainerdApplier(fake.connection, durable, direct, workers, writeOut);
  const rebases = new Rebases({ name: snapshotter, capable: false }, fake.connection, direct, runtime);
  const deps = { direct, durable, rebases };
  const snapshots = new ContainerdSnapshotter(fake.connection, snapshotter, deps, {
    ...waysOf('1.6'),
    remote: false,
  });
  try {
    setting.before?.(dir, fake.socket);
    const apply: Apply = async (key, codec, below) => {
      const snapshot = await snapshots.prepare(key, 'chain');
      const settings = codec === undefined ? {} : { codec };
      const { warnings } = await applier.apply(layer, snapshot, {
        settings,
        ...(below === undefined ? {} : { below }),
      });
      seen.warnings.push(...warnings);
    };
    await body(apply, seen, () => snapshots.check({ oursOnly: '--codec portable' }));
    for (const key of setting.switched === undefined ? 'bc' : '')
      assert.deepEqual(
        readdirSync(at(key)),
        [setting.inside ?? []].flat().filter(() => key === 'b'),
      );
  } finally {
    direct[Symbol.dispose]();
    await fake[Symbol.asyncDispose]();
    temp[Symbol.dispose]();
  }
}

test('containerd direct: a directory that containerd counts in proves the place, once; layers are applied there by us', {
  skip,
}, async () => {
  await withSetting({}, async (apply, seen) => {
    await apply('b');
    assert.equal(seen.counted, 2);
    await apply('c', 'portable');
    assert.equal(seen.counted, 2);
    assert.deepEqual(seen.asked, []);
    const [one, two] = seen.jobs;
    assert.equal(one?.blob, join(seen.dir, 'content/blobs', digest.replace(':', '/')));
    assert.deepEqual(
      [one?.root, one?.lowers, one?.mode, one?.blobSize, one?.growing, one?.owner?.mode],
      [
        join(seen.dir, 'snapshots/b/fs'),
        [join(seen.dir, 'snapshots/a/fs')],
        'overlay',
        bytes.length,
        null,
        'keep',
      ],
    );
    assert.deepEqual([two?.root, two?.codec], [join(seen.dir, 'snapshots/c/fs'), 'portable']);
  });
});

const ELSEWHERE: readonly (readonly [string, Setting])[] = [
  ['containerd counts in another directory', { count: () => 1 }],
  ['somebody else writes there', { count: (dir) => 2 * readdirSync(dir).length + 1 }],
  ['containerd does not count', { count: () => Number.NaN }],
  ['we are not root', { uid: 1000 }],
  ['another snapshotter has its own ways', { snapshotter: 'stargz' }],
  ['containerd is in a user namespace', { options: ['index=off', 'userxattr'] }],
  ['the mount maps ids', { options: ['uidmap=0:100000:65536'] }],
  ['the snapshot is not new', { inside: 'file' }],
  ['the content is elsewhere', { blob: 'none' }],
  ['the content is something else', { blob: bytes.subarray(1) }],
  ['where the content is nobody says', { contentRoot: 'none' }],
];

for (const [why, setting] of ELSEWHERE) {
  test(`containerd direct: ${why}: containerd applies the layer, and nothing of ours is left`, {
    skip,
  }, async () => {
    await withSetting(setting, async (apply, seen) => {
      await apply('b');
      assert.deepEqual(seen.jobs, []);
      assert.deepEqual(seen.asked, [`upperdir=${join(seen.dir, 'snapshots/b/fs')}`]);
    });
  });
}

test('containerd direct: what was made to find out and cannot be removed fails the layer, whoever could apply it', {
  skip,
}, async () => {
  await withSetting({ count: () => 1, removal: 'fails' }, async (apply, seen) => {
    await assert.rejects(apply('b'), /it stays/);
    assert.deepEqual([seen.jobs, seen.asked], [[], []]);
    for (const name of readdirSync(join(seen.dir, 'snapshots/b/fs')))
      rmSync(join(seen.dir, 'snapshots/b/fs', name), { recursive: true });
  });
});

test('containerd direct: what only we could heed is refused where containerd applies', { skip }, async () => {
  await withSetting({ count: () => 1 }, async (apply, seen) => {
    const err = await failure(apply('b', 'portable'));
    assert.ok(isKind(err, 'NotImplemented'), String(err));
    assert.match(String(err), /--codec portable: containerd itself applies the layers/);
    assert.deepEqual([seen.jobs, seen.asked], [[], []]);
  });
});

test('containerd direct: a layer without its parent is never left to containerd', { skip }, async () => {
  for (const setting of [{ count: () => 1 }, { blob: 'none' }] as const) {
    await withSetting(setting, async (apply, seen) => {
      const err = await failure(apply('b', undefined, 'unknown'));
      assert.ok(isNeedsBelow(err), String(err));
      assert.deepEqual([seen.jobs, seen.asked], [[], []]);
    });
  }
});

const NOBODY = 65534;
const own = (path: string) => chownSync(path, NOBODY, NOBODY);
const open = (path: string) => chmodSync(path, 0o777);

/** By which another user could lead root elsewhere. */
const LED: readonly (readonly [string, (dir: string, socket: string) => void, RegExp?])[] = [
  ['the socket is another user’s', (_, socket) => own(socket), /sock belongs to user 65534/],
  [
    'the socket’s directory is another user’s',
    (_, socket) => own(dirname(socket)),
    /directory of user 65534/,
  ],
  ['others can write beside the socket', (_, socket) => open(dirname(socket)), /other users can write/],
  ['the directory above is another user’s', (dir) => own(dir), /directory of user 65534/],
  ['the snapshots are another user’s', (dir) => own(join(dir, 'snapshots')), /directory of user 65534/],
  ['others can write to the snapshots', (dir) => open(join(dir, 'snapshots')), /other users can write/],
  ['the snapshot is another user’s', (dir) => own(join(dir, 'snapshots/b'))],
  ['others can write to the snapshot', (dir) => open(join(dir, 'snapshots/b'))],
  ['a layer below is another user’s', (dir) => own(join(dir, 'snapshots/a'))],
  ['the content is another user’s', (dir) => own(join(dir, 'content/blobs'))],
];

for (const [why, before, warning] of LED) {
  test(`containerd direct: ${why}: containerd applies the layer, and root writes nothing`, {
    skip,
  }, async () => {
    await withSetting({ before }, async (apply, seen) => {
      await apply('b');
      assert.deepEqual([seen.jobs.length, seen.asked.length], [0, 1]);
      if (warning !== undefined) assert.match(seen.warnings.join(), warning);
      await apply('c');
      assert.ok(seen.warnings.length <= 1, 'told once');
    });
  });
}

const linked = (owner: number) => (dir: string) => {
  symlinkSync('snapshots', join(dir, 'link'));
  lchownSync(join(dir, 'link'), owner, owner);
};

test('containerd direct: a symlink on the way is root’s, or containerd applies the layer', {
  skip,
}, async () => {
  await withSetting({ through: 'link', before: linked(0) }, async (apply, seen) => {
    await apply('b');
    assert.deepEqual([seen.jobs[0]?.root, seen.asked], [join(seen.dir, 'snapshots/b/fs'), []]);
  });
  await withSetting({ through: 'link', before: linked(NOBODY) }, async (apply, seen) => {
    await apply('b');
    assert.deepEqual(seen.jobs, []);
    assert.match(seen.warnings.join(), /goes through a symlink of user 65534/);
  });
});

test('containerd direct: layers go below the directory that was proven, whatever its path leads to later', {
  skip,
}, async () => {
  const switched = (dir: string) => {
    renameSync(join(dir, 'snapshots'), join(dir, 'proven'));
    for (const key of 'abc') mkdirSync(join(dir, 'victim', key, 'fs'), { recursive: true });
    symlinkSync('victim', join(dir, 'snapshots'));
  };
  await withSetting({ switched }, async (apply, seen) => {
    await apply('b');
    await apply('c');
    const roots = seen.jobs.map(({ root, lowers }) => [root, ...lowers]);
    assert.deepEqual(
      roots,
      ['b', 'c'].map((key) => [key, 'a'].map((one) => join(seen.dir, 'proven', one, 'fs'))),
    );
  });
});

test('containerd direct: a wish that containerd cannot follow is proven to be ours to follow, or refused at once', {
  skip,
}, async () => {
  await withSetting({}, async (apply, seen, check) => {
    await check();
    assert.deepEqual([seen.counted, readdirSync(join(seen.dir, 'snapshots'))], [2, ['a', 'b', 'c']]);
    await check();
    await apply('b', 'portable');
    assert.deepEqual([seen.counted, seen.jobs.length], [2, 1]);
  });
  for (const setting of [{ count: () => 1 }, { uid: 1000 }, { snapshotter: 'native' }] as const) {
    await withSetting(setting, async (_, seen, check) => {
      assert.ok(isKind(await failure(check()), 'NotImplemented'));
      assert.deepEqual(readdirSync(join(seen.dir, 'snapshots')), ['a', 'b', 'c']);
    });
  }
});
