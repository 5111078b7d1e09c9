/**
 * npm run bench [-- [codecs|growth|memory|concurrency] [flags]]. Images are built once below HAWSER_BENCH_DIR; stores that
 * are measured are made on /dev/shm, and removed. Needs root, as all that unpack layers do.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { codecs } from './codecs.ts';
import { concurrency } from './concurrency.ts';
import { ext4 } from './ext4.ts';
import { type Flags, HELP, parseFlags, type Results } from './flags.ts';
import { growth } from './growth.ts';
import { benchDir, benchImages, IMAGES, layoutManifest } from './images.ts';
import { machine, versionOf } from './machine.ts';
import { memory } from './memory.ts';
import { choosePeers, type Peer } from './peers.ts';
import { machineLine, measurePulls, pullTable, verdicts, verdictTable } from './pull.ts';
import { startBenchRegistry } from './server.ts';

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
  const base = disk?.path ?? '/dev/shm';
  const refresh = disk?.refresh;
  const series = await measurePulls({ images, kinds, peers, rounds, base, refresh, registry, log });
  const titles = Object.fromEntries(images.map((image) => [image.name, titleOf(image, layout)]));
  return { absent, series, base, ...printPulls(flags, series, peers, titles, absent) };
}

function titleOf({ name, title }: (typeof IMAGES)[number], layout: string): string {
  const bytes = layoutManifest(layout, name).layers.reduce((sum, layer) => sum + layer.size, 0);
  return `${title}, ${(bytes / 1e6).toFixed(bytes < 1e6 ? 1 : 0)} MB`;
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
  console.log(
    `From docker-registry on loopback into empty stores on ${disk}; hawser is the ${flags.target}.\n`,
  );
  console.log(`${pullTable(series, peers, titles)}\n`);
  if (absent.length > 0) console.log(`Not installed: ${absent.join('; ')}`);
  const registry = { registry: versionOf('docker-registry') };
  const versions: Readonly<Record<string, string>> = Object.assign(
    registry,
    ...peers.map((p) => p.versions()),
  );
  for (const [name, version] of Object.entries(versions)) console.log(`${name}: ${version}`);
  const goals = verdicts(series, flags.ext4);
  if (goals.length > 0) console.log(`\n${verdictTable(goals)}`);
  return { versions, goals };
}

const COMMANDS: Readonly<Record<string, (flags: Flags) => Promise<Results>>> = {
  pull,
  codecs: (flags) => codecs(flags, log),
  growth: (flags) => growth(flags, log),
  memory: (flags) => memory(flags, log),
  concurrency: (flags) => concurrency(flags, log),
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
