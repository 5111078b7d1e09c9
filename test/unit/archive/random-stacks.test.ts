/**
 * Random stacks of layers: the overlay view equals the flat tree in every attribute, and both equal a model that
 * applies the image-spec's rules to a map.
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { dir, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { diffTrees, type Tree } from '../../support/tree.ts';
import { random } from './random.ts';
import { brief, Stacks, syscallsHere } from './stacks.ts';

const NAMES = ['a', 'b', 'c'];

type Next = (n: number) => number;

function pathOf(next: Next): string {
  return Array.from({ length: 1 + next(3) }, () => NAMES[next(NAMES.length)]).join('/');
}

/** Layers that may use symlinked parents and hard links; compared between modes only. */
function wild(next: Next): Uint8Array {
  const entries = Array.from({ length: 1 + next(8) }, (_, i) => {
    const path = pathOf(next);
    const attrs = {
      mode: 0o700 | next(64),
      uid: next(3),
      mtime: `${next(1000)}.5`,
      xattrs: next(3) ? {} : { 'user.x': `${i}` },
    };
    switch (next(9)) {
      case 0:
      case 1:
        return dir(path, attrs);
      case 2:
        return sym(path, ['a', '/b', '../c', 'a/b', '/c/a'][next(5)] ?? '', { mtime: attrs.mtime });
      case 3:
        return wh(path);
      case 4:
        return opq(next(4) ? path : '');
      case 5:
        return hard(path, pathOf(next));
      default:
        return file(path, `${next(1000)}`, attrs);
    }
  });
  return layer(...entries);
}

type Model = Map<string, string>;

const under = (path: string, dirPath: string): boolean => dirPath === '' || path.startsWith(`${dirPath}/`);

/** Directories, files, whiteouts: first what whiteouts hide goes from below, then the entries are laid over it. */
function tame(next: Next, below: Model): { tar: Uint8Array; model: Model } {
  const own = new Map<string, 'dir' | string>();
  const blocks: Uint8Array[] = [];
  const hidden: ((path: string) => boolean)[] = [];
  for (let i = 1 + next(8); i > 0; i--) {
    const path = pathOf(next);
    const parents = path
      .split('/')
      .slice(0, -1)
      .map((_, n, all) => all.slice(0, n + 1).join('/'));
    // One kind for a path a layer: what replacing within a layer means is not the model's business.
    const clash = parents.some((p) => own.has(p) && own.get(p) !== 'dir');
    const kind = next(4);
    if (kind === 2) {
      blocks.push(wh(path));
      hidden.push((p) => p === path || under(p, path));
    } else if (kind === 3) {
      const where = next(4) ? path : '';
      blocks.push(opq(where));
      hidden.push((p) => under(p, where));
    } else if (!clash && !own.has(path) && ![...own.keys()].some((p) => under(p, path) && kind === 1)) {
      const content = `${next(1000)}`;
      blocks.push(kind === 0 ? dir(path) : file(path, content));
      for (const parent of parents) own.set(parent, 'dir');
      own.set(path, kind === 0 ? 'dir' : content);
    }
  }
  const model = new Map([...below].filter(([path]) => !hidden.some((hides) => hides(path))));
  for (const [path, what] of own) {
    if (what !== 'dir' || model.get(path) !== 'dir')
      for (const p of [...model.keys()]) if (under(p, path) && !own.has(p)) model.delete(p);
    model.set(path, what);
  }
  return { tar: layer(...blocks), model };
}

/** A file below that a hard link brings up is no longer one inode with its other names below. */
function groupless(tree: Tree): Tree {
  return new Map(
    [...tree].map(([path, entry]) => [
      path,
      { ...entry, sha256: tree.get(entry.group)?.sha256 ?? '', group: '' },
    ]),
  );
}

test('random stacks', { skip: needs({ root: true, tools: ['mount', 'umount', 'getfattr'] }) }, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9);
  console.log(`seed ${seed}`);
  const next = random(seed);
  const sys = syscallsHere();
  // The tools cost milliseconds a call.
  const rounds = sys.provider === 'ffi' ? 60 : 15;
  const stacks = new Stacks(sys);
  try {
    const models = new Map<string, Model>();
    for (let i = 0; i < rounds; i++) {
      stacks.add(
        `wild${i}`,
        Array.from({ length: 2 + next(3) }, () => wild(next)),
      );
      let model: Model = new Map();
      const layers = Array.from({ length: 2 + next(3) }, () => {
        const made = tame(next, model);
        model = made.model;
        return made.tar;
      });
      stacks.add(`tame${i}`, layers);
      models.set(`tame${i}`, model);
    }
    const contents = Array.from({ length: 1000 }, (_, i) => `${i}`);
    let compared = 0;
    for (const [name, [first, ...others]] of await stacks.outcomes()) {
      const why = `seed ${seed} ${name}`;
      assert.ok(first, why);
      for (const { failure } of others) {
        assert.equal(String(failure?.error), String(first.failure?.error), why);
      }
      if (first.failure !== undefined) continue;
      compared++;
      for (const { tree, way } of others) {
        assert.deepEqual(diffTrees(groupless(first.tree), groupless(tree)), [], `${why} ${way}`);
      }
      const model = models.get(name);
      if (model === undefined) continue;
      const wanted = [...model].map(([path, what]) => (what === 'dir' ? `${path}/` : `${path}=${what}`));
      assert.deepEqual(brief(first.tree, contents), wanted.sort(), why);
    }
    assert.ok(compared > rounds, `only ${compared} stacks could be applied`);
  } finally {
    await stacks.close();
  }
});
