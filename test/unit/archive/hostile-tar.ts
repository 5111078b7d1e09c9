/** Hostile archives (H70 to H80). */
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { device, dir, fifo, file, hard, layer, sym } from '../../support/layer-builder.ts';
import {
  base256,
  bytes,
  concat,
  END,
  gnuLong,
  header,
  member,
  padded,
  pax,
} from '../../support/tar-builder.ts';
import { type Case, F, one } from './hostile-cases.ts';

export const TAR: Record<string, Case> = {
  'the PAX size governs the data and where the next header is (H70)': {
    blobs: () => {
      const inner = concat([member({ name: 'smuggled' }, bytes('x')), END]);
      const outer = [pax([['size', `${inner.length}`]]), header({ name: 'o', size: 0 }), padded(inner)];
      return [concat([...outer, member({ name: 'after' }, bytes('a')), END])];
    },
    check: ({ lines }) =>
      assert.deepEqual(
        lines.map((line) => line.split('=')[0]),
        ['after', 'o'],
      ),
  },
  'a malformed PAX record (H71)': {
    blobs: () => [concat([member({ type: 'x' }, bytes('12 path=x\n3')), member({ name: 'f' }), END])],
    fails: /InvalidArgument: .*PAX/,
  },
  'an extension header over 1 MiB (H72)': {
    blobs: () => [header({ type: 'x', size: (1 << 20) + 1 })],
    fails: /InvalidArgument: .*over 1 MiB/,
  },
  'a GNU name of 5000 bytes (H72)': {
    blobs: () => [concat([gnuLong('L', 'n'.repeat(5000)), member({}), END])],
    fails: /InvalidArgument: .*more than 4096/,
  },
  'a sparse map of millions (H72)': {
    blobs: () => {
      const records = [
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.realsize', '5'],
      ] as const;
      return [concat([pax(records), member({}, padded(bytes('9999999\n')))])];
    },
    fails: /InvalidArgument: .*too many fragments/,
  },
  'negative sizes (H73)': {
    blobs: () => [header({ size: base256(-1n, 12) })],
    fails: /InvalidArgument: .*negative size/,
  },
  'sizes beyond numbers (H73)': {
    blobs: () => [header({ size: base256(1n << 90n, 12) })],
    fails: /InvalidArgument: .*out of range/,
  },
  'links in a circle (H74)': {
    blobs: () => [layer(hard('a', 'b'), hard('b', 'a'))],
    fails: /InvalidArgument: applying hardlink "a": .*no such file/,
  },
  'symlinks in a circle as parents (H74)': {
    blobs: () => [layer(sym('a', 'b/x'), sym('b', 'a/x'), file('a/f'))],
    fails: /InvalidArgument: applying file "a\/f": too many symbolic links/,
  },
  'names: empty, root, dots (H75)': {
    blobs: () => [layer(file(''), file('/'), file('.'), dir('./'), file('./x/./y', 'y'), file('..', 'z'))],
    want: ['x/', 'x/y=y'],
  },
  'a component of 256 bytes (H75)': {
    blobs: () => [layer(file('n'.repeat(256)))],
    fails: /applying file "n{256}"/,
  },
  'a path of 4097 bytes (H75)': {
    blobs: () => [layer(file(`${'d/'.repeat(2048)}x`))],
    fails: /InvalidArgument: .*overlong name/,
  },
  'NUL in a PAX path (H75)': {
    blobs: () => [concat([pax([['path', 'a\0b']]), member({}), END])],
    fails: /InvalidArgument: .*NUL in the PAX value path/,
  },
  'names that are not UTF-8 keep their bytes (H75)': {
    blobs: () => {
      const named = (name: string, more = {}, data = '') =>
        concat([pax([['path', name]]), member(more, bytes(data))]);
      const link = concat([
        pax([
          ['path', 'l'],
          ['linkpath', 'to\xff'],
        ]),
        member({ type: '2', linkName: 'x' }),
      ]);
      return [concat([named('d\xff/', { type: '5' }), named('d\xff/\xc3\x28\x80', {}, 'f'), link, END])];
    },
    want: ['d\xff/', 'd\xff/\xc3\x28\x80=f', 'l->to\xff'],
    notUtf8: true,
  },
  'an attribute of 65 KiB (H75)': {
    blobs: () => [layer(file('f', '', { xattrs: { 'user.big': 'v'.repeat(65_537) } }))],
    fails:
      /^(?:InvalidArgument|ResourceExhausted): applying file "f": setting the extended attribute user\.big/,
  },
  'an attribute with a name of 300 bytes (H75)': {
    blobs: () => [layer(file('f', '', { xattrs: { [`user.${'n'.repeat(300)}`]: 'v' } }))],
    fails: /InvalidArgument: applying file "f": .*user\.n{20,}/,
  },
  'a path of 1100 components (H76)': {
    blobs: () => [layer(file(`${'d/'.repeat(1100)}x`))],
    fails: /InvalidArgument: .*more than 1024 components/,
  },
  'symlinks that make a path deeper than that (H76)': {
    blobs: () => [
      layer(
        dir(`${'d/'.repeat(900)}e`),
        sym(`${'d/'.repeat(900)}l`, '/d'),
        file(`l2/${'d/'.repeat(900)}l/${'n/'.repeat(900)}x`.slice(3)),
      ),
    ],
    notByTools: true,
    fails: /InvalidArgument: .*more than 1024 components/,
  },
  'device numbers out of range (H77)': {
    blobs: () => [header({ type: '3', patch: (block) => block.set(base256(1n << 32n, 8), 329) })],
    fails: /InvalidArgument: .*device number 4294967296:0 out of range/,
  },
  'device numbers beyond what Linux has (H77)': {
    blobs: () => [layer(device('n', 'b', 4096, 0))],
    fails: /InvalidArgument: .*device number 4096:0 is out of range/,
  },
  ...Object.fromEntries(
    ['-1', '4294967295', '4294967296', '9007199254740992'].map((id): [string, Case] => [
      `the owner ${id} (H77)`,
      {
        blobs: () => [concat([pax([['uid', id]]), member({}), END])],
        fails: /InvalidArgument: .*(?:user id|PAX value uid)/,
      },
    ]),
  ),
  'modes have twelve bits (H77)': {
    blobs: () => [concat([member({ name: 'f', mode: 0o7654321 & 0o7777777, size: 0 }), END])],
    inspect: (root) => assert.equal(lstatSync(join(root, 'f')).mode & 0o7777, 0o4321),
  },
  'times that are no numbers (H77)': {
    blobs: () => [concat([pax([['mtime', 'NaN']]), member({}), END])],
    fails: /InvalidArgument: .*mtime is not a time/,
  },
  'times far away (H77)': {
    blobs: () => [
      layer(file('year-5138', '', { mtime: '100000000000' }), file('old', '', { mtime: '-100000000000' })),
    ],
    want: ['old=', 'year-5138='],
  },
  'the same path ten times, last wins (H78)': {
    blobs: () => {
      const kinds = [
        file('p', '1'),
        dir('p'),
        file('p/x', 'x'),
        sym('p', 'q'),
        fifo('p'),
        dir('p'),
        file('p', '2'),
      ];
      return [layer(...kinds, hard('r', 'p'), sym('p', 'r'), dir('p'))];
    },
    want: ['p/', 'r=2'],
  },
  'hard links: before the target (H78)': {
    blobs: () => [layer(hard('a', 'b'), file('b'))],
    fails: /no such file/,
  },
  'hard links: to itself (H78)': {
    blobs: () => [layer(file('a'), hard('a', 'a'))],
    fails: /it is the link itself/,
  },
  'hard links: to a file of the layer below (H78)': {
    blobs: () => [layer(file('a', 'x')), layer(hard('b', 'a'))],
    want: ['a=x', 'b=/a'],
  },
  'no end blocks (H79)': { blobs: () => [one.subarray(0, -1024)], want: F },
  'junk after the end (H79)': { blobs: () => [concat([one, bytes('junk'), layer(file('g'))])], want: F },
  'cut in a file (H79)': { blobs: () => [one.subarray(0, 1536)], fails: /DataLoss: truncated tar/ },
  'a wrong checksum (H79)': {
    blobs: () => [header({ checksum: 'wrong' })],
    fails: /InvalidArgument: .*checksum/,
  },
  'contiguous and sparse files, dump directories, labels (H80)': {
    blobs: () => {
      const sparse = (block: Uint8Array): void => block.set(bytes('00000000005\0'), 483);
      return [
        concat([
          member({ name: 'contiguous', type: '7' }, bytes('c')),
          member({ name: 'sparse', type: 'S', magic: 'gnu', patch: sparse }),
          member({ name: 'dump', type: 'D', magic: 'gnu' }, bytes('Yx\0\0')),
          member({ name: 'label', type: 'V', magic: 'gnu' }),
          END,
        ]),
      ];
    },
    want: ['contiguous=c', 'dump/', 'sparse=\0\0\0\0\0'],
  },
  ...Object.fromEntries(
    [...'MNZI'].map((type): [string, Case] => [
      `the type ${type} (H80)`,
      {
        blobs: () => [header({ name: 'odd', type })],
        fails: /InvalidArgument: .*unknown entry type .* of "odd"/,
      },
    ]),
  ),
};
