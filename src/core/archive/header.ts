/** One 512-byte header block: POSIX ustar, v7, GNU and star (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual). */
import { type ByteString, fromBytes } from '../bytes.ts';
import { HawserError, type Reason } from '../errors.ts';

export const BLOCK = 512;
const SPACE = 0x20;
const ZERO = 0x30;
/** Longest name that is taken, as PATH_MAX. */
export const MAX_NAME = 4096;

export interface Header {
  /** The type flag, one character; '\0' for old files. */
  readonly type: string;
  readonly format: 'v7' | 'ustar' | 'star' | 'gnu';
  readonly name: ByteString;
  readonly linkName: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

/** Damaged bytes could be the cause of an error with this reason. */
export const MALFORMED: Reason = { type: 'malformed' };

export function malformed(what: string): HawserError {
  return new HawserError('InvalidArgument', `invalid tar: ${what}`, { reason: MALFORMED });
}

export function isZeroBlock(block: Uint8Array): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

/** Up to the first NUL. */
export function cString(block: Uint8Array, at: number, length: number): ByteString {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return fromBytes(block, at, end);
}

/** Of the data of a GNU extension header (L, K). The name ends at the first NUL; tars that lack it exist. */
export function longName(bytes: Uint8Array): ByteString {
  const nul = bytes.indexOf(0);
  const length = nul < 0 ? bytes.length : nul;
  if (length > MAX_NAME) throw malformed('a name of more than 4096 bytes');
  return fromBytes(bytes, 0, length);
}

/** A numeric field: octal text, or two's complement when the first bit is set (GNU and star). */
export function parseNumber(block: Uint8Array, at: number, length: number, field: string): number {
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) return parseBinary(block, at, length, field);
  let next = at;
  const end = at + length;
  while (next < end && block[next] === SPACE) next++;
  const start = next;
  let value = 0;
  for (; next < end && isOctal(block[next]); next++) value = value * 8 + (block[next] ?? 0) - ZERO;
  if (next === start) return emptyField(block, at, length, field);
  for (; next < end && block[next] !== 0; next++) {
    if (block[next] !== SPACE) throw malformed(`${field} is not a number`);
  }
  return value;
}

function isOctal(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte < ZERO + 8;
}

/** An empty field is 0. Readers differ in what a NUL with digits behind it means. */
function emptyField(block: Uint8Array, at: number, length: number, field: string): 0 {
  for (let i = at; i < at + length; i++) {
    if (block[i] !== 0 && block[i] !== SPACE) throw malformed(`${field} is not a number`);
  }
  return 0;
}

function parseBinary(block: Uint8Array, at: number, length: number, field: string): number {
  const negative = ((block[at] ?? 0) & 0x40) !== 0;
  let value = negative ? -1n : 0n;
  for (let i = 0; i < length; i++) {
    const byte = BigInt(block[at + i] ?? 0);
    // The first bit is the marker; the second is the sign, which the start value already spreads upwards.
    value = i === 0 ? (value << 6n) | (byte & 0x3fn) : (value << 8n) | byte;
  }
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw malformed(`${field} is out of range`);
  return number;
}

/** Old tars summed signed characters: both sums are accepted. */
function checkSum(block: Uint8Array): void {
  const stored = parseNumber(block, 148, 8, 'the checksum');
  const blanks = 8 * SPACE;
  let unsigned = sum(block) + blanks;
  for (let at = 148; at < 156; at++) unsigned -= block[at] ?? 0;
  if (stored === unsigned) return;
  const negative = block.reduce(
    (count, byte, at) => count + (byte >= 128 && (at < 148 || at >= 156) ? 1 : 0),
    0,
  );
  if (stored !== unsigned - 256 * negative) throw malformed('wrong header checksum');
}

/** The sum of a block's bytes, read four at a time: a word holds two sums of 256 bytes each. */
function sum(bytes: Uint8Array): number {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let pairs = 0;
  for (let at = 0; at < bytes.length; at += 4) {
    const word = words.getUint32(at);
    pairs += (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff);
  }
  return (pairs & 0xffff) + (pairs >>> 16);
}

function formatOf(block: Uint8Array): Header['format'] {
  const magic = fromBytes(block, 257, 265);
  if (magic === 'ustar  \0') return 'gnu';
  if (!magic.startsWith('ustar\0')) return 'v7';
  return fromBytes(block, 508, 512) === 'tar\0' ? 'star' : 'ustar';
}

/** Go's archive/tar up to 1.8 wrote a ustar prefix under GNU magic, where GNU tar has times: those are never text. */
function gnuPrefix(block: Uint8Array): ByteString {
  const times = cString(block, 345, 12) + cString(block, 357, 12);
  if (((block[345] ?? 0) & 0x80) !== 0 || ((block[357] ?? 0) & 0x80) !== 0 || /^[0-7 ]*$/.test(times))
    return '';
  const prefix = cString(block, 345, 155);
  return /^[\x20-\x7e]*$/.test(prefix) ? prefix : '';
}

function nameOf(block: Uint8Array, format: Header['format']): ByteString {
  const name = cString(block, 0, 100);
  if (format === 'v7') return name;
  const prefix = format === 'gnu' ? gnuPrefix(block) : cString(block, 345, format === 'star' ? 131 : 155);
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** The block must not be all zeros. Numbers other than times may be negative here: extension headers may replace them. */
export function parseHeader(block: Uint8Array): Header {
  checkSum(block);
  const format = formatOf(block);
  const type = String.fromCharCode(block[156] ?? 0);
  const device = format !== 'v7' && (type === '3' || type === '4');
  return {
    type,
    format,
    name: nameOf(block, format),
    linkName: cString(block, 157, 100),
    mode: parseNumber(block, 100, 8, 'mode'),
    uid: parseNumber(block, 108, 8, 'uid'),
    gid: parseNumber(block, 116, 8, 'gid'),
    size: parseNumber(block, 124, 12, 'size'),
    mtime: parseNumber(block, 136, 12, 'mtime'),
    devMajor: device ? parseNumber(block, 329, 8, 'the device number') : 0,
    devMinor: device ? parseNumber(block, 337, 8, 'the device number') : 0,
  };
}
