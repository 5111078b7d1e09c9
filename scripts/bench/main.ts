/**
 * npm run bench [-- [codecs|growth|memory|concurrency|import|swarm|newer] [flags]]. Images are built once below HAWSER_BENCH_DIR; stores that
 * are measured are made on /dev/shm, and removed. Needs root, as all that unpack layers do.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { codecs } from './codecs.ts';
import { concurrency } from './concurrency.ts';
import { ext4 } from './ext4.ts';
import { type Flags, HELP, parseFlags, type Results } from './flags.ts';
import { EXT4_GOALS, FAR_GOALS, GOALS, type Goal } from './goals.ts';
import { growth } from './growth.ts';
import { benchDir, benchImages, IMAGES, layoutManifest } from './images.ts';
import { importing } from './import.ts';
import { type Link, startLink } from './link.ts';
import { machine, versionOf } from './machine.ts';
import { memory } from './memory.ts';
import { makeNewer } from './newer.ts';
import { choosePeers } from './peers/choose.ts';
import type { Job, Peer } from './peers/peer.ts';
import { machineLine, measurePulls, pullTable, verdicts, verdictTable } from './pull.ts';
import { type BenchRegistry, startBenchRegistry } from './server.ts';
import { swarm } from './swarm.ts';

const log = (line: string): void => console.error(line);

async function pull(flags: Flags): Promise<Results> {
  const { kinds, runs: rounds } = flags;
  const images = IMAGES.filter((one) => flags.only.includes(one.name));
  const { peers, absent } = choosePeers(flags.peers, flags.target);
  if (absent.some((one) => one.startsWith('hawser '))) throw new Error(`${absent.join('; ')}: npm run build`);
  const layout = await benchImages(log);
  using disk = flags.ext4 ? ext4(benchDir()) : undefined;
  await using registry = await startBenchRegistry(
    layout,
    images.map((one) => one.name),
  );
  await using far = flags.link && (await startLink(registry.host, flags.link));
  const base = disk?.path ?? '/dev/shm';
  const refresh = disk?.refresh;
  const series = await measurePulls({
    images,
    kinds,
    peers,
    rounds,
    base,
    refresh,
    registry: at(registry, far),
    log,
  });
  const titles = Object.fromEntries(images.map((image) => [image.name, titleOf(image, layout)]));
  return { absent, series, base, ...printPulls(flags, series, peers, titles, absent) };
}

/** The registry as it is seen over the link. */
function at(registry: BenchRegistry, far: { readonly host: string } | undefined): Job['registry'] {
  if (far === undefined) return registry;
  const over = (text: string): string => text.replace(registry.host, far.host);
  return {
    reference: (image) => over(registry.reference(image)),
    blobUrl: (image, digest) => over(registry.blobUrl(image, digest)),
    layers: (image) => registry.layers(image),
  };
}

function titleOf({ name, title }: (typeof IMAGES)[number], layout: string): string {
  const bytes = layoutManifest(layout, name).layers.reduce((sum, layer) => sum + layer.size, 0);
  return `${title}, ${(bytes / 1e6).toFixed(bytes < 1e6 ? 1 : 0)} MB`;
}

function rateOf({ rate }: Link): string {
  return rate === 0 ? '' : `, ${rate / 1e6} MB/s a connection,`;
}

function goalsFor({ ext4, link }: Flags): readonly Goal[] {
  return link ? FAR_GOALS : ext4 ? EXT4_GOALS : GOALS;
}

function printPulls(
  flags: Flags,
  series: Awaited<ReturnType<typeof measurePulls>>,
  peers: readonly Peer[],
  titles: Readonly<Record<string, string>>,
  absent: readonly string[],
): Results {
  const disk = flags.ext4 ? 'ext4 in a loop file' : 'tmpfs';
  console.log(
    `Seconds from start to end of the program, medians of ${flags.runs}; in brackets the median of the paired ratios to hawser.`,
  );
  const way = flags.link ? `${flags.link.delay} ms away each way${rateOf(flags.link)}` : 'on loopback';
  console.log(`From docker-registry ${way} into empty stores on ${disk}; hawser is the ${flags.target}.\n`);
  console.log(`${pullTable(series, peers, titles)}\n`);
  if (absent.length > 0) console.log(`Not installed: ${absent.join('; ')}`);
  const registry = { registry: versionOf('docker-registry') };
  const versions: Readonly<Record<string, string>> = Object.assign(
    registry,
    ...peers.map((p) => p.versions()),
  );
  for (const [name, version] of Object.entries(versions)) console.log(`${name}: ${version}`);
  const goals = verdicts(series, goalsFor(flags));
  if (goals.length > 0) console.log(`\n${verdictTable(goals)}`);
  return { versions, goals };
}

const COMMANDS: Readonly<Record<string, (flags: Flags) => Promise<Results>>> = {
  pull,
  codecs: (flags) => codecs(flags, log),
  growth: (flags) => growth(flags, log),
  memory: (flags) => memory(flags, log),
  concurrency: (flags) => concurrency(flags, log),
  import: (flags) => importing(flags, log),
  swarm: (flags) => swarm(flags, log),
  newer: async () => {
    makeNewer(log);
    return {};
  },
};

const { what, flags } = parseFlags();
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
