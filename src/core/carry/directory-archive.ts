/** A layout that is a directory, read as if it were an archive. Symlinks below it are not followed. */
import { byteStream } from '../async/byte-stream.ts';
import { HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { FileSystem } from '../ports/file-system.ts';
import { foreignInfo } from './foreign-directory.ts';
import type { Archive, Member } from './members.ts';

const COPY = 1 << 20;

export function openDirectoryArchive(fs: FileSystem, dir: string): Archive {
  return {
    name: dir,
    find: async (name, call) => await find(fs, dir, name, call),
    names: async (call) => {
      const names = (await fs.list(`${dir}/.`, call)).map(({ name }) => name);
      return names;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function find(fs: FileSystem, dir: string, name: string, call: Call): Promise<Member | undefined> {
  const info = await foreignInfo(fs, dir, name, call);
  if (info === undefined) return undefined;
  if (info === 'other' || info.type !== 'file') return { type: 'other' };
  const path = `${dir}/${name}`;
  const { size } = info;
  return {
    type: 'file',
    size,
    open: async (offset, call) => {
      const file = await fs.open(path, 'read', undefined, call);
      let at = offset;
      const next = async (): Promise<Uint8Array | undefined> => {
        if (at >= size) return undefined;
        const bytes = new Uint8Array(Math.min(COPY, size - at));
        const got = await file.read(bytes, at);
        if (got === 0) throw shrunk(path);
        at += got;
        return bytes.subarray(0, got);
      };
      return byteStream({ next, close: () => file.close(), signal: call.signal });
    },
  };
}

function shrunk(path: string): HawserError {
  return new HawserError('DataLoss', `${path} became shorter while it was read`);
}
