import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import process from 'node:process';
import { test } from 'node:test';
import { type LocalBackend, openLocalBackend } from '../../../src/backends/local/open.ts';
import { STORE_VERSION } from '../../../src/backends/local/schema.ts';
import { HawserError, hintOf, messageOf, withHint } from '../../../src/core/errors.ts';
import type { Runtime } from '../../../src/core/runtime.ts';
import { errnoError } from '../../../src/platform/kernel/errno.ts';
import { rejectsWith } from '../../suites/content.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { addBlob, bytesOf, collectStream, withStore } from '../../support/stores.ts';
import { tempDir } from '../../support/tmp.ts';

async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = tempDir();
  try {
    await body(dir.path);
  } finally {
    dir[Symbol.dispose]();
  }
}

function open(
  root: string,
  opts: { runtime?: Runtime; readOnly?: boolean; namespace?: string } = {},
): Promise<LocalBackend> {
  const { runtime = bareRuntime(), readOnly = false, namespace = 'default' } = opts;
  return openLocalBackend(runtime, { root, namespace, readOnly });
}

async function opens(root: string, opts: { runtime?: Runtime; readOnly?: boolean } = {}): Promise<void> {
  await (await open(root, opts))[Symbol.asyncDispose]();
}

const modeOf = (path: string): string => (fs.statSync(path).mode & 0o7777).toString(8);

test('the store is for its owner only, whatever the umask (H44)', async () => {
  await inDir(async (dir) => {
    await opens(`${dir}/a/b/store`);
    assert.equal(modeOf(`${dir}/a/b/store`), '700');
    assert.equal(modeOf(`${dir}/a/b/store/hawser.db`), '600');
    fs.mkdirSync(`${dir}/made`, { mode: 0o755 });
    await opens(`${dir}/made`);
    assert.equal(modeOf(`${dir}/made`), '700');
    fs.chmodSync(`${dir}/made`, 0o711);
    await opens(`${dir}/made`);
    assert.equal(modeOf(`${dir}/made`), '711');
  });
});

test('a root that others may write to, own, or fill with something else is refused with a hint (H44, H45)', async () => {
  await inDir(async (dir) => {
    fs.mkdirSync(`${dir}/open`);
    fs.chmodSync(`${dir}/open`, 0o777);
    fs.mkdirSync(`${dir}/full`);
    fs.writeFileSync(`${dir}/full/thesis.tex`, '');
    fs.writeFileSync(`${dir}/file`, '');
    const cases = {
      open: /other users may write/,
      full: /not empty \("thesis.tex"\)/,
      file: /not a directory/,
    };
    for (const [name, message] of Object.entries(cases)) {
      const err = await rejectsWith('FailedPrecondition', open(`${dir}/${name}`));
      assert.match(messageOf(err), message);
      assert.ok(hintOf(err));
    }
    const runtime = bareRuntime();
    const stranger = { ...runtime, host: { ...runtime.host, uid: runtime.host.uid + 1 } };
    await opens(`${dir}/mine`);
    const err = await rejectsWith('FailedPrecondition', open(`${dir}/mine`, { runtime: stranger }));
    assert.match(messageOf(err), /belongs to user \d+, and this is user \d+/);
    assert.deepEqual(fs.readdirSync(`${dir}/full`), ['thesis.tex']);
    assert.equal(modeOf(`${dir}/open`), '777');
  });
});

test('where nothing is to be made, a root that cannot be used is told in the same words', async () => {
  await inDir(async (dir) => {
    for (const name of ['closed', 'open']) fs.mkdirSync(`${dir}/${name}`, { mode: 0o700 });
    fs.chmodSync(`${dir}/open`, 0o777);
    fs.writeFileSync(`${dir}/file`, '');
    const base = bareRuntime();
    const refuses: Runtime['fs']['list'] = async () => {
      throw errnoError('EACCES', 'listing the root');
    };
    const closed = { ...base, fs: Object.assign(Object.create(base.fs), { list: refuses }) };
    const stranger = (of: Runtime): Runtime => ({ ...of, host: { ...of.host, uid: of.host.uid + 1 } });
    const cases: readonly (readonly [name: string, runtime: Runtime, message: RegExp])[] = [
      ['closed', stranger(closed), /Cannot use the store .*: it belongs to user \d+, and this is user \d+$/],
      ['closed', closed, /Cannot use the store .*: no permission \(.*EACCES/],
      ['open', base, /Cannot use the store .*: other users may write to it/],
      ['file', base, /Cannot use the store .*: it is not a directory$/],
      ['file/below', base, /ENOTDIR/],
    ];
    for (const [name, runtime, message] of cases) {
      const told = async (existing: boolean): Promise<string> => {
        const options = { root: `${dir}/${name}`, namespace: 'default', existing };
        const err = await openLocalBackend(runtime, options).catch((one) => one);
        assert.match(messageOf(err), message);
        return withHint(err);
      };
      assert.equal(await told(true), await told(false));
    }
  });
});

/** Each damages or opens a store; the pattern is what the refusal says. */
const BAD_PARTS: Readonly<Record<string, readonly [damage: (root: string) => void, says: RegExp]>> = {
  'content open to all': [(root) => fs.chmodSync(`${root}/content`, 0o777), /content: other users may write/],
  'blobs open to the group': [
    (root) => fs.chmodSync(`${root}/content/blobs`, 0o770),
    /blobs: other users may write/,
  ],
  'snapshots open to all': [
    (root) => fs.chmodSync(`${root}/snapshots`, 0o1777),
    /snapshots: other users may/,
  ],
  'run is a file': [
    (root) => {
      fs.rmSync(`${root}/run`, { recursive: true });
      fs.writeFileSync(`${root}/run`, '');
    },
    /run: it is not a directory/,
  ],
  'a database open to all': [
    (root) => fs.chmodSync(`${root}/hawser.db`, 0o666),
    /hawser.db: other users may write/,
  ],
  'a dangling link for a database': [
    (root) => {
      fs.rmSync(`${root}/hawser.db`);
      fs.symlinkSync(`${root}/../elsewhere.db`, `${root}/hawser.db`);
    },
    /hawser.db: it is not a regular file/,
  ],
  'a link for the log': [
    (root) => fs.symlinkSync(`${root}/../elsewhere.db`, `${root}/hawser.db-wal`),
    /hawser.db-wal: it is not a regular file/,
  ],
};

for (const [title, [damage, says]] of Object.entries(BAD_PARTS)) {
  test(`a store that others could have changed is refused, to read and to write: ${title}`, async () => {
    await inDir(async (dir) => {
      const root = `${dir}/store`;
      await opens(root);
      fs.chmodSync(root, 0o755);
      await opens(root);
      damage(root);
      for (const readOnly of [false, true]) {
        const err = await rejectsWith('FailedPrecondition', opens(root, { readOnly }));
        assert.match(messageOf(err), says);
        assert.ok(hintOf(err));
      }
      assert.equal(fs.existsSync(`${dir}/elsewhere.db`), false);
    });
  });
}

test('what is open inside a root that nobody else can enter is no danger', async () => {
  await inDir(async (dir) => {
    const root = `${dir}/store`;
    await opens(root);
    fs.chmodSync(`${root}/snapshots`, 0o1777);
    await opens(root);
    fs.symlinkSync(`${dir}/blobs`, `${root}/content/link`);
    fs.cpSync(`${root}/content/blobs`, `${dir}/blobs`, { recursive: true });
    fs.rmSync(`${root}/content/blobs`, { recursive: true });
    fs.symlinkSync(`${dir}/blobs`, `${root}/content/blobs`);
    await opens(root);
  });
});

test('an ACL that lets another user write is refused', {
  skip: needs({ tools: ['setfattr'] }),
}, async () => {
  await inDir(async (dir) => {
    const root = `${dir}/store`;
    await opens(root);
    // user::rwx, user:65534:rwx, group::---, mask::rwx, other::---
    const entries = [
      '01000700ffffffff',
      '02000700feff0000',
      '04000000ffffffff',
      '10000700ffffffff',
      '20000000ffffffff',
    ];
    const acl = `0x02000000${entries.join('')}`;
    assert.equal(spawnSync('setfattr', ['-n', 'system.posix_acl_access', '-v', acl, root]).status, 0);
    assert.match(messageOf(await rejectsWith('FailedPrecondition', opens(root))), /other users may write/);
  });
});

test('a link of our own is followed, another user’s is not (H45)', async () => {
  await inDir(async (dir) => {
    fs.mkdirSync(`${dir}/real`, { mode: 0o700 });
    fs.symlinkSync(`${dir}/real`, `${dir}/link`);
    await opens(`${dir}/link`);
    assert.ok(fs.existsSync(`${dir}/real/hawser.db`));
    if (process.getuid?.() !== 0) return;
    fs.lchownSync(`${dir}/link`, 12345, 12345);
    assert.match(messageOf(await rejectsWith('FailedPrecondition', open(`${dir}/link`))), /symbolic link/);
  });
});

test('no permission is told with what to do', async () => {
  const runtime = bareRuntime();
  const denied = { ...runtime, fs: { ...runtime.fs } };
  await inDir(async (dir) => {
    const path = `${dir}/locked`;
    denied.fs.mkdir = async () => {
      throw new HawserError('PermissionDenied', 'making the directory: permission denied');
    };
    const err = await rejectsWith('PermissionDenied', open(path, { runtime: denied }));
    assert.match(messageOf(err), /Cannot use the store .*locked: no permission/);
    assert.match(
      hintOf(err) ?? '',
      process.getuid?.() === 0 ? /--root DIR.* of yours$/ : /--root DIR.*run as root/,
    );
  });
});

test('roots with any characters hold content; overlayfs says which it cannot take', async () => {
  for (const name of [
    'with space',
    'co:lon',
    'com,ma',
    'back\\slash',
    'new\nline',
    'ünï',
    'quo\'te"',
    '100%',
    '?#',
  ]) {
    await withStore(
      async ({ backend }) => {
        const digest = await addBlob(backend, bytesOf(name));
        assert.deepEqual(await collectStream(await backend.content.open(digest)), bytesOf(name));
        await backend.images.put('a', { mediaType: 'x', digest, size: 1 }, {});
        if (!/[:,\\"\n]/.test(name)) return;
        const err = await rejectsWith('FailedPrecondition', backend.snapshotter().prepare('k', ''));
        assert.match(messageOf(err), /overlay mounts cannot take a path with/);
        assert.match(hintOf(err) ?? '', /--snapshotter native/);
      },
      { root: (dir) => `${dir}/${name}` },
    );
  }
});

test('a root is an absolute path below /', async () => {
  for (const root of ['', 'relative', '/', '/..', '/a\0b']) await rejectsWith('InvalidArgument', open(root));
  await inDir(async (dir) => {
    const backend = await open(`${dir}//x/../store/.`);
    assert.equal(backend.root, `${dir}/store`);
    await backend[Symbol.asyncDispose]();
  });
});

test('namespaces: containerd’s rule; they are made by the first write', async () => {
  for (const namespace of ['', 'a b', '-a', 'a..b', 'a/b', '../x', 'x'.repeat(77)]) {
    await rejectsWith('InvalidArgument', open('/nonexistent/store', { namespace }));
  }
  await withStore(async ({ backend, open: another }) => {
    await another('k8s.io');
    assert.deepEqual(await backend.namespaces(), []);
    await (await another('x'.repeat(76))).leases.create();
    await backend.leases.create();
    assert.deepEqual(await backend.namespaces(), ['testing', 'x'.repeat(76)]);
  });
});

test('a newer store is left alone', async () => {
  await inDir(async (dir) => {
    await opens(`${dir}/store`);
    const db = bareRuntime().databases.open(`${dir}/store/hawser.db`, { busyTimeout: 0 });
    db.exec(`PRAGMA user_version=${STORE_VERSION + 1}`);
    db.close();
    const err = await rejectsWith('FailedPrecondition', open(`${dir}/store`));
    assert.match(messageOf(err), /has format 2, this hawser knows formats up to 1/);
  });
});

test('read-only: an absent store is empty and stays absent, changes are refused', async () => {
  await inDir(async (dir) => {
    const none = await open(`${dir}/none`, { readOnly: true });
    assert.deepEqual(
      [await none.images.list(), await none.content.list(), await none.leases.list()],
      [[], [], []],
    );
    await none[Symbol.asyncDispose]();
    assert.equal(fs.existsSync(`${dir}/none`), false);
    await opens(`${dir}/store`);
    const before = fs.readdirSync(`${dir}/store/run`);
    const backend = await open(`${dir}/store`, { readOnly: true });
    await rejectsWith('FailedPrecondition', backend.leases.create());
    await rejectsWith('FailedPrecondition', backend.content.ingest('x', {}));
    await rejectsWith('FailedPrecondition', backend.collect());
    assert.deepEqual(fs.readdirSync(`${dir}/store/run`), before);
    await backend[Symbol.asyncDispose]();
  });
});

test('many open a new store at once', async () => {
  await inDir(async (dir) => {
    const all = await Promise.all(Array.from({ length: 6 }, () => open(`${dir}/store`)));
    assert.equal(fs.readdirSync(`${dir}/store/run`).length, 6);
    for (const one of all) await one[Symbol.asyncDispose]();
    await all[0]?.[Symbol.asyncDispose]();
    assert.deepEqual(fs.readdirSync(`${dir}/store/run`), []);
  });
});

test('an unknown snapshotter is named with those there are', async () => {
  await withStore(async ({ backend }) => {
    assert.throws(() => backend.snapshotter('btrfs'), /Cannot use snapshotter "btrfs"/);
    assert.deepEqual(backend.snapshotterNames, ['overlayfs', 'native']);
    assert.equal(backend.snapshotter().name, 'overlayfs');
  });
});
