/** Names in archives: their components, and those that hide something. */
import type { ByteString } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { MAX_DEPTH, tooDeep } from './merged-tree.ts';

/** image-spec layer.md, "Whiteouts": the last component begins so. */
export const WHITEOUT = '.wh.';
export const OPAQUE = '.wh..wh..opq';
/** AUFS's own files (`.wh..wh.plnk`, `.wh..wh.aufs`, `.wh..wh.orph`): never part of an image's content. */
export const AUFS = '.wh..wh.';
/** NAME_MAX. A longer name is refused whatever is there, for some lookups of it would fail and others never be made. */
const MAX_COMPONENT = 255;

/** The components of a name in an archive: `.` and empty ones dropped, `..` taken lexically and not above the root. */
export function cleanPath(name: ByteString): ByteString[] {
  const parts: ByteString[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
    if (parts.length > MAX_DEPTH) throw tooDeep();
  }
  for (const [i, part] of parts.entries()) {
    const prefix = i === parts.length - 1 && part.startsWith(WHITEOUT) ? WHITEOUT.length : 0;
    if (part.length - prefix > MAX_COMPONENT) {
      throw new HawserError('InvalidArgument', `a name of more than ${MAX_COMPONENT} bytes`);
    }
  }
  return parts;
}
