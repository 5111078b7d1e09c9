/** podman: Debian's, and the one of a newer suite in a chroot. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { scratch } from '../../../test/support/scratch.ts';
import { versionOf } from '../machine.ts';
import { newer } from '../newer.ts';
import { timed } from '../run.ts';
import { type Peer, seconds } from './peer.ts';

/** `enter`: what comes before the command, given the directory that it needs. */
function podman(name: string, enter: (base: string) => readonly string[], tools: readonly string[]): Peer {
  return {
    name,
    tools,
    versions: () => ({ [name]: versionOf(...words([...enter('/tmp'), 'podman', '--version'])) }),
    cannot: (kind) => (kind === 'fetch' ? 'it has no fetch alone' : undefined),
    run: async ({ kind, image, registry, base }) => {
      await using dir = scratch('bench-podman-', base);
      const env = { TMPDIR: join(dir.path, 'tmp') };
      mkdirSync(env.TMPDIR);
      const store = ['--root', join(dir.path, 'root'), '--runroot', join(dir.path, 'run')];
      const flags = ['--storage-driver', 'overlay', '--cgroup-manager', 'cgroupfs'];
      const pull = ['pull', '-q', '--tls-verify=false', registry.reference(image)];
      const line = [...enter(base), 'podman', ...store, ...flags, ...pull];
      return await seconds(kind, async () => (await timed(line, { env })).seconds);
    },
  };
}

const words = ([first = '', ...rest]: readonly string[]): [string, ...string[]] => [first, ...rest];

export const PODMANS: readonly Peer[] = [
  podman('podman', () => [], ['podman']),
  podman('podman-new', (base) => newer.enter(base), ['unshare', 'chroot', newer.marker]),
];
