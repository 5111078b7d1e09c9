/** One entry out of a header block and the extension headers before it. */
import type { ByteString } from '../bytes.ts';
import { display, visible } from '../bytes.ts';
import type { TimeSpec } from '../ports/syscalls.ts';
import type { EntryType, TarEntry } from './entry.ts';
import { type Header, MAX_NAME, malformed } from './header.ts';
import { type PaxRecord, paxInteger, paxText, paxTime } from './pax.ts';
import { type PaxSparse, paxSparse } from './sparse.ts';

const XATTR = 'SCHILY.xattr.';
const MAX_ID = 0xfffffffe;
const MAX_DEVICE = 0xffffffff;
const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();

/** The extension headers before an entry. */
export interface Extensions {
  readonly global: readonly PaxRecord[];
  readonly local: readonly PaxRecord[];
  /** GNU 'L' and 'K'. */
  readonly longName: ByteString | undefined;
  readonly longLink: ByteString | undefined;
}

export interface Built {
  readonly entry: TarEntry;
  /** Bytes that follow in the archive, without padding. */
  readonly stored: number;
  readonly sparse: PaxSparse | undefined;
}

/**
 * Types, as POSIX and GNU tar have them. '7' (contiguous) is a regular file; '\0' is too, unless its name ends in a
 * slash; 'D' (GNU dump directory) is a directory whose data lists names. `undefined`: not a member by itself.
 */
function typeOf(header: Header, name: ByteString): EntryType | undefined {
  switch (header.type) {
    case '0':
    case '7':
    case 'S':
      return 'file';
    case '\0':
      return name.endsWith('/') ? 'directory' : 'file';
    case '1':
      return 'hardlink';
    case '2':
      return 'symlink';
    case '3':
      return 'char';
    case '4':
      return 'block';
    case '5':
    case 'D':
      return 'directory';
    case '6':
      return 'fifo';
    default:
      return undefined;
  }
}

interface Values {
  name: ByteString;
  linkName: ByteString;
  uid: number;
  gid: number;
  size: number;
  mtime: TimeSpec;
  atime: TimeSpec | undefined;
  xattrs: Map<ByteString, Uint8Array> | undefined;
}

function applyRecord(values: Values, record: PaxRecord): void {
  if (record.key.startsWith(XATTR) && record.key.length > XATTR.length) {
    values.xattrs ??= new Map();
    values.xattrs.set(record.key.slice(XATTR.length), record.value);
    return;
  }
  // An empty value cancels a global record: the header block's own value applies.
  if (record.value.length === 0) return;
  if (record.key === 'path') values.name = paxText(record);
  else if (record.key === 'linkpath') values.linkName = paxText(record);
  else if (record.key === 'uid') values.uid = paxInteger(record);
  else if (record.key === 'gid') values.gid = paxInteger(record);
  else if (record.key === 'size') values.size = paxInteger(record);
  else if (record.key === 'mtime') values.mtime = paxTime(record);
  else if (record.key === 'atime') values.atime = paxTime(record);
}

function merge(header: Header, ext: Extensions): Values {
  const values: Values = {
    name: header.name,
    linkName: header.linkName,
    uid: header.uid,
    gid: header.gid,
    size: header.size,
    mtime: { sec: header.mtime, nsec: 0 },
    atime: undefined,
    xattrs: undefined,
  };
  if (ext.global.length > 0) {
    const own = new Set(ext.local.map((record) => record.key));
    for (const record of ext.global) if (!own.has(record.key)) applyRecord(values, record);
  }
  for (const record of ext.local) applyRecord(values, record);
  if (ext.longName !== undefined) values.name = ext.longName;
  if (ext.longLink !== undefined) values.linkName = ext.longLink;
  return values;
}

function checkValues(values: Values, header: Header): void {
  const { name, linkName, uid, gid, size } = values;
  const fail = (what: string): never => {
    throw malformed(`${what} of ${JSON.stringify(display(name.slice(0, 300)))}`);
  };
  if (name.length > MAX_NAME) fail('overlong name');
  if (linkName.length > MAX_NAME) fail('overlong link name');
  if (size < 0) fail('negative size');
  if (uid < 0 || uid > MAX_ID) fail(`user id ${uid} out of range`);
  if (gid < 0 || gid > MAX_ID) fail(`group id ${gid} out of range`);
  for (const number of [header.devMajor, header.devMinor]) {
    if (number < 0 || number > MAX_DEVICE) {
      fail(`device number ${header.devMajor}:${header.devMinor} out of range`);
    }
  }
}

/** An unknown type, a number out of range or an overlong name is InvalidArgument. */
export function buildEntry(header: Header, ext: Extensions): Built {
  const values = merge(header, ext);
  const sparse = paxSparse(ext.local);
  if (sparse?.name !== undefined) values.name = sparse.name;
  checkValues(values, header);
  const type = typeOf(header, values.name);
  if (type === undefined) {
    throw malformed(
      `unknown entry type ${JSON.stringify(visible(header.type))} of ${JSON.stringify(display(values.name))}`,
    );
  }
  const isFile = type === 'file';
  const isLink = type === 'symlink' || type === 'hardlink';
  const entry: TarEntry = {
    type,
    name: values.name,
    linkName: isLink ? values.linkName : '',
    size: isFile ? (sparse?.map.realSize ?? values.size) : 0,
    mode: header.mode & 0o7777,
    uid: values.uid,
    gid: values.gid,
    mtime: values.mtime,
    atime: values.atime,
    devMajor: header.devMajor,
    devMinor: header.devMinor,
    xattrs: values.xattrs ?? NO_XATTRS,
  };
  // Only files (and dump directories) have data, whatever the size field of the others says: as Go, GNU tar and Python do.
  const stored = isFile || header.type === 'D' ? values.size : 0;
  return { entry, stored, sparse: isFile ? sparse : undefined };
}
