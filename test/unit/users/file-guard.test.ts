/** Files that decide on images: whose they may be, and who may write to them and to what leads there. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, lchownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hintOf, kindOf } from '../../../src/core/errors.ts';
import { fileGuard } from '../../../src/core/users/file-guard.ts';
import { bareRuntime } from '../../support/bare-runtime.ts';
import { needs } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';

const top = tempDir('hawser-guard-');
const dir = join(top.path, 'keys');
const file = join(dir, 'cosign.pub');
after(() => top[Symbol.dispose]());
const runtime = bareRuntime();
const OTHER = 1000;

const ALL = /can be written to by other users/;
const DIR = /goes through a directory that other users can write to/;
const OTHERS = /belongs to user 1000/;

/** What is done to the file, and why the guard refuses it: as a file of the system, and as one that root names. */
const ROWS: readonly (readonly [string, () => void, RegExp | undefined, RegExp | undefined])[] = [
  ['root alone can change', () => {}, undefined, undefined],
  ['all can write to', () => chmodSync(file, 0o646), ALL, ALL],
  ['a group can write to', () => [chmodSync(file, 0o664), chownSync(file, 0, OTHER)], ALL, undefined],
  ['root’s own group can write to', () => chmodSync(file, 0o664), undefined, undefined],
  ['is another user’s', () => chownSync(file, OTHER, OTHER), OTHERS, undefined],
  ['is in a directory that all can write to', () => chmodSync(dir, 0o777), DIR, DIR],
  [
    'is in a directory that a group can write to',
    () => [chmodSync(dir, 0o775), chownSync(dir, 0, OTHER)],
    DIR,
    undefined,
  ],
  [
    'is in another user’s directory',
    () => chownSync(dir, OTHER, OTHER),
    /a directory of user 1000/,
    undefined,
  ],
  ['is root’s in a directory for all, which is sticky', () => chmodSync(dir, 0o1777), undefined, undefined],
  [
    'is another’s in such a directory',
    () => [chmodSync(dir, 0o1777), chownSync(file, OTHER, OTHER)],
    OTHERS,
    OTHERS,
  ],
  ['is a symlink of root', () => linked('/etc/passwd'), undefined, undefined],
  [
    'is a symlink of another user in such a directory',
    () => [linked('/etc/passwd'), chmodSync(dir, 0o1777), lchownSync(file, OTHER, OTHER)],
    /a symlink of user 1000/,
    /a symlink of user 1000/,
  ],
  [
    'is a symlink to what all can write to',
    () => [writeFileSync(join(dir, 'real'), ''), chmodSync(join(dir, 'real'), 0o666), linked('real')],
    ALL,
    ALL,
  ],
  ['is a directory', () => [rmSync(file), mkdirSync(file)], /is no regular file/, /is no regular file/],
];

function linked(to: string): void {
  rmSync(file);
  symlinkSync(to, file);
}

function make(): void {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { mode: 0o755 });
  writeFileSync(file, '', { mode: 0o644 });
}

const skip = needs({ root: true });
const as = (uid: number, env: Readonly<Record<string, string>> = {}) =>
  fileGuard({ ...runtime, host: { ...runtime.host, uid, env: (name) => env[name] } });

for (const [what, spoil, ofSystem, named] of ROWS)
  test(`a file that ${what}: ${ofSystem ? 'none of the system’s' : 'may be the system’s'}, ${named ? 'refused' : 'taken'} where root names it`, {
    skip,
  }, async () => {
    for (const [isOfSystem, says] of [
      [true, ofSystem],
      [false, named],
    ] as const) {
      make();
      spoil();
      const asked = as(0)(file, isOfSystem, {});
      if (says === undefined) await asked;
      else
        await assert.rejects(asked, (err) => {
          assert.equal(kindOf(err), 'PermissionDenied');
          assert.match(String(err), says);
          return /^Let nobody but root change the file/.test(hintOf(err) ?? '');
        });
      // Other users name files for themselves.
      await as(OTHER)(file, false, {});
    }
  });

test('in /tmp a file of the user for whom sudo runs this is taken where it is named', { skip }, async () => {
  make();
  chmodSync(dir, 0o1777);
  chownSync(file, OTHER, OTHER);
  await as(0, { SUDO_UID: String(OTHER) })(file, false, {});
  await assert.rejects(as(0, { SUDO_UID: '1001' })(file, false, {}), OTHERS);
  await assert.rejects(as(0, { SUDO_UID: String(OTHER) })(file, true, {}), OTHERS);
});

test('a file that is gone is not taken for one that was never there', async () => {
  await as(0)(join(dir, 'none'), false, {});
  await assert.rejects(as(0)(join(dir, 'none'), true, {}), (err) => kindOf(err) === 'FailedPrecondition');
});
