/** Random stacks of layers as one archive and as files on a disk: the tree of the reference model, in every attribute. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import type { EntryType, TarEntry } from '../../../src/core/archive/entry.ts';
import { TarReader } from '../../../src/core/archive/tar-reader.ts';
import { flatten } from '../../../src/core/files/flatten.ts';
import { walk, wholeView } from '../../../src/core/files/walk.ts';
import { tarBytes } from '../../../src/core/files/write-tar.ts';
import { writeTree } from '../../../src/core/files/write-tree.ts';
import { layer } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import { ReferenceImage } from '../../support/reference-model.ts';
import type { LayerEntry } from '../../support/reference-tree.ts';
import { chosenSeed } from '../../support/seed.ts';
import { tempDir } from '../../support/tmp.ts';
import { diffTrees, readTree, type Tree, type TreeEntry } from '../../support/tree.ts';
import { expected, listing } from '../archive/oracle.ts';
import { random } from '../archive/random.ts';
import { randomStack, type Stack } from '../archive/random-layers.ts';
import { syscallsHere } from '../archive/stacks.ts';
import { openTars } from './open-tars.ts';

const COUNT = Number(process.env.HAWSER_STACKS ?? 80);
/** Stacks that are put on a disk. */
const ON_DISK = 12;

const TYPES: Readonly<Record<EntryType, LayerEntry['type']>> = {
  ...{ file: 'file', directory: 'dir', symlink: 'symlink', hardlink: 'hardlink' },
  ...{ char: 'char', block: 'block', fifo: 'fifo' },
};

function asLayerEntry(entry: TarEntry, content: string): LayerEntry {
  const {
    type,
    name,
    linkName: link,
    mode,
    uid,
    gid,
    mtime,
    xattrs,
    devMajor: major,
    devMinor: minor,
  } = entry;
  return {
    type: TYPES[type],
    ...{ name, link, content, mode, uid, gid, major, minor },
    mtime: BigInt(mtime.sec) * 1_000_000_000n + BigInt(mtime.nsec),
    xattrs: Object.fromEntries(
      [...xattrs].map(([key, value]) => [key, Buffer.from(value).toString('latin1')]),
    ),
  };
}

function entriesOf(tar: Uint8Array): LayerEntry[] {
  const all: LayerEntry[] = [];
  let entry: TarEntry | undefined;
  let content = '';
  const add = (): void => {
    if (entry !== undefined) all.push(asLayerEntry(entry, content));
    content = '';
  };
  const reader = new TarReader({
    entry: (next) => {
      add();
      entry = next;
    },
    data: (bytes) => {
      content += Buffer.from(bytes).toString('latin1');
    },
    hole: (length) => {
      content += '\0'.repeat(length);
    },
    entryEnd: () => {},
  });
  reader.push(tar);
  reader.end();
  add();
  return all;
}

interface Valid {
  readonly seed: number;
  readonly stack: Stack;
  readonly tree: Tree;
}

function* validStacks(first: number, count: number): Generator<Valid> {
  for (let seed = first; seed < first + count; seed++) {
    const stack = randomStack(seed);
    const { tree, invalid } = expected(stack, 'posix');
    if (invalid === undefined) yield { seed, stack, tree };
  }
}

async function tarOf(stack: Stack): Promise<Uint8Array> {
  const { files } = openTars(stack.map((entries) => layer(...entries)));
  const parts: Uint8Array[] = [];
  const events = flatten(files, { path: '', node: await files.whole({}) }, {});
  for await (const bytes of tarBytes(events)) parts.push(bytes.slice());
  return Buffer.concat(parts);
}

test('random stacks: the one archive, applied as the only layer, gives the tree', async (t) => {
  const first = chosenSeed();
  t.diagnostic(`HAWSER_SEED=${first} HAWSER_STACKS=${COUNT}`);
  for (const { seed, stack, tree } of validStacks(first, COUNT)) {
    const tar = await tarOf(stack);
    const image = new ReferenceImage('posix');
    image.apply(entriesOf(tar));
    const found = diffTrees(tree, image.tree());
    assert.deepEqual(found, [], `HAWSER_SEED=${seed} HAWSER_STACKS=1\n${listing(stack)}`);
    if (seed % 8 === 0) assert.deepEqual(Buffer.compare(tar, await tarOf(stack)), 0, 'other bytes');
  }
});

/** Without attributes that only a privileged archiver keeps. */
const ROOT_ATTRIBUTES = { skip: needs({ root: true, tools: ['tar', 'getfattr'] }) };

test('random stacks: tar(1) makes the tree of the one archive', ROOT_ATTRIBUTES, async (t) => {
  const first = chosenSeed();
  t.diagnostic(`HAWSER_SEED=${first} HAWSER_STACKS=${ON_DISK}`);
  const dir = tempDir();
  t.after(() => dir[Symbol.dispose]());
  for (const { seed, stack, tree } of validStacks(first, ON_DISK)) {
    const [tar, out] = [join(dir.path, `${seed}.tar`), join(dir.path, `${seed}`)];
    writeFileSync(tar, await tarOf(stack));
    mkdirSync(out);
    const flags = ['-p', '--same-owner', '--numeric-owner', '--xattrs', '--xattrs-include=*'];
    execFileSync('tar', ['-xf', tar, '-C', out, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    assert.deepEqual(diffTrees(tree, await readTree(out)), [], `HAWSER_SEED=${seed}\n${listing(stack)}`);
  }
});

/** What is below a directory of a tree; hard links to what is elsewhere are no links of it. */
function below(tree: Tree, path: string): Tree {
  const out = new Map<string, TreeEntry>();
  const groups = new Map<string, string>();
  const content = (group: string): string => tree.get(group)?.sha256 ?? '';
  for (const [at, entry] of tree) {
    const isIn = path === '.' || at === path || at.startsWith(`${path}/`);
    if (!isIn) continue;
    const name = path === '.' ? at : at === path ? '.' : at.slice(path.length + 1);
    const isFirst = !groups.has(entry.group);
    if (isFirst) groups.set(entry.group, name);
    const group = entry.type === 'dir' ? '' : (groups.get(entry.group) ?? name);
    const sha256 = entry.type === 'file' && isFirst ? content(entry.group) : '';
    out.set(name, { ...entry, group, sha256 });
  }
  return out;
}

test('random stacks: a directory on a disk is that of the tree', ROOT_ATTRIBUTES, async (t) => {
  const first = chosenSeed();
  t.diagnostic(`HAWSER_SEED=${first} HAWSER_STACKS=${ON_DISK}`);
  const sys = syscallsHere();
  const ids = [{ first: 0, count: 0xffffffff }];
  const dir = tempDir();
  t.after(() => dir[Symbol.dispose]());
  for (const { seed, stack, tree } of validStacks(first, ON_DISK)) {
    const dirs = [...tree].filter(([, { type }]) => type === 'dir').map(([path]) => path);
    const path = dirs[random(seed)(dirs.length)] ?? '.';
    const { files } = openTars(stack.map((entries) => layer(...entries)));
    const found = walk(wholeView(await files.whole({})), path, { follow: false });
    if (found.is !== 'directory') assert.fail(found.is);
    const out = join(dir.path, String(seed));
    mkdirSync(out);
    utimesSync(out, 0, 0);
    const events = flatten(files, { path: found.path.join('/'), node: found.dir }, {});
    await writeTree(sys, out, events, { owner: { mode: 'keep', uids: ids, gids: ids } });
    const lines = diffTrees(below(tree, path), await readTree(out));
    assert.deepEqual(lines, [], `HAWSER_SEED=${seed}, ${JSON.stringify(path)}\n${listing(stack)}`);
  }
});
