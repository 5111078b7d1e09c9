/** `bench concurrency`: ten pulls at once into one store, of different images and of one image. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { scratch } from '../../test/support/scratch.ts';
import type { Flags, Results } from './flags.ts';
import { type GeneratedImage, generatedImages } from './generated.ts';
import { COMMANDS } from './peers.ts';
import { median, table, timed } from './run.ts';
import { type BenchRegistry, startBenchRegistry } from './server.ts';

const AT_ONCE = 10;

interface Measured {
  readonly what: string;
  /** Of each pull. */
  readonly seconds: readonly number[];
  /** From the first start to the last end. */
  readonly wall: number;
  /** Processor seconds of all of them, divided by `wall`. */
  readonly cores: number;
  /** The slowest divided by the median. */
  readonly fairness: number;
}

function images(scale: number): GeneratedImage[] {
  return Array.from({ length: AT_ONCE }, (_, n) => ({
    name: `one-of-ten-${n}`,
    layers: [0, 1, 2].map((layer) => ({
      seed: 100 + 3 * n + layer,
      files: Math.max(1, Math.round(1000 * scale)),
      bytes: 20_000,
    })),
  }));
}

export async function concurrency(flags: Flags, log: (line: string) => void): Promise<Results> {
  const all = images(flags.scale);
  const names = all.map((one) => one.name);
  const layout = await generatedImages(all, log);
  await using registry = await startBenchRegistry(layout, names);
  const jobs = flags.jobs === undefined ? [] : ['--jobs', flags.jobs];
  const pull = [...COMMANDS[flags.target], 'pull', '--progress', 'none', ...jobs];
  const [first = ''] = names;
  const found: Measured[] = [];
  for (const [what, wanted] of [
    ['one pull', [first]],
    ['ten images at once', names],
    ['one image ten times at once', names.map(() => first)],
  ] as const) {
    const runs: Measured[] = [];
    for (let round = 0; round < flags.runs; round++) runs.push(await atOnce(what, pull, wanted, registry));
    const middle = runs.sort((a, b) => a.wall - b.wall)[Math.floor(runs.length / 2)];
    if (middle !== undefined) found.push(middle);
    log(`${what}: ${middle?.wall.toFixed(2)} s`);
  }
  console.log(
    `Pulls at once into one store on tmpfs, seconds; the round of ${flags.runs} with the median time.\n`,
  );
  console.log(
    table([
      ['', 'all', 'fastest', 'median', 'slowest', 'slowest/median', 'cores used'],
      ...found.map(({ what, wall, seconds, fairness, cores }) => [
        what,
        ...[wall, Math.min(...seconds), median(seconds), Math.max(...seconds), fairness, cores].map((n) =>
          n.toFixed(2),
        ),
      ]),
    ]),
  );
  console.log(`\n${availableParallelism()} cores are there.`);
  return { concurrency: found };
}

async function atOnce(
  what: string,
  pull: readonly string[],
  names: readonly string[],
  registry: BenchRegistry,
): Promise<Measured> {
  await using dir = scratch('bench-many-', '/dev/shm');
  const root = join(dir.path, 'store');
  mkdirSync(root, { mode: 0o700 });
  execFileSync('sync');
  const began = performance.now();
  const runs = await Promise.all(
    names.map(async (name, n) => {
      const line = [...pull, '--root', root, registry.reference(name)];
      const times = join(dir.path, `times-${n}`);
      const { seconds } = await timed(['sh', '-c', '"$@" || exit; times > "$TIMES"', 'sh', ...line], {
        env: { TIMES: times },
      });
      return { seconds, cpu: childSeconds(readFileSync(times, 'utf8')) };
    }),
  );
  const wall = (performance.now() - began) / 1000;
  const seconds = runs.map((run) => run.seconds);
  const cpu = runs.reduce((sum, run) => sum + run.cpu, 0);
  return { what, seconds, wall, cores: cpu / wall, fairness: Math.max(...seconds) / median(seconds) };
}

/** The second line of the shell's `times`: user and system time of its children, `0m1.230000s 0m0.450000s`. */
function childSeconds(text: string): number {
  const line = text.split('\n')[1] ?? '';
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + Number(m) * 60 + Number(s),
    0,
  );
}
