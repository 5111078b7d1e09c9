/**
 * A layout in a directory, which may hold one already: blobs are added, each whole and durable under its name, and index.json is
 * replaced last. One writer at a time. After a failure, what was added is removed.
 */
import { cleanedUp, withOpen } from '../async/cleanup.ts';
import { type Undo, undoable } from '../async/undo.ts';
import { toHex } from '../bytes.ts';
import { HawserError, ifFound, isKind, wrap } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { BesideRuntime } from './beside.ts';
import { isOurs, lockedDirectory } from './directory-lock.ts';
import { isOf, readForeign } from './foreign-directory.ts';
import { mergedDocument } from './merge-layout.ts';
import { collected, copyExactly, type LayoutSink } from './sink.ts';

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
    const isNew = await makeDirectory(runtime, dir, undoDirectory, call);
    await requireLayout(runtime, dir, call);
    const work = () =>
      undoable(async (undo) => {
        const sink = new DirectorySink(runtime, dir, isNew ? [parentOf(dir)] : [], undo);
        const result = await write(sink);
        await sink.settle(call);
        return result;
      });
    // The lock's file is gone before the directory is to go.
    return await lockedDirectory(runtime, dir, work, call);
  });
}

/** False when something is there already. */
async function makeDirectory({ fs }: BesideRuntime, path: string, undo: Undo, call: Call): Promise<boolean> {
  try {
    await fs.mkdir(path, 0o755, call);
    undo(async () => void (await ifFound(fs.remove(path), 'FailedPrecondition')));
    return true;
  } catch (err) {
    if (!isKind(err, 'AlreadyExists')) throw err;
    return false;
  }
}

async function requireLayout({ fs }: BesideRuntime, dir: string, call: Call): Promise<void> {
  const names = (await fs.list(dir, call)).map(({ name }) => name).filter((name) => !isOurs(name));
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

export class DirectorySink implements LayoutSink {
  readonly #runtime: BesideRuntime;
  readonly #dir: string;
  readonly #undo: Undo;
  /** Directories to be synced. */
  readonly #changed: Set<string>;
  /** By name: what is written last. index.json goes first among them. */
  readonly #documents = new Map<string, Uint8Array>();
  /** index.json is in place: nothing that it names may go any more. */
  #isPublished = false;

  constructor(runtime: BesideRuntime, dir: string, changed: readonly string[], undo: Undo) {
    this.#runtime = runtime;
    this.#dir = dir;
    this.#changed = new Set(changed);
    this.#undo = (step) =>
      undo(async () => {
        if (!this.#isPublished) await step();
      });
  }

  async directory(name: string, call: Call): Promise<void> {
    await makeDirectory(this.#runtime, `${this.#dir}/${name}`, this.#undo, call);
    await isOf(this.#runtime.fs, `${this.#dir}/${name}`, 'directory', call);
    this.#changed.add(parentOf(`${this.#dir}/${name}`));
  }

  async file(name: string, size: number, content: AsyncIterable<Uint8Array>, call: Call): Promise<void> {
    const parent = parentOf(name);
    const isBlob = name.startsWith('blobs/');
    if (parent !== '/' && !isBlob) await this.directory(parent, call);
    if (isBlob || name === 'oci-layout') await this.#put(`${this.#dir}/${name}`, size, content, call);
    else this.#documents.set(name, await collected(name, size, content));
  }

  /** The documents last, index.json first: an entry of an old one stays unless a new one has its name. */
  async settle(call: Call): Promise<void> {
    call.signal?.throwIfAborted();
    const files: (readonly [path: string, bytes: Uint8Array])[] = [];
    for (const [name, bytes] of this.#documents) {
      const path = `${this.#dir}/${name}`;
      const old = await readForeign(this.#runtime.fs, path, MAX_INDEX_JSON, call);
      files.push([path, mergedDocument(name, old, bytes)]);
    }
    await this.#syncDirs();
    try {
      for (const [path, bytes] of files) {
        await this.#put(path, bytes.length, pieces(bytes), call);
        this.#isPublished = true;
      }
      await this.#syncDirs();
    } catch (err) {
      if (!this.#isPublished) throw err;
      throw wrap(
        `The images are in ${this.#dir}, but not all is done`,
        err,
        'Export again once the cause is gone',
      );
    }
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
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) || '/';
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
