/** How a comparison of trees words what should be there and what is. */
import { display, toHex } from '../bytes.ts';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type TimeSpec,
} from '../ports/syscalls.ts';
import type { Content } from './model-node.ts';

export function timeText({ sec, nsec }: TimeSpec): string {
  return `${sec}.${String(nsec).padStart(9, '0')}`;
}

export function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

export function contentText({ size, id }: Content): string {
  return `${size} bytes sha256:${id}`;
}

export function xattrText(key: string, value: Uint8Array | undefined): string {
  return value === undefined ? `no ${display(key)}` : `${display(key)}=${toHex(value.subarray(0, 64))}`;
}

const TYPES: Readonly<Record<number, string>> = {
  [S_IFREG]: 'file',
  [S_IFDIR]: 'directory',
  [S_IFLNK]: 'symlink',
  [S_IFCHR]: 'character device',
  [S_IFBLK]: 'block device',
  [S_IFIFO]: 'fifo',
  [S_IFSOCK]: 'socket',
};

export function typeName(mode: number): string {
  return TYPES[mode & S_IFMT] ?? 'something else';
}
