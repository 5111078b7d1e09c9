import { HawserError } from '../../core/errors.ts';
import type { Host } from '../../core/ports/host.ts';

/**
 * Where the store is: `given` (a flag or HAWSER_ROOT; made absolute against PWD), else
 * /var/lib/hawser as root, else under XDG_DATA_HOME or HOME. InvalidArgument when none of these tells.
 */
export function chooseRoot(given: string | undefined, host: Pick<Host, 'uid' | 'env'>): string {
  if (given !== undefined) return absolute(given, host.env('PWD'));
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

function absolute(path: string, cwd: string | undefined): string {
  if (path.startsWith('/')) return path;
  if (path !== '' && cwd?.startsWith('/')) return `${cwd.replace(/\/$/, '')}/${path}`;
  throw new HawserError('InvalidArgument', `Cannot use "${path}" as the store: it is not an absolute path`, {
    hint: 'Give --root (or HAWSER_ROOT) a path that begins with /',
  });
}
