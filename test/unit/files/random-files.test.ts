/** Random stacks of layers: the files that hawser shows without unpacking are those of the reference model, however few layers are read. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import process from 'node:process';
import { test } from 'node:test';
import { kindOf } from '../../../src/core/errors.ts';
import type { ContentEvent } from '../../../src/core/files/contents.ts';
import { typeOf } from '../../../src/core/files/entries.ts';
import { walk, wholeView } from '../../../src/core/files/walk.ts';
import type { ModelNode } from '../../../src/core/trees/model-node.ts';
import { dir, layer } from '../../support/layer-builder.ts';
import { isDeno } from '../../support/needs.ts';
import { chosenSeed } from '../../support/seed.ts';
import { diffTrees, type Tree, type TreeEntry } from '../../support/tree.ts';
import { expected, listing } from '../archive/oracle.ts';
import { random } from '../archive/random.ts';
import { randomStack, type Stack } from '../archive/random-layers.ts';
import { openTars } from './open-tars.ts';

const COUNT = Number(process.env.HAWSER_STACKS ?? (isDeno ? 40 : 80));
/** Paths that are asked for in each stack. */
const PROBES = 8;

async function bytesOf(events: AsyncIterable<ContentEvent>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const event of events) {
    if (event.type === 'data') parts.push(event.bytes.slice());
    else if (event.type === 'hole') parts.push(new Uint8Array(event.length));
  }
  return Buffer.concat(parts);
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** As the model has it; contents are told by `contentOf`. */
async function treeOf(root: ModelNode, contentOf: (node: ModelNode) => Promise<Uint8Array>): Promise<Tree> {
  const out = new Map<string, TreeEntry>();
  const first = new Map<number, string>();
  const visit = async (path: string, node: ModelNode): Promise<void> => {
    const type = typeOf(node);
    const known = first.get(node.ino);
    if (known === undefined) first.set(node.ino, path);
    const isFirst = known === undefined && type === 'file';
    const isDevice = type === 'char' || type === 'block';
    const { major, minor } = node;
    const rdev = ((minor & ~0xff) << 12) | (major << 8) | (minor & 0xff);
    out.set(path, {
      type: type === 'directory' ? 'dir' : type,
      mode: (node.mode & 0o7777).toString(8),
      uid: node.uid,
      gid: node.gid,
      mtime: (BigInt(node.mtime.sec) * 1_000_000_000n + BigInt(node.mtime.nsec)).toString(),
      size: node.content?.size ?? 0,
      rdev: isDevice ? (rdev >>> 0).toString(16) : '',
      target: node.target,
      xattrs: Object.fromEntries(
        [...(node.xattrs ?? [])].map(([key, value]) => [key, `0x${Buffer.from(value).toString('hex')}`]),
      ),
      group: type === 'directory' ? '' : (known ?? path),
      sha256: isFirst ? sha256(await contentOf(node)) : '',
    });
    for (const name of [...(node.children?.keys() ?? [])].sort()) {
      const child = node.children?.get(name);
      if (child !== undefined) await visit(path === '.' ? name : `${path}/${name}`, child);
    }
  };
  await visit('.', root);
  return out;
}

/** In words: what a path is, or the kind of the error. */
type Answer = string;

function told(path: readonly string[], node: ModelNode | undefined): Answer {
  const what =
    node === undefined
      ? 'directory'
      : `${typeOf(node)} ${node.content?.id ?? ''} ${node.mode} ${node.uid} ${node.target}`;
  return `/${path.join('/')} ${what}`;
}

function byWhole(root: ModelNode, path: string): Answer {
  try {
    const found = walk(wholeView(root), path, { follow: true });
    assert.notEqual(found.is, 'unknown');
    if (found.is === 'unknown') return '';
    return told(found.path, found.is === 'other' ? found.node : undefined);
  } catch (err) {
    return String(kindOf(err));
  }
}

/** What few layers tell, and how many were read. */
async function byFew(
  tars: readonly Uint8Array[],
  path: string,
): Promise<{ answer: Answer; read: readonly number[] }> {
  const { files, read } = openTars(tars);
  try {
    const [found] = await files.find([path], {});
    if (found === undefined) return { answer: '', read };
    return { answer: told(found.path, found.is === 'other' ? (found.node as ModelNode) : undefined), read };
  } catch (err) {
    return { answer: String(kindOf(err)), read };
  }
}

function probes(next: (n: number) => number, tree: Tree): string[] {
  const all = [...tree.keys()];
  return Array.from({ length: PROBES }, () => {
    const one = all[next(all.length)] ?? 'a';
    const more = ['', '', '/a', '/..', '/../b', '/b/c', '/'][next(7)];
    return `${next(2) === 0 ? '/' : ''}${one}${more}`;
  });
}

interface Counts {
  files: number;
  few: number;
  asked: number;
}

async function check(stack: Stack, seed: number, counts: Counts): Promise<string[]> {
  const { tree, invalid } = expected(stack, 'posix');
  const tars = stack.map((entries) => layer(...entries));
  const { files } = openTars(tars);
  if (invalid !== undefined) {
    const kind = await files.whole({}).then(() => 'none', kindOf);
    return kind === 'InvalidArgument' ? [] : [`layer ${invalid.layer} is invalid (${invalid.why}): ${kind}`];
  }
  const root = await files.whole({});
  const contentOf = (node: ModelNode) => bytesOf(files.content(node, {}));
  const found = diffTrees(tree, await treeOf(root, contentOf));
  for (const path of probes(random(seed), tree)) {
    const want = byWhole(root, path);
    const { answer, read } = await byFew(tars, path);
    counts.asked++;
    if (answer !== want)
      found.push(`${JSON.stringify(path)}: the tree has ${want}, few layers tell ${answer}`);
    if (answer.includes(' file ')) counts.files++;
    if (new Set(read).size < tars.length) counts.few++;
  }
  return found;
}

/** Every other layer, the topmost among them, lists the directories that its entries are in, as builders do: then few layers tell. */
function listed(stack: Stack): Stack {
  return stack.map((entries, at) => {
    if ((stack.length - at) % 2 === 0) return entries;
    const all = new Set<string>();
    for (const { name } of entries) {
      const parts = name.split('/').filter((part) => part !== '' && part !== '.' && part !== '..');
      for (const i of parts.keys()) if (i > 0) all.add(parts.slice(0, i).join('/'));
    }
    return [...[...all].sort().map((path) => dir(path)), ...entries];
  });
}

test('random stacks: the whole tree with all contents, and single paths by few layers', async (t) => {
  const seed = chosenSeed();
  t.diagnostic(`HAWSER_SEED=${seed} HAWSER_STACKS=${COUNT}`);
  const counts = { files: 0, few: 0, asked: 0 };
  for (let at = 0; at < COUNT; at++) {
    const random = randomStack(seed + at);
    const stack = (seed + at) % 2 === 0 ? random : listed(random);
    const lines = await check(stack, seed + at, counts);
    assert.deepEqual(lines, [], `HAWSER_SEED=${seed + at} HAWSER_STACKS=1\n${listing(stack)}`);
  }
  t.diagnostic(`${counts.asked} paths, ${counts.files} files, ${counts.few} without reading all layers`);
  const isMuch = counts.few > counts.asked / 10 && counts.files > counts.asked / 40;
  assert.ok(COUNT < 40 || isMuch, 'too little is found to test anything');
});
