/** Layers that try to reach outside their directory (containerd's pkg/archive tests; CVE-2025-47290 and its kin). */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isKind, messageOf } from '../../../src/core/errors.ts';
import { dir, file, hard, layer, sym, wh } from '../../support/layer-builder.ts';
import { caseTitle } from '../../support/layer-case.ts';
import { needs } from '../../support/needs.ts';
import { diffTrees, readTree, type Tree } from '../../support/tree.ts';
import { brief, Stacks, syscallsHere, type View, WAY_NAMES } from './stacks.ts';

interface Case {
  /** `out`: the canary's directory as an absolute path; `up`: the same by way of `..`. */
  readonly layers: (out: string, up: string) => readonly Uint8Array[];
  readonly want?: readonly string[];
  readonly fails?: RegExp;
}

const etc = [dir('etc', { mode: 0o770 }), file('etc/passwd', 'inside')];

const CASES: Record<string, Case> = {
  SymlinkAbsolute: { layers: (out) => [layer(sym('l', out), file('l/new', 'n'), file('l/canary', 'n'))] },
  SymlinkUpAndOut: { layers: (_, up) => [layer(sym('l', up), file('l/canary', 'n'))] },
  SymlinkMultipleAbsolute: { layers: (out) => [layer(sym('a', '/b'), sym('b', out), file('a/canary', 'n'))] },
  SymlinkMultipleRelative: {
    layers: (_, up) => [layer(dir('x'), sym('x/a', '../b'), sym('b', up), file('x/a/canary', 'n'))],
  },
  SymlinkToFile: { layers: (out) => [layer(sym('l', `${out}/canary`), file('l', ''))], want: ['l='] },
  HardlinkRelative: {
    layers: (_, up) => [layer(sym('l', up), hard('h', 'l/canary'), file('h', 'n'))],
    fails: /no such file/,
  },
  HardlinkAbsolute: { layers: (out) => [layer(hard('h', `${out}/canary`))], fails: /no such file/ },
  HardlinkDirectRelative: { layers: (_, up) => [layer(hard('h', `${up}/canary`))], fails: /no such file/ },
  HardlinkSymlinkAbsolute: {
    layers: (out) => [
      layer(sym('s', `${out}/canary`), hard('h', 's', { mode: 0o777, uid: 5 }), file('h/x', 'x')),
    ],
  },
  HardlinkSymlinkChmod: {
    layers: (out) => [
      layer(sym('s', `${out}/canary`, { mode: 0o777, uid: 9 }), hard('h', 's', { mode: 0o777, uid: 9 })),
    ],
  },
  HardlinkBeforeTarget: { layers: () => [layer(hard('h', 'later'), file('later'))], fails: /no such file/ },
  NamesUpwards: {
    layers: (out, up) => [
      layer(
        file(`${up}/canary`, 'n'),
        file(`..${out}/canary`, 'n'),
        file(`${out}/canary`, 'n'),
        dir(`${up}/new`),
      ),
    ],
  },
  SymlinkParentDirectory: {
    layers: (out) => [layer(sym('..', out), sym('.', out), sym('/', out), file('f', 'f'))],
    want: ['f=f'],
  },
  SymlinkParentRelative: {
    layers: () => [
      layer(
        ...etc,
        sym('localetc', '/etc'),
        dir('localetc/sub/..', { mode: 0o750 }),
        file('localetc/f', 'f'),
      ),
    ],
    want: ['etc/', 'etc/passwd=inside', 'localetc/', 'localetc/f=f'],
  },
  SymlinkSlashEnded: {
    layers: () => [layer(...etc, sym('localetc/', '/etc/'), file('localetc/f', 'f'))],
    want: ['etc/', 'etc/f=f', 'etc/passwd=inside', 'localetc->/etc/'],
  },
  SymlinkOverrideDirectory: {
    layers: (out) => [layer(dir('d'), file('d/x', 'x'), sym('d', out), file('d/canary', 'n'))],
  },
  DirectoryOverrideSymlink: {
    layers: (out) => [layer(sym('l', out), dir('l'), file('l/canary', 'n'))],
    want: ['l/', 'l/canary=n'],
  },
  DirectoryOverrideSymlinkAndHardlink: {
    layers: () => [
      layer(
        ...etc,
        sym('l', 'etc'),
        hard('etc/h', 'etc/passwd'),
        dir('l'),
        file('l/passwd', 'n'),
        file('etc/h', 'n'),
      ),
    ],
    want: ['etc/', 'etc/h=n', 'etc/passwd=inside', 'l/', 'l/passwd=n'],
  },
  SymlinkOverridePath: {
    layers: (out) => [layer(dir('tmp'), sym('tmp', out), dir('tmp'), file('tmp/canary', 'n'))],
    want: ['tmp/', 'tmp/canary=n'],
  },
  WhiteoutSymlink: { layers: (out) => [layer(sym('l', out)), layer(wh('l'))], want: [] },
  WhiteoutSymlinkPath: {
    layers: (out, up) => [
      layer(sym('l', out), sym('m', up)),
      layer(wh('l/canary'), wh('m/canary'), wh(`${up}/canary`), wh('canary')),
    ],
  },
  WhiteoutDeadSymlinkParent: {
    layers: () => [layer(sym('dead', 'no')), layer(wh('dead/x'))],
    want: ['dead->no'],
  },
  'a directory swapped for a symlink (H90)': {
    layers: (out) => [
      layer(
        dir('foo'),
        dir('foo/t'),
        file('foo/t/a', 'n'),
        sym('foo', '/'),
        file('foo/t/x', 'x'),
        sym('t', out),
        file('foo/t/canary', 'n'),
        file('t/canary', 'n'),
      ),
    ],
  },
  'between layers (H90)': {
    layers: (out) => [
      layer(dir('foo'), file('foo/f', 'f')),
      layer(file('foo/g', 'g'), sym('foo', out), file('foo/canary', 'n')),
      layer(file('foo/canary', 'm'), wh('foo/canary')),
    ],
  },
  'attributes of a symlink (H92)': {
    layers: (out) => [
      layer(
        sym('l', `${out}/canary`, {
          mode: 0o4777,
          uid: 7,
          mtime: '1',
          xattrs: {
            'security.capability': new Uint8Array([
              1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ]),
          },
        }),
      ),
    ],
  },
  'absolute names (H94)': { layers: (out) => [layer(file(`${out}/canary`, 'n'), dir(out, { mode: 0 }))] },
  'longer than PATH_MAX (H101)': {
    layers: (_, up) => {
      const deep = `${'d'.repeat(200)}/`.repeat(8);
      return [
        layer(
          sym(`${deep}l`, deep),
          file(`${deep}l/x`, 'x'),
          sym('esc', `${'./'.repeat(1500)}${up}`),
          file('esc/canary', 'n'),
        ),
      ];
    },
  },
  'magic links (H102)': {
    layers: () => [
      layer(dir('proc/self'), sym('proc/self/root', '/proc/1/root'), file('proc/self/root/canary', 'n')),
    ],
  },
};

describe('breakouts', { skip: needs({ root: true, tools: ['mount', 'umount', 'getfattr'] }) }, () => {
  let stacks: Stacks;
  let outcomes: ReadonlyMap<string, readonly View[]>;
  let canary: Tree;
  const slug = (name: string): string => name.replace(/[^a-zA-Z0-9]+/g, '-');
  const outside = (): string => join(stacks.path, 'outside');

  before(async () => {
    stacks = new Stacks(syscallsHere());
    mkdirSync(outside());
    writeFileSync(join(outside(), 'canary'), 'alive');
    chmodSync(join(outside(), 'canary'), 0o400);
    canary = await readTree(outside());
    const up = `../../../../outside`;
    for (const [name, { layers }] of Object.entries(CASES)) {
      const ups = [
        '../../outside',
        '../../../outside',
        '../../../../../outside',
        `${'../'.repeat(30)}${outside().slice(1)}`,
      ];
      for (const other of layers.length < 2 ? [] : ups) {
        stacks.add(`${slug(name)}.${other.length}`, layers(outside(), other));
      }
      stacks.add(slug(name), layers(outside(), up));
    }
    outcomes = await stacks.outcomes();
  });
  after(() => stacks.close());

  for (const [name, { want, fails }] of Object.entries(CASES)) {
    test(caseTitle(name, { fails }), () => {
      const views = outcomes.get(slug(name)) ?? [];
      assert.equal(views.length, WAY_NAMES.length);
      for (const { way, tree, failure } of views) {
        if (fails !== undefined) {
          assert.ok(isKind(failure?.error, 'InvalidArgument') && fails.test(messageOf(failure?.error)), way);
          continue;
        }
        assert.equal(failure, undefined, way);
        if (want !== undefined) {
          assert.deepEqual(brief(tree, ['inside', 'f', 'n', 'x', '']), [...want].sort(), way);
        }
        assert.deepEqual(diffTrees(views[0]?.tree ?? new Map(), tree), [], way);
      }
    });
  }

  test('nothing outside was touched', async () => {
    assert.deepEqual(diffTrees(canary, await readTree(outside())), []);
    assert.ok(!existsSync('/canary') && !existsSync('/proc/1/root/canary') && !existsSync('/outside'));
  });
});
