/** Entries over what is there: replaced, merged, linked to, and directories that no entry describes. */

import { device, dir, fifo, file, hard, sym, wh } from './layer-builder.ts';
import { A, type Case, D, DEFAULT, layer, lowerD } from './layer-case.ts';

export const WRITING: Readonly<Record<string, Case>> = {
  // Replacing.
  'file over directory over file': {
    layers: [A, layer(file('a', 'f'), dir('a'), file('a/n', 'n'))],
    want: ['a/', 'a/n=n'],
  },
  'directory over a symlink': {
    layers: [layer(dir('t'), file('t/f', 'f'), sym('a', 't')), layer(dir('a'), file('a/n', 'n'))],
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
    layers: [layer(file('a', 'old'), hard('b', 'a')), layer(file('b', 'new'))],
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
  'the root cannot be replaced (H91)': {
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
  'links: missing (H78)': {
    layers: [layer(hard('a', 'b'))],
    fails: /hardlink "a": hard link to "b": there is no such file/,
  },
  'links: to itself (H78)': { layers: [layer(file('a'), hard('a', './a'))], fails: /it is the link itself/ },
  'links: a cycle (H74)': { layers: [layer(hard('a', 'b'), hard('b', 'a'))], fails: /no such file/ },
  'links: to a directory': { layers: [layer(dir('d'), hard('a', 'd'))], fails: /it is a directory/ },
  'links: in place of the directory of their target': {
    layers: [layer(dir('d'), file('d/f')), layer(hard('d', 'd/f'))],
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
    layers: [layer(dir('r'), file('r/f', 'f'), sym('l', '/r')), layer(hard('l/h', 'l/f'))],
    want: ['l->/r', 'r/', 'r/f=f', 'r/h=f'],
  },
  'links: to a device and a fifo below': {
    layers: [
      layer(fifo('p', { mode: 0o622 }), device('n', 'c', 1, 3)),
      layer(hard('q', 'p'), hard('m', 'n')),
    ],
    want: ['m|char', 'n|char', 'p|fifo', 'q|fifo'],
    attributes: { m: { rdev: '103' }, q: { mode: '622' } },
  },
};
