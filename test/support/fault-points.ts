/** A runtime each of whose calls is counted by kind (`fs.rename`, `sys.mkdir`, `db.run`), and of which one can be made to fail. */
import { Buffer } from 'node:buffer';
import type { Workers } from '../../src/core/layers/workers.ts';
import type { Database, Databases, Statement } from '../../src/core/ports/database.ts';
import type { FileHandle, FileSystem } from '../../src/core/ports/file-system.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { databaseError } from '../../src/platform/files/database-error.ts';
import { errnoError } from '../../src/platform/kernel/errno.ts';
import { inlineWorkers } from './inline-workers.ts';
import type { LostData } from './lost-data.ts';

export const ERRNOS = ['EIO', 'ENOSPC', 'EROFS', 'EMFILE', 'EPERM'] as const;
export type Errno = (typeof ERRNOS)[number];

/** The `nth` call of `kind` (from 1) fails; of kind `change`, every call from there on that would change something. */
export interface Point {
  readonly kind: string;
  readonly nth: number;
  readonly errno: Errno;
}

const CHANGE = 'change';
/** Best efforts that may fail before the work does: opening a store makes the spare room and oci-layout, and takes back each half-made. */
const BEST_EFFORTS = 6;

/** Calls that cannot fail, or whose failure nobody looks at. */
const CERTAIN: ReadonlySet<string> = new Set([
  ...['sys.closeDir', 'sys.closeFile', 'fs.close', 'workers.warm', 'db.close'],
]);
/** Calls that change something on the disk: only these can meet a full or a read-only file system. */
const CHANGES =
  /^(fs\.(open|write|truncate|sync|mkdir|rename\w*|exchange|remove|chmod|syncDir)|sys\.(create\w+|mkdir|symlink|link|mknod|rename\w*|exchange|unlink|rmdir|ch(own|mod)\w*|utimes\w*|(set|remove)xattr\w*|write\w*|truncate\w*|syncfs)|db\.(run|transaction|commit))$/;
const OPENS =
  /^(fs\.(open\w*|readFile|list|syncDir)|sys\.(open\w+|createFile|list)|db\.open|mounter\.mount)$/;

/** The errors that the kernel can give for such a call. */
export function errnosOf(kind: string): readonly Errno[] {
  const some: Errno[] = CHANGES.test(kind) ? ['EIO', 'ENOSPC', 'EROFS', 'EPERM'] : ['EIO', 'EPERM'];
  return OPENS.test(kind) ? [...some, 'EMFILE'] : some;
}

/**
 * Every point, or (`few`) one call of each kind: in turn the first, the one in the middle or the last, with one error of those
 * that it can have.
 */
export function pointsOf(counts: ReadonlyMap<string, number>, few: boolean): Point[] {
  const points: Point[] = [];
  for (const [turn, [kind, count]] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).entries()) {
    const errnos: readonly Errno[] = kind === CHANGE ? ['EROFS', 'ENOSPC'] : errnosOf(kind);
    const one = [1, (count + 1) >> 1, count][turn % 3] ?? 1;
    const quarters = [1, 2, 3].map((part) => Math.ceil((count * part) / 4));
    const nths = few ? (kind === CHANGE ? quarters : [one]) : Array.from({ length: count }, (_, n) => n + 1);
    const some = few ? [errnos[turn % errnos.length] ?? 'EIO'] : errnos;
    for (const nth of nths) for (const errno of some) points.push({ kind, nth, errno });
  }
  return points;
}

/** Counts the calls of a run, and fails the one that is armed. */
export class Faults {
  readonly counts: Map<string, number> = new Map();
  readonly #lost: LostData;
  #armed: Point | undefined;
  /** The messages of the first errors. */
  readonly #messages: string[] = [];

  constructor(lost: LostData) {
    this.#lost = lost;
  }

  /** Begins to count anew. */
  arm(point: Point | undefined): void {
    this.counts.clear();
    this.#armed = point;
    this.#messages.length = 0;
  }

  /** The messages of the first errors: one of a single call; else as many as best efforts may have. */
  get first(): readonly string[] {
    return this.#messages.slice(0, this.#armed?.kind === CHANGE ? BEST_EFFORTS : 1);
  }

  get lost(): LostData {
    return this.#lost;
  }

  /** The errno of the error that this call has to fail with. */
  step(kind: string): Errno | undefined {
    if (CERTAIN.has(kind)) return undefined;
    const nth = this.#count(kind);
    const changes = CHANGES.test(kind) ? this.#count(CHANGE) : 0;
    const armed = this.#armed;
    if (armed === undefined) return undefined;
    const hit = armed.kind === CHANGE ? changes >= armed.nth : armed.kind === kind && armed.nth === nth;
    return hit ? armed.errno : undefined;
  }

  #count(kind: string): number {
    const nth = (this.counts.get(kind) ?? 0) + 1;
    this.counts.set(kind, nth);
    return nth;
  }

  /** Notes the error that a call failed with. */
  failure(err: Error): Error {
    if (this.#messages.length < BEST_EFFORTS) this.#messages.push(err.message);
    return err;
  }

  /** Throws when the call has to fail. */
  check(kind: string, what: unknown): void {
    const errno = this.step(kind);
    if (errno !== undefined) throw this.failure(errnoError(errno, `${kind.split('.')[1]} ${String(what)}`));
  }
}

export function faultyRuntime(base: Runtime, faults: Faults): Runtime {
  const fs = faultyFileSystem(base.fs, faults);
  const syscalls = async () => watched(await base.syscalls(), 'sys', faults);
  const runtime = {
    ...base,
    fs,
    syscalls,
    mounter: async () => watched(await base.mounter(), 'mounter', faults),
    databases: faultyDatabases(base.databases, faults),
  };
  return { ...runtime, workers: faultyWorkers(inlineWorkers(runtime), faults) };
}

/** Checks before each method; the first argument names the thing in the error. */
function watched<T extends object>(target: T, prefix: string, faults: Faults): T {
  return new Proxy(target, {
    get: (_, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      const method = value.bind(target) as (...args: unknown[]) => unknown;
      if (typeof key === 'symbol') return method;
      const nameAt = prefix === 'sys' ? 1 : 0;
      return (...args: unknown[]) => {
        const check = (): void => {
          try {
            faults.check(`${prefix}.${key}`, args[nameAt] ?? '');
          } catch (err) {
            if (key === 'syncfs') faults.lost.loseTrees();
            throw err;
          }
        };
        if (prefix !== 'mounter') {
          check();
          return method(...args);
        }
        return (async () => {
          check();
          return await method(...args);
        })();
      };
    },
  });
}

function faultyFileSystem(base: FileSystem, faults: Faults): FileSystem {
  return new Proxy(base, {
    get: (_, key) => {
      const value: unknown = Reflect.get(base, key);
      if (typeof value !== 'function' || typeof key === 'symbol') return value;
      const method = value.bind(base) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        faults.check(key === 'open' && args[1] === 'read' ? 'fs.openRead' : `fs.${key}`, args[0]);
        // Everything is as on a disk, wherever the test runs.
        if (key === 'isVolatile') return false;
        const result = await method(...args);
        return key === 'open' ? faultyFile(result as FileHandle, String(args[0]), faults) : result;
      };
    },
  });
}

/** A failing write has written half of its bytes; a failing sync has lost what was written since the last one. */
function faultyFile(handle: FileHandle, path: string, faults: Faults): FileHandle {
  const file = faults.lost.file(path);
  return {
    size: () => handle.size(),
    close: () => handle.close(),
    [Symbol.asyncDispose]: () => handle.close(),
    read: async (into, at) => {
      faults.check('fs.read', path);
      return await handle.read(into, at);
    },
    truncate: async (size) => {
      faults.check('fs.truncate', path);
      await handle.truncate(size);
    },
    write: async (data, at) => {
      const bytes = data instanceof Uint8Array ? data : Buffer.concat(data);
      const errno = faults.step('fs.write');
      const length = errno === undefined ? bytes.length : bytes.length >> 1;
      await handle.write(bytes.subarray(0, length), at);
      file.wrote(at, length);
      if (errno !== undefined) throw faults.failure(errnoError(errno, `write ${path}`));
    },
    sync: async () => {
      const errno = faults.step('fs.sync');
      if (errno === undefined) {
        await handle.sync();
        file.synced();
        return;
      }
      file.lose();
      throw faults.failure(errnoError(errno, `sync ${path}`));
    },
  };
}

/** SQLite's errors for the errnos, as it words them. */
const SQLITE: Readonly<Record<Errno, readonly [errcode: number, message: string]>> = {
  EIO: [10, 'disk I/O error'],
  ENOSPC: [13, 'database or disk is full'],
  EROFS: [8, 'attempt to write a readonly database'],
  EMFILE: [14, 'unable to open database file'],
  EPERM: [14, 'unable to open database file'],
};

function faultyDatabases(base: Databases, faults: Faults): Databases {
  const check = (kind: string, path: string): void => {
    const errno = faults.step(kind);
    if (errno === undefined) return;
    const [errcode, message] = SQLITE[errno];
    const cause = Object.assign(new Error(message), { errcode });
    throw faults.failure(databaseError(path, 'use the database', cause));
  };
  return new Proxy(base, {
    get: (_, key) => {
      const value: unknown = Reflect.get(base, key);
      if (typeof value !== 'function') return value;
      const open = value.bind(base) as (path: string, ...more: unknown[]) => Database;
      return (path: string, ...more: unknown[]) => {
        check('db.open', path);
        return faultyDatabase(open(path, ...more), (kind) => check(kind, path));
      };
    },
  });
}

function faultyDatabase(base: Database, check: (kind: string) => void): Database {
  const statement = (inner: Statement): Statement => ({
    run: (...params) => {
      check('db.run');
      return inner.run(...params);
    },
    get: (...params) => {
      check('db.get');
      return inner.get(...params);
    },
    all: (...params) => {
      check('db.all');
      return inner.all(...params);
    },
  });
  return new Proxy(base, {
    get: (_, key) => {
      const value: unknown = Reflect.get(base, key);
      if (typeof value !== 'function' || typeof key === 'symbol') return value;
      const method = value.bind(base) as (...args: unknown[]) => unknown;
      if (key === 'prepare') return (sql: string) => statement(base.prepare(sql));
      if (key === 'close') return method;
      return (...args: unknown[]) => {
        check(`db.${key}`);
        if (key !== 'transaction') return method(...args);
        const [work] = args as [() => unknown];
        return base.transaction(() => {
          const result = work();
          check('db.commit');
          return result;
        });
      };
    },
  });
}

/** Before each job; and trees that were written are lost when their sync fails. */
function faultyWorkers(base: Workers, faults: Faults): Workers {
  const { lost } = faults;
  const before = async <T>(kind: string, path: string, work: () => Promise<T>): Promise<T> => {
    faults.check(`workers.${kind}`, path);
    return await work();
  };
  return {
    ...base,
    apply: (job, call) => {
      lost.tree(job.root);
      return before('apply', job.root, () => base.apply(job, call));
    },
    rebase: (job, call) => before('rebase', job.root, () => base.rebase(job, call)),
    copyTree: (job, call) => {
      lost.tree(job.to);
      return before('copyTree', job.to, () => base.copyTree(job, call));
    },
    usage: (path, call) => before('usage', path, () => base.usage(path, call)),
    removeTree: (path, call) => before('removeTree', path, () => base.removeTree(path, call)),
    syncfs: async (dirs, call) => {
      const errno = faults.step('workers.syncfs');
      if (errno === undefined) {
        await base.syncfs(dirs, call);
        lost.treesSynced();
        return;
      }
      lost.loseTrees();
      const names = dirs.map((dir) => (typeof dir === 'string' ? dir : dir.path)).join(' ');
      throw faults.failure(errnoError(errno, `syncfs ${names}`));
    },
  };
}
