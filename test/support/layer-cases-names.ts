/** Names and values that are special, or that none may have. */

import { device, dir, file, opq, sym, wh } from './layer-builder.ts';
import { A, type Case, D, layer } from './layer-case.ts';

export const NAMES: Readonly<Record<string, Case>> = {
  // Names.
  'invalid whiteouts (H110)': {
    layers: [A, layer(file('a/.wh.'))],
    fails: /"a\/\.wh\.": invalid whiteout name: \.wh\./,
  },
  'invalid whiteouts, dot (H110)': { layers: [A, layer(file('.wh..'))], fails: /invalid whiteout name/ },
  'invalid whiteouts, dots (H110)': { layers: [A, layer(file('a/.wh...'))], fails: /invalid whiteout name/ },
  'names of AUFS are ignored (H110)': {
    layers: [A, layer(dir('.wh..wh.plnk'), file('.wh..wh.aufs'), file('a/.wh..wh.foo', 'x'))],
    want: ['a/', 'a/old=old'],
    upper: [],
  },
  'whiteouts are so by their last component only': {
    layers: [layer(file('.wh.etc/some', 's'))],
    want: ['.wh.etc/', '.wh.etc/some=s'],
  },
  'whiteout with lexical dots': { layers: [A, layer(wh('dne/../a'))], want: [] },
  'a whiteout below a non-directory (H111)': {
    layers: [layer(file('f', 'f')), layer(wh('f/x'))],
    want: ['f=f'],
    upper: [],
  },
  'whiteouts in the first layer (H112)': {
    layers: [layer(wh('x'), opq(''), opq('d'), file('d/f', 'f'))],
    want: ['d/', 'd/f=f'],
    upper: ['d'],
  },
  'char 0:0 (H113)': {
    layers: [layer(file('f')), layer(device('f', 'c', 0, 0))],
    fails: /char "f": the character device 0:0/,
  },
  'devices out of range': { layers: [layer(device('n', 'b', 4096, 0))], fails: /device number 4096:0/ },
  'attributes of overlayfs (H113)': {
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
  'a name too long (H75)': { layers: [layer(file('n'.repeat(256)))], fails: /applying file "n{256}".*name/i },
  'unknown attribute namespaces (H75)': {
    layers: [layer(file('f', 'f', { xattrs: { 'nonsense.x': 'y' } }))],
    want: ['f=f'],
    warns: /does not take/,
  },
  'a path too deep (H76)': {
    layers: [layer(file(`${'d/'.repeat(1025)}f`))],
    fails: /more than 1024 components/,
  },
  'a path as deep as may be': {
    deep: true,
    layers: [layer(file(`${'d/'.repeat(1000)}f`)), layer(file(`${'d/'.repeat(1000)}g`))],
  },
  'symlinks that grow a path': {
    deep: true,
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
