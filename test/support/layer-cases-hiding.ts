/** Whiteouts and opaque marks, in whatever order: the cases are those in which appliers in use differ from the image-spec. */

import { dir, file, hard, opq, sym, wh } from './layer-builder.ts';
import { A, type Case, D, DEFAULT, layer, lowerD } from './layer-case.ts';

export const HIDING: Readonly<Record<string, Case>> = {
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
      layer(file('old', 'old'), dir('dir'), file('dir/f')),
      layer(opq(''), file('new', 'new'), file('dir/g', 'g')),
    ],
    want: ['dir/', 'dir/g=g', 'new=new'],
    attributes: { dir: DEFAULT },
  },
  'root opaque last, over explicit directories': {
    layers: [
      layer(dir('dir'), file('dir/f'), file('k')),
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
      layer(file('a', 'A', { mode: 0o4711, uid: 3, mtime: '5.25', xattrs: { 'user.k': 'v' } })),
      layer(hard('b', 'a')),
    ],
    want: ['a=A', 'b=A'],
    attributes: {
      b: { mode: '4711', uid: 3, mtime: '5250000000', group: 'a', xattrs: { 'user.k': '0x76' } },
    },
  },
  'hard link to a file below, which is then hidden': {
    layers: [layer(dir('d', { mode: 0o700 }), file('d/a', 'A')), layer(hard('b', 'd/a'), wh('d/a'))],
    want: ['b=A', 'd/'],
  },
  'hard link to a file below, whose directory is then hidden': {
    layers: [layer(dir('d', { mode: 0o700 }), file('d/a', 'A')), layer(hard('b', 'd/a'), wh('d'))],
    want: ['b=A'],
  },
  'hard link to a file below, whose directory becomes opaque': {
    layers: [layer(dir('d', { mode: 0o700 }), file('d/a', 'A')), layer(hard('b', 'd/a'), opq('d'))],
    want: ['b=A', 'd/'],
    attributes: { d: { mode: '700' } },
  },
  'hard link below the hidden directory stays': {
    layers: [layer(dir('d'), file('d/a', 'A')), layer(hard('d/b', 'd/a'), wh('d'))],
    want: ['d/', 'd/b=A'],
    attributes: { d: DEFAULT },
  },
  'a parent that is a symlink below': {
    layers: [
      layer(dir('usr'), dir('usr/lib', { mtime: '5' }), file('usr/lib/old', 'o'), sym('lib', 'usr/lib')),
      layer(file('lib/new', 'n')),
    ],
    want: ['lib->usr/lib', 'usr/', 'usr/lib/', 'usr/lib/new=n', 'usr/lib/old=o'],
    attributes: { 'usr/lib': { mtime: '5000000000' } },
  },
  'chains of symlinks, absolute and upwards': {
    layers: [
      layer(dir('x/y'), sym('one', '/two'), sym('two', 'x/../x/three'), sym('x/three', '../../../x/y')),
      layer(file('one/new', 'n'), wh('one/none')),
    ],
    want: ['one->/two', 'two->x/../x/three', 'x/', 'x/three->../../../x/y', 'x/y/', 'x/y/new=n'],
  },
  'a dangling symlink as parent': {
    layers: [layer(sym('l', 'no/where')), layer(file('l/f', 'f'))],
    want: ['l->no/where', 'no/', 'no/where/', 'no/where/f=f'],
  },
  'a symlink loop as parent': {
    layers: [layer(sym('a', 'b'), sym('b', 'a')), layer(file('a/f'))],
    fails: /"a\/f": too many symbolic links/,
  },
  'a file below becomes a parent': {
    layers: [layer(file('a', 'A')), layer(file('a/x', 'x'))],
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
    layers: [layer(dir('etc'), file('etc/w'), sym('localetc', '/etc')), layer(wh('localetc/w'))],
    want: ['etc/', 'localetc->/etc'],
  },
  'a whiteout of a symlink': { layers: [layer(dir('etc'), sym('l', 'etc')), layer(wh('l'))], want: ['etc/'] },
  // Whiteouts do not touch what the layer itself writes.
  'a file and its whiteout': {
    layers: [layer(file('f', 'old')), layer(file('f', 'new'), wh('f'))],
    want: ['f=new'],
  },
  'whiteout and then the file': {
    layers: [layer(file('f', 'old')), layer(wh('f'), file('f', 'new'))],
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
      layer(...Array.from({ length: 20 }, (_, i) => file(`f${i}`))),
      layer(...Array.from({ length: 20 }, (_, i) => wh(`f${i}`))),
    ],
    want: [],
  },
  'whiteout of an empty implicit chain': {
    layers: [layer(file('p/q/r/s', 's')), layer(wh('p/q/r/s'))],
    want: ['p/', 'p/q/', 'p/q/r/'],
  },
};
