import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { HawserError, isKind } from '../../../src/core/errors.ts';
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
  paxRecord,
  type RawHeader,
} from '../../support/tar-builder.ts';
import { type Recorded, record, split } from './events.ts';

function one(...parts: Uint8Array[]): Recorded {
  const all = concat([...parts, END]);
  const found = record([all]);
  assert.equal(found.length, 1);
  // However the bytes arrive, the events are the same.
  for (const size of [1, 3, 511, 512, 513]) assert.deepEqual(record(split(all, size)), found, `by ${size}`);
  for (const size of [512, 5000, all.length])
    assert.deepEqual(record(split(all, size), true), found, `whole, by ${size}`);
  const [first] = found;
  assert.ok(first?.ended);
  return first;
}

function refuses(message: RegExp, ...parts: Uint8Array[]): void {
  const all = concat(parts);
  for (const size of all.length > 100_000 ? [512, 1 << 20] : [1, 512, 1 << 20]) {
    for (const whole of [false, true]) {
      assert.throws(
        () => record(split(all, size), whole),
        (err) => isKind(err, 'InvalidArgument') && message.test((err as HawserError).message),
      );
    }
  }
}

function truncated(...parts: Uint8Array[]): HawserError {
  let caught: unknown;
  try {
    record([concat(parts)]);
  } catch (err) {
    caught = err;
  }
  assert.ok(caught instanceof HawserError && caught.kind === 'DataLoss');
  assert.match(caught.message, /truncated tar/);
  return caught;
}

describe('formats', () => {
  test('ustar: all fields, prefix', () => {
    const { entry, content } = one(
      member({ name: 'b', prefix: 'a/dir', mode: 0o104755, uid: 7, gid: 8, mtime: 0o17 }, bytes('hello')),
    );
    assert.deepEqual(entry, {
      type: 'file',
      name: 'a/dir/b',
      linkName: '',
      size: 5,
      mode: 0o4755,
      uid: 7,
      gid: 8,
      mtime: { sec: 15, nsec: 0 },
      atime: undefined,
      devMajor: 0,
      devMinor: 0,
      xattrs: new Map(),
    });
    assert.equal(content, 'hello');
  });

  test('names and prefixes may fill their fields without a NUL', () => {
    const { entry } = one(member({ name: 'n'.repeat(100), prefix: 'p'.repeat(155) }));
    assert.equal(entry.name, `${'p'.repeat(155)}/${'n'.repeat(100)}`);
  });

  test('v7: no prefix, a trailing slash makes a directory', () => {
    assert.equal(one(member({ name: 'd/', type: '\0', magic: 'v7', size: 3 })).entry.type, 'directory');
    assert.equal(one(member({ name: 'f', type: '\0', magic: 'v7', prefix: 'no' })).entry.name, 'f');
  });

  test('star: a short prefix', () => {
    const patch = (block: Uint8Array): void => {
      block.set(bytes('12345670123 '), 476);
      block.set(bytes('tar\0'), 508);
    };
    assert.equal(
      one(member({ name: 'x', prefix: 'p'.repeat(131), patch })).entry.name,
      `${'p'.repeat(131)}/x`,
    );
  });

  test('GNU: times stand where ustar has the prefix, but an old Go prefix is taken', () => {
    assert.equal(one(member({ name: 'x', magic: 'gnu', prefix: '14000000000\x00' })).entry.name, 'x');
    assert.equal(one(member({ name: 'x', magic: 'gnu', prefix: 'some/dir' })).entry.name, 'some/dir/x');
  });

  test('GNU long name and link', () => {
    const name = `${'d/'.repeat(900)}end`;
    const link = `${'e/'.repeat(200)}end`;
    const h: RawHeader = { name: 'short', linkName: 'short', type: '2', magic: 'gnu' };
    const { entry } = one(gnuLong('L', name), gnuLong('K', link), member(h));
    assert.equal(entry.name, name);
    assert.equal(entry.linkName, link);
  });

  test('base-256 numbers are read; a negative or too large size is refused (H73)', () => {
    const mtime = base256(-5n, 12);
    const { entry } = one(member({ uid: base256(3_000_000_000n, 8), mtime, magic: 'gnu' }));
    assert.equal(entry.uid, 3_000_000_000);
    assert.deepEqual(entry.mtime, { sec: -5, nsec: 0 });
    refuses(/negative size/, header({ size: base256(-1n, 12) }));
    refuses(/size is out of range/, header({ size: base256(1n << 60n, 12) }));
  });

  test('signed checksums', () => {
    assert.equal(one(member({ name: '\xff\xfe', checksum: 'signed' })).entry.name, '\xff\xfe');
  });

  test('names that are not UTF-8, and odd ones, are kept as they are (H75, H97)', () => {
    for (const name of ['\xff\x80', 'a\\b', 'C:\\x', '.', '/', './', '..', 'a\nb']) {
      assert.equal(one(member({ name })).entry.name, name);
    }
    assert.equal(one(pax([['path', 'p\xe9\x80']]), member({})).entry.name, 'p\xe9\x80');
  });
});

describe('types (H80)', () => {
  test('known ones', () => {
    const types = {
      '0': 'file',
      '7': 'file',
      '1': 'hardlink',
      '2': 'symlink',
      '5': 'directory',
      '6': 'fifo',
    };
    for (const [type, want] of Object.entries(types)) {
      assert.equal(one(member({ type, linkName: 'x' })).entry.type, want);
    }
    const { entry } = one(member({ type: '3', devMajor: 5, devMinor: 1 }));
    assert.deepEqual([entry.type, entry.devMajor, entry.devMinor], ['char', 5, 1]);
  });

  test('links, directories and devices have no data, whatever their size says', () => {
    for (const type of ['1', '2', '3', '4', '5', '6']) {
      const found = record([
        concat([header({ type, size: 700 }), member({ name: 'next' }, bytes('n')), END]),
      ]);
      assert.deepEqual(
        found.map((f) => [f.entry.size, f.content]),
        [
          [0, ''],
          [1, 'n'],
        ],
      );
    }
  });

  test('a dump directory is a directory whose data is dropped; volume labels and Solaris ACLs are left out', () => {
    const found = record([
      concat([
        member({ name: 'label', type: 'V' }),
        member({ name: 'acl', type: 'A' }, bytes('user::rwx')),
        member({ name: 'dump', type: 'D', magic: 'gnu' }, bytes('Yname\0\0')),
        member({ name: 'f' }, bytes('f')),
        END,
      ]),
    ]);
    assert.deepEqual(
      found.map((f) => [f.entry.name, f.entry.type, f.content]),
      [
        ['dump', 'directory', ''],
        ['f', 'file', 'f'],
      ],
    );
  });

  test('unknown ones are refused by name', () => {
    for (const type of ['M', 'N', 'I', 'Z', '8', '\xff', '\x7f', '\x9b']) {
      // No control characters: found by fuzzing.
      refuses(/unknown entry type "[^\x7f-\x9f]*" of "odd"/, header({ name: 'odd', type }));
    }
  });
});

describe('PAX', () => {
  test('overrides, with binary attribute values', () => {
    const capability = Uint8Array.of(1, 0, 0, 2, 0x80, 0xff, 0, 0x0a, 0x3d, 0);
    const { entry } = one(
      pax([
        ['path', 'long/name'],
        ['uid', '4294967294'],
        ['gid', '3000000'],
        ['mtime', '1700000000.123456789'],
        ['atime', '5'],
        ['SCHILY.xattr.security.capability', capability],
        ['SCHILY.xattr.user.empty', ''],
        ['LIBARCHIVE.xattr.user.x', 'eA=='],
        ['comment', 'c'],
      ]),
      member({ name: 'short', uid: 1 }),
    );
    assert.equal(entry.name, 'long/name');
    assert.deepEqual([entry.uid, entry.gid], [4294967294, 3000000]);
    assert.deepEqual(entry.mtime, { sec: 1700000000, nsec: 123456789 });
    assert.deepEqual(entry.atime, { sec: 5, nsec: 0 });
    assert.deepEqual(
      [...entry.xattrs],
      [
        ['security.capability', capability],
        ['user.empty', new Uint8Array(0)],
      ],
    );
  });

  test('times: exact, before 1970, after 2262', () => {
    const cases: [string, number, number][] = [
      ['0', 0, 0],
      ['-1', -1, 0],
      ['-0', 0, 0],
      ['-0.5', -1, 500_000_000],
      ['-1.25', -2, 750_000_000],
      ['1.0000000019', 1, 1],
      ['100000000000.9', 100_000_000_000, 900_000_000],
      ['9223372036.854775808', 9_223_372_036, 854_775_808],
      ['3.', 3, 0],
    ];
    for (const [text, sec, nsec] of cases) {
      assert.deepEqual(one(pax([['mtime', text]]), member({})).entry.mtime, { sec, nsec }, text);
    }
    for (const text of ['NaN', '1e9', '.5', '', ' 1', '0x1', '1.2.3', '99999999999999999999', '--1']) {
      if (text === '') continue;
      refuses(/mtime/, pax([['mtime', text]]), member({}));
    }
  });

  test('they hold for one entry; global ones for all, unless overridden', () => {
    const found = record([
      concat([
        pax(
          [
            ['uid', '7'],
            ['comment', 'x'],
          ],
          'g',
        ),
        pax([['uid', '9']]),
        member({ name: 'a' }),
        member({ name: 'b' }),
        pax([['uid', '']]),
        member({ name: 'c', uid: 3 }),
        END,
      ]),
    ]);
    assert.deepEqual(
      found.map((f) => f.entry.uid),
      [9, 7, 3],
    );
  });

  test('of an attribute that is there twice the last counts', () => {
    const twice = [
      ['SCHILY.xattr.user.a', '1'],
      ['SCHILY.xattr.user.a', '2'],
    ] as const;
    assert.deepEqual([...one(pax(twice), member({})).entry.xattrs], [['user.a', bytes('2')]]);
  });

  test('global headers cannot name or size entries', () => {
    for (const key of ['path', 'linkpath', 'size', 'GNU.sparse.map'])
      refuses(/global/, pax([[key, '1']], 'g'));
  });

  test('the PAX size governs the data and the next header (H70)', () => {
    const inner = concat([member({ name: 'smuggled' }, bytes('x')), END]);
    const outer = concat([
      pax([['size', String(inner.length)]]),
      header({ name: 'outer.tar', size: 0 }),
      padded(inner),
      member({ name: 'after' }),
      END,
    ]);
    for (const size of [1, 512, 1 << 20]) {
      const names = record(split(outer, size)).map((f) => f.entry.name);
      assert.deepEqual(names, ['outer.tar', 'after']);
    }
    refuses(/negative size/, pax([['size', '-1']]), header({}));
  });

  test('found by fuzzing: no control characters of a key in a message', () => {
    const key = `GNU.sparse.\x1b[2J${'k'.repeat(300)}`;
    refuses(/sets GNU\.sparse\.\\x1b\[2Jk{80,90}$/, pax([[key, '1']], 'g'));
  });

  test('malformed PAX records are refused (H71)', () => {
    const broken = [
      'x',
      '5',
      '0 a=b\n',
      '99 a=b\n',
      '6 a=b\n6',
      '-6 a=b\n',
      '6 a=bc',
      '5 ab\n',
      '5 =b\n',
      '6a=b\n\n',
      '7 a\0=b\n',
      '6 a=b\n\0\0',
      '000000000006 a=b\n',
    ];
    for (const text of broken) refuses(/PAX/, member({ type: 'x' }, bytes(text)), member({}));
    for (const [key, value] of [
      ['path', 'a\0b'],
      ['linkpath', 'a\0b'],
      ['uid', '1.5'],
      ['uid', 'x'],
      ['size', '0x10'],
      ['size', '99999999999999999'],
    ] as const) {
      refuses(/PAX value/, pax([[key, value]]), member({ type: '2' }));
    }
  });

  test('extension headers over 1 MiB and names over 4096 bytes are refused (H72)', () => {
    for (const type of ['x', 'g', 'L', 'K']) refuses(/over 1 MiB/, header({ type, size: (1 << 20) + 1 }));
    refuses(/more than 4096/, gnuLong('L', 'n'.repeat(4097)), member({}));
    refuses(/overlong name/, pax([['path', 'n'.repeat(4097)]]), member({}));
    refuses(/overlong link name/, pax([['linkpath', 'n'.repeat(4097)]]), member({ type: '2' }));
    assert.equal(one(pax([['path', 'n'.repeat(4096)]]), member({})).entry.name.length, 4096);
    const big = (i: number): Uint8Array => pax([[`comment${i}`, 'x'.repeat(700_000)]], 'g');
    refuses(/global PAX headers over 1 MiB/, big(1), big(2));
    const keys = Array.from({ length: 1001 }, (_, i) => [`k${i}`, ''] as const);
    refuses(/more than 1000 global PAX records/, pax(keys.slice(1), 'g'), pax(keys.slice(0, 1), 'g'));
  });

  test('ids and device numbers out of range are refused (H77)', () => {
    for (const id of ['4294967295', '4294967296', '-1']) {
      refuses(/user id/, pax([['uid', id]]), member({}));
      refuses(/group id/, pax([['gid', id]]), member({}));
    }
    refuses(/user id/, member({ uid: base256(-1n, 8) }));
    const wide = base256(1n << 32n, 8);
    refuses(/device number/, header({ type: '3', patch: (block) => block.set(wide, 329) }));
    refuses(/uid is not a number/, member({ uid: bytes('12x45\0\0\0') }));
    // Some readers take it for 0, others for 5.
    refuses(/size is not a number/, member({ size: bytes('\x000000000005\0') }));
    assert.equal(one(member({ uid: bytes('\0\0    \0\0') })).entry.uid, 0);
  });

  test('numbers between blanks, without an end, and with anything behind it', () => {
    const uid = (text: string) => one(member({ uid: bytes(text) })).entry.uid;
    for (const text of ['  17   \0', '    17\0\0', '17      ', '17\0\0\0\0\0\0', '17\0rest.', '00000017']) {
      assert.equal(uid(text), 0o17, JSON.stringify(text));
    }
    assert.equal(uid('17777777'), 0o17777777);
    for (const text of [
      '17 8    ',
      '1 7     ',
      '18\0\0\0\0\0\0',
      '-17\0\0\0\0\0',
      '+17\0\0\0\0\0',
      ' 0x17\0\0\0',
      'rest\0\0\0\0',
      '   \t17\0\0',
    ])
      refuses(/uid is not a number/, member({ uid: bytes(text) }));
  });
});

describe('sparse files', () => {
  const map = (parts: number[]): string => parts.join(',');

  test('PAX 0.0 and 0.1', () => {
    const sparse = ['GNU.sparse.size', '20'] as const;
    const shape = 'h5 d3 h2 d2 h8';
    const old = one(
      pax([
        sparse,
        ['GNU.sparse.numblocks', '2'],
        ['GNU.sparse.offset', '5'],
        ['GNU.sparse.numbytes', '3'],
        ['GNU.sparse.offset', '10'],
        ['GNU.sparse.numbytes', '2'],
      ]),
      member({}, bytes('abcde')),
    );
    const newer = one(
      pax([sparse, ['GNU.sparse.name', 'real'], ['GNU.sparse.map', map([5, 3, 10, 2])]]),
      member({ name: 'fake' }, bytes('abcde')),
    );
    for (const found of [old, newer]) {
      assert.equal(found.shape, shape);
      assert.equal(found.entry.size, 20);
      assert.equal(found.content, `\0\0\0\0\0abc\0\0de${'\0'.repeat(8)}`);
    }
    assert.equal(newer.entry.name, 'real');
  });

  test('PAX 1.0: the map is in the data', () => {
    const records = [
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.realsize', '1000'],
      ['GNU.sparse.name', 'n'],
    ] as const;
    const data = concat([padded(bytes('2\n100\n4\n1000\n0\n')), bytes('wxyz')]);
    assert.equal(one(pax(records), member({}, data)).shape, 'h100 d4 h896');
    const many = Array.from({ length: 200 }, (_, i) => `${i * 5}\n1\n`).join('');
    const long = concat([padded(bytes(`200\n${many}`)), bytes('y'.repeat(200))]);
    assert.equal(one(pax(records), member({}, long)).content.replaceAll('\0', '').length, 200);
    assert.equal(one(pax(records), member({}, padded(bytes('0\n')))).shape, 'h1000');
    for (const bad of ['2\n1\n', 'x\n', '\n', '1\n5\n9\n', '99999999\n', '1\n1\n-1\n', '1\n2000\n1\n']) {
      refuses(/sparse/, pax(records), member({}, padded(bytes(bad))));
    }
  });

  function gnuSparse(parts: number[], realSize: number, more: number[][] = []): Uint8Array[] {
    const field = (block: Uint8Array, at: number, list: number[]): void => {
      list.forEach((value, i) => {
        block.set(bytes(`${value.toString(8).padStart(11, '0')}\0`), at + i * 12);
      });
    };
    const stored = [...parts, ...more.flat()].filter((_, i) => i % 2 === 1).reduce((a, b) => a + b, 0);
    const patch = (block: Uint8Array): void => {
      field(block, 386, parts);
      block[482] = more.length > 0 ? 1 : 0;
      field(block, 483, [realSize]);
    };
    const extensions = more.map((list, i) => {
      const block = new Uint8Array(512);
      field(block, 0, list);
      block[504] = i + 1 < more.length ? 1 : 0;
      return block;
    });
    const data = padded(bytes('z'.repeat(stored)));
    return [header({ name: 'sparse', type: 'S', magic: 'gnu', size: stored, patch }), ...extensions, data];
  }

  test('old GNU, with extension blocks', () => {
    assert.equal(one(...gnuSparse([0, 2, 10, 3], 20)).shape, 'd2 h8 d3 h7');
    const found = one(
      ...gnuSparse([0, 1, 4, 1, 8, 1, 12, 1], 600, [
        [16, 1],
        [500, 2, 600, 0],
      ]),
    );
    assert.equal(found.shape, 'd1 h3 d1 h3 d1 h3 d1 h3 d1 h483 d2 h98');
    assert.equal(one(...gnuSparse([], 9)).shape, 'h9');
    assert.equal(one(...gnuSparse([], 5, [[5, 0]])).shape, 'h5');
  });

  test('sparse maps that lie are refused (H72, H73)', () => {
    refuses(/overlap or exceed/, ...gnuSparse([10, 2, 5, 1], 20));
    refuses(/overlap or exceed/, ...gnuSparse([0, 5, 4, 1], 20));
    refuses(/overlap or exceed/, ...gnuSparse([18, 5], 20));
    refuses(
      /add up/,
      pax([
        ['GNU.sparse.size', '9'],
        ['GNU.sparse.map', '0,3'],
      ]),
      member({}, bytes('abcd')),
    );
    refuses(
      /sparse map/,
      pax([
        ['GNU.sparse.size', '9'],
        ['GNU.sparse.map', '0'],
      ]),
      member({}),
    );
    refuses(/without its size/, pax([['GNU.sparse.map', '0,0']]), member({}));
    refuses(/unknown version/, pax([['GNU.sparse.major', '2']]), member({}));
  });

  test('a huge hole costs nothing', () => {
    const size = String(Number.MAX_SAFE_INTEGER);
    const found = one(
      pax([
        ['GNU.sparse.size', size],
        ['GNU.sparse.map', '0,1'],
      ]),
      member({}, bytes('x')),
    );
    assert.equal(found.shape, `d1 h${Number.MAX_SAFE_INTEGER - 1}`);
  });
});

describe('framing (H79)', () => {
  const file = member({ name: 'f' }, bytes('data'));

  test('nothing, missing end blocks, one end block, missing last padding', () => {
    assert.deepEqual(record([]), []);
    assert.deepEqual(record([END]), []);
    assert.equal(record([file]).length, 1);
    assert.equal(record([concat([file, new Uint8Array(512)])]).length, 1);
    assert.equal(record([file.subarray(0, 512 + 4)]).length, 1);
  });

  test('what follows two zero blocks is ignored', () => {
    assert.equal(record([concat([file, END, bytes('junk'), file])]).length, 1);
  });

  test('a zero block before a header', () => {
    refuses(/single zero block/, file, new Uint8Array(512), file);
  });

  test('a wrong checksum and garbage say where', () => {
    refuses(/header at byte 1024: .*checksum/, file, header({ checksum: 'wrong' }));
    refuses(/header at byte 0: /, new Uint8Array(512).fill(0x41));
  });

  test('cut at every byte', () => {
    const sparse = member({}, concat([padded(bytes('1\n0\n1\n')), bytes('x')]));
    const all = concat([
      pax([
        ['path', 'named'],
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.realsize', '4'],
      ]),
      sparse,
    ]);
    const whole = [0, all.length - 511];
    for (let length = 1; length < all.length; length++) {
      if (whole.includes(length) || length > all.length - 511) continue;
      const err = truncated(all.subarray(0, length));
      if (length > 1536) assert.match(err.message, /in "named"/);
    }
    truncated(pax([['path', 'x']]), END);
    truncated(gnuLong('L', 'x'));
    truncated(header({ type: 'V', size: 5 }));
  });

  test('found by fuzzing: where an archive ends too early is told alike however it is cut', () => {
    const tar = concat([pax([['path', 'x']]), END, file]);
    const errors = [1, 7, 512, 1 << 20].map((size) => {
      try {
        return record(split(tar, size));
      } catch (err) {
        return (err as HawserError).message;
      }
    });
    assert.deepEqual(new Set(errors), new Set(['truncated tar after 2048 bytes']));
  });

  test('records are as long as they say', () => {
    assert.equal(Buffer.from(paxRecord('a', 'b')).toString(), '6 a=b\n');
    assert.equal(paxRecord('a', 'b'.repeat(94)).length, 101);
  });
});
