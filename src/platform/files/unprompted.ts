import { HawserError } from '../../core/errors.ts';
import type { FileSystem } from '../../core/ports/file-system.ts';
import { mayRead } from '../kernel/deno-permission.ts';

/** Files of the machine that are looked at if they may be, and never needed. */
const SYSTEM = /^\/(?:etc|proc|sys)\//;

/** On Deno, reading the machine's own files without permission fails with PermissionDenied instead of asking the user. */
export function unprompted(fs: FileSystem): FileSystem {
  if (!('Deno' in globalThis)) return fs;
  const checked =
    <A extends unknown[], R>(call: (path: string, ...rest: A) => Promise<R>) =>
    async (path: string, ...rest: A): Promise<R> => {
      if (SYSTEM.test(path) && !mayRead(path)) throw forbidden(path);
      return await call(path, ...rest);
    };
  return {
    ...fs,
    open: checked((path, ...rest) => fs.open(path, ...rest)),
    readFile: checked((path, ...rest) => fs.readFile(path, ...rest)),
    stat: checked((path, ...rest) => fs.stat(path, ...rest)),
    list: checked((path, ...rest) => fs.list(path, ...rest)),
  };
}

function forbidden(path: string): HawserError {
  return new HawserError('PermissionDenied', `reading ${JSON.stringify(path)}: Deno does not allow it`, {
    hint: `Run Deno with --allow-read=${path}`,
    reason: { type: 'errno', errno: 'EACCES' },
  });
}
