/**
 * What every snapshotter must do: containerd's core/snapshots/testsuite, by the names there. Trees are written and read
 * through real mounts, so it needs root.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Backend } from '../../src/core/backend.ts';
import { parseFilters, snapshotFields } from '../../src/core/filter/filter.ts';
import type { Mount, Mounter } from '../../src/core/ports/mounter.ts';
import type { LayerSnapshotter } from '../../src/core/snapshots/snapshotter.ts';
import { prepareMounts, viewMounts } from '../support/snapshot-mounts.ts';
import { type Departures, rejectsWith } from './content.ts';

export interface SnapshotterUnderTest {
  readonly backend: Backend;
  readonly snapshotter: LayerSnapshotter;
  readonly mounter: Mounter;
  /** For mount points; removed by `done`. */
  readonly scratch: string;
  done(): Promise<void>;
}

type Edit = (root: string) => void;

class Bench {
  readonly sn: LayerSnapshotter;
  readonly under: SnapshotterUnderTest;
  #count = 0;

  constructor(under: SnapshotterUnderTest) {
    this.under = under;
    this.sn = under.snapshotter;
  }

  async mounted(mounts: readonly Mount[], body: Edit): Promise<void> {
    const target = join(this.under.scratch, `mnt-${this.#count++}`);
    fs.mkdirSync(target);
    await this.under.mounter.mount(mounts, target);
    try {
      body(target);
    } finally {
      await this.under.mounter.unmount(target);
    }
  }

  /** Prepares, edits through the mount, commits. */
  async layer(name: string, parent: string, edit: Edit): Promise<void> {
    await this.mounted(await prepareMounts(this.sn, `${name}-active`, parent), edit);
    await this.sn.commit(name, `${name}-active`);
  }

  /** The edits on a plain directory and through snapshots: after each the two are the same. */
  async compare(edits: readonly Edit[]): Promise<void> {
    const flat = join(this.under.scratch, `flat-${this.#count++}`);
    fs.mkdirSync(flat);
    let parent = '';
    for (const [i, edit] of edits.entries()) {
      edit(flat);
      const name = `${flat}-layer-${i}`;
      await this.layer(name, parent, edit);
      await this.mounted(await viewMounts(this.sn, `${name}-view`, name), (root) => {
        assert.deepEqual(describe(root), describe(flat), `after edit ${i}`);
      });
      await this.sn.remove(`${name}-view`);
      parent = name;
    }
  }
}

/** Type, mode, owner and content by path. */
function describe(root: string, path = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(join(root, path)).sort()) {
    const at = join(path, name);
    const stat = fs.lstatSync(join(root, at));
    const content = stat.isFile() ? fs.readFileSync(join(root, at), 'utf8') : '';
    found[at] = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${content}`;
    if (stat.isDirectory()) Object.assign(found, describe(root, at));
  }
  return found;
}

const write = (root: string, path: string, content: string): void => {
  fs.mkdirSync(join(root, path, '..'), { recursive: true });
  fs.writeFileSync(join(root, path), content);
};
const nothing: Edit = () => {};

export function snapshotterSuite(
  name: string,
  make: () => Promise<SnapshotterUnderTest>,
  skip: string | false = false,
  departures: Departures = {},
): void {
  const check = (title: string, body: (bench: Bench, sn: LayerSnapshotter) => Promise<void>): void => {
    test(`snapshotter/${name}: ${title}`, { skip: skip || (departures[title] ?? false) }, async () => {
      const under = await make();
      try {
        await body(new Bench(under), under.snapshotter);
      } finally {
        await under.done();
      }
    });
  };
  records(check);
  trees(check);
}

type Check = (title: string, body: (bench: Bench, sn: LayerSnapshotter) => Promise<void>) => void;

function records(check: Check): void {
  check('StatActive, StatComitted, TransitivityTest: kind, name, parent', async (bench, sn) => {
    await sn.prepare('key', '');
    const active = await sn.stat('key');
    assert.deepEqual([active.name, active.kind, active.parent], ['key', 'Active', '']);
    await sn.commit('a', 'key');
    await bench.layer('b', 'a', nothing);
    const [a, b] = [await sn.stat('a'), await sn.stat('b')];
    assert.deepEqual([a.kind, a.parent, b.kind, b.parent], ['Committed', '', 'Committed', 'a']);
    await rejectsWith('NotFound', sn.stat('key'));
    await sn.view('v', 'b');
    assert.deepEqual(
      (await sn.list()).map((one) => [one.name, one.kind]),
      [
        ['a', 'Committed'],
        ['b', 'Committed'],
        ['v', 'View'],
      ],
    );
    for (const one of await sn.list()) assert.deepEqual(one, await sn.stat(one.name));
  });

  check('PreareViewFailingtest: a key is taken once, by whatever kind', async (_bench, sn) => {
    await sn.prepare('active', '');
    await sn.view('view', '');
    await sn.prepare('k', '');
    await sn.commit('committed', 'k');
    for (const key of ['active', 'view', 'committed']) {
      await rejectsWith('AlreadyExists', sn.prepare(key, ''));
      await rejectsWith('AlreadyExists', sn.view(key, ''));
      await rejectsWith('AlreadyExists', sn.commit(key, 'active'));
    }
  });

  check('errors of the state machine', async (_bench, sn) => {
    await sn.prepare('active', '');
    await sn.view('view', '');
    await sn.prepare('k', '');
    await sn.commit('base', 'k');
    await rejectsWith('NotFound', sn.prepare('x', 'none'));
    await rejectsWith('InvalidArgument', sn.prepare('x', 'active'));
    await rejectsWith('InvalidArgument', sn.view('x', 'view'));
    await rejectsWith('NotFound', sn.commit('y', 'none'));
    await rejectsWith('FailedPrecondition', sn.commit('y', 'view'));
    await rejectsWith('FailedPrecondition', sn.commit('y', 'base'));
    await rejectsWith('FailedPrecondition', sn.mounts('base'));
    for (const key of ['none', 'k']) {
      await rejectsWith('NotFound', sn.stat(key));
      await rejectsWith('NotFound', sn.usage(key));
      await rejectsWith('NotFound', sn.mounts(key));
      await rejectsWith('NotFound', sn.remove(key));
      await rejectsWith('NotFound', sn.label(key, { a: 'b' }));
    }
    await sn.prepare('child', 'base');
    const err = await rejectsWith('FailedPrecondition', sn.remove('base'));
    assert.match(String(err), /remove/);
  });

  check(
    'Update: labels are set and removed, updatedAt moves; commit takes only those given',
    async (_bench, sn) => {
      await sn.prepare('k', '', { labels: { a: '1', b: '2' } });
      const before = await sn.stat('k');
      assert.equal(before.createdAt, before.updatedAt);
      const after = await sn.label('k', { a: '', c: '3' });
      assert.deepEqual(after.labels, { b: '2', c: '3' });
      assert.equal(after.createdAt, before.createdAt);
      assert.ok(after.updatedAt >= before.updatedAt);
      await rejectsWith('InvalidArgument', sn.label('k', { k: 'x'.repeat(4096) }));
      await sn.commit('c', 'k', { labels: { d: '4' } });
      const committed = await sn.stat('c');
      assert.deepEqual(committed.labels, { d: '4' });
      assert.equal(committed.createdAt, committed.updatedAt);
    },
  );

  check('Walk, StatInWalk: by filters, and what stat says of each', async (bench, sn) => {
    const root = 'containerd.io/gc.root';
    await bench.layer('a', '', nothing);
    await bench.layer('b', 'a', nothing);
    await sn.label('b', { l: '1', [root]: 'x' });
    await sn.prepare('active', 'b', { labels: { l: '2' } });
    await sn.view('view', 'a');
    await sn.prepare('alone', '');
    for (const [filters, names] of [
      [[], ['a', 'active', 'alone', 'b', 'view']],
      [['kind==active'], ['active', 'alone']],
      [['kind==view'], ['view']],
      [
        ['name==a', 'name==b'],
        ['a', 'b'],
      ],
      [['name==b,labels.l'], ['b']],
      [['parent==a'], ['b', 'view']],
      [['parent!=""'], ['active', 'b', 'view']],
      [['labels.l'], ['active', 'b']],
      [['labels.l==2'], ['active']],
      [[`labels."${root}"`], ['b']],
    ] as const) {
      const passes = parseFilters(filters);
      const found: string[] = [];
      for (const info of await sn.list()) {
        assert.deepEqual(await sn.stat(info.name), info);
        if (passes(snapshotFields(info))) found.push(info.name);
      }
      assert.deepEqual(found, names, filters.join(' or '));
    }
  });

  check('CloseTwice: a store that is closed is closed again without harm', async (bench) => {
    await bench.under.backend[Symbol.asyncDispose]();
    await bench.under.backend[Symbol.asyncDispose]();
  });

  check('Remove: the key is free again', async (_bench, sn) => {
    await sn.prepare('k', '');
    await sn.remove('k');
    await sn.view('k', '');
    await sn.remove('k');
    await sn.prepare('k', '');
    await sn.commit('c', 'k');
    await sn.remove('c');
    await sn.prepare('k', '');
    await sn.commit('c', 'k');
  });

  check('Rebase: a parent for an active snapshot without one', async (bench, sn) => {
    if (sn.rebase === undefined) return;
    const blank = { nodes: [], guesses: [] };
    await bench.layer('base', '', (root) => write(root, 'below', 'b'));
    await sn.prepare('active', '');
    await rejectsWith('NotFound', sn.rebase('none', 'base', blank));
    await rejectsWith('NotFound', sn.rebase('active', 'none', blank));
    await rejectsWith('InvalidArgument', sn.rebase('active', 'active', blank));
    await rejectsWith('FailedPrecondition', sn.rebase('base', 'base', blank));
    assert.equal(await sn.rebase('active', 'base', blank), undefined);
    assert.equal((await sn.stat('active')).parent, 'base');
    await rejectsWith('FailedPrecondition', sn.rebase('active', 'base', blank));
    await rejectsWith('FailedPrecondition', sn.remove('base'));
    await bench.mounted(await sn.mounts('active'), (root) => {
      assert.equal(fs.readFileSync(join(root, 'below'), 'utf8'), 'b');
    });
    await sn.commit('top', 'active');
    assert.equal((await sn.stat('top')).parent, 'base');
  });

  check('RemoveIntermediateSnapshot: only from the top', async (bench, sn) => {
    await bench.layer('base', '', nothing);
    await bench.layer('middle', 'base', nothing);
    await sn.prepare('top', 'middle');
    await rejectsWith('FailedPrecondition', sn.remove('middle'));
    for (const key of ['top', 'middle', 'base']) await sn.remove(key);
    assert.deepEqual(await sn.list(), []);
  });

  check(
    'leases: what is made is held, an existing key too; an unknown lease is NotFound',
    async (bench, sn) => {
      const { leases } = bench.under.backend;
      const { id } = await leases.create();
      const type = `snapshots/${sn.name}`;
      await sn.prepare('k', '', { lease: id });
      assert.deepEqual(await leases.resources(id), [{ type, id: 'k' }]);
      await sn.commit('c', 'k', { lease: id });
      assert.deepEqual(await leases.resources(id), [{ type, id: 'c' }]);
      const other = await leases.create();
      await rejectsWith('AlreadyExists', sn.prepare('c', '', { lease: other.id }));
      assert.deepEqual(await leases.resources(other.id), [{ type, id: 'c' }]);
      await rejectsWith('NotFound', sn.prepare('x', '', { lease: 'none' }));
      await rejectsWith('NotFound', sn.stat('x'));
    },
  );
}

function trees(check: Check): void {
  check('Basic, ViewReadonly: layers add up, a view is read-only', async (bench, sn) => {
    await bench.compare([
      (root) => {
        write(root, 'foo', 'foo\n');
        write(root, 'a/b/c', 'hello');
      },
      (root) => {
        write(root, 'foo', 'overwritten\n');
        write(root, 'bar', 'bar\n');
        fs.rmSync(join(root, 'a/b'), { recursive: true });
      },
      nothing,
    ]);
    const top = (await sn.list()).find((one) => one.name.endsWith('layer-2'));
    await bench.mounted(await viewMounts(sn, 'ro', top?.name ?? ''), (root) => {
      assert.throws(() => fs.writeFileSync(join(root, 'x'), ''), { code: 'EROFS' });
    });
  });

  check('RootPermission: a fresh root is 0755, whatever the umask', async (bench, sn) => {
    await bench.mounted(await prepareMounts(sn, 'k', ''), (root) => {
      assert.equal((fs.statSync(root).mode & 0o7777).toString(8), '755');
    });
  });

  check('a layer that leaves its root alone keeps the root’s attributes', async (bench, sn) => {
    await bench.layer('base', '', (root) => {
      fs.chmodSync(root, 0o1777);
      fs.chownSync(root, 12, 34);
      fs.utimesSync(root, 1000, 2000);
    });
    await bench.mounted(await prepareMounts(sn, 'k', 'base'), (root) => {
      const stat = fs.statSync(root);
      assert.deepEqual(
        [(stat.mode & 0o7777).toString(8), stat.uid, stat.gid, stat.mtimeMs],
        ['1777', 12, 34, 2_000_000],
      );
    });
  });

  check('RemoveDirectoryInLowerLayer: what was below a removed directory stays hidden', async (bench) => {
    await bench.compare([
      (root) => {
        write(root, 'lib/hidden', 'hidden');
      },
      (root) => {
        fs.rmSync(join(root, 'lib'), { recursive: true });
        write(root, 'lib/not-hidden', 'not');
      },
      (root) => write(root, 'lib/not-hidden-2', 'neither'),
    ]);
  });

  check('LayerFileupdate: the same size in the same second', async (bench) => {
    await bench.compare([
      (root) => write(root, 'etc/hosts', 'mydomain 10.0.0.1'),
      (root) => write(root, 'etc/hosts', 'mydomain 10.0.0.2'),
    ]);
  });

  check('Chown and DirectoryPermissionOnCommit', async (bench) => {
    const make: Edit = (root) => {
      for (const dir of ['dir-1', 'dir-2', 'dir-3/sub']) {
        fs.mkdirSync(join(root, dir), { recursive: true });
        fs.chmodSync(join(root, dir), 0o700);
      }
      write(root, 'dir-1/file', 'x');
    };
    await bench.compare([
      make,
      (root) => {
        fs.chownSync(join(root, 'dir-1'), 1, 2);
        fs.chownSync(join(root, 'dir-1/file'), 3, 4);
        fs.chownSync(join(root, 'dir-3/sub'), 5, 6);
      },
      (root) => {
        fs.rmSync(join(root, 'dir-2'), { recursive: true });
        fs.mkdirSync(join(root, 'dir-2'));
        fs.chmodSync(join(root, 'dir-2'), 0o700);
        fs.chownSync(join(root, 'dir-2'), 7, 8);
      },
    ]);
  });

  check('DeletedFilesInChildSnapshot, MoveFileFromLowerLayer, Rename', async (bench) => {
    await bench.compare([
      (root) => {
        for (const one of ['foo', 'bar', 'dir1/f1', 'dir2/f2']) write(root, one, one);
      },
      (root) => fs.rmSync(join(root, 'foo')),
      nothing,
      (root) => {
        fs.rmSync(join(root, 'dir1'), { recursive: true });
        fs.mkdirSync(join(root, 'dir3'));
        fs.linkSync(join(root, 'dir2/f2'), join(root, 'dir3/f2'));
        fs.rmSync(join(root, 'dir2/f2'));
      },
      (root) => fs.renameSync(join(root, 'bar'), join(root, 'dir3/baz')),
    ]);
  });

  check('usage counts the layer and no more', async (bench, sn) => {
    await bench.layer('base', '', (root) => write(root, 'f', 'x'.repeat(100_000)));
    const usage = await sn.usage('base');
    assert.equal(usage.inodes, 2);
    assert.ok(usage.size >= 100_000 && usage.size < 200_000);
    assert.deepEqual(await sn.usage('base'), usage);
    await sn.prepare('active', 'base');
    assert.ok((await sn.usage('active')).inodes >= 1);
  });

  check('128LayersMount: mount options longer than a page', async (bench, sn) => {
    const layers = sn.name === 'native' ? 12 : 128;
    let parent = '';
    for (let i = 0; i < layers; i++) {
      const key = `active-${i}`;
      const mounts = await prepareMounts(sn, key, parent);
      const upper =
        mounts[0]?.options.find((one) => one.startsWith('upperdir='))?.slice(9) ?? mounts[0]?.source;
      write(upper ?? '', `dir/file-${i}`, String(i));
      await sn.commit(`layer-${i}`, key);
      parent = `layer-${i}`;
    }
    await bench.mounted(await viewMounts(sn, 'all', parent), (root) => {
      assert.equal(fs.readdirSync(join(root, 'dir')).length, layers);
      assert.equal(fs.readFileSync(join(root, `dir/file-0`), 'utf8'), '0');
    });
    await bench.mounted(await prepareMounts(sn, 'write', parent), (root) => {
      write(root, 'dir/file-0', 'changed');
      assert.equal(fs.readdirSync(join(root, 'dir')).length, layers);
    });
  });
}
