/** What is kept of a layer that the file system or the runtime may not take, and what a layer may cost. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Budget } from '../../../src/core/archive/budget.ts';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { intercept } from '../../support/intercept.ts';
import { device, dir, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { isDeno, needs } from '../../support/needs.ts';
import { bytes, concat, END, member, pax } from '../../support/tar-builder.ts';
import { tempDir } from '../../support/tmp.ts';
import { readTree } from '../../support/tree.ts';
import { PROVIDERS } from './hostile.ts';
import { apply, syscallsHere } from './stacks.ts';

function readXattrs(sys: Syscalls, path: string, ...names: string[]): string[][] {
  const dir = sys.openRoot(path);
  try {
    return names.map((name) => sys.listxattr(dir, name));
  } finally {
    sys.closeDir(dir);
  }
}

const MODES = ['overlay', 'flat'] as const;

function failing(
  call: keyof Syscalls,
  kind: 'NotImplemented' | 'PermissionDenied' | 'InvalidArgument',
): Syscalls {
  return intercept(syscallsHere(), (made) => {
    if (made === call) throw new HawserError(kind, `no ${call} here`);
  });
}

describe('policies', { skip: needs({ root: true, tools: ['setfattr', 'getfattr'] }) }, () => {
  let tmp: ReturnType<typeof tempDir>;
  let count = 0;
  before(() => {
    tmp = tempDir('hawser-policies-');
  });
  // rm, not fs.rm: names that are not UTF-8 are lost on Deno.
  after(() => execFileSync('rm', ['-rf', tmp.path]));
  const fresh = (): string => {
    const path = join(tmp.path, String(count++));
    mkdirSync(path);
    return path;
  };

  test('a file system without extended attributes: one warning, and everything else is there', () => {
    const xattrs = { 'user.a': '1', 'security.x': '2' };
    const root = fresh();
    const tar = layer(file('f', 'f', { xattrs }), file('g', 'g', { xattrs }), dir('d', { xattrs }));
    const warnings = apply(failing('setxattr', 'NotImplemented'), { root, lowers: [], mode: 'overlay' }, tar);
    assert.deepEqual(warnings, [
      'the file system does not take the extended attribute user.a of "f", and maybe others',
    ]);
    assert.deepEqual(readdirSync(root).sort(), ['d', 'f', 'g']);
  });

  test('an attribute that may not be set is an error, but for user.* of what is no file', () => {
    const target = { root: fresh(), lowers: [], mode: 'overlay' as const };
    const sys = failing('setxattr', 'PermissionDenied');
    assert.throws(
      () => apply(sys, target, layer(file('f', '', { xattrs: { 'system.x': '1' } }))),
      (err) =>
        isKind(err, 'PermissionDenied') && /"f": setting the extended attribute system\.x/.test(String(err)),
    );
    const warnings = apply(sys, target, layer(sym('l', 'x', { xattrs: { 'user.a': '1' } })));
    assert.match(warnings.join(), /ignored the extended attribute user\.a of "l"/);
  });

  test('attributes of security.* that the host does not let us set are left out, with one warning a key', () => {
    const xattrs = { 'security.capability': 'c', 'security.selinux': 's', 'security.ima': 'i' };
    const tar = layer(file('f', 'f', { xattrs }), file('g', 'g', { xattrs }), dir('d', { xattrs }));
    for (const owner of [undefined, { mode: 'ours', uids: [], gids: [] } as const]) {
      for (const mode of MODES) {
        const root = fresh();
        const warnings = apply(
          failing('setxattr', 'PermissionDenied'),
          { root, lowers: [], mode, owner },
          tar,
        );
        assert.deepEqual(
          warnings.map((text) => /security\.[a-z]+ of "f"/.exec(text)?.[0]),
          ['capability', 'selinux', 'ima'].map((name) => `security.${name} of "f"`),
        );
        assert.deepEqual(readdirSync(root).sort(), ['d', 'f', 'g']);
      }
    }
  });

  test('what a security module gave an inode may stay, and is copied where the host lets us', () => {
    const lower = fresh();
    const sys = syscallsHere();
    apply(sys, { root: lower, lowers: [], mode: 'overlay' }, layer(dir('d'), file('d/f'), file('g')));
    const above = sys.openRoot(lower);
    for (const key of ['security.selinux', 'security.SMACK64', 'security.evm', 'user.a']) {
      for (const name of ['d', 'g']) sys.setxattr(above, name, key, Uint8Array.of(1));
    }
    sys.closeDir(above);
    for (const kind of ['PermissionDenied', 'InvalidArgument', 'NotImplemented'] as const) {
      const host = intercept(sys, (call, args) => {
        const sets =
          call === 'setxattr' ||
          call === 'setxattrDir' ||
          call === 'removexattr' ||
          call === 'removexattrDir';
        const key = String(
          args.find((arg) => typeof arg === 'string' && (arg as string).startsWith('security.')),
        );
        if (sets && key.startsWith('security.')) throw new HawserError(kind, `no ${key} here`);
      });
      const upper = fresh();
      apply(host, { root: upper, lowers: [lower], mode: 'overlay' }, layer(file('d/new'), hard('h', 'g')));
      const [d, h] = readXattrs(sys, upper, 'd', 'h');
      assert.deepEqual([d, h], [['user.a'], ['user.a']]);
      // Over the old tree: an entry takes user.a away, and what the host keeps stays.
      apply(host, { root: lower, lowers: [], mode: 'flat' }, layer(dir('d')));
      const [kept] = readXattrs(sys, lower, 'd');
      assert.deepEqual(kept?.sort(), ['security.SMACK64', 'security.evm', 'security.selinux']);
      const again = sys.openRoot(lower);
      sys.setxattr(again, 'd', 'user.a', Uint8Array.of(1));
      sys.closeDir(again);
    }
  });

  test('a label that SELinux does not know is left out; another wrong value is an error', () => {
    const target = { root: fresh(), lowers: [], mode: 'overlay' as const };
    const sys = failing('setxattr', 'InvalidArgument');
    const warnings = apply(sys, target, layer(file('f', '', { xattrs: { 'security.selinux': 'x' } })));
    assert.match(warnings.join(), /left out the extended attribute security\.selinux of "f"/);
    assert.throws(
      () => apply(sys, target, layer(file('g', '', { xattrs: { 'security.capability': 'x' } }))),
      (err) => isKind(err, 'InvalidArgument'),
    );
  });

  test('devices that may not be made are left out, each with a warning', () => {
    const root = fresh();
    const tar = layer(device('n', 'c', 1, 3), file('f'), device('b', 'b', 8, 0));
    const warnings = apply(failing('mknod', 'PermissionDenied'), { root, lowers: [], mode: 'flat' }, tar);
    assert.equal(warnings.length, 2);
    assert.deepEqual(readdirSync(root), ['f']);
  });

  test('control characters of an attribute do not come into messages', () => {
    const target = { root: fresh(), lowers: [], mode: 'overlay' as const };
    const tar = layer(file('f', '', { xattrs: { 'wrong.\u001b[2J': 'v'.repeat(70_000) } }));
    assert.throws(
      () => apply(syscallsHere(), target, tar),
      (err) => /wrong\.\\x1b\[2J/.test(String(err)) && !String(err).includes('\u001b'),
    );
  });

  test("a hard link's own owner, mode, times and attributes do not change the file", async () => {
    for (const mode of MODES) {
      const root = fresh();
      const link = { mode: 0o777, uid: 5, mtime: '9', xattrs: { 'user.b': '2' } };
      const tar = layer(
        file('f', 'f', { mode: 0o600, mtime: '7', xattrs: { 'user.a': '1' } }),
        hard('h', 'f', link),
      );
      apply(syscallsHere(), { root, lowers: [], mode }, tar);
      const { mode: perm, uid, mtime, xattrs } = (await readTree(root)).get('h') ?? assert.fail();
      assert.deepEqual([perm, uid, mtime, Object.keys(xattrs)], ['600', 0, '7000000000', ['user.a']]);
    }
  });

  for (const provider of PROVIDERS) {
    const mangles = provider === 'paths' || (isDeno && provider === 'tools');
    test(`names, targets and attributes that are not UTF-8 (${provider})`, async () => {
      const sys = syscallsHere(provider);
      const root = fresh();
      const named = (records: readonly (readonly [string, string])[], type = '0'): Uint8Array =>
        concat([pax(records), member({ type, linkName: 'x' }, bytes(type === '0' ? 'f' : ''))]);
      const tar = concat([
        named([['path', 'd\xff\xfe']], '5'),
        named([['path', 'd\xff\xfe/\x80\xc3\x28']]),
        named(
          [
            ['path', 'l'],
            ['linkpath', '\xe9/\xff'],
          ],
          '2',
        ),
        named(
          [
            ['path', 'h\xfd'],
            ['linkpath', 'd\xff\xfe/\x80\xc3\x28'],
          ],
          '1',
        ),
        END,
      ]);
      if (mangles) {
        assert.throws(
          () => apply(sys, { root, lowers: [], mode: 'overlay' }, tar),
          (err) => isKind(err, 'NotImplemented') && /not UTF-8, which needs FFI/.test(String(err)),
        );
        return;
      }
      apply(sys, { root, lowers: [], mode: 'overlay' }, tar);
      const tree = await readTree(root);
      assert.deepEqual([...tree.keys()].sort(), ['.', 'd\xff\xfe', 'd\xff\xfe/\x80\xc3\x28', 'h\xfd', 'l']);
      assert.equal(tree.get('l')?.target, '\xe9/\xff');
      assert.equal(tree.get('h\xfd')?.group, 'd\xff\xfe/\x80\xc3\x28');
    });
  }

  test('marks that hide again what is hidden cost nothing', () => {
    const inside = Array.from({ length: 300 }, (_, i) => dir(`d/${i}`));
    for (const mark of [opq('d'), wh('d')]) {
      for (const mode of MODES) {
        let calls = 0;
        const sys = intercept(syscallsHere(), () => {
          calls++;
        });
        const marks = Array.from({ length: 300 }, () => mark);
        apply(sys, { root: fresh(), lowers: [], mode }, layer(dir('d'), ...inside, ...marks));
        assert.ok(calls < 10_000, `${calls} system calls, ${mode}`);
      }
    }
  });

  test('symlinks cannot make each name cost as much as they like', () => {
    const hops = Array.from({ length: 100 }, (_, i) => sym(`l${i}`, `${'d/../'.repeat(400)}l${i + 1}`));
    assert.throws(
      () =>
        apply(
          syscallsHere(),
          { root: fresh(), lowers: [], mode: 'flat' },
          layer(dir('d'), ...hops, file('l0/x')),
        ),
      (err) => isKind(err, 'InvalidArgument') && /too many symbolic links/.test(String(err)),
    );
  });
});

test('what one layer makes is counted', () => {
  const budget = new Budget(100);
  budget.content(60);
  budget.content(40);
  assert.throws(() => budget.content(1), /exceed the limit of 100 bytes/);
  budget.directories(2_000_000);
  assert.throws(
    () => budget.directories(1),
    (err) => isKind(err, 'ResourceExhausted') && /more than 2000000 directories/.test(String(err)),
  );
});
