/** Hostile names, links, whiteouts, attributes (H90 to H115). */
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { device, dir, fifo, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { inUserNamespace, OTHER_OWNER } from './hostile.ts';
import { type Case, F } from './hostile-cases.ts';

export const PATHS: Record<string, Case> = {
  'a directory swapped for a symlink (H90)': {
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
  'the root is never replaced (H91)': {
    blobs: (out) => [layer(sym('/.', out), sym('.', out), hard('.', 'x'), file('canary', 'n'))],
    want: ['canary=n'],
  },
  'attributes by way of links (H92)': {
    blobs: (out) => {
      const attrs = { mode: 0o4777, uid: OTHER_OWNER, mtime: '1', xattrs: { 'user.canary': 'changed' } };
      return [layer(sym('s', `${out}/canary`, attrs), hard('h', 's', attrs))];
    },
    check: ({ lines }) => assert.equal(lines.length, 2),
  },
  'the mode is that of what was made, not of what has its name (H93)': {
    blobs: () => [
      layer(file('f', 'f', { mode: 0o4755 }), sym('g', 'f', { mode: 0o777 }), dir('d', { mode: 0o1777 })),
    ],
    inspect: (root) => {
      assert.equal(lstatSync(join(root, 'f')).mode & 0o7777, 0o4755);
      assert.equal(lstatSync(join(root, 'd')).mode & 0o7777, 0o1777);
    },
  },
  'absolute names, dots, symlinked parents (H94)': {
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
  'a hard link relative to the working directory (H95)': {
    blobs: () => [layer(hard('h', 'package.json'))],
    fails: /InvalidArgument: .*no such file/,
  },
  'a hard link through a chain of symlinks (H95)': {
    blobs: (out) => [layer(sym('a', 'b'), sym('b', 'c'), sym('c', out), hard('h', 'a/canary'))],
    fails: /InvalidArgument: .*no such file/,
  },
  'names that only a person takes for equal (H96)': {
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
  'backslashes and drives are bytes of a name (H97)': {
    blobs: () => [layer(file('a\\..\\b', '1'), file('C:', '2'), file('..\\x', '3'))],
    want: ['..\\x=3', 'C:=2', 'a\\..\\b=1'],
  },
  'libraries and programs of the image are not loaded (H99)': {
    blobs: () => [
      layer(
        file('etc/nsswitch.conf', 'passwd: evil'),
        file('lib/libnss_evil.so.2', 'x'),
        file('etc/passwd', 'root:x:7'),
      ),
    ],
    check: ({ lines }) => assert.equal(lines.length, 5),
  },
  'longer than PATH_MAX (H101)': {
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
  'magic links and devices (H102)': {
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
      `the whiteout ${name} (H110)`,
      { blobs: () => [layer(dir('d'), file(name))], fails: /InvalidArgument: .*invalid whiteout name/ },
    ]),
  ),
  'names of AUFS (H110)': {
    blobs: () => [layer(file('f', 'f'), file('.wh..wh.plnk'), file('.wh..wh.aufs'), file('.wh..wh.foo'))],
    want: F,
  },
  'an opaque mark and whiteouts, in any order (H111)': {
    blobs: () => [
      layer(dir('d'), file('d/a'), file('d/b'), dir('d/e'), file('d/e/x')),
      layer(file('d/new', 'n'), wh('d/a'), opq('d'), wh('d/b'), file('d/b', 'b'), dir('d/e'), opq('d/e')),
    ],
    want: ['d/', 'd/b=b', 'd/e/', 'd/new=n'],
  },
  'a whiteout below what is no directory (H111)': {
    blobs: () => [layer(file('f', 'f')), layer(wh('f/x'))],
    want: F,
  },
  'whiteouts of the first layer (H112)': { blobs: () => [layer(file('f', 'f'), wh('g'), opq('d'))], want: F },
  "overlayfs's own attributes (H113)": {
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
  'a device 0:0 (H113)': {
    blobs: () => [layer(device('f', 'c', 0, 0))],
    fails: /InvalidArgument: .*0:0 is how overlayfs marks a removed file/,
  },
  'setuid and setgid stay (H114)': {
    blobs: () => [layer(file('f', 'f', { mode: 0o6755, uid: OTHER_OWNER, gid: OTHER_OWNER }))],
    inspect: (root) => assert.equal(lstatSync(join(root, 'f')).mode & 0o7777, 0o6755),
  },
  ...(inUserNamespace
    ? {
        'devices are left out where they cannot be made (H115)': {
          blobs: () => [layer(device('n', 'c', 1, 3), file('f', 'f'))],
          want: F,
          check: ({ warnings }) => assert.match(warnings.join(), /left out the device "n"/),
        },
        'owners that are not mapped (H115)': {
          blobs: () => [layer(file('f', 'f', { uid: 1000 }))],
          fails: /InvalidArgument: applying file "f": setting the owner to 1000:0/,
          check: ({ hint }) => assert.match(hint ?? '', /\/etc\/subuid/),
        },
      }
    : {
        'devices are made (H115)': {
          blobs: () => [layer(device('n', 'c', 1, 3), device('b', 'b', 8, 0), fifo('p'))],
          want: ['b|block', 'n|char', 'p|fifo'],
        },
      }),
} satisfies Record<string, Case>;
