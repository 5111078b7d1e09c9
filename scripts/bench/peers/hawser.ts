/** hawser, with the store of its own and inside a containerd. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Installation, startContainerd } from '../../../test/support/containerd.ts';
import { deno, node26, repository } from '../../../test/support/runtimes.ts';
import { scratch } from '../../../test/support/scratch.ts';
import { versionOf } from '../machine.ts';
import { timed } from '../run.ts';
import { type Job, type Peer, seconds } from './peer.ts';

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
    ...facts(name, command),
    run: async (job) => {
      await using dir = scratch('bench-hawser-', job.base);
      return await seconds(job.kind, () => pull([...command, '--root', dir.path], job));
    },
  };
}

/** The same command with `--address`: the content and the snapshots of a containerd. */
export function hawserInto(name: string, command: readonly string[], containerd: Installation): Peer {
  const { tools, ...rest } = facts(name, command);
  return {
    ...rest,
    tools: [...tools, containerd.containerd, containerd.ctr],
    run: async (job) => {
      await using daemon = await startContainerd(job.base, '', containerd);
      return await seconds(job.kind, () => pull([...command, '--address', daemon.socket], job));
    },
  };
}

function facts(name: string, command: readonly string[]): Omit<Peer, 'run'> {
  return {
    name,
    tools: [...new Set([command[0] ?? '', command.at(-1) ?? ''])],
    versions: () => {
      const version = versionOf(command[0] ?? '', ...command.slice(1), '--version');
      return { [name]: `${version}, built ${statSync(command.at(-1) ?? '').mtime.toISOString()}` };
    },
    cannot: () => undefined,
  };
}

async function pull(command: readonly string[], { kind, image, registry }: Job): Promise<number> {
  const verb = kind === 'fetch' ? ['content', 'fetch'] : ['pull'];
  return (await timed([...command, ...verb, '--progress', 'none', registry.reference(image)])).seconds;
}
