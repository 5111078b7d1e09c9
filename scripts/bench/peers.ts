/** Who is measured, and how each is run: from an empty store of its own, so that all do the same work. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startContainerd } from '../../test/support/containerd.ts';
import { findTool } from '../../test/support/needs.ts';
import { deno, node26, repository } from '../../test/support/runtimes.ts';
import { scratch } from '../../test/support/scratch.ts';
import { versionOf } from './machine.ts';
import { timed } from './run.ts';
import type { BenchRegistry } from './server.ts';

/** `pull`: fetch and unpack. `fetch`: the content alone. `again`: a pull of what is there already. */
export type Kind = 'pull' | 'fetch' | 'again';

export interface Job {
  readonly kind: Kind;
  readonly image: string;
  readonly zstd: boolean;
  readonly registry: BenchRegistry;
  /** Where stores are made. */
  readonly base: string;
}

export interface Peer {
  readonly name: string;
  /** The programs that it is made of. */
  readonly tools: readonly string[];
  readonly versions: () => Readonly<Record<string, string>>;
  /** Why it takes no part in this. */
  readonly cannot: (kind: Kind, zstd: boolean) => string | undefined;
  /** Seconds. Making the empty store and removing it are not in them. */
  run(job: Job): Promise<number>;
}

export type Target = 'binary' | 'bundle' | 'source';

const QUIET = '--disable-warning=ExperimentalWarning';
const bundle = join(repository, 'dist/hawser.mjs');

export const COMMANDS: Readonly<Record<Target | 'deno', readonly string[]>> = {
  binary: [join(repository, 'dist/hawser-linux-x64')],
  bundle: [node26, QUIET, bundle],
  source: [node26, QUIET, join(repository, 'src/entry/hawser.ts')],
  deno: [deno, 'run', '-A', '--quiet', bundle],
};

/** hawser under this name, by this command, whose last word is the file that was built. */
export function hawser(name: string, command: readonly string[]): Peer {
  return {
    name,
    tools: [...new Set([command[0] ?? '', command.at(-1) ?? ''])],
    versions: () => {
      const version = versionOf(command[0] ?? '', ...command.slice(1), '--version');
      return { [name]: `${version}, built ${statSync(command.at(-1) ?? '').mtime.toISOString()}` };
    },
    cannot: () => undefined,
    run: async ({ kind, image, registry, base }) => {
      await using dir = scratch('bench-hawser-', base);
      const verb = kind === 'fetch' ? ['content', 'fetch'] : ['pull'];
      const line = [...command, '--root', dir.path, ...verb, '--progress', 'none', registry.reference(image)];
      if (kind === 'again') await timed(line);
      return (await timed(line)).seconds;
    },
  };
}

const ctr: Peer = {
  name: 'ctr',
  tools: ['ctr', 'containerd', 'runc'],
  versions: () => ({ ctr: versionOf('ctr'), unpigz: versionOf('unpigz') }),
  cannot: () => undefined,
  run: async ({ kind, image, registry, base }) => {
    await using daemon = await startContainerd(base);
    const verb = kind === 'fetch' ? ['content', 'fetch'] : ['images', 'pull'];
    const line = ['ctr', '--address', daemon.socket, ...verb, '--plain-http', registry.reference(image)];
    if (kind === 'again') await timed(line);
    return (await timed(line)).seconds;
  },
};

const podman: Peer = {
  name: 'podman',
  tools: ['podman'],
  versions: () => ({ podman: versionOf('podman') }),
  cannot: (kind) => (kind === 'fetch' ? 'it has no fetch alone' : undefined),
  run: async ({ kind, image, registry, base }) => {
    await using dir = scratch('bench-podman-', base);
    const env = { TMPDIR: join(dir.path, 'tmp') };
    mkdirSync(env.TMPDIR);
    const store = ['--root', join(dir.path, 'root'), '--runroot', join(dir.path, 'run')];
    const flags = ['--storage-driver', 'overlay', '--cgroup-manager', 'cgroupfs'];
    const line = [
      'podman',
      ...store,
      ...flags,
      'pull',
      '-q',
      '--tls-verify=false',
      registry.reference(image),
    ];
    if (kind === 'again') await timed(line, { env });
    return (await timed(line, { env })).seconds;
  },
};

const skopeo: Peer = {
  name: 'skopeo',
  tools: ['skopeo', 'umoci'],
  versions: () => ({ skopeo: versionOf('skopeo'), umoci: versionOf('umoci') }),
  cannot: (kind, zstd) =>
    kind === 'again' ? 'it keeps no store' : kind === 'pull' && zstd ? 'umoci has no zstd' : undefined,
  run: async ({ kind, image, registry, base }) => {
    await using dir = scratch('bench-skopeo-', base);
    const layout = `${join(dir.path, 'layout')}:image`;
    const from = ['--src-tls-verify=false', `docker://${registry.reference(image)}`];
    const env = { TMPDIR: dir.path };
    const copy = await timed(['skopeo', 'copy', '-q', ...from, `oci:${layout}`], { env });
    if (kind === 'fetch') return copy.seconds;
    const unpack = await timed(['umoci', 'unpack', '--image', layout, join(dir.path, 'bundle')], { env });
    return copy.seconds + unpack.seconds;
  },
};

/** Nothing verified, nothing kept but the trees: as fast as the usual tools can be put together. */
const FLOOR = `printf '%s\\n' "$@" | xargs -P 2 -n 3 sh -ec \
  'mkdir "$0"; if [ "$1" = zstd ]; then set -- "$2" zstd -d -q -c; else set -- "$2" unpigz -c; fi; \
   url=$1; shift; curl -sS --fail "$url" | "$@" | tar --extract --numeric-owner --same-permissions --directory="$0"'`;

const floor: Peer = {
  name: 'floor',
  tools: ['curl', 'unpigz', 'zstd', 'tar', 'xargs'],
  versions: () => ({ curl: versionOf('curl'), unpigz: versionOf('unpigz'), zstd: versionOf('zstd') }),
  cannot: (kind) => (kind === 'pull' ? undefined : 'it is a pull'),
  run: async ({ image, zstd, registry, base }) => {
    await using dir = scratch('bench-floor-', base);
    const layers = await registry.layers(image);
    const args = layers.flatMap(({ digest }, n) => [
      join(dir.path, String(n)),
      zstd ? 'zstd' : 'gzip',
      registry.blobUrl(image, digest),
    ]);
    return (await timed(['sh', '-c', FLOOR, 'sh', ...args])).seconds;
  },
};

/** Of the names wanted, in their order; what is not installed is left out and told. */
export function choosePeers(names: readonly string[], target: Target): { peers: Peer[]; absent: string[] } {
  const known = [
    hawser('hawser', COMMANDS[target]),
    hawser('hawser-bundle', COMMANDS.bundle),
    hawser('hawser-deno', COMMANDS.deno),
    ctr,
    podman,
    skopeo,
    floor,
  ];
  const absent: string[] = [];
  const peers = names.flatMap((name) => {
    const peer = known.find((one) => one.name === name);
    if (peer === undefined)
      throw new Error(`No peer is called ${name}; there are ${known.map((one) => one.name).join(', ')}`);
    const missing = peer.tools.filter((tool) =>
      tool.includes('/') ? !existsSync(tool) : findTool(tool) === undefined,
    );
    if (missing.length > 0) absent.push(`${name} (no ${missing.join(', ')})`);
    return missing.length > 0 ? [] : [peer];
  });
  return { peers, absent };
}
