/** Tar entries with every attribute (POSIX ustar headers; PAX records for what those cannot hold, attributes as SCHILY.xattr). */
import { type ByteString, fromUtf8, toBytes } from '../bytes.ts';
import type { TimeSpec } from '../ports/syscalls.ts';

import { BLOCK } from './header.ts';

/** The largest octal numbers that fields of 8 and 12 bytes hold. */
const MAX_7 = 0o7777777;
const MAX_11 = 0o77777777777;

/** What a tar header says. */
export interface EntryHeader {
  /** Without a slash at its beginning; a directory's ends with one. */
  readonly path: ByteString;
  /** `0` file, `1` hard link, `2` symlink, `3` character device, `4` block device, `5` directory, `6` FIFO. */
  readonly type: '0' | '1' | '2' | '3' | '4' | '5' | '6';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: TimeSpec;
  /** Bytes of content. */
  readonly size?: number;
  readonly link?: ByteString;
  readonly devMajor?: number;
  readonly devMinor?: number;
  readonly xattrs?: ReadonlyMap<ByteString, Uint8Array>;
}

/** The blocks before the content of an entry. */
export function entryHeader(entry: EntryHeader): Uint8Array {
  const records = paxRecords(entry);
  const main = headerBlock(entry);
  if (records.length === 0) return main;
  const body = joined(records);
  const pax = headerBlock({
    ...{ path: 'PaxHeaders.0/entry', type: 'x', mode: 0o644, uid: 0, gid: 0 },
    ...{ mtime: { sec: 0, nsec: 0 }, size: body.length },
  });
  return joined([pax, body, padding(body.length), main]);
}

/** What fills the last block of content. */
export function padding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** The end of an archive. */
export const ARCHIVE_END: Uint8Array = new Uint8Array(2 * BLOCK);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** ASCII up to 100 bytes: what every reader takes from the plain field. */
function isPlain(text: ByteString): boolean {
  return text.length <= 100 && /^[\x20-\x7e]*$/.test(text);
}

function isWhole({ sec, nsec }: TimeSpec): boolean {
  return nsec === 0 && sec >= 0 && sec <= MAX_11;
}

/** `sec` and `nsec` are added: -1 and 500000000 are -0.5. */
function decimalTime({ sec, nsec }: TimeSpec): string {
  if (nsec === 0) return String(sec);
  const [whole, fraction] = sec < 0 ? [sec + 1, 1_000_000_000 - nsec] : [sec, nsec];
  const sign = sec < 0 && whole === 0 ? '-' : '';
  return `${sign}${whole}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
}

function paxRecords(entry: EntryHeader): Uint8Array[] {
  const { path, link = '', size = 0, uid, gid, mtime, xattrs = new Map() } = entry;
  const records: Uint8Array[] = [];
  const add = (key: ByteString, value: Uint8Array): void => void records.push(paxRecord(key, value));
  const text = (key: ByteString, value: ByteString): void => add(key, toBytes(value));
  if (!isPlain(path)) text('path', path);
  if (!isPlain(link)) text('linkpath', link);
  if (size > MAX_11) text('size', String(size));
  if (uid > MAX_7) text('uid', String(uid));
  if (gid > MAX_7) text('gid', String(gid));
  if (!isWhole(mtime)) text('mtime', decimalTime(mtime));
  for (const key of [...xattrs.keys()].sort())
    add(`SCHILY.xattr.${key}`, xattrs.get(key) ?? new Uint8Array());
  return records;
}

/** `<length> <key>=<value>\n`, the length counting itself. */
function paxRecord(key: ByteString, value: Uint8Array): Uint8Array {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return joined([toBytes(`${length} ${key}=`), value, Uint8Array.of(0x0a)]);
}

function headerBlock(
  entry: Omit<EntryHeader, 'type'> & { readonly type: EntryHeader['type'] | 'x' },
): Uint8Array {
  const { path, type, mode, uid, gid, mtime, size = 0, link = '', devMajor = 0, devMinor = 0 } = entry;
  const block = new Uint8Array(BLOCK);
  const put = (at: number, text: ByteString, length: number): void =>
    block.set(toBytes(text).subarray(0, length), at);
  const octal = (at: number, length: number, value: number): void =>
    put(at, `${value.toString(8).padStart(length - 1, '0')}\0`, length);
  put(0, path, 100);
  octal(100, 8, mode & 0o7777);
  octal(108, 8, uid > MAX_7 ? 0 : uid);
  octal(116, 8, gid > MAX_7 ? 0 : gid);
  octal(124, 12, size > MAX_11 ? 0 : size);
  octal(136, 12, Math.min(Math.max(mtime.sec, 0), MAX_11));
  put(148, '        ', 8);
  put(156, type, 1);
  put(157, link, 100);
  put(257, fromUtf8('ustar\x0000'), 8);
  octal(329, 8, devMajor);
  octal(337, 8, devMinor);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `, 8);
  return block;
}
