/** `bench concurrency`: pulls at once into one store, of different images, of one image, into two namespaces, of images that share layers. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { scratch } from '../../test/support/scratch.ts';
import type { Flags, Results } from './flags.ts';
import { type GeneratedImage, type GeneratedLayer, generatedImages } from './generated.ts';
import { layoutManifest } from './images.ts';
import { COMMANDS } from './peers/hawser.ts';
import { median, table, timed } from './run.ts';
import { type BenchRegistry, startBenchRegistry } from './server.ts';

const AT_ONCE = 10;
/** Milliseconds until the registry's access log has come. */
const LOG_DELAY = 200;
const SHARING = ['sharing-0', 'sharing-1'];
const LARGE = 'large';

interface Pull {
  readonly image: string;
  readonly namespace: string;
}

interface Measured extends Pick<Case, 'what' | 'over'> {
  /** Of each pull. */
  readonly seconds: readonly number[];
  /** From the first start to the last end. */
  readonly wall: number;
  /** Processor seconds of all of them. */
  readonly cpu: number;
  /** The slowest divided by the median. */
  readonly fairness: number;
  /** Bytes that the registry sent, divided by those of the different layers. */
  readonly wire: number;
  /** Layers that were extracted, divided by the number of different layers. */
  readonly extractions: number;
  /** Load of the machine in the minute before. */
  readonly load: number;
}

interface Place {
  readonly registry: BenchRegistry;
  readonly layout: string;
  readonly command: readonly string[];
  readonly flags: readonly string[];
}

function images(scale: number): GeneratedImage[] {
  const layer = (seed: number, times = 1): GeneratedLayer => ({
    seed,
    files: Math.max(1, Math.round(1000 * times * scale)),
    bytes: 20_000,
  });
  const different = Array.from({ length: AT_ONCE }, (_, n) => ({
    name: `one-of-ten-${n}`,
    layers: [0, 1, 2].map((at) => layer(100 + 3 * n + at)),
  }));
  const sharing = SHARING.map((name, n) => ({
    name,
    layers: [100, 101, 200 + n].map((seed) => layer(seed)),
  }));
  // Of a small image, most of the time goes into starting ten programs.
  const large = { name: LARGE, layers: [300, 301, 302, 303].map((seed) => layer(seed, 5)) };
  return [...different, ...sharing, large];
}

interface Case {
  readonly what: string;
  readonly pulls: readonly Pull[];
  /** The case that the ratios are to. */
  readonly over: string;
}

function cases(names: readonly string[]): readonly Case[] {
  const into = (namespace: string) => (image: string) => ({ image, namespace });
  const different = names.filter((name) => name !== LARGE && !SHARING.includes(name));
  const [small, large] = ['one small image', 'one large image'];
  return [
    { what: small, pulls: different.slice(0, 1).map(into('default')), over: small },
    { what: 'ten small images', pulls: different.map(into('default')), over: small },
    {
      what: 'two small images, two of three layers shared',
      pulls: SHARING.map(into('default')),
      over: small,
    },
    { what: large, pulls: [LARGE].map(into('default')), over: large },
    {
      what: 'the large image ten times',
      pulls: different.map(() => LARGE).map(into('default')),
      over: large,
    },
    {
      what: 'the large image into two namespaces',
      pulls: ['one', 'two'].map((namespace) => ({ image: LARGE, namespace })),
      over: large,
    },
  ];
}

export async function concurrency(flags: Flags, log: (line: string) => void): Promise<Results> {
  const all = images(flags.scale);
  const names = all.map((one) => one.name);
  const layout = await generatedImages(all, log);
  await using registry = await startBenchRegistry(layout, names, true);
  const jobs = flags.jobs === undefined ? [] : ['--jobs', flags.jobs];
  const place = { registry, layout, command: COMMANDS[flags.target], flags: jobs };
  const found: Measured[] = [];
  for (const { what, pulls, over } of cases(names)) {
    const runs: Measured[] = [];
    for (let round = 0; round < flags.runs; round++)
      runs.push({ ...(await atOnce(place, pulls)), what, over });
    const middle = runs.sort((a, b) => a.wall - b.wall)[Math.floor(runs.length / 2)];
    if (middle !== undefined) found.push(middle);
    log(`${what}: ${middle?.wall.toFixed(2)} s`);
  }
  console.log(
    `Pulls at once into one store on tmpfs, seconds; the round of ${flags.runs} with the median time. Wall and processor time over those of\none pull of the same size; bytes sent and layers extracted over those of the different layers.\n`,
  );
  console.log(table(rows(found)));
  const loads = found.map(({ load }) => load.toFixed(1)).join(', ');
  console.log(`\n${availableParallelism()} cores are there; the load before each: ${loads}.`);
  return { concurrency: found };
}

function rows(found: readonly Measured[]): string[][] {
  const ratio = (value: number): string => `${value.toFixed(2)}x`;
  return [
    ['', 'all', 'median', 'slowest', 'slowest/median', 'cores used', 'wall', 'CPU', 'wire', 'extractions'],
    ...found.map(({ what, over, wall, seconds, fairness, cpu, wire, extractions }) => {
      const one = found.find((other) => other.what === over);
      return [
        what,
        ...[wall, median(seconds), Math.max(...seconds), fairness, cpu / wall].map((n) => n.toFixed(2)),
        ratio(wall / (one?.wall ?? wall)),
        ratio(cpu / (one?.cpu ?? cpu)),
        ratio(wire),
        ratio(extractions),
      ];
    }),
  ];
}

async function atOnce(place: Place, pulls: readonly Pull[]): Promise<Omit<Measured, 'what' | 'over'>> {
  const { registry, layout } = place;
  execFileSync('sync');
  const [load = 0] = loadavg();
  const sent = registry.sent();
  const { runs, wall } = await pullAll(place, pulls);
  await new Promise((resolve) => setTimeout(resolve, LOG_DELAY));
  const layers = new Map(
    pulls.flatMap(({ image }) => layoutManifest(layout, image).layers.map((one) => [one.digest, one.size])),
  );
  const bytes = [...layers.values()].reduce((sum, size) => sum + size, 0);
  const seconds = runs.map((run) => run.seconds);
  return {
    seconds,
    wall,
    cpu: runs.reduce((sum, run) => sum + run.cpu, 0),
    fairness: Math.max(...seconds) / median(seconds),
    wire: (registry.sent() - sent) / bytes,
    extractions: runs.reduce((sum, { extracted }) => sum + extracted, 0) / layers.size,
    load,
  };
}

interface Run {
  readonly seconds: number;
  /** Processor seconds. */
  readonly cpu: number;
  /** Layers that it says it extracted. */
  readonly extracted: number;
}

/** All at once, into a new store. */
async function pullAll(
  { registry, command, flags }: Place,
  pulls: readonly Pull[],
): Promise<{ readonly runs: readonly Run[]; readonly wall: number }> {
  await using dir = scratch('bench-many-', '/dev/shm');
  const root = join(dir.path, 'store');
  mkdirSync(root, { mode: 0o700 });
  const script = '"$@" > "$OUT" 2>&1 || { cat "$OUT" >&2; exit 1; }; times > "$TIMES"';
  const began = performance.now();
  const runs = await Promise.all(
    pulls.map(async ({ image, namespace }, n) => {
      const pull = ['pull', '--progress', 'plain', ...flags, registry.reference(image)];
      const line = [...command, '--root', root, '--namespace', namespace, ...pull];
      const env = { TIMES: join(dir.path, `times-${n}`), OUT: join(dir.path, `out-${n}`) };
      const { seconds } = await timed(['sh', '-c', script, 'sh', ...line], { env });
      const said = readFileSync(env.OUT, 'utf8').matchAll(/^layer .*: extracted/gm);
      return { seconds, cpu: childSeconds(readFileSync(env.TIMES, 'utf8')), extracted: [...said].length };
    }),
  );
  return { runs, wall: (performance.now() - began) / 1000 };
}

/** The second line of the shell's `times`: user and system time of its children, `0m1.230000s 0m0.450000s`. */
function childSeconds(text: string): number {
  const line = text.split('\n')[1] ?? '';
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + Number(m) * 60 + Number(s),
    0,
  );
}
