/** H70 to H80: archives. */
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { device, dir, fifo, file, hard, layer, sym } from '../../support/layer-builder.ts';
import { isDeno } from '../../support/needs.ts';
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
  'H70 the PAX size governs the data and where the next header is': {
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
  'H71 a malformed PAX record': {
    blobs: () => [concat([member({ type: 'x' }, bytes('12 path=x\n3')), member({ name: 'f' }), END])],
    fails: /InvalidArgument: .*PAX/,
  },
  'H72 an extension header over 1 MiB': {
    blobs: () => [header({ type: 'x', size: (1 << 20) + 1 })],
    fails: /InvalidArgument: .*over 1 MiB/,
  },
  'H72 a GNU name of 5000 bytes': {
    blobs: () => [concat([gnuLong('L', 'n'.repeat(5000)), member({}), END])],
    fails: /InvalidArgument: .*more than 4096/,
  },
  'H72 a sparse map of millions': {
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
  'H73 negative sizes': {
    blobs: () => [header({ size: base256(-1n, 12) })],
    fails: /InvalidArgument: .*negative size/,
  },
  'H73 sizes beyond numbers': {
    blobs: () => [header({ size: base256(1n << 90n, 12) })],
    fails: /InvalidArgument: .*out of range/,
  },
  'H74 links in a circle': {
    blobs: () => [layer(hard('a', 'b'), hard('b', 'a'))],
    fails: /InvalidArgument: applying hardlink "a": .*no such file/,
  },
  'H74 symlinks in a circle as parents': {
    blobs: () => [layer(sym('a', 'b/x'), sym('b', 'a/x'), file('a/f'))],
    fails: /InvalidArgument: applying file "a\/f": too many symbolic links/,
  },
  'H75 names: empty, root, dots': {
    blobs: () => [layer(file(''), file('/'), file('.'), dir('./'), file('./x/./y', 'y'), file('..', 'z'))],
    want: ['x/', 'x/y=y'],
  },
  'H75 a component of 256 bytes': {
    blobs: () => [layer(file('n'.repeat(256)))],
    fails: /applying file "n{256}"/,
  },
  'H75 a path of 4097 bytes': {
    blobs: () => [layer(file(`${'d/'.repeat(2048)}x`))],
    fails: /InvalidArgument: .*overlong name/,
  },
  'H75 NUL in a PAX path': {
    blobs: () => [concat([pax([['path', 'a\0b']]), member({}), END])],
    fails: /InvalidArgument: .*NUL in the PAX value path/,
  },
  'H75 names that are not UTF-8 keep their bytes': {
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
    notByTools: isDeno,
  },
  'H75 an attribute of 65 KiB': {
    blobs: () => [layer(file('f', '', { xattrs: { 'user.big': 'v'.repeat(65_537) } }))],
    fails:
      /^(?:InvalidArgument|ResourceExhausted): applying file "f": setting the extended attribute user\.big/,
  },
  'H75 an attribute with a name of 300 bytes': {
    blobs: () => [layer(file('f', '', { xattrs: { [`user.${'n'.repeat(300)}`]: 'v' } }))],
    fails: /InvalidArgument: applying file "f": .*user\.n{20,}/,
  },
  'H76 a path of 1100 components': {
    blobs: () => [layer(file(`${'d/'.repeat(1100)}x`))],
    fails: /InvalidArgument: .*more than 1024 components/,
  },
  'H76 symlinks that make a path deeper than that': {
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
  'H77 device numbers out of range': {
    blobs: () => [header({ type: '3', patch: (block) => block.set(base256(1n << 32n, 8), 329) })],
    fails: /InvalidArgument: .*device number 4294967296:0 out of range/,
  },
  'H77 device numbers beyond what Linux has': {
    blobs: () => [layer(device('n', 'b', 4096, 0))],
    fails: /InvalidArgument: .*device number 4096:0 is out of range/,
  },
  ...Object.fromEntries(
    ['-1', '4294967295', '4294967296', '9007199254740992'].map((id): [string, Case] => [
      `H77 the owner ${id}`,
      {
        blobs: () => [concat([pax([['uid', id]]), member({}), END])],
        fails: /InvalidArgument: .*(?:user id|PAX value uid)/,
      },
    ]),
  ),
  'H77 modes have twelve bits': {
    blobs: () => [concat([member({ name: 'f', mode: 0o7654321 & 0o7777777, size: 0 }), END])],
    inspect: (root) => assert.equal(lstatSync(join(root, 'f')).mode & 0o7777, 0o4321),
  },
  'H77 times that are no numbers': {
    blobs: () => [concat([pax([['mtime', 'NaN']]), member({}), END])],
    fails: /InvalidArgument: .*mtime is not a time/,
  },
  'H77 times far away': {
    blobs: () => [
      layer(file('year-5138', '', { mtime: '100000000000' }), file('old', '', { mtime: '-100000000000' })),
    ],
    want: ['old=', 'year-5138='],
  },
  'H78 the same path ten times, last wins': {
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
  'H78 hard links: before the target': {
    blobs: () => [layer(hard('a', 'b'), file('b'))],
    fails: /no such file/,
  },
  'H78 hard links: to itself': {
    blobs: () => [layer(file('a'), hard('a', 'a'))],
    fails: /it is the link itself/,
  },
  'H78 hard links: to a file of the layer below': {
    blobs: () => [layer(file('a', 'x')), layer(hard('b', 'a'))],
    want: ['a=x', 'b=/a'],
  },
  'H79 no end blocks': { blobs: () => [one.subarray(0, -1024)], want: F },
  'H79 junk after the end': { blobs: () => [concat([one, bytes('junk'), layer(file('g'))])], want: F },
  'H79 cut in a file': { blobs: () => [one.subarray(0, 1536)], fails: /DataLoss: truncated tar/ },
  'H79 a wrong checksum': {
    blobs: () => [header({ checksum: 'wrong' })],
    fails: /InvalidArgument: .*checksum/,
  },
  'H80 contiguous and sparse files, dump directories, labels': {
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
      `H80 the type ${type}`,
      {
        blobs: () => [header({ name: 'odd', type })],
        fails: /InvalidArgument: .*unknown entry type .* of "odd"/,
      },
    ]),
  ),
};
