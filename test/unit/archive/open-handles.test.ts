/** Few directories are open at any moment, within one entry too, however deep the paths and however many the layers. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isNeedsBelow } from '../../../src/core/archive/guesses.ts';
import type { LayerRecord } from '../../../src/core/archive/layer-record.ts';
import { rebaseLayer } from '../../../src/core/layers/rebase-layer.ts';
import type { Dir, Syscalls } from '../../../src/core/ports/syscalls.ts';
import { removeEntry, removeTree } from '../../../src/core/trees/remove-tree.ts';
import { copyTree } from '../../../src/core/trees/tree-copy.ts';
import { treeUsage } from '../../../src/core/trees/tree-usage.ts';
import { hasFfi } from '../../support/ffi.ts';
import { dir, file, hard, layer, opq, sym, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';
import { apply, applyBlind, syscallsHere } from './stacks.ts';

/** Of the layer 64, of the layers below 192, and a few on the way. */
const MOST = 300;
const DEPTH = 900;

/** The same calls, with a count of the directories and files that are open. */
function counted(sys: Syscalls): { sys: Syscalls; most: () => number; open: () => number } {
  let [open, most] = [0, 0];
  const change: Partial<Record<keyof Syscalls, number>> = {
    ...{ openRoot: 1, openDir: 1, openFile: 1, createFile: 1 },
    ...{ closeDir: -1, closeFile: -1 },
  };
  const proxy = new Proxy(sys, {
    get(target, key: keyof Syscalls) {
      const value = target[key];
      if (typeof value !== 'function') return value;
      return (...args: never[]): unknown => {
        const result = (value as (...all: never[]) => unknown).apply(target, args);
        open += change[key] ?? 0;
        most = Math.max(most, open);
        return result;
      };
    },
  });
  return { sys: proxy, most: () => most, open: () => open };
}

const deep = (name: string, depth = DEPTH): string => Array.from({ length: depth }, () => name).join('/');

/** Layers over one another; the last is what each case is about. */
const CASES: Readonly<Record<string, readonly Uint8Array[]>> = {
  'a deep directory, then a file in place of its top': [
    layer(dir(deep('d'))),
    layer(dir(deep('e')), file('e')),
  ],
  'a file below directories that nobody lists': [layer(file(`${deep('d')}/f`), file(`${deep('e')}/f`))],
  'each directory listed, with a file in each': [
    layer(
      ...Array.from({ length: DEPTH }, (_, i) => [
        dir(deep('d', i + 1)),
        file(`${deep('d', i + 1)}/f`),
      ]).flat(),
    ),
  ],
  "a deep directory below another layer's": [layer(file(`${deep('d')}/f`)), layer(file(`${deep('d')}/g`))],
  'a hard link from one deep directory to another': [
    layer(file(`${deep('d')}/f`), dir(deep('e'))),
    layer(hard(`${deep('e')}/g`, `${deep('d')}/f`)),
  ],
  'whiteouts and opaque marks in the deep, and of all': [
    layer(file(`${deep('d')}/f`), file(`${deep('e')}/f`), file(`${deep('f')}/f`)),
    layer(wh(`${deep('d')}/f`), opq(deep('e')), file(`${deep('e')}/g`), wh('f')),
  ],
  'a way through symlinks and back': [
    layer(dir(deep('d')), sym('l', deep('d')), sym(`${deep('d')}/up`, '../'.repeat(500))),
    layer(file('l/up/f'), file('l/up/d/d/f')),
  ],
  'many layers': Array.from({ length: 120 }, (_, i) => layer(file(`a/b/c/d/f${i}`), wh('a/b/c/d/f0'))),
  'many layers, deep': Array.from({ length: 40 }, (_, i) => layer(file(`${deep('d', 60)}/f${i}`))),
};

const SKIP = hasFfi() ? needs({ root: true }) : 'needs FFI: tools are slow';

for (const [name, layers] of Object.entries(CASES)) {
  const few = ({ most, open }: ReturnType<typeof counted>): void => {
    assert.ok(most() <= MOST, `${most()} were open at once`);
    assert.equal(open(), 0, 'all are closed');
  };
  const within = (body: (path: string) => void): void => {
    const tmp = tempDir();
    try {
      body(tmp.path);
      removeTree(syscallsHere(), tmp.path);
    } finally {
      tmp[Symbol.dispose]();
    }
  };

  test(`few handles, overlay: ${name}`, { skip: SKIP }, () =>
    within((path) => {
      const lowers: string[] = [];
      for (const [i, tar] of layers.entries()) {
        const root = join(path, `${i}`);
        mkdirSync(root);
        const counting = counted(syscallsHere());
        apply(counting.sys, { root, lowers, mode: 'overlay' }, tar);
        few(counting);
        lowers.unshift(root);
      }
    }),
  );

  test(`few handles, flat, copied and removed: ${name}`, { skip: SKIP }, () =>
    within((path) => {
      for (const made of ['root', 'copy']) mkdirSync(join(path, made));
      const counting = counted(syscallsHere());
      const { sys } = counting;
      for (const tar of layers) apply(sys, { root: join(path, 'root'), lowers: [], mode: 'flat' }, tar);
      copyTree(sys, join(path, 'root'), join(path, 'copy'));
      assert.equal(treeUsage(sys, join(path, 'root')).inodes, treeUsage(sys, join(path, 'copy')).inodes);
      const above: Dir = sys.openRoot(path);
      removeEntry(sys, above, 'root');
      sys.closeDir(above);
      few(counting);
    }),
  );

  test(`few handles, blind and rebased: ${name}`, { skip: SKIP }, () =>
    within((path) => {
      const lowers: string[] = [];
      for (const [i, tar] of layers.entries()) {
        const root = join(path, `${i}`);
        mkdirSync(root);
        const counting = counted(syscallsHere());
        blind(counting.sys, root, lowers, tar);
        few(counting);
        lowers.unshift(root);
      }
    }),
  );
}

/** Layers that need those below in view are refused: their handles are closed all the same. */
function blind(sys: Syscalls, root: string, lowers: readonly string[], tar: Uint8Array): void {
  const record = tryBlind(sys, root, tar);
  if (record !== undefined) rebaseLayer(sys, { root, lowers, mode: 'overlay', record });
}

function tryBlind(sys: Syscalls, root: string, tar: Uint8Array): LayerRecord | undefined {
  try {
    return applyBlind(sys, root, tar).record;
  } catch (err) {
    if (isNeedsBelow(err)) return undefined;
    throw err;
  }
}
