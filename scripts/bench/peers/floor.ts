/** Nothing verified, nothing kept but the trees: as fast as the usual tools can be put together. */
import { join } from 'node:path';
import { scratch } from '../../../test/support/scratch.ts';
import { versionOf } from '../machine.ts';
import { timed } from '../run.ts';
import type { Peer } from './peer.ts';

/** Two layers at a time. Arguments: GUNZIP, then for each layer a directory, the compression and the URL. */
const SCRIPT = `gunzip=$1; shift; export gunzip; printf '%s\\n' "$@" | xargs -P 2 -n 3 sh -ec \
  'mkdir "$0"; if [ "$1" = zstd ]; then set -- "$2" zstd -d -q -c; else set -- "$2" "$gunzip" -d -c; fi; \
   url=$1; shift; curl -sS --fail "$url" | "$@" | tar --extract --numeric-owner --same-permissions --directory="$0"'`;

function floor(name: string, gunzip: string): Peer {
  return {
    name,
    tools: ['curl', gunzip, 'zstd', 'tar', 'xargs'],
    versions: () => ({ curl: versionOf('curl'), [gunzip]: versionOf(gunzip), zstd: versionOf('zstd') }),
    cannot: (kind) => (kind === 'pull' ? undefined : 'it is a pull'),
    run: async ({ image, zstd, registry, base }) => {
      await using dir = scratch('bench-floor-', base);
      const layers = await registry.layers(image);
      const args = layers.flatMap(({ digest }, n) => [
        join(dir.path, String(n)),
        zstd ? 'zstd' : 'gzip',
        registry.blobUrl(image, digest),
      ]);
      return (await timed(['sh', '-c', SCRIPT, 'sh', gunzip, ...args])).seconds;
    },
  };
}

export const FLOORS: readonly Peer[] = [floor('floor', 'unpigz'), floor('floor-igzip', 'igzip')];
