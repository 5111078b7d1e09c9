/** Reads a store without hawser's own code: its files, and its tables by SQL. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { halfDone } from './half-done.ts';

/** A directory tree as lines: path, type, mode, owner, and the content's hash, link target or device. */
export function treeLines(dir: string, below = ''): string[] {
  const lines: string[] = [];
  for (const name of fs.readdirSync(join(dir, below)).sort()) {
    const path = join(below, name);
    const stat = fs.lstatSync(join(dir, path));
    const what = stat.isSymbolicLink()
      ? fs.readlinkSync(join(dir, path))
      : stat.isFile()
        ? createHash('sha256')
            .update(fs.readFileSync(join(dir, path)))
            .digest('hex')
        : String(stat.rdev);
    lines.push(`${path} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${what}`);
    if (stat.isDirectory()) lines.push(...treeLines(dir, path));
  }
  return lines;
}

export interface StoreFacts {
  /** Rows whose data are not there or not right. */
  readonly lies: readonly string[];
  readonly images: readonly string[];
  /** `overlayfs sha256:...`, and the lines of the directory, of each committed snapshot. */
  readonly snapshots: ReadonlyMap<string, string>;
  /** Work that is not finished, and files that no row names. */
  readonly leftovers: readonly string[];
}

const EMPTY: StoreFacts = { lies: [], images: [], snapshots: new Map(), leftovers: [] };

/** Reads the store. `known`: the right lines of each snapshot, by name. */
export function readStore(root: string, known: ReadonlyMap<string, string>): StoreFacts {
  if (!fs.existsSync(join(root, 'hawser.db'))) return EMPTY;
  const db = new DatabaseSync(join(root, 'hawser.db'));
  try {
    const all = (sql: string) => db.prepare(sql).all() as Record<string, string | number>[];
    if (all("SELECT name FROM sqlite_master WHERE name = 'blobs'").length === 0) return EMPTY;
    const blobs = all('SELECT DISTINCT digest, size FROM blobs').map((row) => ({
      digest: String(row.digest),
      size: Number(row.size),
    }));
    const rows = all("SELECT id, snapshotter, name FROM snapshots WHERE kind = 'Committed'");
    const snapshots = new Map(
      rows.map((row) => {
        const dir = join(root, 'snapshots', String(row.snapshotter), String(row.id), 'fs');
        const name = `${row.snapshotter} ${row.name}`;
        return [name, fs.existsSync(dir) ? treeLines(dir).join('\n') : 'no directory'] as const;
      }),
    );
    const images = all('SELECT name, digest FROM images');
    const lies = [
      ...blobs.flatMap((blob) => blobLie(root, blob)),
      ...[...snapshots].flatMap(([name, lines]) =>
        (known.get(name) ?? lines) === lines ? [] : [`snapshot ${name} has lost something`],
      ),
      ...images.flatMap(({ name, digest }) =>
        imageLies(root, String(name), String(digest), blobs, snapshots),
      ),
    ];
    return { lies, images: images.map((row) => String(row.name)), snapshots, leftovers: strays(root, db) };
  } finally {
    db.close();
  }
}

function blobPath(root: string, digest: string): string {
  return join(root, 'content/blobs', digest.replace(':', '/'));
}

function blobLie(root: string, { digest, size }: { digest: string; size: number }): string[] {
  const path = blobPath(root, digest);
  if (!fs.existsSync(path)) return [`blob ${digest} is gone`];
  const bytes = fs.readFileSync(path);
  const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return hash === digest && bytes.length === size ? [] : [`blob ${digest} is rotten`];
}

/** A recorded image has all its blobs and its snapshots. */
function imageLies(
  root: string,
  name: string,
  digest: string,
  blobs: readonly { digest: string }[],
  snapshots: ReadonlyMap<string, string>,
): string[] {
  const has = new Set(blobs.map((blob) => blob.digest));
  if (!has.has(digest) || !fs.existsSync(blobPath(root, digest))) return [`image ${name} has no manifest`];
  const manifest = parsed(blobPath(root, digest));
  if (manifest === undefined) return [`image ${name} has a rotten manifest`];
  const parts: string[] = [
    manifest.config.digest,
    ...manifest.layers.map((one: { digest: string }) => one.digest),
  ];
  const absent = parts.filter((part) => !has.has(part)).map((part) => `image ${name} lacks ${part}`);
  if (absent.length > 0) return absent;
  const config = parsed(blobPath(root, manifest.config.digest));
  if (config === undefined) return [`image ${name} has a rotten config`];
  const chain = chainId(config.rootfs.diff_ids);
  const names = [...snapshots.keys()];
  return names.some((one) => one.endsWith(` ${chain}`)) ? [] : [`image ${name} is not unpacked (${chain})`];
}

// biome-ignore lint/suspicious/noExplicitAny: a document of the test's own
function parsed(path: string): any {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function chainId(diffIds: readonly string[]): string {
  return diffIds.reduce(
    (below, diffId) => `sha256:${createHash('sha256').update(`${below} ${diffId}`).digest('hex')}`,
  );
}

/** Unfinished work, and files that no row names. Ingests may stay: they go a day after their last byte. */
function strays(root: string, db: DatabaseSync): string[] {
  const column = (sql: string): Set<string> =>
    new Set(
      db
        .prepare(sql)
        .all()
        .map((row) => String(Object.values(row)[0])),
    );
  const unknown = (dir: string, known: Set<string>): string[] =>
    list(join(root, dir))
      .filter((name) => !known.has(name))
      .map((name) => `${dir}/${name}`);
  const ingests = column("SELECT replace(dir, 'content/ingest/', '') FROM ingests");
  return [
    ...halfDone(root).filter((one) => !one.startsWith('image ')),
    ...unknown('content/blobs/sha256', column("SELECT replace(digest, 'sha256:', '') FROM blobs")),
    ...unknown('content/ingest', ingests),
    ...list(join(root, 'snapshots')).flatMap((name) =>
      unknown(`snapshots/${name}`, column(`SELECT id FROM snapshots WHERE snapshotter = '${name}'`)),
    ),
    ...unknown('content', new Set(['blobs', 'ingest', 'index.json', 'oci-layout'])),
    ...unknown('run', new Set()),
    ...unknown(
      '.',
      new Set(['content', 'snapshots', 'run', 'spare', 'hawser.db', 'hawser.db-wal', 'hawser.db-shm']),
    ),
  ];
}

function list(dir: string): string[] {
  return fs.existsSync(dir) ? fs.readdirSync(dir) : [];
}
