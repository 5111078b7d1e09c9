/**
 * Prints a directory tree with every attribute as JSON; run by Node whatever the tests run on, because only Node's Buffer
 * paths keep names that are not UTF-8. Paths, link targets and xattr names are bytes as latin1.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import process from 'node:process';
import type { TreeEntry } from './tree.ts';

const CHUNK = Buffer.alloc(1 << 20);
const TYPES: readonly (readonly [keyof BigIntStats & `is${string}`, TreeEntry['type']])[] = [
  ['isFile', 'file'],
  ['isDirectory', 'dir'],
  ['isSymbolicLink', 'symlink'],
  ['isCharacterDevice', 'char'],
  ['isBlockDevice', 'block'],
  ['isFIFO', 'fifo'],
  ['isSocket', 'socket'],
];

const GHOST: TreeEntry = {
  type: 'ghost',
  mode: '',
  uid: -1,
  gid: -1,
  mtime: '',
  size: 0,
  rdev: '',
  target: '',
  xattrs: {},
  group: '',
  sha256: '',
};

function read(root: string): Record<string, TreeEntry> {
  const entries: Record<string, TreeEntry> = {};
  const inodes = new Map<string, string>();
  const visit = (path: string): void => {
    const full = Buffer.concat([Buffer.from(root), Buffer.from(`/${path}`, 'latin1')]);
    const stat = lstatSync(full, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) {
      entries[path] = GHOST;
      return;
    }
    const type = TYPES.find(([is]) => (stat[is] as () => boolean)())?.[1] ?? 'unknown';
    const inode = `${stat.dev}:${stat.ino}`;
    if (type !== 'dir' && !inodes.has(inode)) inodes.set(inode, path);
    entries[path] = {
      type,
      mode: (stat.mode & 0o7777n).toString(8),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      mtime: stat.mtimeNs.toString(),
      size: type === 'file' ? Number(stat.size) : 0,
      rdev: type === 'char' || type === 'block' ? stat.rdev.toString(16) : '',
      target: type === 'symlink' ? readlinkSync(full, { encoding: 'buffer' }).toString('latin1') : '',
      xattrs: {},
      group: type === 'dir' ? '' : (inodes.get(inode) ?? path),
      sha256: type === 'file' && inodes.get(inode) === path ? hash(full) : '',
    };
    if (type !== 'dir') return;
    const names = readdirSync(full, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    for (const name of names.sort()) visit(path === '.' ? name : `${path}/${name}`);
  };
  visit('.');
  const ghosts = Object.values(entries).includes(GHOST);
  for (const [path, xattrs] of readXattrs(root, ghosts)) {
    const entry = entries[path];
    if (entry !== undefined) entries[path] = { ...entry, xattrs };
  }
  return entries;
}

function hash(path: Buffer): string {
  const sum = createHash('sha256');
  const fd = openSync(path, 'r');
  for (let n = readSync(fd, CHUNK); n > 0; n = readSync(fd, CHUNK)) sum.update(CHUNK.subarray(0, n));
  closeSync(fd);
  return sum.digest('hex');
}

/** One getfattr over the tree, which fails on ghosts. Symbolic links cannot follow: `-h`, `-P`. */
function readXattrs(root: string, ghosts: boolean): Map<string, Record<string, string>> {
  const args = [
    '--recursive',
    '--physical',
    '--no-dereference',
    '--dump',
    '--match=-',
    '--encoding=hex',
    '.',
  ];
  const { status, stdout } = spawnSync('getfattr', args, {
    cwd: root,
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (status !== 0 && !(ghosts && status === 1)) throw new Error(`getfattr ended with ${status}`);
  const found = new Map<string, Record<string, string>>();
  for (const block of stdout.toString('latin1').split('\n\n')) {
    const [head = '', ...lines] = block.split('\n');
    if (!head.startsWith('# file: ')) continue;
    const values: Record<string, string> = {};
    for (const line of lines) {
      const at = line.indexOf('=');
      const key = at < 0 ? line : line.slice(0, at);
      if (key === '' || key.startsWith('trusted.overlay.') || key === 'security.selinux') continue;
      values[key] = at < 0 ? '' : line.slice(at + 1);
    }
    const path = head.slice('# file: '.length).replace(/^\.\//, '');
    const bytes = path.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (Object.keys(values).length > 0) found.set(bytes, values);
  }
  return found;
}

process.stdout.write(JSON.stringify(read(process.argv[2] ?? '.')));
