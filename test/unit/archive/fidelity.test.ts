/** What a layer says about one file is what lands on disk, to the byte; and what cannot be is an error that names the entry. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { HawserError, isKind, messageOf } from '../../../src/core/errors.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { removeEntry } from '../../../src/core/trees/remove-tree.ts';
import { intercept } from '../../support/intercept.ts';
import { dir, fifo, file, hard, layer, sym, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { bytes, concat, END, member, pax } from '../../support/tar-builder.ts';
import { readTree, type Tree } from '../../support/tree.ts';
import { apply, syscallsHere } from './stacks.ts';

const CAPABILITY = Uint8Array.of(1, 0, 0, 2, 0x80, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const CAPABILITY_HEX = `0x0100000280ff${'00'.repeat(14)}`;

for (const provider of ['ffi', 'tools', 'paths'] as const) {
  const sysOf = (): Syscalls => syscallsHere(provider);

  describe(`fidelity (${provider})`, { skip: needs({ root: true, tools: ['getfattr', 'setfattr'] }) }, () => {
    let root: string;
    let tree: Tree;
    let warnings: readonly string[];
    before(async () => {
      root = mkdtempSync(join(process.env.HAWSER_TEST_TMP ?? tmpdir(), 'hawser-fidelity-'));
      const owner = { uid: 1000, gid: 2000 };
      const sparse = concat([
        pax([
          ['GNU.sparse.size', '9000000'],
          ['GNU.sparse.map', '0,4,8000000,4,8999990,0'],
          ['mtime', '5'],
        ]),
        member({ name: 'sparse' }, bytes('headtail')),
      ]);
      warnings = apply(
        sysOf(),
        { root, lowers: [], mode: 'overlay' },
        concat([
          layer(
            dir('d', { ...owner, mode: 0o2755, mtime: '-1.25' }),
            file('d/setuid', 'x', { ...owner, mode: 0o6755, mtime: '1700000000.123456789' }),
            file('d/cap', 'x', {
              ...owner,
              xattrs: {
                'security.capability': CAPABILITY,
                'user.bytes': Uint8Array.of(0, 255, 10),
                'user.empty': '',
              },
            }),
            file('old', '', { mtime: '-86400.5' }),
            file('far', '', { mtime: '10000000000.000000001' }),
            sym('d/link', 'bytes \xff'.slice(0, 6), { ...owner, mtime: '7.000000007' }),
            fifo('d/fifo', { ...owner, mode: 0o620 }),
            hard('d/hard', 'd/cap'),
            dir('sticky', { mode: 0o1777 }),
            dir('closed', { mode: 0 }),
            file('closed/f', ''),
            file('big', 'b'.repeat(3_000_000)),
          ).subarray(0, -1024),
          sparse,
          END,
        ]),
      );
      tree = await readTree(root);
    });
    after(() => rmSync(root, { recursive: true, force: true }));

    const has = (path: string, want: object): void => {
      const entry = tree.get(path);
      assert.ok(entry, path);
      assert.deepEqual({ ...entry, ...want }, entry);
    };

    test('no warnings', () => assert.deepEqual(warnings, []));

    test('setuid survives chown, capabilities survive both (H114)', () => {
      has('d/setuid', { mode: '6755', uid: 1000, gid: 2000 });
      has('d/cap', {
        uid: 1000,
        xattrs: {
          'security.capability': CAPABILITY_HEX,
          'user.bytes': '0x00ff0a',
          'user.empty': tree.get('d/cap')?.xattrs['user.empty'],
        },
      });
      assert.equal(tree.get('d/hard')?.group, tree.get('d/cap')?.group);
    });

    test('times to the nanosecond, before 1970 and after 2262; directories last', () => {
      has('d/setuid', { mtime: '1700000000123456789' });
      has('d', { mtime: '-1250000000', mode: '2755', uid: 1000 });
      has('old', { mtime: '-86400500000000' });
      has('far', { mtime: '10000000000000000001' });
      has('d/link', { mtime: '7000000007', uid: 1000, gid: 2000 });
    });

    test('modes of directories, whatever they forbid', () => {
      has('sticky', { mode: '1777' });
      has('closed', { mode: '0' });
      has('closed/f', { type: 'file' });
      has('d/fifo', { type: 'fifo', mode: '620' });
    });

    test('contents', () => assert.equal(statSync(join(root, 'big')).size, 3_000_000));

    test('sparse files stay sparse', () => {
      const stat = statSync(join(root, 'sparse'));
      assert.equal(stat.size, 9_000_000);
      assert.ok(stat.blocks * 512 < 1_000_000, `${stat.blocks} blocks`);
      const content = readFileSync(join(root, 'sparse'));
      assert.equal(content.subarray(0, 4).toString(), 'head');
      assert.equal(content.subarray(8_000_000, 8_000_004).toString(), 'tail');
    });
  });
}

describe('limits and failures', { skip: needs({ root: true }) }, () => {
  let root: string;
  before(() => {
    root = mkdtempSync(join(process.env.HAWSER_TEST_TMP ?? tmpdir(), 'hawser-limits-'));
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const fresh = (name: string): string => {
    mkdirSync(join(root, name));
    return join(root, name);
  };

  test('content over the limit is refused, holes included (H60)', () => {
    const big = layer(file('f', 'x'.repeat(2000)));
    const hollow = concat([
      pax([
        ['GNU.sparse.size', '2000'],
        ['GNU.sparse.map', '0,0'],
      ]),
      member({ name: 's' }),
      END,
    ]);
    for (const [i, tar] of [big, hollow].entries()) {
      assert.throws(
        () =>
          apply(syscallsHere(), { root: fresh(`max${i}`), lowers: [], mode: 'flat', maxBytes: 1999 }, tar),
        (err) => isKind(err, 'ResourceExhausted'),
      );
    }
  });

  test('many directories, deep and wide: handles stay few, nothing leaks', () => {
    const paths = Array.from({ length: 700 }, (_, i) => `d${i}/e/f`);
    const entries = [...paths.map((p) => file(p, 'f')), ...paths.map((p) => file(`${p}2`, 'f'))];
    const lower = fresh('lower');
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    let most = 0;
    const counting = intercept(syscallsHere(), (call) => {
      if (call === 'createFile') most = Math.max(most, open());
    });
    apply(counting, { root: lower, lowers: [], mode: 'overlay' }, layer(...entries));
    apply(
      counting,
      { root: fresh('upper'), lowers: [lower], mode: 'overlay' },
      layer(...entries, ...paths.map((p) => wh(p))),
    );
    assert.ok(most - before < 300, `${most - before} open`);
    assert.equal(open(), before);
  });

  test('a failure in the middle of a file closes it, and names the entry', () => {
    const sys = syscallsHere();
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    const full = intercept(sys, (call) => {
      if (call === 'write') throw new HawserError('ResourceExhausted', 'no space left on device (ENOSPC)');
    });
    assert.throws(
      () => apply(full, { root: fresh('full'), lowers: [], mode: 'overlay' }, layer(file('the/file', 'x'))),
      (err) =>
        isKind(err, 'ResourceExhausted') &&
        messageOf(err) === 'applying file "the/file": no space left on device (ENOSPC)',
    );
    assert.equal(open(), before);
  });

  test('whiteouts get a device of their own when a link cannot be made', () => {
    const lower = fresh('lower2');
    const upper = fresh('upper2');
    const sys = syscallsHere();
    const names = ['a', 'b', 'c', 'd'];
    apply(sys, { root: lower, lowers: [], mode: 'overlay' }, layer(...names.map((n) => file(n))));
    let links = 0;
    const limited = intercept(sys, (call) => {
      if (call !== 'link') return;
      links++;
      if (links % 2 === 0) throw new HawserError('ResourceExhausted', 'too many links (EMLINK)');
    });
    apply(limited, { root: upper, lowers: [lower], mode: 'overlay' }, layer(...names.map((n) => wh(n))));
    assert.equal(readdirSync(upper).length, 4);
    assert.equal(new Set(readdirSync(upper).map((n) => statSync(join(upper, n)).ino)).size, 2);
  });

  test('a path longer than PATH_MAX is unpacked, in both modes (H101)', () => {
    const sys = syscallsHere();
    const long = `${'d'.repeat(200)}/`.repeat(18);
    const deep = (name: string): Uint8Array =>
      layer(dir(`${long}e`), sym('l', long), file(`l/l2/${long}${name}`, 'x'));
    const home = fresh('deep');
    mkdirSync(join(home, 'lower'));
    mkdirSync(join(home, 'upper'));
    mkdirSync(join(home, 'flat'));
    const [lower, upper, flat] = ['lower', 'upper', 'flat'].map((name) => join(home, name)) as [
      string,
      string,
      string,
    ];
    apply(sys, { root: lower, lowers: [], mode: 'overlay' }, deep('a'));
    apply(
      sys,
      { root: upper, lowers: [lower], mode: 'overlay' },
      layer(wh(`l/l2/${long}a`), file(`l/l2/${long}b`)),
    );
    apply(sys, { root: flat, lowers: [], mode: 'flat' }, deep('a'));
    apply(sys, { root: flat, lowers: [], mode: 'flat' }, layer(wh('l/l2')));
    const handle = sys.openRoot(root);
    removeEntry(sys, handle, 'deep');
    sys.closeDir(handle);
    assert.ok(!existsSync(home));
  });

  test('a root that is not there', () => {
    assert.throws(
      () => apply(syscallsHere(), { root: join(root, 'none'), lowers: [], mode: 'flat' }, END),
      (err) => isKind(err, 'NotFound'),
    );
  });
});
