/**
 * What the difference of two snapshots must be: a layer that, applied to the lower one, gives the upper one. Over snapshots with
 * random edits, each a child of another one; trees are edited and read through real mounts, so it needs root.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Digest } from '../../src/core/oci/digest.ts';
import type { SnapshotDiff } from '../../src/core/snapshots/snapshotter.ts';
import { chosenSeed } from '../support/seed.ts';
import { prepareMounts, viewMounts } from '../support/snapshot-mounts.ts';
import { close } from '../support/stores.ts';
import { diffTrees, readTree, type Tree } from '../support/tree.ts';
import type { SnapshotterUnderTest } from './snapshotter.ts';

const TAR = 'application/vnd.oci.image.layer.v1.tar';
const GZIP = `${TAR}+gzip`;
const NAMES = ['a', 'b', 'c', 'd', 'long'.repeat(30), 'ü ñ'];
const EDITS = 24;
const SNAPSHOTS = 3;

/** Numbers from 0 to below `end`, by a linear congruence (Numerical Recipes). */
function numbers(seed: number): (end: number) => number {
  let state = seed >>> 0;
  return (end) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
}

/** Changes a tree in every way that a layer can say. */
function edit(root: string, random: (end: number) => number): void {
  const dirs = (): string[] => {
    const found = [root];
    for (const dir of found)
      for (const one of fs.readdirSync(dir, { withFileTypes: true }))
        if (one.isDirectory()) found.push(join(dir, one.name));
    return found;
  };
  const somewhere = (): string => {
    const all = dirs();
    return join(all[random(all.length)] ?? root, NAMES[random(NAMES.length)] ?? 'a');
  };
  const file = (path: string): boolean => fs.lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
  const remove = (path: string): void => fs.rmSync(path, { recursive: true, force: true });
  for (let n = 0; n < EDITS; n++) {
    const path = somewhere();
    const there = fs.lstatSync(path, { throwIfNoEntry: false });
    const what = random(9);
    if (what === 0) remove(path);
    else if (what === 1 && there !== undefined && !there.isSymbolicLink())
      fs.chmodSync(path, 0o400 + random(0o400));
    else if (what === 2 && there !== undefined)
      fs.lchownSync(path, random(5), random(5) + 3_000_000 * random(2));
    else if (what === 3 && there !== undefined) fs.lutimesSync(path, 1, random(3) - 1 + random(2) / 2);
    else if (what === 4 && there === undefined) fs.symlinkSync(`to-${random(3)}`, path);
    else if (what === 5 && there === undefined) {
      const other = somewhere();
      if (file(other)) fs.linkSync(other, path);
    } else if (what <= 6) {
      if (there?.isDirectory() === true) continue;
      remove(path);
      fs.writeFileSync(path, String(random(10)).repeat(random(4) * 1000));
      fs.utimesSync(path, 1, 1);
    } else if (there === undefined || what === 8) {
      remove(path);
      fs.mkdirSync(path);
    }
  }
}

/** What chance seldom brings: other content of the same size and time; names of one file that are of two in another snapshot. */
function fixed(root: string, n: number): void {
  const put = (name: string, content: string): void => {
    fs.rmSync(join(root, name), { recursive: true, force: true });
    fs.writeFileSync(join(root, name), content);
    fs.utimesSync(join(root, name), 1, 1);
  };
  put('twin', String(n));
  put('link-1', 'same');
  for (const [at, name] of ['link-2', 'link-3'].entries()) {
    put(name, 'same');
    if (n === 2 || n === at) {
      fs.rmSync(join(root, name));
      fs.linkSync(join(root, 'link-1'), join(root, name));
    }
  }
}

/** What the daemon's own differ keeps: types, modes, owners and content, but not which names are of one file. */
function contentOf(tree: Tree): Tree {
  const rough = [...tree].map(([path, entry]) => {
    const { sha256 = entry.sha256 } = tree.get(entry.group) ?? {};
    return [path, { ...entry, sha256, mtime: '', group: '' }] as const;
  });
  return new Map(rough.filter(([path]) => path !== '.'));
}

export function diffSuite(
  name: string,
  make: () => Promise<SnapshotterUnderTest>,
  skip: string | false = false,
  exact: 'exact' | 'content' = 'exact',
): void {
  const seen = (tree: Tree): Tree => (exact === 'exact' ? tree : contentOf(tree));
  test(`diff/${name}: applied to the lower snapshot, it gives the upper one`, { skip }, async (t) => {
    const under = await make();
    const seed = chosenSeed();
    t.diagnostic(`HAWSER_SEED=${seed}`);
    const random = numbers(seed);
    const { snapshotter: sn, backend } = under;
    const { id: lease } = await backend.leases.create();
    let count = 0;
    const mounted = async <T>(
      mounts: Awaited<ReturnType<typeof prepareMounts>>,
      work: (dir: string) => T,
    ): Promise<Awaited<T>> => {
      const target = join(under.scratch, `diff-${count++}`);
      fs.mkdirSync(target);
      await under.mounter.mount(mounts, target);
      try {
        return await work(target);
      } finally {
        await under.mounter.unmount(target);
      }
    };
    const treeOf = async (key: string): Promise<Tree> => {
      const view = `view-${count++}`;
      const tree = await mounted(await viewMounts(sn, view, key), readTree);
      await sn.remove(view);
      return tree;
    };
    const stored = async (diff: SnapshotDiff): Promise<{ digest: Digest; size: number }> => {
      if ('blob' in diff) return { digest: diff.blob, size: (await backend.content.info(diff.blob)).size };
      const ingest = await backend.content.ingest(`diff-${count++}`, {}, { lease });
      try {
        for await (const chunk of diff.stream) await ingest.write(chunk.slice());
        const digest = await ingest.commit();
        return { digest, size: (await backend.content.info(digest)).size };
      } finally {
        await close(ingest);
      }
    };
    const keys = [''];
    const trees = new Map<string, Tree>();
    try {
      for (let n = 0; n < SNAPSHOTS; n++) {
        // Children of any: the two that are compared need not lie over one another.
        const parent = keys[random(keys.length)] ?? '';
        await mounted(await prepareMounts(sn, `active-${n}`, parent), (dir) => {
          edit(dir, random);
          fixed(dir, n);
        });
        await sn.commit(`s${n}`, `active-${n}`);
        keys.push(`s${n}`);
        trees.set(`s${n}`, await treeOf(`s${n}`));
      }
      for (const lower of keys) {
        for (const upper of keys.slice(1)) {
          const mediaType = random(2) === 0 ? TAR : GZIP;
          const blob = await stored(await sn.diff(lower, upper, { mediaType, lease }));
          const key = `applied-${count++}`;
          const target = await sn.prepare(key, lower);
          await backend.applier.apply({ mediaType, ...blob }, target, {
            below: lower === '' ? 'none' : 'mounts',
          });
          await sn.commit(`${key}-done`, key);
          const wrong = diffTrees(seen(await treeOf(`${key}-done`)), seen(trees.get(upper) ?? new Map()));
          assert.deepEqual(wrong, [], `HAWSER_SEED=${seed}: ${lower || 'nothing'} to ${upper}`);
          if (lower === upper && exact === 'exact') assert.ok(blob.size <= 1024, 'nothing differs');
        }
      }
    } finally {
      await under.done();
    }
  });
}
