/** Files of an image, as text and as JSON: line by line, for there may be a million. */
import { type ByteString, display, fromBytes, toBytes } from '../../core/bytes.ts';
import { type FileType, type TreeEntry, typeOf } from '../../core/files/entries.ts';
import type { TimeSpec } from '../../core/ports/syscalls.ts';
import type { ModelNode } from '../../core/trees/model-node.ts';
import { goJson, type Json } from './go-json.ts';
import { safe } from './text.ts';

export interface Listed {
  /** Of the image. */
  readonly name: string;
  readonly platform: string;
  /** Where the entries are. */
  readonly path: ByteString;
  readonly entries: Iterable<TreeEntry>;
}

const LETTERS: Readonly<Record<FileType, string>> = {
  ...{ file: '-', directory: 'd', symlink: 'l', char: 'c', block: 'b', fifo: 'p' },
};

/** A name a line, from the directory that is listed; a directory's ends with a slash. `long`: with attributes, as `ls -n` has them. */
export function* filesText({ path, entries }: Listed, long: boolean): Generator<string> {
  const above = path === '' ? '' : `${path}/`;
  for (const { path: at, node } of entries) {
    const name = at.startsWith(above) ? at.slice(above.length) : at.slice(at.lastIndexOf('/') + 1);
    const text = safe(display(node.children === undefined ? name : `${name}/`));
    yield long ? `${longText(node)} ${text}${target(node)}\n` : `${text}\n`;
  }
}

function longText(node: ModelNode): string {
  const type = typeOf(node);
  const size = type === 'char' || type === 'block' ? `${node.major}, ${node.minor}` : String(sizeOf(node));
  const owner = `${node.uid}:${node.gid}`.padEnd(9);
  return `${LETTERS[type]}${permissions(node.mode)} ${owner} ${size.padStart(10)} ${timeText(node.mtime)}`;
}

function target(node: ModelNode): string {
  return typeOf(node) === 'symlink' ? ` -> ${safe(display(node.target))}` : '';
}

function sizeOf({ content }: ModelNode): number {
  return content?.size ?? 0;
}

/** `rwxr-sr-x`. */
function permissions(mode: number): string {
  const letters = [...'rwxrwxrwx'].map((letter, at) => ((mode >> (8 - at)) & 1 ? letter : '-'));
  const special: readonly [bit: number, at: number, on: string, off: string][] = [
    [0o4000, 2, 's', 'S'],
    [0o2000, 5, 's', 'S'],
    [0o1000, 8, 't', 'T'],
  ];
  for (const [bit, at, on, off] of special) if (mode & bit) letters[at] = letters[at] === 'x' ? on : off;
  return letters.join('');
}

/** The years that RFC 3339 can say, in seconds since 1970. */
const FIRST = -62_167_219_200;
const LAST = 253_402_300_799;

/** RFC 3339 in UTC with the shortest fraction; `@seconds` for a year that has not four digits. */
function timeText({ sec, nsec }: TimeSpec): string {
  const fraction = nsec === 0 ? '' : `.${String(nsec).padStart(9, '0').replace(/0+$/, '')}`;
  if (sec < FIRST || sec > LAST) return `@${sec}${fraction}`;
  return `${new Date(sec * 1000).toISOString().slice(0, 19)}${fraction}Z`;
}

/** `{"v":1,"type":"files","name":...,"platform":...,"path":"/etc","entries":[...]}`: one document, an entry a line. */
export function* filesJson({ name, platform, path, entries }: Listed): Generator<string> {
  const head = goJson({ v: 1, type: 'files', name, platform, path: `/${utf8(path)}` });
  yield `${head.slice(0, -1)},"entries":[`;
  let between = '\n';
  for (const entry of entries) {
    yield `${between}${goJson(fields(entry))}`;
    between = ',\n';
  }
  yield ']}\n';
}

function fields({ path, node }: TreeEntry): Json {
  const type = typeOf(node);
  const isDevice = type === 'char' || type === 'block';
  return {
    ...names('path', `/${path}`),
    type,
    mode: (node.mode & 0o7777).toString(8).padStart(4, '0'),
    uid: node.uid,
    gid: node.gid,
    size: sizeOf(node),
    mtime: timeText(node.mtime),
    ...(type === 'symlink' ? names('target', node.target) : {}),
    ...(isDevice ? { major: node.major, minor: node.minor } : {}),
    ...(type !== 'directory' && node.nlink > 1 ? { links: node.nlink } : {}),
    ...(node.xattrs === undefined || node.xattrs.size === 0 ? {} : { xattrs: xattrs(node.xattrs) }),
  };
}

/** A name as text; one that is not UTF-8 also as its bytes, in base64. */
function names(key: string, name: ByteString): Record<string, string> {
  const text = utf8(name);
  const bytes = toBytes(name);
  return isUtf8(bytes) ? { [key]: text } : { [key]: text, [`${key}Bytes`]: btoa(name) };
}

function xattrs(all: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries(
    [...all.keys()].sort().map((key) => [utf8(key), btoa(fromBytes(all.get(key) ?? new Uint8Array(0)))]),
  );
}

const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

function utf8(name: ByteString): string {
  return lossy.decode(toBytes(name));
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
