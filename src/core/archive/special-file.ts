/** Pipes and devices. */
import type { ByteString } from '../bytes.ts';
import { HawserError, isKind } from '../errors.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../ports/syscalls.ts';
import type { DirNode } from './dir-node.ts';
import type { TarEntry } from './entry.ts';
import { create, type LayerTree } from './layer-tree.ts';

/** What Linux's dev_t holds. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

/** False: this process may not make devices, and the entry is left out (as containerd does in a user namespace). */
export function makeSpecial(
  layer: LayerTree,
  entry: TarEntry,
  { node, name }: { readonly node: DirNode; readonly name: ByteString },
): boolean {
  const { devMajor: major, devMinor: minor } = entry;
  const { sys } = layer.tree;
  if (entry.type === 'fifo') {
    create(layer, node, name, (dir, n) => sys.mknod(dir, n, S_IFIFO | 0o600, 0, 0));
    return true;
  }
  if (major > MAX_MAJOR || minor > MAX_MINOR) {
    throw new HawserError('InvalidArgument', `device number ${major}:${minor} is out of range`);
  }
  if (entry.type === 'char' && major === 0 && minor === 0) {
    throw new HawserError(
      'InvalidArgument',
      'the character device 0:0 is how overlayfs marks a removed file',
    );
  }
  const type = entry.type === 'char' ? S_IFCHR : S_IFBLK;
  try {
    create(layer, node, name, (dir, n) => sys.mknod(dir, n, type | 0o600, major, minor));
    return true;
  } catch (err) {
    if (isKind(err, 'PermissionDenied')) return false;
    throw err;
  }
}
