/** The owners of files where not every owner can be set, and ids that a user namespace does not map (H115). */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { ownerRecord } from '../../../src/core/archive/ownership.ts';
import { HawserError, hintOf, isKind, messageOf, reasonOf } from '../../../src/core/errors.ts';
import type { Dir } from '../../../src/core/ports/syscalls.ts';
import type { OwnerPolicy } from '../../../src/core/users/owner-policy.ts';
import { intercept } from '../../support/intercept.ts';
import { device, dir, file, hard, layer, sym, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { readTree } from '../../support/tree.ts';
import { apply, syscallsHere } from './stacks.ts';

const SOME = [
  { first: 0, count: 1 },
  { first: 1, count: 999 },
];
const policy = (mode: OwnerPolicy['mode'], ids = SOME): OwnerPolicy => ({ mode, uids: ids, gids: ids });

const denied = (what: string) => new HawserError('PermissionDenied', `${what}: EPERM`);
const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');

test('a recorded owner is the protobuf message that rootlesscontainers has', () => {
  assert.equal(hex(ownerRecord(0, 0)), '');
  assert.equal(hex(ownerRecord(1, 0)), '0801');
  assert.equal(hex(ownerRecord(0, 42)), '102a');
  assert.equal(hex(ownerRecord(1000, 127)), '08e807107f');
  assert.equal(hex(ownerRecord(0xfffffffe, 128)), '08feffffff0f108001');
});

describe('owners', { skip: needs({ root: true, tools: ['getfattr'] }) }, () => {
  let parent: string;
  let count = 0;
  const fresh = (): string => {
    const path = join(parent, String(count++));
    mkdirSync(path);
    return path;
  };
  before(() => {
    parent = mkdtempSync(join(process.env.HAWSER_TEST_TMP ?? tmpdir(), 'hawser-owners-'));
  });
  after(() => rmSync(parent, { recursive: true, force: true }));

  const flat = (owner: OwnerPolicy, ...tars: readonly Uint8Array[]) => {
    const root = fresh();
    const warnings = tars.flatMap((tar) =>
      apply(syscallsHere(), { root, lowers: [], mode: 'flat', owner }, tar),
    );
    return { root, warnings };
  };

  for (const [what, attrs] of [
    ['user', { uid: 1000 }],
    ['group', { gid: 70000 }],
  ] as const) {
    test(`a ${what} that is not mapped is refused by name before the file is made`, async () => {
      const root = fresh();
      const tar = layer(file('first', 'x', { uid: 999, gid: 999 }), file('d/f', 'x', attrs));
      let caught: unknown;
      try {
        apply(syscallsHere(), { root, lowers: [], mode: 'overlay', owner: policy('keep') }, tar);
      } catch (err) {
        caught = err;
      }
      assert.ok(isKind(caught, 'FailedPrecondition'), String(caught));
      const id = what === 'user' ? 1000 : 70000;
      assert.match(messageOf(caught), new RegExp(`file "d/f".*${what} ${id}, .*${what[0]}id_map: 0, 1-999`));
      assert.match(hintOf(caught) ?? '', new RegExp(`/etc/sub${what[0]}id.*--owner record`));
      const reason = reasonOf(caught, 'unmapped');
      assert.deepEqual([reason?.owner, reason?.id], [what, id]);
      assert.deepEqual([...(await readTree(root)).keys()], ['.', 'first']);
    });
  }

  test('a whiteout and a hard link own nothing: their ids are not asked for', () => {
    const whiteout = file('.wh.a', '', { uid: 70000 });
    flat(policy('keep'), layer(file('a'), file('b')), layer(whiteout, hard('c', 'b', { uid: 70000 })));
  });

  for (const mode of ['ours', 'record'] as const) {
    test(`${mode}: every id is taken, and everything is ours`, async () => {
      const owner = { uid: 70000, gid: 70001 };
      const tar = layer(
        dir('d', owner),
        file('d/f', 'x', { ...owner, mode: 0o4755 }),
        sym('d/s', 'f', owner),
        hard('d/h', 'd/f', owner),
        file('root', 'x'),
      );
      const { root, warnings } = flat(policy(mode), tar);
      assert.deepEqual(warnings, []);
      const tree = await readTree(root);
      for (const [path, entry] of tree) assert.deepEqual([entry.uid, entry.gid], [0, 0], path);
      assert.equal(tree.get('d/f')?.mode, '4755');
      const record = { 'user.rootlesscontainers': `0x${hex(ownerRecord(70000, 70001))}` };
      const want = (path: string) => (mode === 'record' && ['d', 'd/f', 'd/h'].includes(path) ? record : {});
      for (const [path, entry] of tree) assert.deepEqual(entry.xattrs, want(path), path);
    });
  }

  test("record: a later entry's owner replaces an earlier one's, and root's is no record", async () => {
    const first = layer(dir('d', { uid: 5 }), dir('e', { uid: 5 }), file('f', '', { uid: 5 }));
    const second = layer(dir('d', { gid: 6 }), dir('e'), file('f', 'new'));
    const tree = await readTree(flat(policy('record'), first, second).root);
    assert.deepEqual(tree.get('d')?.xattrs, { 'user.rootlesscontainers': '0x1006' });
    assert.deepEqual([tree.get('e')?.xattrs, tree.get('f')?.xattrs], [{}, {}]);
  });

  test('record: a layer cannot forge a record', async () => {
    const forged = { 'user.rootlesscontainers': Uint8Array.of(8, 0x63), 'user.other': 'kept' };
    const { root, warnings } = flat(policy('record'), layer(file('f', '', { xattrs: forged })));
    assert.deepEqual((await readTree(root)).get('f')?.xattrs, { 'user.other': '0x6b657074' });
    assert.match(warnings.join('\n'), /ignored .*user\.rootlesscontainers of "f"/);
  });

  test('directories closed to their owner can still be changed by later layers, and end as they should', async () => {
    const first = layer(
      dir('closed', { mode: 0o555 }),
      dir('closed/inner', { mode: 0 }),
      file('closed/inner/old', 'x'),
      dir('gone', { mode: 0 }),
      dir('gone/deep', { mode: 0o500 }),
      file('gone/deep/f', 'x'),
      dir('again', { mode: 0o444 }),
    );
    const second = layer(
      file('closed/inner/new', 'y'),
      wh('closed/inner/old'),
      wh('gone'),
      dir('again', { mode: 0o555, xattrs: { 'user.k': 'v' } }),
    );
    // What an unprivileged process could not do: the kernel lets root.
    const root = fresh();
    const owner = policy('ours');
    apply(syscallsHere(), { root, lowers: [], mode: 'flat', owner }, first);
    const opened: string[] = [];
    const sys = syscallsHere();
    const strict = intercept(sys, (call, args) => {
      if (call !== 'openDir') return;
      const [at, name] = args as readonly unknown[] as readonly [Dir, string];
      opened.push(name);
      if (((sys.lstat(at, name)?.mode ?? 0) & 0o500) !== 0o500) throw denied(`opening ${name}`);
    });
    apply(strict, { root, lowers: [], mode: 'flat', owner }, second);
    assert.ok(opened.includes('inner') && opened.includes('deep'), opened.join());
    const tree = await readTree(root);
    assert.deepEqual(
      [...tree].map(([path, entry]) => `${path} ${entry.mode}`),
      ['. 755', 'again 555', 'closed 555', 'closed/inner 0', 'closed/inner/new 644'],
    );
    assert.deepEqual(tree.get('again')?.xattrs, { 'user.k': '0x76' });
  });

  test('what takes privileges is left out with a warning: devices each, attributes once a kind', async () => {
    const root = fresh();
    const sys = syscallsHere();
    const limited = intercept(sys, (call, args) => {
      if (call === 'mknod') throw denied('mknod');
      if (call === 'setxattr' && String(args[2]).startsWith('security.')) throw denied('setxattr');
    });
    const capability = { xattrs: { 'security.capability': Uint8Array.of(1, 0, 0, 2) } };
    const tar = layer(
      device('null', 'c', 1, 3),
      device('sda', 'b', 8, 0),
      file('ping', '', capability),
      file('pong', '', capability),
    );
    const target = { root, lowers: [], mode: 'flat', owner: policy('ours') } as const;
    const warnings = apply(limited, target, tar);
    assert.equal(warnings.length, 3, warnings.join('\n'));
    assert.match(warnings.join('\n'), /device "null".*\n.*device "sda".*\n.*security\.capability of "ping"/);
    assert.deepEqual([...(await readTree(root)).keys()], ['.', 'ping', 'pong']);
    const keep = { ...target, root: fresh(), owner: policy('keep') };
    const kept = apply(limited, keep, layer(file('ping', '', capability)));
    assert.match(kept.join(), /security\.capability of "ping"/);
  });
});
