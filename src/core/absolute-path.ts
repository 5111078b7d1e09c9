import { HawserError } from './errors.ts';
import type { HostSystem } from './ports/host.ts';

/**
 * A path that a user gave, made absolute against the working directory (path_resolution(7)); never against the variable
 * PWD, which may name another directory. InvalidArgument for an empty path.
 */
export function absolutePath(path: string, host: Pick<HostSystem, 'cwd'>): string {
  if (path === '') {
    throw new HawserError('InvalidArgument', 'Cannot use an empty path', {
      hint: 'Name a file or a directory; "." is the working directory',
    });
  }
  return path.startsWith('/')
    ? path
    : `${host.cwd().replace(/\/$/, '')}/${path.replace(/^(?:\.\/+)+(?=[^/])/, '')}`;
}
