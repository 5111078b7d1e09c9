/** H90 to H115: names, links, whiteouts, attributes. */
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { device, dir, fifo, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { inUserNamespace, OTHER_OWNER } from './hostile.ts';
import { type Case, F } from './hostile-cases.ts';

export const PATHS: Record<string, Case> = {
  'H90 a directory swapped for a symlink': {
    blobs: (out) => [
      layer(
        dir('foo'),
        dir('foo/tmp'),
        sym('foo', out),
        file('foo/canary', 'n'),
        sym('t', '/'),
        file('t/tmp/x', 'x'),
      ),
    ],
    check: ({ lines }) => assert.ok(lines.includes('tmp/x=x')),
  },
  'H91 the root is never replaced': {
    blobs: (out) => [layer(sym('/.', out), sym('.', out), hard('.', 'x'), file('canary', 'n'))],
    want: ['canary=n'],
  },
  'H92 attributes by way of links': {
    blobs: (out) => {
      const attrs = { mode: 0o4777, uid: OTHER_OWNER, mtime: '1', xattrs: { 'user.canary': 'changed' } };
      return [layer(sym('s', `${out}/canary`, attrs), hard('h', 's', attrs))];
    },
    check: ({ lines }) => assert.equal(lines.length, 2),
  },
  'H93 the mode is that of what was made, not of what has its name': {
    blobs: () => [
      layer(file('f', 'f', { mode: 0o4755 }), sym('g', 'f', { mode: 0o777 }), dir('d', { mode: 0o1777 })),
    ],
    inspect: (root) => {
      assert.equal(lstatSync(join(root, 'f')).mode & 0o7777, 0o4755);
      assert.equal(lstatSync(join(root, 'd')).mode & 0o7777, 0o1777);
    },
  },
  'H94 absolute names, dots, symlinked parents': {
    blobs: (out) => [
      layer(
        file(`${out}/canary`, 'n'),
        file('../../outside/canary', 'n'),
        sym('a', out),
        file('a/canary', 'n'),
        sym('b', '../../../outside'),
        file('b/canary', 'n'),
        hard('h', 'a/canary'),
      ),
    ],
    check: ({ lines }) => assert.ok(lines.some((line) => line.startsWith('outside/canary='))),
  },
  'H95 a hard link relative to the working directory': {
    blobs: () => [layer(hard('h', 'package.json'))],
    fails: /InvalidArgument: .*no such file/,
  },
  'H95 a hard link through a chain of symlinks': {
    blobs: (out) => [layer(sym('a', 'b'), sym('b', 'c'), sym('c', out), hard('h', 'a/canary'))],
    fails: /InvalidArgument: .*no such file/,
  },
  'H96 names that only a person takes for equal': {
    blobs: (out) => [
      layer(
        dir('Dir'),
        sym('dir', out),
        file('Dir/canary', 'n'),
        dir('\u00e9'),
        sym('e\u0301', out),
        file('\u00e9/canary', 'n'),
      ),
    ],
    check: ({ lines }) => assert.ok(lines.includes('Dir/canary=n')),
  },
  'H97 backslashes and drives are bytes of a name': {
    blobs: () => [layer(file('a\\..\\b', '1'), file('C:', '2'), file('..\\x', '3'))],
    want: ['..\\x=3', 'C:=2', 'a\\..\\b=1'],
  },
  'H99 libraries and programs of the image are not loaded': {
    blobs: () => [
      layer(
        file('etc/nsswitch.conf', 'passwd: evil'),
        file('lib/libnss_evil.so.2', 'x'),
        file('etc/passwd', 'root:x:7'),
      ),
    ],
    check: ({ lines }) => assert.equal(lines.length, 5),
  },
  'H101 longer than PATH_MAX': {
    blobs: (out) => {
      const deep = `${'d'.repeat(200)}/`.repeat(15);
      return [
        layer(
          sym(`${deep}l`, `/${deep}`),
          file(`${deep}l/${'e/'.repeat(20)}x`, 'x'),
          sym(`${deep}o`, out),
          file(`${deep}o/canary`, 'n'),
        ),
      ];
    },
    check: ({ lines }) => assert.ok(lines.some((line) => line.endsWith('/x=x'))),
  },
  'H102 magic links and devices': {
    blobs: () => [
      layer(
        sym('p', '/proc/self/root'),
        file('p/canary', 'n'),
        sym('fd', '/proc/self/fd/3'),
        file('fd/x', 'x'),
        sym('d', '/dev'),
        file('d/null', 'n'),
      ),
    ],
    check: ({ lines }) => assert.ok(lines.includes('dev/null=n')),
  },
};

export const LAYERS: Record<string, Case> = {
  ...Object.fromEntries(
    ['.wh.', '.wh..', '.wh...', 'd/.wh.', 'd/.wh...'].map((name): [string, Case] => [
      `H110 the whiteout ${name}`,
      { blobs: () => [layer(dir('d'), file(name))], fails: /InvalidArgument: .*invalid whiteout name/ },
    ]),
  ),
  'H110 names of AUFS': {
    blobs: () => [layer(file('f', 'f'), file('.wh..wh.plnk'), file('.wh..wh.aufs'), file('.wh..wh.foo'))],
    want: F,
  },
  'H111 an opaque mark and whiteouts, in any order': {
    blobs: () => [
      layer(dir('d'), file('d/a'), file('d/b'), dir('d/e'), file('d/e/x')),
      layer(file('d/new', 'n'), wh('d/a'), opq('d'), wh('d/b'), file('d/b', 'b'), dir('d/e'), opq('d/e')),
    ],
    want: ['d/', 'd/b=b', 'd/e/', 'd/new=n'],
  },
  'H111 a whiteout below what is no directory': {
    blobs: () => [layer(file('f', 'f')), layer(wh('f/x'))],
    want: F,
  },
  'H112 whiteouts of the first layer': { blobs: () => [layer(file('f', 'f'), wh('g'), opq('d'))], want: F },
  "H113 overlayfs's own attributes": {
    blobs: () => [
      layer(
        dir('d', { xattrs: { 'trusted.overlay.opaque': 'y', 'user.overlay.opaque': 'y', 'trusted.x': 'y' } }),
        file('f', 'f', {
          xattrs: { 'user.overlay.redirect': '/etc', 'user.overlay.metacopy': '', 'user.fine': 'y' },
        }),
      ),
    ],
    want: ['d/', 'f=f'],
    check: ({ warnings }) =>
      assert.equal(warnings.filter((text) => /images may not set/.test(text)).length, 5),
  },
  'H113 a device 0:0': {
    blobs: () => [layer(device('f', 'c', 0, 0))],
    fails: /InvalidArgument: .*0:0 is how overlayfs marks a removed file/,
  },
  'H114 setuid and setgid stay': {
    blobs: () => [layer(file('f', 'f', { mode: 0o6755, uid: OTHER_OWNER, gid: OTHER_OWNER }))],
    inspect: (root) => assert.equal(lstatSync(join(root, 'f')).mode & 0o7777, 0o6755),
  },
  ...(inUserNamespace
    ? {
        'H115 devices are left out where they cannot be made': {
          blobs: () => [layer(device('n', 'c', 1, 3), file('f', 'f'))],
          want: F,
          check: ({ warnings }) => assert.match(warnings.join(), /left out the device "n"/),
        },
        'H115 owners that are not mapped': {
          blobs: () => [layer(file('f', 'f', { uid: 1000 }))],
          fails: /InvalidArgument: applying file "f": setting the owner to 1000:0/,
          check: ({ hint }) => assert.match(hint ?? '', /\/etc\/subuid/),
        },
      }
    : {
        'H115 devices are made': {
          blobs: () => [layer(device('n', 'c', 1, 3), device('b', 'b', 8, 0), fifo('p'))],
          want: ['b|block', 'n|char', 'p|fifo'],
        },
      }),
} satisfies Record<string, Case>;
