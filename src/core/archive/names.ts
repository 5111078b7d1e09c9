/** Names in archives: their components, and those that hide something. */
import { type ByteString, display } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { MAX_DEPTH, tooDeep } from './merged-tree.ts';

/** image-spec layer.md, "Whiteouts": the last component begins so. */
export const WHITEOUT = '.wh.';
export const OPAQUE = '.wh..wh..opq';
/** AUFS's own files (`.wh..wh.plnk`, `.wh..wh.aufs`, `.wh..wh.orph`): never part of an image's content. */
export const AUFS = '.wh..wh.';
/** NAME_MAX. A longer name is always refused: whether a lookup fails must not depend on what is there. */
export const MAX_COMPONENT = 255;

/** The components of a name in an archive: `.` and empty ones dropped, `..` taken lexically and not above the root. */
export function entryComponents(name: ByteString): ByteString[] {
  const parts: ByteString[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
    if (parts.length > MAX_DEPTH) throw tooDeep();
  }
  const last = parts.length - 1;
  for (let i = 0; i <= last; i++) checkComponent(parts[i] ?? '', i === last);
  return parts;
}

function checkComponent(part: ByteString, last: boolean): void {
  if (part.length <= MAX_COMPONENT) return;
  const prefix = last && part.startsWith(WHITEOUT) ? WHITEOUT.length : 0;
  if (part.length - prefix <= MAX_COMPONENT) return;
  throw new HawserError('InvalidArgument', `a name of more than ${MAX_COMPONENT} bytes`);
}

/** A name in a message. */
export function quoted(name: ByteString): string {
  return JSON.stringify(display(name));
}
