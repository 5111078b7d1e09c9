/** Without /proc a directory is reached by its path: only where nobody else could lead the path to another place. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Dir, Syscalls } from '../../../../src/core/ports/syscalls.ts';
import { createToolsSyscalls } from '../../../../src/platform/kernel/tools-syscalls.ts';
import { needs } from '../../../support/needs.ts';
import { tempDir } from '../../../support/tmp.ts';

const OTHER = 1234;
const GROUP = 5678;

/** One directory of a path, downwards: mode, owner, group. */
type Step = readonly [mode: number, uid?: number, gid?: number];

/** `safe`: whether the last may be opened. The directory above the first is private or 1777. */
const CASES: readonly { readonly name: string; readonly path: readonly Step[]; readonly safe: boolean }[] = [
  { name: 'all ours', path: [[0o755], [0o755]], safe: true },
  { name: 'others may write to the last only', path: [[0o755], [0o777]], safe: true },
  { name: 'others may write above', path: [[0o777], [0o755]], safe: false },
  { name: 'a group may write above', path: [[0o775, 0, GROUP], [0o755]], safe: false },
  { name: "root's own group may write above", path: [[0o775, 0, 0], [0o755]], safe: true },
  { name: 'others may write above, where nobody can enter', path: [[0o700], [0o777], [0o755]], safe: true },
  { name: 'a sticky directory above', path: [[0o1777], [0o755]], safe: true },
  { name: "a sticky directory with somebody else's", path: [[0o1777], [0o755, OTHER]], safe: false },
  { name: "somebody else's above", path: [[0o755, OTHER], [0o755]], safe: false },
  { name: "somebody else's private one above", path: [[0o700, OTHER], [0o755]], safe: false },
];

function open(): Syscalls {
  return createToolsSyscalls({ utf8Only: true, byPath: true });
}

/** In a directory that others may enter. */
function inPublic(body: (dir: string) => void): void {
  const tmp = tempDir();
  try {
    chmodSync(tmp.path, 0o755);
    body(tmp.path);
  } finally {
    tmp[Symbol.dispose]();
  }
}

function make(dir: string, path: readonly Step[]): string {
  let at = dir;
  for (const [index, [mode, uid = 0, gid = 0]] of path.entries()) {
    at = join(at, String(index));
    mkdirSync(at);
    chownSync(at, uid, gid);
    chmodSync(at, mode);
  }
  return at;
}

const REFUSED = { kind: 'FailedPrecondition', message: /other users could replace/, hint: /--allow-ffi/ };

for (const { name, path, safe } of CASES) {
  test(`by path, ${name}: ${safe ? 'opened' : 'refused'}`, { skip: needs({ root: true }) }, () => {
    inPublic((dir) => {
      const sys = open();
      const last = make(dir, path);
      if (safe) sys.closeDir(sys.openRoot(last));
      else assert.throws(() => sys.openRoot(last), REFUSED);
      // The same one step after the other, from a handle.
      const walk = (): void => {
        const open: Dir[] = [sys.openRoot(dir)];
        try {
          for (const index of path.keys()) open.push(sys.openDir(open.at(-1) as Dir, String(index)));
        } finally {
          for (const one of open) sys.closeDir(one);
        }
      };
      if (safe) walk();
      else assert.throws(walk, REFUSED);
    });
  });
}

test('by path, a handle is refused once another directory has its path', {
  skip: needs({ root: true }),
}, () => {
  inPublic((dir) => {
    const sys = open();
    const elsewhere = join(dir, 'elsewhere');
    mkdirSync(elsewhere);
    const root = sys.openRoot(make(dir, [[0o755], [0o755]]));
    const inside = (): void => sys.mkdir(root, 'x', 0o700);
    inside();
    sys.rmdir(root, 'x');
    renameSync(join(dir, '0'), join(dir, 'moved'));
    assert.throws(inside, { kind: 'FailedPrecondition', message: /was moved or replaced/ });
    symlinkSync('elsewhere', join(dir, '0'));
    mkdirSync(join(elsewhere, '1'));
    assert.throws(inside, { kind: 'FailedPrecondition', message: /was moved or replaced/ });
    sys.closeDir(root);
    assert.throws(inside, { kind: 'FailedPrecondition' });
  });
});
