/**
 * Files that wait to be made by one call: layers give the same trees, errors and remains as by single calls, whatever is in the way
 * of a file, and whichever call fails for it.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ApplyTarget, LayerApplier } from '../../../src/core/archive/apply.ts';
import { TarReader } from '../../../src/core/archive/tar-reader.ts';
import { hintOf, messageOf } from '../../../src/core/errors.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { removeEntry, removeTree } from '../../../src/core/trees/remove-tree.ts';
import { readCreation } from '../../../src/platform/kernel/creation.ts';
import { createFfiSyscalls } from '../../../src/platform/kernel/ffi-syscalls.ts';
import type { Libc } from '../../../src/platform/kernel/libc.ts';
import { hasFfi, libcHere } from '../../support/ffi.ts';
import { type Attributes, dir, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { type Doing, failingFor, withLinkedFiles } from '../../support/linked-files.ts';
import { needs } from '../../support/needs.ts';
import type { LayerEntry } from '../../support/reference-tree.ts';
import { chosenSeed } from '../../support/seed.ts';
import { tempDir } from '../../support/tmp.ts';
import { treeLines } from '../../support/tree-lines.ts';
import { split } from './events.ts';
import { random } from './random.ts';

const NAMES = [...'abcdefghijklmnxy'];
const DIRS = ['', 'x/', 'x/y/', 'l/', './x/', 'x/../x/', 'a/', 'z/w/'];
const MODES = [0o644, 0o644, 0o644, 0o755, 0o4755, 0o600, 0o666, 0o000];
const DOINGS: readonly Doing[] = ['create', 'write', 'chown', 'chmod', 'utimes', 'close'];
const [EIO, EPERM, EEXIST, ENOSPC, EMFILE] = [5, 1, 17, 28, 24];
const WAYS = ['overlay', 'flat', 'blind'] as const;

type Next = (n: number) => number;
const pick = <T>(next: Next, from: readonly T[]): T => from[next(from.length)] as T;

function attributes(next: Next): Attributes {
  const xattrs = next(8) === 0 ? { xattrs: { 'user.a': 'v' } } : {};
  const ids = next(4) === 0 ? { uid: next(3) * 500, gid: 7 } : {};
  return {
    mode: pick(next, MODES),
    mtime: pick(next, ['1', '-1.5', '99999999999.123', '1234567890']),
    ...ids,
    ...xattrs,
  };
}

/** Mostly files, one after the other in the same directory, over names that collide. */
function randomLayer(next: Next): LayerEntry[] {
  let where = '';
  return Array.from({ length: 40 }, () => {
    if (next(9) === 0) where = pick(next, DIRS);
    const path = where + pick(next, NAMES);
    const kind = next(40);
    if (kind === 0) return dir(pick(next, [where === '' ? 'x' : where, path]), attributes(next));
    if (kind === 1) return sym(path, pick(next, ['x', 'a', '/x/y', 'none']));
    if (kind === 2) return hard(path, pick(next, DIRS) + pick(next, NAMES));
    if (kind === 3) return pick(next, [wh(path), opq('x'), wh('x/y')]);
    if (kind === 4) {
      // The directory is that of `path`, although the next names begin with it.
      where = `${path}/`;
      return file(`${path}/.`, 'odd', attributes(next));
    }
    return file(path, pick(next, ['', 'short', 'x'.repeat(next(3000))]), attributes(next));
  });
}

const LOWER = layer(
  dir('x'),
  file('x/a', 'below'),
  dir('x/y'),
  file('x/y/b', 'below'),
  sym('l', 'x'),
  file('c', 'below'),
);

interface Outcome {
  readonly error: string | undefined;
  readonly lines: readonly string[];
  readonly said: readonly unknown[];
}

/** One layer over LOWER, in pieces that are spoilt after use. */
function run(
  sys: Syscalls,
  path: string,
  mode: ApplyTarget['mode'],
  pieces: Iterable<Uint8Array>,
  maxBytes: number,
): Outcome {
  const plain = createFfiSyscalls({ ...libcHere(), linked: undefined });
  const [lower, upper] = [join(path, 'lower'), join(path, 'upper')];
  for (const at of [lower, upper]) mkdirSync(at);
  apply(plain, { root: lower, lowers: [], mode: 'overlay', maxBytes: 1 << 20 }, [LOWER]);
  const root = mode === 'flat' ? lower : upper;
  try {
    const target = { root, lowers: mode === 'overlay' ? [lower] : [], mode, maxBytes };
    const { error, said } = apply(sys, target, pieces);
    return { error, lines: treeLines(plain, root), said };
  } finally {
    const above = plain.openRoot(path);
    for (const name of ['lower', 'upper']) removeEntry(plain, above, name);
    plain.closeDir(above);
  }
}

function apply(sys: Syscalls, target: ApplyTarget, pieces: Iterable<Uint8Array>): Omit<Outcome, 'lines'> {
  const applier = new LayerApplier(sys, target);
  try {
    const reader = new TarReader(applier);
    for (const piece of pieces) reader.push(piece);
    reader.end();
    const record = applier.finish();
    const said = [applier.entries, applier.warnings, applier.privileged, record];
    return { error: undefined, said };
  } catch (err) {
    return { error: `${messageOf(err)} (${hintOf(err)})`, said: [] };
  } finally {
    applier.close();
  }
}

const opened = (): number => readdirSync('/proc/self/fd').filter((fd) => isInScratch(fd)).length;
function isInScratch(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).includes('hawser-test-');
  } catch {
    return false;
  }
}

interface Fault {
  readonly doing: Doing;
  readonly name: string;
  readonly errno: number;
}

/** Single calls, the one call as this program has it, and as the tests have it; the last two are left out when there is none. */
function syscallsUnder(fault: Fault | undefined): { single: Syscalls; batched: Syscalls[] } {
  const creation = readCreation();
  const failing = (libc: Libc): Libc =>
    fault === undefined ? libc : failingFor(libc, fault.doing, fault.name, fault.errno);
  const here = libcHere();
  const single = createFfiSyscalls(failing({ ...here, linked: undefined }), creation);
  const batched = [createFfiSyscalls(withLinkedFiles(failing(here)), creation)];
  if (fault === undefined && here.linked !== undefined) batched.push(createFfiSyscalls(here, creation));
  return { single, batched };
}

const SKIP = hasFfi() ? needs({ root: true }) : 'the one call is reached through FFI';

/** How often the one call was made, and for how many files. */
const made = { calls: 0, files: 0, large: 0 };

function counted(sys: Syscalls): Syscalls {
  const makeFiles: Syscalls['makeFiles'] = (dir, files) => {
    made.calls++;
    made.files += files.length;
    if (files.length >= 4) made.large++;
    return sys.makeFiles?.(dir, files) ?? { count: 0, failed: 'create' };
  };
  return new Proxy(sys, {
    get: (target, key: keyof Syscalls) => {
      const value = target[key];
      if (key === 'makeFiles') return makeFiles;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

interface Case {
  readonly mode: ApplyTarget['mode'];
  readonly fault: Fault | undefined;
  readonly pieces: () => Iterable<Uint8Array>;
  readonly maxBytes: number;
}

/** Returns the error, if there is one. */
function compare({ mode, fault, pieces, maxBytes }: Case, path: string, what: string): string | undefined {
  const { single, batched } = syscallsUnder(fault);
  const before = opened();
  const wanted = run(single, path, mode, pieces(), maxBytes);
  for (const sys of batched) {
    assert.ok(sys.makeFiles);
    const got = run(counted(sys), path, mode, pieces(), maxBytes);
    assert.equal(got.error, wanted.error, what);
    // A file that could not be closed is described or not.
    if (fault?.doing !== 'close') assert.deepEqual(got.lines, wanted.lines, what);
    assert.deepEqual(got.said, wanted.said, what);
    assert.equal(opened(), before, `${what}: descriptors stay open`);
  }
  return wanted.error;
}

function randomCase(seed: number, path: string): string | undefined {
  const next = random(seed);
  const tar = layer(...randomLayer(next));
  const cut = next(6) === 0 ? tar.subarray(0, next(tar.length)) : tar;
  const size = pick(next, [700, 9000, 1 << 20]);
  const maxBytes = next(8) === 0 ? next(20_000) : 1 << 20;
  const errno = pick(next, [EIO, EPERM, EEXIST, ENOSPC, EMFILE]);
  const fault = next(2) === 0 ? undefined : { doing: pick(next, DOINGS), name: pick(next, NAMES), errno };
  const mode = pick(next, WAYS);
  const what = JSON.stringify({ seed, mode, size, fault });
  return compare({ mode, fault, pieces: () => split(cut, size), maxBytes }, path, what);
}

test('files that wait give what single calls give: random layers, each call failing', { skip: SKIP }, (t) => {
  const tmp = tempDir();
  const seed = chosenSeed();
  const errors = new Set<string>();
  try {
    for (let round = 0; round < 100; round++) {
      const error = randomCase(seed + round, tmp.path);
      if (error !== undefined) errors.add(error.replace(/"[^"]*"/g, '').slice(0, 60));
    }
  } finally {
    removeTree(createFfiSyscalls(libcHere()), tmp.path);
  }
  t.diagnostic(`HAWSER_SEED=${seed}; ${errors.size} different errors`);
  assert.ok(errors.size > 8, [...errors].join('\n'));
  assert.ok(made.large > 50, `${made.files} files in ${made.calls} calls`);
});

const CASES: Readonly<
  Record<string, Pick<Case, 'mode' | 'fault'> & { readonly entries: readonly LayerEntry[] }>
> = {
  'a file in place of a directory of the layer below, after others': {
    mode: 'overlay',
    fault: undefined,
    entries: [wh('x/q'), file('f'), file('x'), file('x/z')],
  },
  'a file in place of a directory of the layer below, the first': {
    mode: 'overlay',
    fault: undefined,
    entries: [wh('x/q'), file('x'), file('x/z')],
  },
  'no owner is set in a directory that is made for the first file': {
    mode: 'blind',
    fault: { doing: 'chown', name: 'f', errno: EIO },
    entries: [file('w/f')],
  },
};

for (const [name, { entries, ...rest }] of Object.entries(CASES)) {
  test(`files that wait: ${name}`, { skip: SKIP }, () => {
    const tmp = tempDir();
    const pieces = () => [layer(...entries)];
    try {
      assert.equal(compare({ ...rest, pieces, maxBytes: 1 << 20 }, tmp.path, name), undefined);
    } finally {
      removeTree(createFfiSyscalls(libcHere()), tmp.path);
    }
  });
}
