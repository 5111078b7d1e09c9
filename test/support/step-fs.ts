import { Buffer } from 'node:buffer';
import type { FileHandle, FileSystem } from '../../src/core/ports/file-system.ts';

/**
 * A file system that tells of each change before it is made. `before` may fail in its place; a write that fails has
 * written half of its bytes.
 */
export function stepFs(base: FileSystem, before: (what: string) => void | Promise<void>): FileSystem {
  const ahead =
    <A extends unknown[], R>(what: string, work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await before(what);
      return await work(...args);
    };
  const file = (handle: FileHandle): FileHandle => ({
    read: (into, at) => handle.read(into, at),
    size: () => handle.size(),
    close: () => handle.close(),
    [Symbol.asyncDispose]: () => handle.close(),
    truncate: ahead('truncate', (size) => handle.truncate(size)),
    sync: ahead('sync', () => handle.sync()),
    write: async (data, at) => {
      try {
        await before('write');
      } catch (err) {
        const bytes = data instanceof Uint8Array ? data : Buffer.concat(data);
        await handle.write(bytes.subarray(0, bytes.length >> 1), at);
        throw err;
      }
      await handle.write(data, at);
    },
  });
  return {
    ...base,
    open: async (...args) => {
      if (args[1] !== 'read') await before('open');
      return file(await base.open(...args));
    },
    mkdir: ahead('mkdir', base.mkdir),
    rename: ahead('rename', base.rename),
    remove: ahead('remove', base.remove),
    chmod: ahead('chmod', base.chmod),
    syncDir: ahead('syncDir', base.syncDir),
  };
}
