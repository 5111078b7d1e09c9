/** The reference model by results that are written by hand: it is what everything else is held to. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { layer as archive, device, dir, file, hard, sym, wh } from '../../support/layer-builder.ts';
import { type Case, caseTitle, layer } from '../../support/layer-case.ts';
import { HIDING } from '../../support/layer-cases-hiding.ts';
import { NAMES } from '../../support/layer-cases-names.ts';
import { WRITING } from '../../support/layer-cases-writing.ts';
import { InvalidLayer, type LinkRule, ReferenceImage } from '../../support/reference-model.ts';
import type { LayerEntry } from '../../support/reference-tree.ts';
import type { Tree } from '../../support/tree.ts';
import { record } from './events.ts';
import { randomStack } from './random-layers.ts';
import { brief } from './stacks.ts';

const CONTENTS = ['old', 'new', 'A', 'x', 'y', 'n', 'o', 'c', 'g', 'f', 'z', 's', 'm', 'p', 'q'];

function treeOf(layers: Case['layers'], links?: LinkRule): Tree {
  const image = new ReferenceImage(links);
  for (const entries of layers) image.apply(entries);
  return image.tree();
}

function outcomeOf(layers: Case['layers']): Tree | string {
  try {
    return treeOf(layers);
  } catch (err) {
    if (err instanceof InvalidLayer) return 'invalid';
    throw err;
  }
}

describe('the reference model', () => {
  for (const [name, wanted] of Object.entries({ ...HIDING, ...WRITING, ...NAMES })) {
    test(caseTitle(name, wanted), () => {
      if (wanted.fails !== undefined) {
        assert.throws(() => treeOf(wanted.layers), InvalidLayer);
        return;
      }
      const tree = treeOf(wanted.layers);
      if (wanted.want !== undefined) assert.deepEqual(brief(tree, CONTENTS), [...wanted.want].sort());
      for (const [path, attributes] of Object.entries(wanted.attributes ?? {})) {
        const entry = tree.get(path);
        assert.ok(entry, path);
        assert.deepEqual({ ...entry, ...attributes }, entry, path);
      }
    });
  }

  test('every attribute', () => {
    const tree = treeOf([
      layer(
        dir('d', { mode: 0o2750, uid: 7, gid: 8, mtime: '-1.5', xattrs: { 'user.k': '\0\xff' } }),
        file('d/f', 'abc', { mode: 0o4711, uid: 4_294_967_294, mtime: '0.000000001' }),
        sym('d/s', 'f', { mode: 0o600, xattrs: { 'user.k': 'v', 'security.x': 'y' } }),
        hard('d/h', 'd/f', { mode: 0, uid: 1, xattrs: { 'user.k': 'v' } }),
        device('n', 'b', 0xfff, 0xfffff),
      ),
    ]);
    const plain = { uid: 0, gid: 0, mtime: '1000000000000000', size: 0, rdev: '', target: '', xattrs: {} };
    const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    const theFile = { ...plain, type: 'file', mode: '4711', uid: 4_294_967_294, mtime: '1', size: 3 };
    assert.deepEqual(Object.fromEntries(tree), {
      '.': { ...plain, type: 'dir', mode: '755', mtime: '0', group: '', sha256: '' },
      d: {
        ...plain,
        ...{ type: 'dir', mode: '2750', uid: 7, gid: 8, mtime: '-1500000000' },
        ...{ xattrs: { 'user.k': '0x00ff' }, group: '', sha256: '' },
      },
      'd/f': { ...theFile, group: 'd/f', sha256 },
      'd/h': { ...theFile, group: 'd/f', sha256: '' },
      'd/s': {
        ...plain,
        ...{ type: 'symlink', mode: '777', target: 'f', xattrs: { 'security.x': '0x79' } },
        ...{ group: 'd/s', sha256: '' },
      },
      n: { ...plain, type: 'block', mode: '644', rdev: 'ffffffff', group: 'n', sha256: '' },
    });
  });

  test('a whiteout counts from where it stands', () => {
    const below = layer(dir('usr'), sym('lib', 'usr'), file('f', 'f'));
    const found = (...entries: LayerEntry[]): string[] => brief(treeOf([below, layer(...entries)]), CONTENTS);
    assert.deepEqual(found(wh('lib'), file('lib/x', 'x')), ['f=f', 'lib/', 'lib/x=x', 'usr/']);
    assert.deepEqual(found(file('lib/x', 'x'), wh('lib')), ['f=f', 'usr/', 'usr/x=x']);
    assert.deepEqual(found(hard('g', 'f'), wh('f')), ['g=f', 'lib->usr', 'usr/']);
    assert.throws(() => found(wh('f'), hard('g', 'f')), InvalidLayer);
  });

  test('without links, whiteouts may as well all come first', () => {
    const isWhiteout = ({ name }: LayerEntry): boolean => /(^|\/)\.wh\.[^/]*\/*$/.test(name);
    let moved = 0;
    for (let seed = 0; seed < 300; seed++) {
      const plain = randomStack(seed).map((entries) => entries.filter(({ link }) => link === ''));
      const first = plain.map((entries) => [
        ...entries.filter(isWhiteout),
        ...entries.filter((entry) => !isWhiteout(entry)),
      ]);
      if (!isDeepStrictEqual(plain, first)) moved++;
      assert.deepEqual(outcomeOf(first), outcomeOf(plain), `seed ${seed}`);
    }
    assert.ok(moved > 200, `${moved} stacks had another order`);
  });

  test('links to what is below, by POSIX and as overlayfs can', () => {
    const layers = [layer(file('a'), hard('b', 'a'), hard('c', 'a')), layer(hard('d', 'b'), hard('e', 'b'))];
    const groups = (links: LinkRule): string[] =>
      [...treeOf(layers, links)].map(([path, { group }]) => `${path}:${group}`);
    assert.deepEqual(groups('posix'), ['.:', 'a:a', 'b:a', 'c:a', 'd:a', 'e:a']);
    assert.deepEqual(groups('overlay'), ['.:', 'a:a', 'b:b', 'c:a', 'd:b', 'e:b']);
  });

  test('an invalid layer changes nothing, and says which entry it is', () => {
    const image = new ReferenceImage();
    image.apply(layer(file('a', 'A'), dir('d')));
    const before = image.tree();
    assert.throws(
      () => image.apply(layer(file('a'), wh('d'), hard('x', 'none'))),
      (err) => err instanceof InvalidLayer && err.entry === 2,
    );
    assert.deepEqual(image.tree(), before);
  });
});

test('archives say what their entry lists say', () => {
  const names = { dir: 'directory' } as Record<string, string>;
  for (const entry of randomStack(1).flat().concat(randomStack(2).flat())) {
    const [read] = record([archive(entry)]);
    assert.ok(read);
    const { type, name, link, mode, uid, gid, major, minor } = entry;
    const { sec, nsec } = read.entry.mtime;
    assert.deepEqual(
      {
        ...read.entry,
        atime: undefined,
        mtime: BigInt(sec) * 1_000_000_000n + BigInt(nsec),
        xattrs: Object.fromEntries(
          [...read.entry.xattrs].map(([key, value]) => [key, Buffer.from(value).toString('latin1')]),
        ),
      },
      {
        ...{ type: names[type] ?? type, name, linkName: link, size: entry.content.length, mode, uid, gid },
        ...{ devMajor: major, devMinor: minor, atime: undefined, mtime: entry.mtime, xattrs: entry.xattrs },
      },
    );
    assert.equal(read.content, entry.content);
  }
});
