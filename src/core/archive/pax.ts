/** PAX extended headers (POSIX.1-2017 pax, "pax Extended Header"). Values stay bytes: file capabilities are binary. */
import { type ByteString, display, fromBytes } from '../bytes.ts';
import type { HawserError } from '../errors.ts';
import type { TimeSpec } from '../ports/syscalls.ts';
import { malformed } from './header.ts';

export interface PaxRecord {
  readonly key: ByteString;
  readonly value: Uint8Array;
}

/** Longest extension header in bytes (PAX records, GNU long names): what Go and libarchive allow. */
export const MAX_EXTENSION: number = 1 << 20;

/** Global records: each is looked at for each entry. */
const MAX_GLOBAL = 1000;

const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const ZERO = 0x30;
/** Of a record's length: MAX_EXTENSION has seven. */
const MAX_DIGITS = 8;

/** `<length> <key>=<value>\n` until the end, in order, repeats kept (GNU sparse 0.0 repeats keys). */
export function parsePax(bytes: Uint8Array): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = endOfDigits(bytes, at);
    const end = at + decimal(bytes, at, space);
    if (space + 1 >= end || end > bytes.length || bytes[end - 1] !== NEWLINE) throw badLength();
    records.push(recordOf(bytes, space + 1, end - 1));
    at = end;
  }
  return records;
}

/** Where the space behind the digits at `at` is; the end when there is none. */
function endOfDigits(bytes: Uint8Array, at: number): number {
  let next = at;
  for (; next < bytes.length && bytes[next] !== SPACE; next++) {
    const digit = (bytes[next] ?? 0) - ZERO;
    if (digit < 0 || digit > 9 || next - at >= MAX_DIGITS) throw badLength();
  }
  return next;
}

function decimal(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + (bytes[at] ?? 0) - ZERO;
  return value;
}

/** A record's `<key>=<value>` in `bytes[from, to)`. */
function recordOf(bytes: Uint8Array, from: number, to: number): PaxRecord {
  const equals = bytes.indexOf(EQUALS, from);
  if (equals < 0 || equals >= to || equals === from) throw malformed('a PAX record without a key');
  const key = fromBytes(bytes, from, equals);
  if (key.includes('\0')) throw malformed('a PAX key with NUL');
  return { key, value: bytes.subarray(equals + 1, to) };
}

function badLength(): HawserError {
  return malformed('bad record length in a PAX header');
}

/** A key for messages. */
export function shown(key: ByteString): string {
  return display(key.slice(0, 100));
}

export function paxText(record: PaxRecord): ByteString {
  const text = fromBytes(record.value);
  if (text.includes('\0')) throw malformed(`NUL in the PAX value ${shown(record.key)}`);
  return text;
}

/** An integer. The caller checks its range. */
export function paxInteger(record: PaxRecord): number {
  const text = fromBytes(record.value);
  if (!/^-?[0-9]+$/.test(text)) throw malformed(`the PAX value ${shown(record.key)} is not an integer`);
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw malformed(`the PAX value ${shown(record.key)} is out of range`);
  return value;
}

/** Decimal seconds, exactly; digits after the ninth are dropped (towards zero). */
export function paxTime(record: PaxRecord): TimeSpec {
  const match = /^(-?)([0-9]+)(?:\.([0-9]*))?$/.exec(fromBytes(record.value));
  if (match === null) throw malformed(`the PAX value ${shown(record.key)} is not a time`);
  const [, sign, whole, fraction = ''] = match;
  const seconds = Number(whole);
  if (!Number.isSafeInteger(seconds)) throw malformed(`the PAX value ${shown(record.key)} is out of range`);
  const nsec = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign !== '-') return { sec: seconds, nsec };
  // 0 - x, for -0 is no number of seconds.
  return nsec === 0 ? { sec: 0 - seconds, nsec } : { sec: -seconds - 1, nsec: 1_000_000_000 - nsec };
}

/** Later global headers override earlier ones record by record. Bounded: the merged records are at most 1 MiB. */
export function mergeGlobal(old: readonly PaxRecord[], added: readonly PaxRecord[]): readonly PaxRecord[] {
  const merged = new Map<ByteString, PaxRecord>();
  let size = 0;
  for (const record of [...old, ...added]) {
    const { key } = record;
    if (key === 'path' || key === 'linkpath' || key === 'size' || key.startsWith('GNU.sparse.')) {
      throw malformed(`a global PAX header that sets ${shown(key)}`);
    }
    merged.set(key, record);
  }
  for (const { key, value } of merged.values()) size += key.length + value.length;
  if (size > MAX_EXTENSION) throw malformed('global PAX headers over 1 MiB');
  if (merged.size > MAX_GLOBAL) throw malformed(`more than ${MAX_GLOBAL} global PAX records`);
  return [...merged.values()];
}
