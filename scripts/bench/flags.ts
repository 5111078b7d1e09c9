/** The command line of the benchmarks. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { IMAGES } from './images.ts';
import type { Link } from './link.ts';
import { PEERS } from './peers/choose.ts';
import type { Target } from './peers/hawser.ts';
import type { Kind } from './peers/peer.ts';

export const HELP: string = `npm run bench -- [what] [flags]

what: pull (default: images by hawser and its peers), codecs, growth, memory, concurrency, import (an archive, beside the
      ctr of CONTAINERD2), swarm (twenty nodes, with and without a mirror); newer: makes the chroot of podman-new

  --runs N             rounds, of which the medians are taken (default 3)
  --only IMAGE,...     ${IMAGES.map((one) => one.name).join(', ')}
  --kinds KIND,...     pull, fetch, again (default all)
  --peers NAME,...     ${PEERS.join(', ')} (default: all that are installed)
  --delay MS           the registry is this far away, each way
  --rate MB            megabytes a second and connection from the registry
  --target T           what hawser is: binary (default), bundle, source
  --ext4               stores on ext4 in a loop file instead of tmpfs
  --jobs N             of concurrency: hawser's own flag, to see whether its processor time keeps to it
  --scale X            sizes of growth, memory, concurrency and swarm times X (default 1; 0.1 for a look)
  --json FILE          write the numbers too
`;

export interface Flags {
  readonly runs: number;
  readonly only: readonly string[];
  readonly kinds: readonly Kind[];
  readonly peers: readonly string[];
  readonly target: Target;
  readonly ext4: boolean;
  /** How far away the registry is. Not given: on this machine. */
  readonly link: Link | undefined;
  readonly scale: number;
  readonly jobs: string | undefined;
  readonly json: string | undefined;
}

/** What each kind of benchmark gives for --json, beside the machine. */
export type Results = Readonly<Record<string, unknown>>;

function list(value: string | undefined, otherwise: string): string[] {
  return (value ?? otherwise).split(',');
}

export function parseFlags(): { what: string; flags: Flags } {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: text,
      only: text,
      kinds: text,
      peers: text,
      target: text,
      scale: text,
      jobs: text,
      delay: text,
      rate: text,
      json: text,
      ext4: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    console.log(HELP);
    process.exit(0);
  }
  const flags: Flags = {
    runs: Number(values.runs ?? 3),
    only: list(values.only, IMAGES.map((one) => one.name).join(',')),
    kinds: list(values.kinds, 'pull,fetch,again') as Kind[],
    peers: list(values.peers, PEERS.join(',')),
    target: (values.target ?? 'binary') as Target,
    ext4: values.ext4 ?? false,
    link: linkOf(values),
    scale: Number(values.scale ?? 1),
    jobs: values.jobs,
    json: values.json,
  };
  return { what: positionals[0] ?? 'pull', flags };
}

function linkOf({
  delay,
  rate,
}: {
  delay?: string | undefined;
  rate?: string | undefined;
}): Link | undefined {
  if (delay === undefined && rate === undefined) return undefined;
  return { delay: Number(delay ?? 0), rate: Number(rate ?? 0) * 1e6 };
}
