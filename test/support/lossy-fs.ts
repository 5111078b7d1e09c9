import fs from 'node:fs';
import { dirname } from 'node:path';
import type { FileHandle, FileSystem } from '../../src/core/ports/file-system.ts';

/** What a power cut takes with it: bytes that no sync followed, and renames whose directory was not synced. */
export interface LossyFs {
  readonly fs: FileSystem;
  /** The power is cut: everything that is not on disk goes. To be called once, when all is closed. */
  cut(): void;
}

interface Unsynced {
  path: string;
  /** Written since the last sync. */
  ranges: [number, number][];
}

export function lossyFs(base: FileSystem): LossyFs {
  const files = new Set<Unsynced>();
  const renames: { from: string; to: string }[] = [];
  const file = (handle: FileHandle, state: Unsynced): FileHandle => ({
    read: (into, at) => handle.read(into, at),
    size: () => handle.size(),
    close: () => handle.close(),
    [Symbol.asyncDispose]: () => handle.close(),
    truncate: (size) => handle.truncate(size),
    sync: async () => {
      await handle.sync();
      state.ranges = [];
    },
    write: async (data, at) => {
      await handle.write(data, at);
      state.ranges.push([at, at + data.length]);
    },
  });
  return {
    fs: {
      ...base,
      open: async (...args) => {
        const state: Unsynced = { path: args[0], ranges: [] };
        files.add(state);
        return file(await base.open(...args), state);
      },
      rename: async (from, to, call) => {
        await base.rename(from, to, call);
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
    cut() {
      for (const { path, ranges } of files) for (const range of ranges) zero(path, range);
      for (const { from, to } of renames.reverse()) undo(from, to);
    },
  };
}

function zero(path: string, [start, end]: [number, number]): void {
  if (!fs.existsSync(path)) return;
  const { mode, size } = fs.statSync(path);
  fs.chmodSync(path, 0o600);
  const file = fs.openSync(path, 'r+');
  const length = Math.max(0, Math.min(size, end) - start);
  fs.writeSync(file, new Uint8Array(length), 0, length, start);
  fs.closeSync(file);
  fs.chmodSync(path, mode & 0o7777);
}

function undo(from: string, to: string): void {
  if (!fs.existsSync(to)) return;
  fs.mkdirSync(dirname(from), { recursive: true });
  fs.renameSync(to, from);
}
