/** Trees in memory, one over the other: what a directory of them shows. */
import type { ByteString } from '../bytes.ts';
import { S_IFCHR, S_IFMT } from '../ports/syscalls.ts';
import { type ModelNode, xattrsOf } from './model-node.ts';

export const OPAQUE: readonly string[] = ['trusted.overlay.opaque', 'user.overlay.opaque'];

/** A directory of the expected tree: the nearest layer that has it first. One of one layer shows that layer alone, with its whiteouts. */
export type Expected = readonly ModelNode[];

interface Entry {
  readonly node: ModelNode;
  /** Of a directory. */
  readonly stack: Expected;
}

export function isWhiteoutNode({ mode, major, minor }: ModelNode): boolean {
  return (mode & S_IFMT) === S_IFCHR && major === 0 && minor === 0;
}

function isOpaque(node: ModelNode): boolean {
  return OPAQUE.some((key) => xattrsOf(node).has(key));
}

/** What a directory has. `merged`: as overlayfs shows the layers; else the whiteouts are entries like others. */
export function entriesOf(stack: Expected, merged: boolean): Map<ByteString, Entry> {
  const entries = new Map<ByteString, Entry>();
  const seen = new Set<ByteString>();
  for (const [at, dir] of stack.entries()) {
    for (const [name, node] of dir.children ?? []) {
      if (seen.has(name)) continue;
      seen.add(name);
      if (merged && isWhiteoutNode(node)) continue;
      entries.set(name, { node, stack: merged ? below(stack.slice(at), name) : [node] });
    }
  }
  return entries;
}

/** The directory `name` in these layers, as far down as the layers show. */
function below(stack: Expected, name: ByteString): Expected {
  const found: ModelNode[] = [];
  for (const dir of stack) {
    const node = dir.children?.get(name);
    if (node === undefined) continue;
    if (node.children === undefined) break;
    found.push(node);
    if (isOpaque(node)) break;
  }
  return found;
}
