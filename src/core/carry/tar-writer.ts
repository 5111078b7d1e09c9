/** Headers of a tar archive: USTAR (POSIX.1-2017 pax, "ustar Interchange Format"), with a PAX size where its field is too short. */
import { HawserError } from '../errors.ts';

export const BLOCK = 512;
/** The first size that eleven octal digits cannot say: 8 GiB. */
const PAX_FROM: number = 8 ** 11;
const MAX_NAME = 100;

export interface TarHeader {
  readonly name: string;
  readonly type: 'file' | 'directory';
  /** Bytes of a file's content. */
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

const encoder = new TextEncoder();

/** The blocks before the content. Owner 0:0 without names; files 0444, directories 0755. */
export function tarHeader(header: TarHeader): Uint8Array {
  if (header.size < PAX_FROM) return ustar(header, header.type === 'file' ? '0' : '5');
  const record = paxRecord('size', String(header.size));
  const pax = ustar({ ...header, name: 'PaxHeaders/size', size: record.length }, 'x');
  // A reader that knows no PAX gets a wrong size either way.
  const own = ustar({ ...header, size: 0 }, '0');
  return concat([pax, record, padding(record.length), own]);
}

/** The zeros behind a content of this size. */
export function padding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** Two zero blocks. */
export const END: Uint8Array = new Uint8Array(2 * BLOCK);

function ustar({ name, type, size, mtime }: TarHeader, flag: string): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const bytes = encoder.encode(name);
  if (bytes.length > MAX_NAME)
    throw new HawserError('InvalidArgument', `Cannot write "${name}" into an archive: the name is too long`);
  const put = (at: number, text: string): void => block.set(encoder.encode(text), at);
  const number = (at: number, length: number, value: number): void =>
    put(at, `${value.toString(8).padStart(length - 1, '0')}\0`);
  block.set(bytes);
  number(100, 8, type === 'directory' ? 0o755 : 0o444);
  number(108, 8, 0);
  number(116, 8, 0);
  number(124, 12, size);
  number(136, 12, mtime);
  put(148, '        ');
  put(156, flag);
  put(257, 'ustar\x0000');
  const sum = block.reduce((all, byte) => all + byte, 0);
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  return block;
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return encoder.encode(`${length}${rest}`);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
