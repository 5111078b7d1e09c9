/**
 * Layer stacks and the one right result, whatever the order of whiteouts, in every way (image-spec layer.md; the cases
 * are those in which appliers in use differ from it or from each other).
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { isKind, messageOf } from '../../../src/core/errors.ts';
import { device, dir, fifo, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { diffTrees, type TreeEntry } from '../../support/tree.ts';
import { brief, Stacks, syscallsHere, type View, WAY_NAMES } from './stacks.ts';

interface Case {
  readonly layers: readonly Uint8Array[];
  readonly want?: readonly string[];
  /** Every way fails with an InvalidArgument that says this. */
  readonly fails?: RegExp;
  readonly attributes?: Readonly<Record<string, Partial<TreeEntry>>>;
  readonly warns?: RegExp;
  /** Names in the last layer's own directory. */
  readonly upper?: readonly string[];
}

const under = (...entries: Uint8Array[]): Uint8Array => layer(...entries);
const A = under(dir('a/'), file('a/old', 'old'));
const D = under(
  dir('d', { mode: 0o700, uid: 5, gid: 6, mtime: '77.5', xattrs: { 'user.k': 'v' } }),
  file('d/x', 'x'),
  dir('d/e', { mode: 0o711 }),
  file('d/e/y', 'y'),
);
const lowerD: Partial<TreeEntry> = {
  mode: '700',
  uid: 5,
  gid: 6,
  mtime: '77500000000',
  xattrs: { 'user.k': '0x76' },
};
const DEFAULT: Partial<TreeEntry> = { mode: '755', uid: 0, gid: 0, mtime: '0', xattrs: {} };

const CASES: Record<string, Case> = {
  // The matrix.
  'whiteout, then the directory again': {
    layers: [A, layer(wh('a'), dir('a/'), file('a/new', 'new'))],
    want: ['a/', 'a/new=new'],
  },
  'the directory, then its whiteout': {
    layers: [A, layer(dir('a/'), file('a/new', 'new'), wh('a'))],
    want: ['a/', 'a/new=new'],
  },
  'whiteout, then a file below, no directory entry': {
    layers: [A, layer(wh('a'), file('a/new', 'new'))],
    want: ['a/', 'a/new=new'],
    attributes: { a: DEFAULT },
  },
  'a file below, then whiteout, no directory entry': {
    layers: [D, layer(file('d/new', 'new'), wh('d'))],
    want: ['d/', 'd/new=new'],
    attributes: { d: DEFAULT },
  },
  'the same whiteout twice': { layers: [A, layer(wh('a'), wh('a'))], want: [] },
  'root opaque': {
    layers: [
      under(file('old', 'old'), dir('dir'), file('dir/f')),
      layer(opq(''), file('new', 'new'), file('dir/g', 'g')),
    ],
    want: ['dir/', 'dir/g=g', 'new=new'],
    attributes: { dir: DEFAULT },
  },
  'root opaque last, over explicit directories': {
    layers: [
      under(dir('dir'), file('dir/f'), file('k')),
      layer(dir('dir'), file('dir/g', 'g'), file('k', 'new'), opq('')),
    ],
    want: ['dir/', 'dir/g=g', 'k=new'],
  },
  'opaque over an implicit directory': {
    layers: [D, layer(file('d/e/c', 'c'), opq('d'))],
    want: ['d/', 'd/e/', 'd/e/c=c'],
    attributes: { d: lowerD, 'd/e': DEFAULT },
  },
  'opaque first': {
    layers: [D, layer(opq('d'), file('d/e/c', 'c'))],
    want: ['d/', 'd/e/', 'd/e/c=c'],
    attributes: { d: lowerD, 'd/e': DEFAULT },
  },
  'opaque alone': { layers: [D, layer(opq('d'))], want: ['d/'], attributes: { d: lowerD } },
  'opaque where nothing is': {
    layers: [D, layer(opq('n'), opq('d/x'))],
    want: ['d/', 'd/e/', 'd/e/y=y', 'd/x=x'],
    upper: [],
  },
  'hard link to a file below': {
    layers: [
      under(file('a', 'A', { mode: 0o4711, uid: 3, mtime: '5.25', xattrs: { 'user.k': 'v' } })),
      layer(hard('b', 'a')),
    ],
    want: ['a=A', 'b=A'],
    attributes: {
      b: { mode: '4711', uid: 3, mtime: '5250000000', group: 'a', xattrs: { 'user.k': '0x76' } },
    },
  },
  'hard link to a file below, which is then hidden': {
    layers: [under(dir('d', { mode: 0o700 }), file('d/a', 'A')), layer(hard('b', 'd/a'), wh('d/a'))],
    want: ['b=A', 'd/'],
  },
  'hard link to a file below, whose directory is then hidden': {
    layers: [under(dir('d', { mode: 0o700 }), file('d/a', 'A')), layer(hard('b', 'd/a'), wh('d'))],
    want: ['b=A'],
  },
  'hard link to a file below, whose directory becomes opaque': {
    layers: [under(dir('d', { mode: 0o700 }), file('d/a', 'A')), layer(hard('b', 'd/a'), opq('d'))],
    want: ['b=A', 'd/'],
    attributes: { d: { mode: '700' } },
  },
  'hard link below the hidden directory stays': {
    layers: [under(dir('d'), file('d/a', 'A')), layer(hard('d/b', 'd/a'), wh('d'))],
    want: ['d/', 'd/b=A'],
    attributes: { d: DEFAULT },
  },
  'a parent that is a symlink below': {
    layers: [
      under(dir('usr'), dir('usr/lib', { mtime: '5' }), file('usr/lib/old', 'o'), sym('lib', 'usr/lib')),
      layer(file('lib/new', 'n')),
    ],
    want: ['lib->usr/lib', 'usr/', 'usr/lib/', 'usr/lib/new=n', 'usr/lib/old=o'],
    attributes: { 'usr/lib': { mtime: '5000000000' } },
  },
  'chains of symlinks, absolute and upwards': {
    layers: [
      under(dir('x/y'), sym('one', '/two'), sym('two', 'x/../x/three'), sym('x/three', '../../../x/y')),
      layer(file('one/new', 'n'), wh('one/none')),
    ],
    want: ['one->/two', 'two->x/../x/three', 'x/', 'x/three->../../../x/y', 'x/y/', 'x/y/new=n'],
  },
  'a dangling symlink as parent': {
    layers: [under(sym('l', 'no/where')), layer(file('l/f', 'f'))],
    want: ['l->no/where', 'no/', 'no/where/', 'no/where/f=f'],
  },
  'a symlink loop as parent': {
    layers: [under(sym('a', 'b'), sym('b', 'a')), layer(file('a/f'))],
    fails: /"a\/f": too many symbolic links/,
  },
  'a file below becomes a parent': {
    layers: [under(file('a', 'A')), layer(file('a/x', 'x'))],
    want: ['a/', 'a/x=x'],
    attributes: { a: DEFAULT },
  },
  'a file of the layer becomes a parent': {
    layers: [A, layer(file('a', 'A'), file('a/x', 'x'))],
    want: ['a/', 'a/x=x'],
  },
  'whiteouts that hide nothing': {
    layers: [D, layer(dir('n'), wh('n/s'), wh('m/s'), wh('d/no'), wh('no'), opq('d/e'), wh('d/e/foo'))],
    want: ['d/', 'd/e/', 'd/x=x', 'n/'],
    upper: ['d', 'n'],
  },
  'opaque and a whiteout of the same': {
    layers: [D, layer(dir('d'), opq('d'), wh('d/x'), wh('d/e'))],
    want: ['d/'],
  },
  'a whiteout in a symlinked directory': {
    layers: [under(dir('etc'), file('etc/w'), sym('localetc', '/etc')), layer(wh('localetc/w'))],
    want: ['etc/', 'localetc->/etc'],
  },
  'a whiteout of a symlink': { layers: [under(dir('etc'), sym('l', 'etc')), layer(wh('l'))], want: ['etc/'] },
  // Whiteouts do not touch what the layer itself writes.
  'a file and its whiteout': {
    layers: [under(file('f', 'old')), layer(file('f', 'new'), wh('f'))],
    want: ['f=new'],
  },
  'whiteout and then the file': {
    layers: [under(file('f', 'old')), layer(wh('f'), file('f', 'new'))],
    want: ['f=new'],
  },
  'a whiteout of what only this layer has': {
    layers: [layer(file('f', 'new'), wh('f'), dir('d'), file('d/g', 'g'), wh('d'))],
    want: ['d/', 'd/g=g', 'f=new'],
  },
  'a whiteout restores nothing from deeper down': {
    layers: [D, layer(wh('d')), layer(dir('d'), file('d/z', 'z'))],
    want: ['d/', 'd/z=z'],
  },
  'opaque in the middle layer': {
    layers: [D, layer(dir('d'), opq('d')), layer(file('d/z', 'z'))],
    want: ['d/', 'd/z=z'],
  },
  'hidden in the middle, a link to the hidden': {
    layers: [D, layer(wh('d/x')), layer(hard('l', 'd/x'))],
    fails: /hard link to "d\/x": there is no such file/,
  },
  'nested: opaque above, whiteouts and files below': {
    layers: [D, layer(file('d/e/new', 'n'), wh('d/e/y'), hard('d/l', 'd/x'), opq('d'), wh('d/x'))],
    want: ['d/', 'd/e/', 'd/e/new=n', 'd/l=x'],
    attributes: { d: lowerD },
  },
  'many whiteouts share one inode': {
    layers: [
      under(...Array.from({ length: 20 }, (_, i) => file(`f${i}`))),
      layer(...Array.from({ length: 20 }, (_, i) => wh(`f${i}`))),
    ],
    want: [],
  },
  'whiteout of an empty implicit chain': {
    layers: [under(file('p/q/r/s', 's')), layer(wh('p/q/r/s'))],
    want: ['p/', 'p/q/', 'p/q/r/'],
  },
  // Replacing.
  'file over directory over file': {
    layers: [A, layer(file('a', 'f'), dir('a'), file('a/n', 'n'))],
    want: ['a/', 'a/n=n'],
  },
  'directory over a symlink': {
    layers: [under(dir('t'), file('t/f', 'f'), sym('a', 't')), layer(dir('a'), file('a/n', 'n'))],
    want: ['a/', 'a/n=n', 't/', 't/f=f'],
  },
  'file over directory': { layers: [A, layer(file('a', 'f'))], want: ['a=f'] },
  'symlink over directory': {
    layers: [A, layer(sym('a', '/')), layer(file('a/x', 'x'))],
    want: ['a->/', 'x=x'],
  },
  'directory merges, with its own attributes only': {
    layers: [D, layer(dir('d', { mode: 0o1777, uid: 9, xattrs: { 'user.n': 'w' } }))],
    want: ['d/', 'd/e/', 'd/e/y=y', 'd/x=x'],
    attributes: {
      d: { mode: '1777', uid: 9, gid: 0, mtime: '1000000000000000', xattrs: { 'user.n': '0x77' } },
    },
  },
  'the same path many times (H78)': {
    layers: [
      layer(
        file('p', '1'),
        dir('p'),
        file('p/q', 'q'),
        sym('p', 'x'),
        fifo('p'),
        hard('h', 'p'),
        dir('p', { mode: 0o700 }),
        dir('p', { mode: 0o711, xattrs: { 'user.a': 'b' } }),
        dir('p', { mode: 0o750 }),
      ),
    ],
    want: ['h|fifo', 'p/'],
    attributes: { p: { mode: '750', xattrs: {} } },
  },
  'a new file does not write through an old hard link': {
    layers: [under(file('a', 'old'), hard('b', 'a')), layer(file('b', 'new'))],
    want: ['a=old', 'b=new'],
  },
  // Implicit parents and times.
  'implicit parents look as below': {
    layers: [D, layer(file('d/e/n', 'n'), wh('d/x'))],
    want: ['d/', 'd/e/', 'd/e/n=n', 'd/e/y=y'],
    attributes: { d: lowerD, 'd/e': { mode: '711', mtime: '1000000000000000' } },
  },
  'implicit parents through three layers': {
    layers: [D, layer(file('d/m', 'm')), layer(file('d/e/n', 'n'))],
    want: ['d/', 'd/e/', 'd/e/n=n', 'd/e/y=y', 'd/m=m', 'd/x=x'],
    attributes: { d: lowerD },
  },
  'implicit parents from nothing': {
    layers: [layer(file('p/q/f', 'f'))],
    want: ['p/', 'p/q/', 'p/q/f=f'],
    attributes: { p: DEFAULT, 'p/q': DEFAULT, '.': DEFAULT },
  },
  'a directory entry after its content': {
    layers: [layer(file('p/f', 'f'), dir('p', { mode: 0o500, mtime: '3' }), file('p/g', 'g'))],
    want: ['p/', 'p/f=f', 'p/g=g'],
    attributes: { p: { mode: '500', mtime: '3000000000' } },
  },
  'a directory that is later removed': {
    layers: [layer(dir('p/q'), file('p/q/f'), file('p', 'p'))],
    want: ['p=p'],
  },
  'the root entry': {
    layers: [
      layer(dir('./', { mode: 0o711, uid: 4, mtime: '9', xattrs: { 'user.r': 'r' } }), file('f', 'f')),
    ],
    want: ['f=f'],
    attributes: { '.': { mode: '711', uid: 4, mtime: '9000000000', xattrs: { 'user.r': '0x72' } } },
  },
  'the root stays when not described': {
    layers: [layer(dir('/', { mode: 0o1711, uid: 4, mtime: '9' })), layer(file('f', 'f'))],
    want: ['f=f'],
    attributes: { '.': { mode: '1711', uid: 4, mtime: '9000000000' } },
  },
  'H91 the root cannot be replaced': {
    layers: [
      layer(
        sym('.', '/tmp'),
        file('', 'x'),
        sym('/', 'x'),
        dir('..', { mode: 0 }),
        dir('a/..', { mode: 0 }),
        file('f', 'f'),
      ),
    ],
    want: ['f=f'],
    warns: /it is the root itself/,
    attributes: { '.': DEFAULT },
  },
  // Hard links.
  'H78 links: missing': {
    layers: [layer(hard('a', 'b'))],
    fails: /hardlink "a": hard link to "b": there is no such file/,
  },
  'H78 links: to itself': { layers: [layer(file('a'), hard('a', './a'))], fails: /it is the link itself/ },
  'H74 links: a cycle': { layers: [layer(hard('a', 'b'), hard('b', 'a'))], fails: /no such file/ },
  'links: to a directory': { layers: [layer(dir('d'), hard('a', 'd'))], fails: /it is a directory/ },
  'links: in place of the directory of their target': {
    layers: [under(dir('d'), file('d/f')), layer(hard('d', 'd/f'))],
    fails: /directory that the link replaces/,
  },
  'links: to a symlink': {
    layers: [layer(file('f', 'f'), sym('s', 'f'), hard('h', 's'))],
    want: ['f=f', 'h->f', 's->f'],
  },
  'links: to a symlink below': {
    layers: [layer(file('f', 'f'), sym('s', 'f', { uid: 8, mtime: '4.5' })), layer(hard('h', 's'))],
    want: ['f=f', 'h->f', 's->f'],
    attributes: { h: { uid: 8, mtime: '4500000000' } },
  },
  'links: their metadata is not applied': {
    layers: [
      layer(
        file('f', 'f', { mode: 0o600, uid: 1 }),
        hard('h', 'f', { mode: 0o777, uid: 2, mtime: '1', xattrs: { 'user.x': 'y' } }),
      ),
    ],
    want: ['f=f', 'h=f'],
    attributes: { f: { mode: '600', uid: 1, mtime: '1000000000000000', xattrs: {} } },
  },
  'links: through symlinked parents': {
    layers: [under(dir('r'), file('r/f', 'f'), sym('l', '/r')), layer(hard('l/h', 'l/f'))],
    want: ['l->/r', 'r/', 'r/f=f', 'r/h=f'],
  },
  'links: to a device and a fifo below': {
    layers: [
      under(fifo('p', { mode: 0o622 }), device('n', 'c', 1, 3)),
      layer(hard('q', 'p'), hard('m', 'n')),
    ],
    want: ['m|char', 'n|char', 'p|fifo', 'q|fifo'],
    attributes: { m: { rdev: '103' }, q: { mode: '622' } },
  },
  // Names.
  'H110 invalid whiteouts': {
    layers: [A, layer(file('a/.wh.'))],
    fails: /"a\/\.wh\.": invalid whiteout name: \.wh\./,
  },
  'H110 invalid whiteouts, dot': { layers: [A, layer(file('.wh..'))], fails: /invalid whiteout name/ },
  'H110 invalid whiteouts, dots': { layers: [A, layer(file('a/.wh...'))], fails: /invalid whiteout name/ },
  'H110 names of AUFS are ignored': {
    layers: [A, layer(dir('.wh..wh.plnk'), file('.wh..wh.aufs'), file('a/.wh..wh.foo', 'x'))],
    want: ['a/', 'a/old=old'],
    upper: [],
  },
  'whiteouts are so by their last component only': {
    layers: [layer(file('.wh.etc/some', 's'))],
    want: ['.wh.etc/', '.wh.etc/some=s'],
  },
  'whiteout with lexical dots': { layers: [A, layer(wh('dne/../a'))], want: [] },
  'H111 a whiteout below a non-directory': {
    layers: [under(file('f', 'f')), layer(wh('f/x'))],
    want: ['f=f'],
    upper: [],
  },
  'H112 whiteouts in the first layer': {
    layers: [layer(wh('x'), opq(''), opq('d'), file('d/f', 'f'))],
    want: ['d/', 'd/f=f'],
    upper: ['d'],
  },
  'H113 char 0:0': {
    layers: [under(file('f')), layer(device('f', 'c', 0, 0))],
    fails: /char "f": the character device 0:0/,
  },
  'devices out of range': { layers: [layer(device('n', 'b', 4096, 0))], fails: /device number 4096:0/ },
  'H113 attributes of overlayfs': {
    layers: [
      D,
      layer(
        dir('d', {
          xattrs: {
            'trusted.overlay.opaque': 'y',
            'user.overlay.opaque': 'y',
            'trusted.overlay.redirect': '/x',
            'trusted.foo': 'x',
            'user.ok': '1',
          },
        }),
        file('f', 'f', { xattrs: { 'trusted.overlay.metacopy': '' } }),
      ),
    ],
    want: ['d/', 'd/e/', 'd/e/y=y', 'd/x=x', 'f=f'],
    warns: /may not set/,
    attributes: { d: { xattrs: { 'user.ok': '0x31' } }, f: { xattrs: {} } },
  },
  'user attributes on a symlink': {
    layers: [layer(sym('s', 't', { xattrs: { 'user.x': 'y' } }))],
    want: ['s->t'],
    warns: /only files and directories/,
  },
  'H75 a name too long': { layers: [layer(file('n'.repeat(256)))], fails: /applying file "n{256}".*name/i },
  'H75 unknown attribute namespaces': {
    layers: [layer(file('f', 'f', { xattrs: { 'nonsense.x': 'y' } }))],
    want: ['f=f'],
    warns: /does not take/,
  },
  'H76 a path too deep': {
    layers: [layer(file(`${'d/'.repeat(1025)}f`))],
    fails: /more than 1024 components/,
  },
  'a path as deep as may be': {
    layers: [layer(file(`${'d/'.repeat(1000)}f`)), layer(file(`${'d/'.repeat(1000)}g`))],
  },
  'symlinks that grow a path': {
    layers: [
      layer(sym('a', 'x/'.repeat(1000)), file('a/a/f', '')),
      layer(
        sym('x', 'y/'.repeat(1000)),
        file('x/x/f'),
        sym(`${'y/'.repeat(999)}z`, `/${'y/'.repeat(1000)}`),
        file(`${'y/'.repeat(999)}z/${'w/'.repeat(30)}f`),
      ),
    ],
    fails: /more than 1024 components/,
  },
};

const CONTENTS = ['old', 'new', 'A', 'x', 'y', 'n', 'o', 'c', 'g', 'f', 'z', 's', 'm', 'p', 'q'];

function check(wanted: Case, { way, tree, failure, warnings }: View): void {
  if (wanted.fails !== undefined) {
    assert.match(messageOf(failure?.error), wanted.fails, way);
    assert.ok(isKind(failure?.error, 'InvalidArgument'), way);
    return;
  }
  assert.equal(failure, undefined, way);
  if (wanted.want !== undefined) assert.deepEqual(brief(tree, CONTENTS), [...wanted.want].sort(), way);
  for (const [path, attributes] of Object.entries(wanted.attributes ?? {})) {
    const entry = tree.get(path);
    assert.ok(entry, `${way}: ${path}`);
    assert.deepEqual({ ...entry, ...attributes }, entry, `${way}: ${path}`);
  }
  if (wanted.warns === undefined) assert.deepEqual(warnings, [], way);
  else assert.match(warnings.join('\n'), wanted.warns, way);
}

describe('layer stacks', { skip: needs({ root: true, tools: ['mount', 'umount', 'getfattr'] }) }, () => {
  let stacks: Stacks;
  let outcomes: ReadonlyMap<string, readonly View[]>;
  const slug = (name: string): string => name.replace(/[^a-zA-Z0-9]+/g, '-');

  before(async () => {
    stacks = new Stacks(syscallsHere());
    for (const [name, { layers }] of Object.entries(CASES)) stacks.add(slug(name), layers);
    outcomes = await stacks.outcomes();
  });
  after(() => stacks.close());

  for (const [name, wanted] of Object.entries(CASES)) {
    test(name, () => {
      const views = outcomes.get(slug(name)) ?? [];
      assert.deepEqual(
        views.map((view) => view.way),
        WAY_NAMES,
      );
      for (const view of views) check(wanted, view);
      const [first, ...others] = views;
      for (const other of wanted.fails === undefined ? others : []) {
        assert.deepEqual(diffTrees(first?.tree ?? new Map(), other.tree), [], other.way);
      }
      if (wanted.upper !== undefined) {
        const last = stacks.upper(slug(name), wanted.layers.length - 1);
        assert.deepEqual(readdirSync(last).sort(), wanted.upper);
      }
    });
  }

  test('whiteouts are hard links to one device', async () => {
    const { lstatSync } = await import('node:fs');
    const upper = stacks.upper(slug('many whiteouts share one inode'), 1);
    const inodes = new Set(readdirSync(upper).map((name) => lstatSync(`${upper}/${name}`).ino));
    assert.equal(inodes.size, 1);
    assert.equal(readdirSync(upper).length, 20);
  });
});
