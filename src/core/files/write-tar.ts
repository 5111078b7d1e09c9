/** A flattened tree as a tar archive. */
import type { EntryType, TarEntry } from '../archive/entry.ts';
import { ARCHIVE_END, type EntryHeader, entryHeader, padding } from '../archive/write-entry.ts';
import type { FlatEvent } from './flatten.ts';

const FLAGS: Readonly<Record<EntryType, EntryHeader['type']>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

const ZEROS: Uint8Array = new Uint8Array(1 << 16);

/** The bytes of the archive; a piece is good until the next one is asked for. The same entries give the same bytes. */
export async function* tarBytes(events: AsyncIterable<FlatEvent>): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const event of events) {
    if (event.type === 'entry') {
      size = event.entry.size;
      yield entryHeader(headerOf(event.entry));
    } else if (event.type === 'data') yield event.bytes;
    else if (event.type === 'hole') yield* zeros(event.length);
    else yield padding(size);
  }
  yield ARCHIVE_END;
}

/** So many zeros. */
export function* zeros(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}

function headerOf({ type, name, linkName, ...entry }: TarEntry): EntryHeader {
  const { size, mode, uid, gid, mtime, devMajor, devMinor, xattrs } = entry;
  const common = { path: name, type: FLAGS[type], mode, uid, gid, mtime, size };
  // The attributes of a file are those of its first name.
  return { ...common, link: linkName, devMajor, devMinor, ...(type === 'hardlink' ? {} : { xattrs }) };
}
