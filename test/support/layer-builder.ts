/** Layers in short: each function gives the tar blocks of one entry. */
import { Buffer } from 'node:buffer';
import { concat, END, member, pax, type RawHeader } from './tar-builder.ts';

export interface Attributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Decimal seconds. */
  readonly mtime?: string;
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
}

function entry(name: string, attrs: Attributes, rest: RawHeader, content = ''): Uint8Array {
  const xattrs = Object.entries(attrs.xattrs ?? {}).map(([k, v]) => [`SCHILY.xattr.${k}`, v] as const);
  const utf8 = Buffer.from(name).toString('latin1');
  const link = rest.linkName === undefined ? [] : [['linkpath', rest.linkName] as const];
  const records = [['path', utf8] as const, ['mtime', attrs.mtime ?? '1000000'] as const, ...link, ...xattrs];
  const owner = { uid: attrs.uid ?? 0, gid: attrs.gid ?? 0 };
  const short = { ...rest, ...owner, name: utf8.slice(0, 100), linkName: rest.linkName?.slice(0, 100) ?? '' };
  const header = { ...short, mode: attrs.mode ?? rest.mode ?? 0o644 };
  return concat([pax(records), member(header, new Uint8Array(Buffer.from(content, 'latin1')))]);
}

export const dir = (name: string, attrs: Attributes = {}): Uint8Array =>
  entry(name, attrs, { type: '5', mode: 0o755 });
export const file = (name: string, content = '', attrs: Attributes = {}): Uint8Array =>
  entry(name, attrs, {}, content);
export const sym = (name: string, target: string, attrs: Attributes = {}): Uint8Array =>
  concat([entry(name, attrs, { type: '2', linkName: target })]);
export const hard = (name: string, target: string, attrs: Attributes = {}): Uint8Array =>
  entry(name, attrs, { type: '1', linkName: target });
export const fifo = (name: string, attrs: Attributes = {}): Uint8Array => entry(name, attrs, { type: '6' });
export const device = (name: string, type: 'c' | 'b', devMajor: number, devMinor: number): Uint8Array =>
  entry(name, {}, { type: type === 'c' ? '3' : '4', devMajor, devMinor });
/** `a/b`: hides b in a. */
export const wh = (name: string): Uint8Array => file(name.replace(/([^/]*)$/, '.wh.$1'));
export const opq = (name: string): Uint8Array => file(`${name === '' ? '' : `${name}/`}.wh..wh..opq`);

export function layer(...entries: readonly Uint8Array[]): Uint8Array {
  return concat([...entries, END]);
}
