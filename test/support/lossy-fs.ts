import fs from 'node:fs';
import { dirname } from 'node:path';
import { HawserError } from '../../src/core/errors.ts';
import type { FileHandle, FileSystem } from '../../src/core/ports/file-system.ts';
import { type Range, without, zero } from './lost-ranges.ts';

/**
 * What a power cut takes with it: bytes that no sync followed, bytes whose sync failed and that were not written again, and
 * renames whose directory was not synced.
 */
export interface LossyFs {
  readonly fs: FileSystem;
  /** The next sync of a file fails with EIO, once: as Linux tells a failed write-back. */
  failNextSync(): void;
  /** The power is cut: everything that is not on disk goes. To be called once, when all is closed. */
  cut(): void;
}

interface Pages {
  path: string;
  /** Written since the last sync. */
  dirty: Range[];
  /** Taken for written by the kernel, and not on disk. */
  lost: Range[];
}

export function lossyFs(base: FileSystem): LossyFs {
  const files = new Set<Pages>();
  const renames: { from: string; to: string }[] = [];
  let failSync = false;
  const file = (handle: FileHandle, pages: Pages): FileHandle => ({
    read: (into, at) => handle.read(into, at),
    size: () => handle.size(),
    close: () => handle.close(),
    [Symbol.asyncDispose]: () => handle.close(),
    truncate: (size) => handle.truncate(size),
    sync: async () => {
      await handle.sync();
      const { dirty } = pages;
      pages.dirty = [];
      if (!failSync) return;
      failSync = false;
      pages.lost.push(...dirty);
      throw new HawserError('Internal', 'syncing: input/output error (EIO)', {
        reason: { type: 'errno', errno: 'EIO' },
      });
    },
    write: async (data, at) => {
      await handle.write(data, at);
      const length =
        data instanceof Uint8Array ? data.length : data.reduce((sum, one) => sum + one.length, 0);
      const written: Range = [at, at + length];
      pages.dirty.push(written);
      pages.lost = pages.lost.flatMap((range) => without(range, written));
    },
  });
  const pagesOf = (path: string): Pages => {
    const known = [...files].find((one) => one.path === path);
    const pages = known ?? { path, dirty: [], lost: [] };
    files.add(pages);
    return pages;
  };
  return {
    fs: {
      ...base,
      open: async (...args) => file(await base.open(...args), pagesOf(args[0])),
      remove: async (path, opts) => {
        await base.remove(path, opts);
        for (const one of files) if (one.path === path || one.path.startsWith(`${path}/`)) files.delete(one);
      },
      rename: async (from, to, call) => {
        await base.rename(from, to, call);
        for (const one of files) if (one.path === to) files.delete(one);
        for (const one of files) if (one.path === from) one.path = to;
        renames.push({ from, to });
      },
      syncDir: async (path, call) => {
        await base.syncDir(path, call);
        for (let n = renames.length - 1; n >= 0; n--) {
          if (dirname(renames[n]?.to ?? '') === path) renames.splice(n, 1);
        }
      },
    },
    failNextSync() {
      failSync = true;
    },
    cut() {
      for (const { path, dirty, lost } of files) for (const range of [...dirty, ...lost]) zero(path, range);
      for (const { from, to } of renames.reverse()) undo(from, to);
    },
  };
}

function undo(from: string, to: string): void {
  if (!fs.existsSync(to)) return;
  fs.mkdirSync(dirname(from), { recursive: true });
  fs.renameSync(to, from);
}
