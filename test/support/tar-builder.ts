/** Writes tar blocks by hand, odd and malformed ones too. */
import { Buffer } from 'node:buffer';

export interface RawHeader {
  readonly name?: string | Uint8Array;
  readonly type?: string;
  readonly size?: number | Uint8Array;
  readonly mode?: number;
  readonly uid?: number | Uint8Array;
  readonly gid?: number | Uint8Array;
  readonly mtime?: number | Uint8Array;
  readonly linkName?: string;
  readonly magic?: 'ustar' | 'gnu' | 'v7';
  readonly prefix?: string;
  readonly devMajor?: number;
  readonly devMinor?: number;
  /** Last change before the checksum is made. */
  readonly patch?: (block: Uint8Array) => void;
  readonly checksum?: 'unsigned' | 'signed' | 'wrong';
}

/** Strings are bytes (latin1) up to U+00FF, as ByteString. */
export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Two's complement with the first bit set, as GNU tar. */
export function base256(value: bigint, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = length - 1, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn);
  out[0] = (out[0] ?? 0) | 0x80;
  return out;
}

export function header(h: RawHeader): Uint8Array {
  const block = new Uint8Array(512);
  const put = (at: number, value: string | Uint8Array): void =>
    block.set(typeof value === 'string' ? bytes(value) : value, at);
  const number = (at: number, length: number, value: number | Uint8Array): void =>
    put(at, typeof value === 'number' ? `${value.toString(8).padStart(length - 1, '0')}\0` : value);
  put(0, h.name ?? 'file');
  number(100, 8, h.mode ?? 0o644);
  number(108, 8, h.uid ?? 0);
  number(116, 8, h.gid ?? 0);
  number(124, 12, h.size ?? 0);
  number(136, 12, h.mtime ?? 0);
  put(156, h.type ?? '0');
  put(157, h.linkName ?? '');
  if (h.magic !== 'v7') put(257, h.magic === 'gnu' ? 'ustar  \0' : 'ustar\x0000');
  if (h.devMajor !== undefined) number(329, 8, h.devMajor);
  if (h.devMinor !== undefined) number(337, 8, h.devMinor);
  if (h.prefix !== undefined) put(345, h.prefix);
  h.patch?.(block);
  put(148, '        ');
  let sum = 0;
  for (const byte of block) sum += h.checksum === 'signed' && byte > 127 ? byte - 256 : byte;
  if (h.checksum === 'wrong') sum += 1;
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

export function padded(data: Uint8Array): Uint8Array {
  return concat([data, new Uint8Array((512 - (data.length % 512)) % 512)]);
}

/** A header and its data; `size` is the data's unless given. */
export function member(h: RawHeader, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  return concat([header({ size: data.length, ...h }), padded(data)]);
}

export type Records = readonly (readonly [string, string | Uint8Array])[];

export function paxRecord(key: string, value: string | Uint8Array): Uint8Array {
  const rest = concat([bytes(` ${key}=`), typeof value === 'string' ? bytes(value) : value, bytes('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return concat([bytes(String(length)), rest]);
}

export function pax(records: Records, type: 'x' | 'g' | 'X' = 'x'): Uint8Array {
  return member({ name: 'PaxHeaders/x', type }, concat(records.map(([key, value]) => paxRecord(key, value))));
}

export function gnuLong(type: 'L' | 'K', name: string): Uint8Array {
  return member({ name: '././@LongLink', type, magic: 'gnu' }, bytes(`${name}\0`));
}

export const END: Uint8Array = new Uint8Array(1024);
