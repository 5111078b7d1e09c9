/** Finds a path in an image: symlinks are followed inside the image, as a process that has the image for its root would see them. */
import { type ByteString, display } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { isDirectory, isSymlink } from '../ports/syscalls.ts';
import type { ModelNode } from '../trees/model-node.ts';

/** The kernel's MAXSYMLINKS (path_resolution(7)). */
const MAX_LINKS = 40;
/** Components walked for one path, those of symlinks' targets included. */
const MAX_STEPS = 20_000;
/** PATH_MAX. */
const MAX_PATH = 4096;

/** A tree, or as much of one as is known. `D`: a directory of it. */
export interface TreeView<D> {
  readonly root: D;
  /** `unknown`: layers that were not read have a say. */
  lookup(dir: D, name: ByteString): Looked<D>;
}

export type Looked<D> =
  | { readonly is: 'directory'; readonly dir: D }
  | { readonly is: 'other'; readonly node: ModelNode }
  | { readonly is: 'absent' }
  | { readonly is: 'unknown' };

export type Walked<D> =
  | { readonly is: 'directory'; readonly dir: D; readonly path: readonly ByteString[] }
  | { readonly is: 'other'; readonly node: ModelNode; readonly path: readonly ByteString[] }
  | { readonly is: 'unknown' };

interface Step<D> {
  readonly name: ByteString;
  readonly dir: D;
}

/**
 * `path`: from the root, be there a slash at its beginning or not. `follow`: whether a symlink at the end is followed; one before a slash
 * is in any case. NotFound when there is nothing, FailedPrecondition for a file that is no directory on the way, InvalidArgument for too
 * many symlinks. The path of what is found has no symlinks.
 */
// biome-ignore lint/complexity/noExcessiveCognitiveComplexity: one loop, since each kind of component changes where the next is looked up
export function walk<D>(view: TreeView<D>, path: ByteString, { follow }: { follow: boolean }): Walked<D> {
  if (path.length > MAX_PATH) throw bad(path, `a path of more than ${MAX_PATH} bytes`);
  const way: Step<D>[] = [];
  const pending = path.split('/').reverse();
  const names = (): ByteString[] => way.map(({ name }) => name);
  let links = 0;
  for (let steps = 0; pending.length > 0; steps++) {
    if (steps > MAX_STEPS) throw tooManyLinks(path);
    const name = pending.pop() ?? '';
    if (name === '' || name === '.') continue;
    if (name === '..') {
      way.pop();
      continue;
    }
    const found = view.lookup(way.at(-1)?.dir ?? view.root, name);
    if (found.is === 'unknown') return found;
    if (found.is === 'absent') throw absent(path, [...names(), name]);
    if (found.is === 'directory') {
      way.push({ name, dir: found.dir });
      continue;
    }
    const isLast = pending.length === 0;
    const { node } = found;
    if (isSymlink(node) && (!isLast || follow)) {
      if (++links > MAX_LINKS) throw tooManyLinks(path);
      if (node.target.startsWith('/')) way.length = 0;
      pending.push(...node.target.split('/').reverse());
    } else if (isLast) return { is: 'other', node, path: [...names(), name] };
    else throw noDirectory(path, [...names(), name]);
  }
  return { is: 'directory', dir: way.at(-1)?.dir ?? view.root, path: names() };
}

/** A whole tree: each directory is its node. */
export function wholeView(root: ModelNode): TreeView<ModelNode> {
  const lookup = ({ children }: ModelNode, name: ByteString): Looked<ModelNode> => {
    const node = children?.get(name);
    if (node === undefined) return { is: 'absent' };
    return isDirectory(node) ? { is: 'directory', dir: node } : { is: 'other', node };
  };
  return { root, lookup };
}

/** For people, from the root. */
export function pathText(path: readonly ByteString[]): string {
  return display(`/${path.join('/')}`);
}

/** `/etc/a`, or where symlinks have led from there. */
function placeText(path: ByteString, at: readonly ByteString[]): string {
  const asked = `/${path
    .split('/')
    .filter((part) => part !== '')
    .join('/')}`;
  const there = `/${at.join('/')}`;
  return asked === there ? display(asked) : `${display(asked)}: there is no ${display(there)}`;
}

function absent(path: ByteString, at: readonly ByteString[]): HawserError {
  return new HawserError('NotFound', `No such file in the image: ${placeText(path, at)}`, {
    hint: 'hawser files ls REF DIRECTORY lists what there is',
  });
}

function noDirectory(path: ByteString, at: readonly ByteString[]): HawserError {
  return new HawserError(
    'FailedPrecondition',
    `${display(path)}: ${pathText(at)} is no directory of the image`,
    { hint: 'hawser files ls REF DIRECTORY lists what there is' },
  );
}

function tooManyLinks(path: ByteString): HawserError {
  return new HawserError('InvalidArgument', `${display(path.slice(0, 200))}: too many symbolic links`, {
    hint: 'The links of the image lead in a circle, or far; name a file that no such link is on the way to',
  });
}

function bad(path: ByteString, why: string): HawserError {
  return new HawserError('InvalidArgument', `${display(path.slice(0, 200))}: ${why}`);
}
