/**
 * A layout in a directory, which may hold one already: blobs are added, each whole and durable under its name, and index.json is
 * replaced last. One writer at a time. After a failure, what was added is removed.
 */
import { cleanedUp, cleaningUp, withOpen } from '../async/cleanup.ts';
import { type Undo, undoable } from '../async/undo.ts';
import { toHex } from '../bytes.ts';
import { HawserError, ifFound, isKind, wrap } from '../errors.ts';
import { asObject } from '../oci/fields.ts';
import { type JsonObject, parseJson } from '../oci/json.ts';
import type { Call } from '../ports/call.ts';
import type { Database } from '../ports/database.ts';
import { IMAGE_NAME, REF_NAME } from './annotations.ts';
import type { BesideRuntime } from './beside.ts';
import { isOf, readForeign } from './foreign-directory.ts';
import { copyExactly, type LayoutSink } from './sink.ts';

const LOCK = '.hawser-lock';
/** Bytes of an index.json that is read. */
export const MAX_INDEX_JSON: number = 4 * 1024 * 1024;

/** Runs `write` over the directory `dir` (absolute). FailedPrecondition for a directory that holds something else. */
export async function intoDirectory<T>(
  runtime: BesideRuntime,
  dir: string,
  write: (sink: DirectorySink) => Promise<T>,
  call: Call,
): Promise<T> {
  return await undoable(async (undoDirectory) => {
    await makeDirectory(runtime, dir, undoDirectory, call);
    await requireLayout(runtime, dir, call);
    await isOf(runtime.fs, `${dir}/${LOCK}`, 'file', call);
    // The lock's file is gone before the directory is to go.
    return await locked(runtime, dir, () =>
      undoable(async (undo) => {
        const sink = new DirectorySink(runtime, dir, undo);
        const result = await write(sink);
        await sink.settle(call);
        return result;
      }),
    );
  });
}

async function makeDirectory({ fs }: BesideRuntime, path: string, undo: Undo, call: Call): Promise<void> {
  try {
    await fs.mkdir(path, 0o755, call);
    undo(async () => void (await ifFound(fs.remove(path), 'FailedPrecondition')));
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
  }
}

async function requireLayout({ fs }: BesideRuntime, dir: string, call: Call): Promise<void> {
  const names = (await fs.list(dir, call)).map(({ name }) => name).filter((name) => name !== LOCK);
  if (names.length === 0 || names.includes('oci-layout')) return;
  // Blobs without the rest are what a killed run left.
  if (names.every((name) => name === 'blobs')) return;
  throw new HawserError(
    'FailedPrecondition',
    `Cannot export into ${dir}: it holds something that is no OCI layout`,
    {
      hint: 'Name a directory that is empty or absent, or one that is a layout, to which the images are added',
    },
  );
}

async function locked<T>({ databases, fs }: BesideRuntime, dir: string, work: () => Promise<T>): Promise<T> {
  const path = `${dir}/${LOCK}`;
  let lock: Database | undefined;
  try {
    lock = databases.open(path, { busyTimeout: 0, access: 'lock' });
    lock.exec('BEGIN EXCLUSIVE');
  } catch (err) {
    lock?.close();
    throw wrap(`Cannot export into ${dir}`, err, 'Another run may be writing it: wait for its end');
  }
  const held = lock;
  return await cleaningUp(work, async () => {
    held.close();
    await ifFound(fs.remove(path));
  });
}

export class DirectorySink implements LayoutSink {
  readonly #runtime: BesideRuntime;
  readonly #dir: string;
  readonly #undo: Undo;
  readonly #changed = new Set<string>();
  #index: Uint8Array | undefined;

  constructor(runtime: BesideRuntime, dir: string, undo: Undo) {
    this.#runtime = runtime;
    this.#dir = dir;
    this.#undo = undo;
  }

  async directory(name: string, call: Call): Promise<void> {
    await makeDirectory(this.#runtime, `${this.#dir}/${name}`, this.#undo, call);
    await isOf(this.#runtime.fs, `${this.#dir}/${name}`, 'directory', call);
    this.#changed.add(parentOf(`${this.#dir}/${name}`));
  }

  async file(name: string, size: number, content: AsyncIterable<Uint8Array>, call: Call): Promise<void> {
    if (name === 'index.json') {
      this.#index = await collected(name, size, content);
      return;
    }
    const parent = parentOf(name);
    if (parent !== '' && !parent.startsWith('blobs')) await this.directory(parent, call);
    await this.#put(`${this.#dir}/${name}`, size, content, call);
  }

  /** index.json last: an entry of the old one stays unless a new one has its name. */
  async settle(call: Call): Promise<void> {
    call.signal?.throwIfAborted();
    if (this.#index !== undefined) {
      const path = `${this.#dir}/index.json`;
      const old = await readForeign(this.#runtime.fs, path, MAX_INDEX_JSON, call);
      const bytes = old === undefined ? this.#index : mergedIndex(old, this.#index);
      await this.#syncDirs();
      await this.#put(path, bytes.length, pieces(bytes), call);
    }
    await this.#syncDirs();
  }

  async #syncDirs(): Promise<void> {
    for (const dir of this.#changed) await this.#runtime.fs.syncDir(dir);
    this.#changed.clear();
  }

  async #put(path: string, size: number, content: AsyncIterable<Uint8Array>, call: Call): Promise<void> {
    const { fs, host } = this.#runtime;
    const parent = parentOf(path);
    const part = `${parent}/.hawser-${toHex(host.random(6))}`;
    const write = async (): Promise<void> => {
      await withOpen(fs.open(part, 'exclusive', 0o644, call), async (file) => {
        let at = 0;
        await copyExactly(path, size, content, async (bytes) => {
          await file.write(bytes, at);
          at += bytes.length;
        });
        await file.sync();
      });
      const before = await fs.stat(path, call);
      await fs.rename(part, path, call);
      if (before === undefined) this.#undo(async () => void (await ifFound(fs.remove(path))));
      this.#changed.add(parent);
    };
    try {
      await write();
    } catch (err) {
      throw await cleanedUp(err, () => ifFound(fs.remove(part)));
    }
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function collected(
  name: string,
  size: number,
  content: AsyncIterable<Uint8Array>,
): Promise<Uint8Array> {
  const out = new Uint8Array(size);
  let at = 0;
  await copyExactly(name, size, content, async (bytes) => {
    out.set(bytes, at);
    at += bytes.length;
  });
  return out;
}

/** Members of an index (image-spec image-index.md) that stay as they were. */
const INDEX_MEMBERS: ReadonlySet<string> = new Set([
  'schemaVersion',
  'mediaType',
  'artifactType',
  'subject',
  'annotations',
]);

/** The entries of both; one of the old whose name a new one has is dropped. */
function mergedIndex(old: Uint8Array, added: Uint8Array): Uint8Array {
  const [before, now] = [old, added].map((bytes) => asObject(parseJson(bytes, 'index.json'), 'index.json:'));
  const entriesOf = (from: JsonObject | undefined) => (from?.manifests ?? []) as readonly JsonObject[];
  const names = new Set(entriesOf(now).flatMap(namesOf));
  const kept = entriesOf(before).filter((entry) => !namesOf(entry).some((name) => names.has(name)));
  const own = Object.entries(before ?? {}).filter(([name]) => INDEX_MEMBERS.has(name));
  const merged = { ...Object.fromEntries(own), manifests: [...kept, ...entriesOf(now)] };
  return new TextEncoder().encode(JSON.stringify(merged));
}

/** Prefixed, as a tag is another thing than a full name. */
function namesOf({ annotations }: JsonObject): string[] {
  const map = (annotations ?? {}) as JsonObject;
  const [name, ref] = [map[IMAGE_NAME], map[REF_NAME]];
  if (typeof name === 'string') return [`name ${name}`];
  return typeof ref === 'string' ? [`ref ${ref}`] : [];
}
