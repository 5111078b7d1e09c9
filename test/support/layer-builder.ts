/** Layers in short: each function gives one entry, `layer` their archive. */
import { Buffer } from 'node:buffer';
import type { LayerEntry } from './reference-tree.ts';
import { bytes, concat, END, member, pax } from './tar-builder.ts';

export interface Attributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Decimal seconds. */
  readonly mtime?: string;
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
}

function entry(name: string, attrs: Attributes, rest: Partial<LayerEntry>): LayerEntry {
  const { mtime = '1000000', xattrs = {}, ...plain } = attrs;
  const asBytes = (value: string | Uint8Array): string =>
    typeof value === 'string' ? value : Buffer.from(value).toString('latin1');
  return {
    type: 'file',
    name: Buffer.from(name).toString('latin1'),
    link: '',
    content: '',
    mode: 0o644,
    uid: 0,
    gid: 0,
    major: 0,
    minor: 0,
    ...rest,
    ...plain,
    mtime: nanoseconds(mtime),
    xattrs: Object.fromEntries(Object.entries(xattrs).map(([key, value]) => [key, asBytes(value)])),
  };
}

function nanoseconds(decimal: string): bigint {
  const [, sign, whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d{0,9}))?$/.exec(decimal) ?? [];
  const value = BigInt(whole + fraction.padEnd(9, '0'));
  return sign === '-' ? -value : value;
}

function seconds(ns: bigint): string {
  const digits = (ns < 0n ? -ns : ns).toString().padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '');
  return `${ns < 0n ? '-' : ''}${digits.slice(0, -9)}${fraction === '' ? '' : `.${fraction}`}`;
}

export const dir = (name: string, attrs: Attributes = {}): LayerEntry =>
  entry(name, attrs, { type: 'dir', mode: 0o755 });
export const file = (name: string, content = '', attrs: Attributes = {}): LayerEntry =>
  entry(name, attrs, { content });
export const sym = (name: string, target: string, attrs: Attributes = {}): LayerEntry =>
  entry(name, attrs, { type: 'symlink', link: target });
export const hard = (name: string, target: string, attrs: Attributes = {}): LayerEntry =>
  entry(name, attrs, { type: 'hardlink', link: target });
export const fifo = (name: string, attrs: Attributes = {}): LayerEntry =>
  entry(name, attrs, { type: 'fifo' });
export const device = (name: string, type: 'c' | 'b', major: number, minor: number): LayerEntry =>
  entry(name, {}, { type: type === 'c' ? 'char' : 'block', major, minor });
/** `a/b`: hides b in a. */
export const wh = (name: string): LayerEntry => file(name.replace(/([^/]*)$/, '.wh.$1'));
export const opq = (name: string): LayerEntry => file(`${name === '' ? '' : `${name}/`}.wh..wh..opq`);

const FLAGS: Readonly<Record<LayerEntry['type'], string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
};
/** What seven octal digits hold. */
const MAX_FIELD = 0o7777777;

/** The blocks of one entry. */
function blocksOf(one: LayerEntry): Uint8Array {
  const isLink = one.type === 'symlink' || one.type === 'hardlink';
  const isDevice = one.type === 'char' || one.type === 'block';
  const ids = [['uid', one.uid] as const, ['gid', one.gid] as const];
  const large = ids.filter(([, id]) => id < 0 || id > MAX_FIELD);
  const records = pax([
    ['path', one.name],
    ['mtime', seconds(one.mtime)],
    ...(isLink ? [['linkpath', one.link] as const] : []),
    ...large.map(([key, id]) => [key, String(id)] as const),
    ...Object.entries(one.xattrs).map(([key, value]) => [`SCHILY.xattr.${key}`, value] as const),
  ]);
  const header = {
    name: one.name.slice(0, 100),
    type: FLAGS[one.type],
    mode: one.mode,
    uid: large.some(([key]) => key === 'uid') ? 0 : one.uid,
    gid: large.some(([key]) => key === 'gid') ? 0 : one.gid,
    linkName: isLink ? one.link.slice(0, 100) : '',
    ...(isDevice ? { devMajor: one.major, devMinor: one.minor } : {}),
  };
  return concat([records, member(header, bytes(one.content))]);
}

export function layer(...entries: readonly LayerEntry[]): Uint8Array {
  return concat([...entries.map(blocksOf), END]);
}
