/** Hard links of a layer. A link's own metadata is not applied: an entry that only gives another name to a file must not change the file. */
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { isDirectory } from '../ports/syscalls.ts';
import type { DirNode, Slot } from './dir-node.ts';
import type { TarEntry } from './entry.ts';
import { needsBelow } from './guesses.ts';
import { create, type LayerTree } from './layer-tree.ts';
import type { MergedTree, Place } from './merged-tree.ts';
import { entryComponents, quoted } from './names.ts';

const NO_SUCH_FILE = 'there is no such file';

/** InvalidArgument when the layer may not have such a link. */
export function makeHardLink(layer: LayerTree, entry: TarEntry, { node, name }: Slot): void {
  const { tree } = layer;
  const parts = entryComponents(entry.linkName);
  const target = parts.pop();
  const place = tree.resolve(parts);
  const problem = problemOf(tree, place, target, { node, name });
  const unknown = place.missing.length === 0 && target !== undefined && tree.showsUnknown(place.node, target);
  if (problem === NO_SUCH_FILE && unknown) {
    throw needsBelow(`a hard link to ${quoted(entry.linkName)}, which is not in the layer`);
  }
  if (target === undefined || problem !== undefined) {
    throw new HawserError('InvalidArgument', `hard link to ${quoted(entry.linkName)}: ${problem}`);
  }
  layer.writable(node); // Made now if need be: that may close other handles.
  const from = layer.bringUp(place.node, target);
  create(layer, node, name, (dir, n) => tree.sys.link(from, target, dir, n));
}

function problemOf(
  tree: MergedTree,
  place: Place,
  target: ByteString | undefined,
  slot: Slot,
): string | undefined {
  if (target === undefined) return 'the root is a directory';
  if (place.missing.length > 0) return NO_SUCH_FILE;
  if (place.node === slot.node && target === slot.name) return 'it is the link itself';
  // Removing what is in the link's way would remove the target.
  const inTheWay = slot.node.children.get(slot.name);
  for (let at: DirNode | undefined = place.node; at !== undefined; at = at.parent) {
    if (at === inTheWay) return 'it is in a directory that the link replaces';
  }
  const found = tree.lookup(place.node, target);
  if (found === undefined) return NO_SUCH_FILE;
  return isDirectory(found.stat) ? 'it is a directory' : undefined;
}
