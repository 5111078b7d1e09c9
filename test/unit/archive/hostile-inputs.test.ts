/**
 * Hostile layers by their numbers (H60 to H115), through the whole path of a worker in both modes: each says what must
 * come out, and the canary beside it is looked at after each.
 */
import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { hasFfi } from '../../support/ffi.ts';
import { device, dir, fifo, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { isDeno, needs } from '../../support/needs.ts';
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
import { Arena, type How, inUserNamespace, OTHER_OWNER, PROVIDERS, type Result } from './hostile.ts';

interface Case extends How {
  /** One blob a layer. */
  readonly blobs: (out: string) => readonly Uint8Array[];
  /** Lines of the tree, in both modes. */
  readonly want?: readonly string[];
  readonly fails?: RegExp;
  readonly check?: (result: Result) => void;
  /** Not by tools, each call of which costs milliseconds, or which cannot. */
  readonly notByTools?: boolean;
}

const GIB = 2 ** 30;
const F = ['f=f'];
const one = layer(file('f', 'f'));
const gz = (data: Uint8Array): Uint8Array => new Uint8Array(gzipSync(data));
const zst = (data: Uint8Array): Uint8Array => new Uint8Array(zstdCompressSync(data));
const frame = (...rest: number[]): Uint8Array => Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, ...rest);

const sparseRecords = (size: number, map: string) =>
  [
    ['GNU.sparse.size', String(size)],
    ['GNU.sparse.map', map],
  ] as const;

const SIGNED = (data: Uint8Array): Uint8Array => concat([data, new Uint8Array(3000), bytes('signature')]);

const COMPRESSION: Record<string, Case> = {
  'H60 a gzip bomb of zeros stops at the size allowed': {
    blobs: () => [gz(new Uint8Array(40_000_000))],
    job: { maxBytes: 10_000_000 },
    fails: /ResourceExhausted: the layer expands to more than 10000000 bytes/,
  },
  'H60 the first GiB is free, whatever the ratio': {
    blobs: () => [zst(concat([one, new Uint8Array(4_000_000)]))],
    job: { maxRatio: 1 },
    want: F,
  },
  'H60 holes count': {
    blobs: () => [concat([pax(sparseRecords(2 * GIB, '0,1')), member({ name: 's' }, bytes('x')), END])],
    fails: /ResourceExhausted: the layer's files exceed the limit/,
  },
  'H60 a hole as large as numbers go': {
    blobs: () => [concat([pax(sparseRecords(Number.MAX_SAFE_INTEGER, '0,1')), member({}, bytes('x')), END])],
    fails: /ResourceExhausted/,
    job: { maxBytes: 2 ** 40 },
  },
  'H61 thousands of empty members': {
    blobs: () => [concat([...Array.from({ length: 1000 }, () => gz(new Uint8Array(0))), gz(one)])],
    want: F,
  },
  'H62 zstd said to be gzip, plain, and gzip said to be zstd': {
    blobs: () => [zst(one), one, gz(layer(file('g', 'g')))],
    want: ['f=f', 'g=g'],
  },
  'H62 xz and bzip2 are no compression of ours': {
    blobs: () => [concat([Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), new Uint8Array(600).fill(7)])],
    fails: /InvalidArgument: .*reading the header at byte 0/,
  },
  'H62 a media type that we do not know': {
    blobs: () => [one],
    job: { mediaType: 'application/vnd.oci.image.layer.v1.tar+xz' },
    fails: /NotImplemented: no processor for media-type/,
  },
  'H63 bytes after the last gzip member': { blobs: () => [SIGNED(gz(one))], want: F },
  'H63 a gzip header with every field, long': {
    blobs: () => {
      const [head, body] = [gz(one).slice(0, 10), gz(one).slice(10)];
      head[3] = 0x1c;
      const extra = concat([Uint8Array.of(0xff, 0xff), new Uint8Array(65_535).fill(1)]);
      const name = bytes(`${'n'.repeat(70_000)}\0`);
      return [concat([head, extra, name, bytes('comment\0'), body])];
    },
    want: F,
  },
  'H63 a cut trailer': { blobs: () => [gz(one).subarray(0, -3)], fails: /DataLoss: .*ends in the middle/ },
  'H63 a wrong CRC': {
    blobs: () => {
      const bad = gz(one);
      bad[bad.length - 5] = (bad.at(-5) ?? 0) ^ 1;
      return [bad];
    },
    fails: /DataLoss: .*CRC-32/,
  },
  'H64 a window of 2 GiB': {
    blobs: () => [frame(0x00, (31 - 10) << 3, 0x09, 0x00, 0x00, 0x61)],
    fails: /ResourceExhausted: .*window of 2147483648 bytes, the limit is 134217728/,
  },
  'H64 skippable frames only': {
    blobs: () => [Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2)],
    want: [],
  },
  'H64 several frames, skippable ones between': {
    blobs: () => {
      const skippable = Uint8Array.of(0x5f, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9);
      return [concat([skippable, zst(one.subarray(0, 700)), skippable, zst(one.subarray(700)), skippable])];
    },
    want: F,
  },
  'H64 a dictionary': {
    blobs: () => [frame(0x21, 7, 1, 0x09, 0, 0, 0x61)],
    fails: /NotImplemented: .*dictionary 7/,
  },
  'H64 bytes after the last frame': { blobs: () => [SIGNED(zst(one))], fails: /DataLoss/ },
  'H65 no program of the image or of the working directory is run': {
    blobs: (out) => {
      const script = `#!/bin/sh\necho run > ${out}/canary\n`;
      const tools = ['gzip', 'unpigz', 'zstd', 'mknod', 'setfattr', 'touch', 'tar'];
      return [layer(...tools.map((name) => file(`bin/${name}`, script, { mode: 0o755 })), fifo('p'))];
    },
    check: ({ lines }) => assert.equal(lines.length, 9),
  },
};

const TAR: Record<string, Case> = {
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
  'H79 no end blocks': { blobs: () => [file('f', 'f')], want: F },
  'H79 junk after the end': { blobs: () => [concat([one, bytes('junk'), file('g')])], want: F },
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

const PATHS: Record<string, Case> = {
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

const LAYERS: Record<string, Case> = {
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

for (const provider of PROVIDERS) {
  describe(`hostile inputs (${provider})`, {
    skip: needs({ root: true, tools: ['mount', 'setfattr'] }),
  }, () => {
    let arena: Arena;
    before(() => {
      arena = new Arena(provider === 'tools' ? 'tools' : undefined);
    });
    after(() => arena.close());
    const groups: Record<string, Case>[] = [TAR, PATHS, LAYERS];
    // What is decompressed does not depend on how system calls are made.
    if (provider === 'ffi' || !hasFfi()) groups.unshift(COMPRESSION);
    for (const [name, given] of groups.flatMap((group) => Object.entries(group))) {
      if (given.notByTools === true && provider === 'tools') continue;
      test(name, () => check(arena, given));
    }
  });
}

async function check(arena: Arena, { blobs, want, fails, check: also, ...how }: Case): Promise<void> {
  const { overlay, flat } = await arena.run(blobs(arena.outside), how);
  for (const result of [overlay, flat]) {
    if (fails === undefined) assert.equal(result.error, undefined);
    else assert.match(result.error ?? 'no error', fails);
    if (want !== undefined) assert.deepEqual(result.lines, [...want].sort());
    also?.(result);
  }
  assert.deepEqual(overlay.lines, flat.lines);
}
