/** containerd with its ctr: Debian's and today's, the latter also with layers unpacked side by side. */
import { type Installation, installations, startContainerd } from '../../../test/support/containerd.ts';
import { versionOf } from '../machine.ts';
import { timed } from '../run.ts';
import { type Peer, seconds } from './peer.ts';

const SIDE_BY_SIDE = `[plugins."io.containerd.transfer.v1.local"]
  max_concurrent_unpacks = 4
`;

/** Where today's is missing, `choosePeers` says so by the name of the variable. */
const ABSENT: Installation = { name: 'containerd 2', containerd: 'CONTAINERD2', ctr: 'ctr' };

const debians: Installation = { name: 'containerd', containerd: 'containerd', ctr: 'ctr' };
export const todays: Installation = installations[1] ?? ABSENT;

function ctr(name: string, installation: Installation, config: string, decoder: string): Peer {
  return {
    name,
    tools: [installation.containerd, installation.ctr, 'runc', decoder],
    versions: () => ({ [name]: versionOf(installation.ctr), [decoder]: versionOf(decoder) }),
    cannot: () => undefined,
    run: async ({ kind, image, registry, base }) => {
      await using daemon = await startContainerd(base, config, installation);
      const verb = kind === 'fetch' ? ['content', 'fetch'] : ['images', 'pull'];
      const line = [installation.ctr, '--address', daemon.socket, ...verb, '--plain-http'];
      return await seconds(kind, async () => (await timed([...line, registry.reference(image)])).seconds);
    },
  };
}

/** The decoder is the program that containerd finds in PATH for gzip. */
export const CONTAINERDS: readonly Peer[] = [
  ctr('ctr', debians, '', 'unpigz'),
  ctr('ctr2', todays, '', 'igzip'),
  ctr('ctr2-par', todays, SIDE_BY_SIDE, 'igzip'),
];
