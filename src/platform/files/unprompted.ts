import type { FileSystem } from '../../core/ports/file-system.ts';
import { requireGranted } from '../kernel/deno-permission.ts';

/** On Deno, what is not allowed fails with PermissionDenied, which names the flag, instead of asking the user. */
export function unprompted(fs: FileSystem): FileSystem {
  if (!('Deno' in globalThis)) return fs;
  return {
    open: async (path, mode, ...rest) => {
      mayRead(path, 'opening');
      if (mode !== 'read' && mode !== 'follow') mayWrite(path, 'opening');
      return await fs.open(path, mode, ...rest);
    },
    readFile: async (path, ...rest) => {
      mayRead(path, 'reading');
      return await fs.readFile(path, ...rest);
    },
    mkdir: async (path, ...rest) => {
      mayRead(path, 'making the directory');
      mayWrite(path, 'making the directory');
      await fs.mkdir(path, ...rest);
    },
    rename: async (from, to, ...rest) => {
      mayRead(from, 'renaming');
      for (const path of [from, to]) mayWrite(path, 'renaming');
      await fs.rename(from, to, ...rest);
    },
    remove: async (path, ...rest) => {
      mayRead(path, 'removing');
      mayWrite(path, 'removing');
      await fs.remove(path, ...rest);
    },
    stat: async (path, ...rest) => {
      mayRead(path, 'reading the attributes of');
      return await fs.stat(path, ...rest);
    },
    list: async (path, ...rest) => {
      mayRead(path, 'listing');
      return await fs.list(path, ...rest);
    },
    chmod: async (path, ...rest) => {
      mayWrite(path, 'setting the mode of');
      await fs.chmod(path, ...rest);
    },
    syncDir: async (path, ...rest) => {
      mayRead(path, 'syncing the directory');
      await fs.syncDir(path, ...rest);
    },
    space: async (path, ...rest) => {
      maySee(path, 'asking for the space at');
      return await fs.space(path, ...rest);
    },
    isVolatile: async (path, ...rest) => {
      maySee(path, 'asking for the file system of');
      return await fs.isVolatile(path, ...rest);
    },
  };
}

function mayRead(path: string, verb: string): void {
  requireGranted({ name: 'read', path }, `${verb} ${JSON.stringify(path)}`);
}

function mayWrite(path: string, verb: string): void {
  requireGranted({ name: 'write', path }, `${verb} ${JSON.stringify(path)}`);
}

function maySee(path: string, verb: string): void {
  mayRead(path, verb);
  requireGranted({ name: 'sys', kind: 'statfs' }, `${verb} ${JSON.stringify(path)}`);
}
