/** Every way of unpacking against the reference model. */
import { isDeepStrictEqual } from 'node:util';
import { isKind, messageOf } from '../../../src/core/errors.ts';
import { layer } from '../../support/layer-builder.ts';
import { InvalidLayer, type LinkRule, ReferenceImage } from '../../support/reference-model.ts';
import { diffTrees, type Tree } from '../../support/tree.ts';
import type { Stack } from './random-layers.ts';
import { Stacks, syscallsHere, type View } from './stacks.ts';

/** What a stack must become: a tree, or a failure in one of its layers. */
interface Expected {
  readonly tree: Tree;
  readonly invalid: { readonly layer: number; readonly why: string } | undefined;
}

export function expected(stack: Stack, links: LinkRule): Expected {
  const image = new ReferenceImage(links);
  for (const [i, entries] of stack.entries()) {
    try {
      image.apply(entries);
    } catch (err) {
      if (!(err instanceof InvalidLayer)) throw err;
      return { tree: new Map(), invalid: { layer: i, why: `entry ${err.entry}: ${err.message}` } };
    }
  }
  return { tree: image.tree(), invalid: undefined };
}

/** In words, with the way's name; nothing when the view is what the model says. */
export function differs(stack: Stack, view: View): string[] {
  const { tree, invalid } = expected(stack, view.links);
  const { failure } = view;
  const found: string[] = [];
  if (failure !== undefined && !isKind(failure.error, 'InvalidArgument')) {
    found.push(`fails in layer ${failure.layer}, and not with InvalidArgument: ${messageOf(failure.error)}`);
  } else if (failure?.layer !== invalid?.layer) {
    if (failure !== undefined) found.push(`fails in layer ${failure.layer}: ${messageOf(failure.error)}`);
    if (invalid !== undefined) found.push(`by the model layer ${invalid.layer} is invalid: ${invalid.why}`);
  } else if (invalid === undefined) found.push(...diffTrees(tree, view.tree));
  return found.map((line) => `${view.way}: ${line} (first: the model)`);
}

/** The differences of those that have any, by index. */
export interface Comparison {
  readonly found: ReadonlyMap<number, readonly string[]>;
  /** How many layers were applied blind and rebased, in all ways. */
  readonly rebased: number;
}

/** Applies the stacks in every way. */
export async function compare(stacks: readonly Stack[]): Promise<Comparison> {
  const all = new Stacks(syscallsHere());
  try {
    for (const [i, stack] of stacks.entries()) {
      all.add(
        String(i),
        stack.map((entries) => layer(...entries)),
      );
    }
    const outcomes = await all.outcomes();
    const found = new Map<number, string[]>();
    let rebased = 0;
    for (const [i, stack] of stacks.entries()) {
      const views = outcomes.get(String(i)) ?? [];
      const lines = views.flatMap((view) => differs(stack, view));
      if (lines.length > 0) found.set(i, lines);
      for (const view of views) rebased += view.rebased;
    }
    return { found, rebased };
  } finally {
    await all.close();
  }
}

const MAX_ROUNDS = 200;
const AT_ONCE = 12;
const PLAIN = { mode: 0o755, uid: 0, gid: 0, mtime: 0n, xattrs: {} };

/** The smallest stack that still differs: layers, entries and attributes are left out one at a time. */
export async function shrink(stack: Stack): Promise<Stack> {
  let smallest = stack;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const smaller = await firstDiffering([...simpler(smallest)]);
    if (smaller === undefined) break;
    smallest = smaller;
  }
  return smallest;
}

/** A few at once, for each comparison starts a process; not all, for mostly one of the first will do. */
async function firstDiffering(candidates: readonly Stack[]): Promise<Stack | undefined> {
  for (let at = 0; at < candidates.length; at += AT_ONCE) {
    const some = candidates.slice(at, at + AT_ONCE);
    const [first] = (await compare(some)).found.keys();
    if (first !== undefined) return some[first];
  }
  return undefined;
}

/** Layers before entries, for they take more away. */
function* simpler(stack: Stack): Generator<Stack> {
  if (stack.length > 1) for (const i of stack.keys()) yield stack.toSpliced(i, 1);
  for (const [i, entries] of stack.entries()) {
    for (const j of entries.keys()) yield stack.with(i, entries.toSpliced(j, 1));
  }
  for (const [i, entries] of stack.entries()) {
    for (const [j, entry] of entries.entries()) {
      const plain = { ...entry, ...PLAIN };
      if (!isDeepStrictEqual(plain, entry)) yield stack.with(i, entries.with(j, plain));
    }
  }
}

/** One line an entry: what `tar -tv` would say, and what it leaves out. */
export function listing(stack: Stack): string {
  const lines = stack.flatMap((entries, i) => [
    `layer ${i}`,
    ...entries.map((entry) => {
      const { type, name, link, content, mode, uid, gid, mtime, xattrs, major, minor } = entry;
      const of = type === 'file' ? JSON.stringify(content) : link === '' ? '' : `-> ${JSON.stringify(link)}`;
      const device = type === 'char' || type === 'block' ? `${major}:${minor}` : '';
      const attributes = [mode.toString(8), `${uid}:${gid}`, mtime, JSON.stringify(xattrs), device].join(' ');
      return `  ${type} ${JSON.stringify(name)} ${of}  [${attributes.replaceAll(' {}', '').trim()}]`;
    }),
  ]);
  return lines.join('\n');
}
