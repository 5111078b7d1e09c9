import { absolutePath } from '../../core/absolute-path.ts';
import { HawserError } from '../../core/errors.ts';
import type { HostSystem } from '../../core/ports/host.ts';

/**
 * The directory of the store: `given` (a flag or HAWSER_ROOT; relative to the working directory), else /var/lib/hawser as
 * root, else under XDG_DATA_HOME or HOME. InvalidArgument when none of these is set.
 */
export function chooseRoot(given: string | undefined, host: Pick<HostSystem, 'uid' | 'env' | 'cwd'>): string {
  if (given !== undefined) return absolutePath(given, host);
  if (host.uid === 0) return '/var/lib/hawser';
  const data = host.env('XDG_DATA_HOME');
  if (data?.startsWith('/')) return `${data}/hawser`;
  const home = host.env('HOME');
  if (home?.startsWith('/')) return `${home}/.local/share/hawser`;
  throw new HawserError(
    'InvalidArgument',
    'Cannot tell where the store is: neither XDG_DATA_HOME nor HOME is set',
    {
      hint: 'Say it with --root DIR or HAWSER_ROOT',
    },
  );
}
