/**
 * npm run bench [-- [codecs|growth|memory|concurrency] [flags]]. Images are built once below HAWSER_BENCH_DIR; stores that
 * are measured are made on /dev/shm, and removed. Needs root, as all that unpack layers do.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { codecs } from './codecs.ts';
import { concurrency } from './concurrency.ts';
import { ext4 } from './ext4.ts';
import { growth } from './growth.ts';
import { benchDir, benchImages, IMAGES, layoutManifest } from './images.ts';
import { machine, versionOf } from './machine.ts';
import { memory } from './memory.ts';
import { choosePeers, type Kind, type Target } from './peers.ts';
import { machineLine, measurePulls, pullTable, verdicts, verdictTable } from './pull.ts';
import { startBenchRegistry } from './server.ts';

const HELP = `npm run bench -- [what] [flags]

what: pull (default: images by hawser and its peers), codecs, growth, memory, concurrency

  --runs N             rounds, of which the medians are taken (default 3)
  --only IMAGE,...     ${IMAGES.map((one) => one.name).join(', ')}
  --kinds KIND,...     pull, fetch, again (default all)
  --peers NAME,...     hawser, ctr, podman, skopeo, floor, hawser-bundle, hawser-deno (default: all that are installed)
  --target T           what hawser is: binary (default), bundle, source
  --ext4               stores on ext4 in a loop file instead of tmpfs
  --jobs N             of concurrency: hawser's own flag, to see whether its processor time keeps to it
  --scale X            sizes of growth, memory and concurrency times X (default 1; 0.1 for a look)
  --json FILE          write the numbers too
`;

export interface Flags {
  readonly runs: number;
  readonly only: readonly string[];
  readonly kinds: readonly Kind[];
  readonly peers: readonly string[];
  readonly target: Target;
  readonly ext4: boolean;
  readonly scale: number;
  readonly jobs: string | undefined;
  readonly json: string | undefined;
}

/** What each kind of benchmark gives for --json, beside the machine. */
export type Results = Readonly<Record<string, unknown>>;

const log = (line: string): void => console.error(line);

function parse(): { what: string; flags: Flags } {
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
      json: text,
      ext4: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    console.log(HELP);
    process.exit(0);
  }
  const list = (value: string | undefined, otherwise: string) => (value ?? otherwise).split(',');
  const flags: Flags = {
    runs: Number(values.runs ?? 3),
    only: list(values.only, IMAGES.map((one) => one.name).join(',')),
    kinds: list(values.kinds, 'pull,fetch,again') as Kind[],
    peers: list(values.peers, 'hawser,ctr,podman,skopeo,floor,hawser-bundle,hawser-deno'),
    target: (values.target ?? 'binary') as Target,
    ext4: values.ext4 ?? false,
    scale: Number(values.scale ?? 1),
    jobs: values.jobs,
    json: values.json,
  };
  return { what: positionals[0] ?? 'pull', flags };
}

async function pull(flags: Flags): Promise<Results> {
  const images = IMAGES.filter((one) => flags.only.includes(one.name));
  const { peers, absent } = choosePeers(flags.peers, flags.target);
  if (absent.some((one) => one.startsWith('hawser '))) throw new Error(`${absent.join('; ')}: npm run build`);
  const layout = await benchImages(log);
  using disk = flags.ext4 ? ext4(benchDir()) : undefined;
  await using registry = await startBenchRegistry(
    layout,
    images.map((one) => one.name),
  );
  const base = disk?.path ?? '/dev/shm';
  const { kinds, runs: rounds } = flags;
  const series = await measurePulls({
    images,
    kinds,
    peers,
    rounds,
    base,
    refresh: disk?.refresh,
    registry,
    log,
  });
  const versions = Object.assign(
    { registry: versionOf('docker-registry') },
    ...peers.map((p) => p.versions()),
  );
  const titles = Object.fromEntries(
    images.map(({ name, title }) => {
      const bytes = layoutManifest(layout, name).layers.reduce((sum, layer) => sum + layer.size, 0);
      return [name, `${title}, ${(bytes / 1e6).toFixed(bytes < 1e6 ? 1 : 0)} MB`];
    }),
  );
  const goals = verdicts(series, flags.ext4);
  console.log(
    `Seconds from start to end of the program, medians of ${rounds}; in brackets the median of the paired ratios to hawser.`,
  );
  console.log(
    `From docker-registry on loopback into empty stores on ${flags.ext4 ? 'ext4 in a loop file' : 'tmpfs'}; hawser is the ${flags.target}.\n`,
  );
  console.log(`${pullTable(series, peers, titles)}\n`);
  if (absent.length > 0) console.log(`Not there: ${absent.join('; ')}`);
  for (const [name, version] of Object.entries(versions)) console.log(`${name}: ${version}`);
  if (goals.length > 0) console.log(`\n${verdictTable(goals)}`);
  return { versions, absent, series, goals, base };
}

const COMMANDS: Readonly<Record<string, (flags: Flags) => Promise<Results>>> = {
  pull,
  codecs: (flags) => codecs(flags, log),
  growth: (flags) => growth(flags, log),
  memory: (flags) => memory(flags, log),
  concurrency: (flags) => concurrency(flags, log),
};

const { what, flags } = parse();
const command = COMMANDS[what];
if (command === undefined) {
  console.error(`bench: nothing is called ${what}\n\n${HELP}`);
  process.exit(2);
}
const facts = machine();
console.log(`${machineLine(facts)}\n`);
const results = await command(flags).catch((err: unknown) => {
  console.error(`bench: ${err instanceof Error ? err.message : err}`);
  process.exit(1);
});
if (flags.json !== undefined) {
  const all = { what, date: new Date().toISOString(), machine: facts, flags, ...results };
  writeFileSync(flags.json, `${JSON.stringify(all, undefined, 2)}\n`);
}
