/** Directory trees as data, with every attribute a layer can set, and their differences. */
import { join } from 'node:path';
import { execOk } from './exec.ts';
import { node26, repository } from './runtimes.ts';

export interface TreeEntry {
  /** `ghost`: listed, but not there: so overlayfs shows a whiteout that hides nothing. */
  readonly type: 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket' | 'unknown' | 'ghost';
  /** Permission bits with setuid, setgid and sticky, octal. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: string;
  /** Of files only: what directories say is the file system's business. */
  readonly size: number;
  readonly rdev: string;
  readonly target: string;
  /** Name to value in hex; without overlayfs's own. */
  readonly xattrs: Readonly<Record<string, string>>;
  /** The first path of the same inode. */
  readonly group: string;
  /** Of the content, at the group's first path. */
  readonly sha256: string;
}

/** By path, bytes as latin1; the root is `.`. */
export type Tree = ReadonlyMap<string, TreeEntry>;

export async function readTree(dir: string): Promise<Tree> {
  const reader = join(repository, 'test/support/tree-reader.ts');
  const { stdout } = await execOk(node26, ['--disable-warning=ExperimentalWarning', reader, dir]);
  return parseTree(stdout);
}

/** What tree-reader.ts printed, elsewhere (in another namespace). */
export function parseTree(json: string): Tree {
  return new Map(Object.entries(JSON.parse(json) as Record<string, TreeEntry>));
}

/** The trees `depth` levels down, by their path. */
export function subtrees(tree: Tree, depth: number): Map<string, Tree> {
  const out = new Map<string, Map<string, TreeEntry>>();
  for (const [path, entry] of tree) {
    const parts = path.split('/');
    if (parts.length < depth) continue;
    const key = parts.slice(0, depth).join('/');
    const inner = out.get(key) ?? new Map<string, TreeEntry>();
    out.set(key, inner);
    const group = entry.group === '' ? '' : entry.group.slice(key.length + 1);
    inner.set(parts.slice(depth).join('/') || '.', { ...entry, group });
  }
  return out;
}

/** A difference that is right, with the reason; keep the list of these short. */
export interface Allowed {
  readonly path: string;
  readonly attributes: readonly (keyof TreeEntry)[];
  readonly reason: string;
}

const LIMIT = 50;

/** Readable differences, at most 50; equal trees give none. */
export function diffTrees(a: Tree, b: Tree, allowed: readonly Allowed[] = []): string[] {
  const found: string[] = [];
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    const left = a.get(path);
    const right = b.get(path);
    const name = JSON.stringify(Buffer.from(path, 'latin1').toString());
    if (left === undefined || right === undefined) {
      found.push(`${name}: only in the ${left ? 'first' : 'second'} tree (${(left ?? right)?.type})`);
      continue;
    }
    for (const key of Object.keys(left) as (keyof TreeEntry)[]) {
      if (allowed.some((one) => one.path === path && one.attributes.includes(key))) continue;
      const [x, y] = [show(left[key]), show(right[key])];
      if (x !== y) found.push(`${name}: ${key} ${x} in the first tree, ${y} in the second`);
    }
  }
  if (found.length <= LIMIT) return found;
  return [...found.slice(0, LIMIT), `... and ${found.length - LIMIT} more differences`];
}

function show(value: TreeEntry[keyof TreeEntry]): string {
  return typeof value === 'object' ? JSON.stringify(Object.entries(value).sort()) : String(value);
}
