/**
 * Commands in this process over a runtime whose calls can be made to fail, and what must hold in their store afterwards. The
 * store is read here without hawser's own code: its files, and its tables by SQL.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { main } from '../../src/cli/main.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { buildImage, noise, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from './exec.ts';
import { Faults, faultyRuntime, type Point } from './fault-points.ts';
import { halfDone } from './half-done.ts';
import { LostData } from './lost-data.ts';
import { type Scratch, scratch, unmountBelow } from './scratch.ts';
import { parts } from './this-runtime.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Images {
  readonly a: TestImage;
  readonly b: TestImage;
}

/** Two images that share their lowest layer; `b` has a whiteout, a hard link and a layer that is not small. */
async function makeImages(): Promise<Images> {
  const base = {
    entries: [
      { name: 'etc/', type: 'directory' as const },
      { name: 'etc/name', data: 'base' },
      { name: 'etc/gone', data: 'x' },
    ],
  };
  return {
    a: await buildImage({ layers: [base, { entries: [{ name: 'only-a', data: noise(3000) }] }] }),
    b: await buildImage({
      layers: [
        base,
        {
          entries: [
            { name: 'etc/.wh.gone', data: '' },
            { name: 'only-b', data: noise(100_000, 7) },
            { name: 'link', type: 'link', linkname: 'only-b' },
            { name: 'sym', type: 'symlink', linkname: 'only-b' },
          ],
          compression: 'zstd',
        },
      ],
    }),
  };
}

/** A registry with both images, and a store that has A. Copies of that store are what commands run on. */
export class FaultWorld implements AsyncDisposable {
  readonly images: Images;
  readonly registry: TestRegistry;
  readonly refs: { readonly a: string; readonly b: string };
  readonly #temp: Scratch;
  readonly lost: LostData = new LostData();
  readonly faults: Faults;
  #runs = 0;

  private constructor(temp: Scratch, registry: TestRegistry, images: Images) {
    this.#temp = temp;
    this.registry = registry;
    this.images = images;
    this.refs = { a: registry.push('t/a', '1', images.a), b: registry.push('t/b', '1', images.b) };
    this.faults = new Faults(this.lost);
  }

  static async open(): Promise<FaultWorld> {
    const world = new FaultWorld(scratch('hawser-faults-'), await startRegistry(), await makeImages());
    await world.must(await world.run(world.template, ['pull', world.refs.a]));
    return world;
  }

  get template(): string {
    return join(this.#temp.path, 'template');
  }

  /** Work in a directory of its own: with a copy of the store, unless the store is not to be there yet. */
  async inPlace<T>(withStore: boolean, work: (place: Place) => Promise<T>): Promise<T> {
    const dir = join(this.#temp.path, `place-${++this.#runs}`);
    fs.mkdirSync(dir);
    const place = new Place(this, dir);
    try {
      if (withStore) await execOk('cp', ['-a', this.template, place.root]);
      return await work(place);
    } finally {
      await unmountBelow(dir);
      fs.rmSync(dir, { recursive: true, force: true });
    }
  }

  async must(ran: Ran): Promise<Ran> {
    if (ran.code !== 0) throw new Error(`exit ${ran.code}: ${ran.out}${ran.err}`);
    return ran;
  }

  /** One command line. With `point`, that call fails. */
  async run(root: string, args: readonly string[], point?: Point): Promise<Ran> {
    let [out, err] = ['', ''];
    const stream = (take: (text: string) => void) => ({
      isTerminal: false,
      columns: () => undefined,
      write: async (data: string | Uint8Array) =>
        take(typeof data === 'string' ? data : new TextDecoder().decode(data)),
    });
    const base = composeRuntime(parts, { workerUrl: new URL('file:///none') });
    const stdout = stream((text) => {
      out += text;
    });
    const stderr = stream((text) => {
      err += text;
    });
    const onInterrupt = (): Disposable => ({ [Symbol.dispose]: () => {} });
    const host = { ...base.host, stdout, stderr, onInterrupt };
    this.faults.arm(point);
    const runtime = faultyRuntime({ ...base, host }, this.faults);
    const code = await main(runtime, ['--root', root, ...args]);
    return { code, out, err };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry.close();
    await this.#temp[Symbol.asyncDispose]();
  }
}

/** A store and an output directory of one point. */
export class Place {
  readonly dir: string;
  readonly #world: FaultWorld;

  constructor(world: FaultWorld, dir: string) {
    this.#world = world;
    this.dir = dir;
  }

  get root(): string {
    return join(this.dir, 'store');
  }

  /** Where trees and mounts go. */
  get target(): string {
    return join(this.dir, 'target');
  }

  async run(args: readonly string[], point?: Point): Promise<Ran> {
    return await this.#world.run(this.root, args, point);
  }

  async ok(...args: readonly string[]): Promise<Ran> {
    return await this.#world.must(await this.run(args));
  }
}

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

/** Files that no row stands for. */
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
    ...[...ingests].map((name) => `ingest ${name}`),
    ...unknown('content/blobs/sha256', column("SELECT replace(digest, 'sha256:', '') FROM blobs")),
    ...unknown('content/ingest', ingests),
    ...list(join(root, 'snapshots')).flatMap((name) =>
      unknown(`snapshots/${name}`, column(`SELECT id FROM snapshots WHERE snapshotter = '${name}'`)),
    ),
    ...unknown('content', new Set(['blobs', 'ingest', 'index.json', 'oci-layout'])),
    ...unknown('run', new Set()),
    ...unknown('.', new Set(['content', 'snapshots', 'run', 'hawser.db', 'hawser.db-wal', 'hawser.db-shm'])),
  ];
}

function list(dir: string): string[] {
  return fs.existsSync(dir) ? fs.readdirSync(dir) : [];
}
