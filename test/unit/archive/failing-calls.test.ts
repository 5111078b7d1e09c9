/**
 * Every call that applying, rebasing, copying, counting and removing make fails once, in several ways: the work fails too, with
 * that error, or its result is the same as ever (or told in a warning); and no handle stays open.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LayerRecord } from '../../../src/core/archive/layer-record.ts';
import { errnoOf, messageOf } from '../../../src/core/errors.ts';
import { rebaseLayer } from '../../../src/core/layers/rebase-layer.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { removeTree } from '../../../src/core/trees/remove-tree.ts';
import { copyTree } from '../../../src/core/trees/tree-copy.ts';
import { treeUsage } from '../../../src/core/trees/tree-usage.ts';
import { errnoError } from '../../../src/platform/kernel/errno.ts';
import { hasFfi } from '../../support/ffi.ts';
import { device, dir, fifo, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';
import { treeLines } from '../../support/tree-lines.ts';
import { apply, applyBlind, syscallsHere } from './stacks.ts';

/** One of each kind of error that steers something: EMFILE goes as ENOSPC, EROFS and EACCES go as EPERM. */
const ERRNOS = ['EIO', 'ENOSPC', 'EPERM', 'ENOTSUP'] as const;

const xattrs = { 'user.a': '1', 'security.capability': Uint8Array.of(1, 0, 0, 2, ...new Array(16).fill(0)) };
const LOWER = layer(
  dir('d', { mode: 0o711, xattrs: { 'user.d': 'd' } }),
  file('d/linked', 'linked', { xattrs }),
  file('d/gone', 'x'),
  dir('o'),
  file('o/hidden', 'x'),
  dir('i'),
  file('i/kept', 'x'),
  dir('replaced'),
  file('replaced/deep', 'x'),
  sym('l', 'd'),
);
const UPPER = layer(
  dir('d', { mode: 0o750, xattrs: { 'user.e': 'e' } }),
  file('d/new', 'new', { xattrs }),
  wh('d/gone'),
  opq('o'),
  file('o/new', 'x'.repeat(3000)),
  file('i/new', 'x'),
  file('replaced', 'now a file'),
  sym('s', 'd/new'),
  hard('h', 'd/new'),
  device('c', 'c', 1, 3),
  fifo('p'),
  file('l/through', 'x'),
);
const LINKS = layer(hard('again', 'd/linked'), hard('i/again', 'l/linked'));

/** Counts calls, fails the one at `fails`, and knows what is open. */
class Watched {
  calls = 0;
  failed: string | undefined;
  open = 0;
  readonly sys: Syscalls;

  constructor(fails: number, errno: string) {
    const opens = ['openRoot', 'openDir', 'openFile', 'createFile'];
    this.sys = new Proxy(syscallsHere(), {
      get: (target, key: keyof Syscalls) => {
        // Each call that `makeFiles` stands for is made: file-runs.test.ts has it.
        if (key === 'makeFiles') return undefined;
        const value = target[key];
        if (typeof value !== 'function') return value;
        return (...args: never[]): unknown => {
          const closes = key === 'closeDir' || key === 'closeFile';
          if (closes) this.open--;
          // A file's closing may fail, but the descriptor is gone.
          const result = closes ? (value as (...all: never[]) => unknown).apply(target, args) : undefined;
          if (key !== 'closeDir' && ++this.calls === fails) {
            this.failed = key;
            throw errnoError(errno, `${key}`);
          }
          if (closes) return result;
          const made = (value as (...all: never[]) => unknown).apply(target, args);
          if (opens.includes(key)) this.open++;
          return made;
        };
      },
    });
  }
}

interface Place {
  readonly lower: string;
  readonly upper: string;
}

interface Scenario {
  /** With whatever calls: what the work gets to begin with. */
  prepare?(place: Place): unknown;
  /** Returns warnings. */
  work(sys: Syscalls, place: Place, prepared: unknown): readonly string[];
  /** The result, to be compared. */
  result(place: Place): unknown;
}

const here = syscallsHere();

function rebase(mode: 'overlay' | 'flat'): Scenario {
  return {
    prepare: ({ upper }) => applyBlind(here, upper, withoutLinks()).record,
    work: (sys, { lower, upper }, record) => {
      assert.equal(
        rebaseLayer(sys, { root: upper, lowers: [lower], mode, record: record as LayerRecord }),
        undefined,
      );
      return [];
    },
    result: ({ upper }) => treeLines(here, upper),
  };
}

/** What goes through no symlink of the layer below. */
function withoutLinks(): Uint8Array {
  return layer(
    dir('d'),
    wh('d/gone'),
    opq('o'),
    file('o/new'),
    file('i/new'),
    file('replaced', 'x'),
    wh('l'),
  );
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  overlay: {
    work: (sys, { lower, upper }) => apply(sys, { root: upper, lowers: [lower], mode: 'overlay' }, UPPER),
    result: ({ upper }) => treeLines(here, upper),
  },
  'overlay, links to what is below': {
    work: (sys, { lower, upper }) => apply(sys, { root: upper, lowers: [lower], mode: 'overlay' }, LINKS),
    result: ({ upper }) => treeLines(here, upper),
  },
  flat: {
    work: (sys, { lower }) => apply(sys, { root: lower, lowers: [], mode: 'flat' }, UPPER),
    result: ({ lower }) => treeLines(here, lower),
  },
  blind: {
    work: (sys, { upper }) => applyBlind(sys, upper, withoutLinks()).warnings,
    result: ({ upper }) => treeLines(here, upper),
  },
  'rebase over layers': rebase('overlay'),
  'rebase over a tree': rebase('flat'),
  copy: {
    work: (sys, { lower, upper }) => {
      copyTree(sys, lower, upper);
      return [];
    },
    result: ({ upper }) => treeLines(here, upper),
  },
  usage: {
    work: (sys, { lower }) => {
      assert.deepEqual(treeUsage(sys, lower), treeUsage(here, lower));
      return [];
    },
    result: () => undefined,
  },
  removal: {
    work: (sys, { lower }) => {
      removeTree(sys, lower);
      return [];
    },
    result: ({ lower }) => {
      mkdirSync(lower);
      return undefined;
    },
  },
};

function run(
  scenario: Scenario,
  watched: Watched,
): { error?: unknown; result?: unknown; warnings: readonly string[] } {
  const tmp = tempDir();
  const place = { lower: join(tmp.path, 'lower'), upper: join(tmp.path, 'upper') };
  try {
    for (const path of Object.values(place)) mkdirSync(path);
    apply(here, { root: place.lower, lowers: [], mode: 'overlay' }, LOWER);
    const prepared = scenario.prepare?.(place);
    try {
      const warnings = scenario.work(watched.sys, place, prepared);
      return { result: scenario.result(place), warnings };
    } catch (error) {
      return { error, warnings: [] };
    }
  } finally {
    removeTree(here, tmp.path);
  }
}

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  const skip = hasFfi() ? needs({ root: true }) : 'needs FFI: tools are slow';
  test(`each call fails once: ${name}`, { skip }, (t) => {
    const clean = new Watched(0, '');
    const { error, result } = run(scenario, clean);
    assert.equal(error, undefined, String(error));
    let refused = 0;
    for (let at = 1; at <= clean.calls; at++) {
      for (const errno of ERRNOS) {
        const watched = new Watched(at, errno);
        const got = run(scenario, watched);
        const what = `${errno} at call ${at} (${watched.failed})`;
        assert.equal(watched.open, 0, `${what}: handles stay open`);
        if (got.error !== undefined) {
          refused++;
          assert.equal(errnoOf(got.error), errno, `${what}: ${messageOf(got.error)}`);
        } else if (got.warnings.length === 0) {
          assert.deepEqual(got.result, result, what);
        }
      }
    }
    t.diagnostic(`${clean.calls * ERRNOS.length} points, ${refused} failures`);
    assert.ok(refused >= clean.calls * 2, `only ${refused} failures`);
  });
}
