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
import { COMMANDS } from './peers.ts';
import { median, table, timed } from './run.ts';
import { type BenchRegistry, startBenchRegistry } from './server.ts';

const AT_ONCE = 10;
const SHARING = ['sharing-0', 'sharing-1'];

interface Pull {
  readonly image: string;
  readonly namespace: string;
}

interface Measured {
  readonly what: string;
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
  const layer = (seed: number): GeneratedLayer => ({
    seed,
    files: Math.max(1, Math.round(1000 * scale)),
    bytes: 20_000,
  });
  const different = Array.from({ length: AT_ONCE }, (_, n) => ({
    name: `one-of-ten-${n}`,
    layers: [0, 1, 2].map((at) => layer(100 + 3 * n + at)),
  }));
  const sharing = SHARING.map((name, n) => ({ name, layers: [100, 101, 200 + n].map(layer) }));
  return [...different, ...sharing];
}

function cases(names: readonly string[]): readonly (readonly [what: string, pulls: readonly Pull[]])[] {
  const into = (namespace: string) => (image: string) => ({ image, namespace });
  const [first = ''] = names;
  const different = names.filter((name) => !SHARING.includes(name));
  return [
    ['one pull', [first].map(into('default'))],
    ['ten images at once', different.map(into('default'))],
    ['one image ten times at once', different.map(() => first).map(into('default'))],
    ['one image into two namespaces', ['one', 'two'].map((namespace) => ({ image: first, namespace }))],
    ['two images that share two of three layers', SHARING.map(into('default'))],
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
  for (const [what, pulls] of cases(names)) {
    const runs: Measured[] = [];
    for (let round = 0; round < flags.runs; round++) runs.push(await atOnce(what, place, pulls));
    const middle = runs.sort((a, b) => a.wall - b.wall)[Math.floor(runs.length / 2)];
    if (middle !== undefined) found.push(middle);
    log(`${what}: ${middle?.wall.toFixed(2)} s`);
  }
  console.log(
    `Pulls at once into one store on tmpfs, seconds; the round of ${flags.runs} with the median time. Wall and processor time over those of\none pull; bytes sent and layers extracted over those of the different layers.\n`,
  );
  console.log(table(rows(found)));
  const loads = found.map(({ load }) => load.toFixed(1)).join(', ');
  console.log(`\n${availableParallelism()} cores are there; the load before each: ${loads}.`);
  return { concurrency: found };
}

function rows(found: readonly Measured[]): string[][] {
  const [one] = found;
  const ratio = (value: number): string => `${value.toFixed(2)}x`;
  return [
    ['', 'all', 'median', 'slowest', 'slowest/median', 'cores used', 'wall', 'CPU', 'wire', 'extractions'],
    ...found.map(({ what, wall, seconds, fairness, cpu, wire, extractions }) => [
      what,
      ...[wall, median(seconds), Math.max(...seconds), fairness, cpu / wall].map((n) => n.toFixed(2)),
      ratio(wall / (one?.wall ?? wall)),
      ratio(cpu / (one?.cpu ?? cpu)),
      ratio(wire),
      ratio(extractions),
    ]),
  ];
}

async function atOnce(
  what: string,
  { registry, layout, command, flags }: Place,
  pulls: readonly Pull[],
): Promise<Measured> {
  await using dir = scratch('bench-many-', '/dev/shm');
  const root = join(dir.path, 'store');
  mkdirSync(root, { mode: 0o700 });
  execFileSync('sync');
  const [load = 0] = loadavg();
  const sent = registry.sent();
  const began = performance.now();
  const runs = await Promise.all(
    pulls.map(async ({ image, namespace }, n) => {
      const pull = ['pull', '--progress', 'plain', ...flags, registry.reference(image)];
      const line = [...command, '--root', root, '--namespace', namespace, ...pull];
      const [times, out] = [join(dir.path, `times-${n}`), join(dir.path, `out-${n}`)];
      const script = '"$@" > "$OUT" 2>&1 || { cat "$OUT" >&2; exit 1; }; times > "$TIMES"';
      const { seconds } = await timed(['sh', '-c', script, 'sh', ...line], {
        env: { TIMES: times, OUT: out },
      });
      return { seconds, cpu: childSeconds(readFileSync(times, 'utf8')), said: readFileSync(out, 'utf8') };
    }),
  );
  const wall = (performance.now() - began) / 1000;
  const layers = new Map(
    pulls.flatMap(({ image }) => layoutManifest(layout, image).layers.map((one) => [one.digest, one.size])),
  );
  const bytes = [...layers.values()].reduce((sum, size) => sum + size, 0);
  const seconds = runs.map((run) => run.seconds);
  const extracted = runs.reduce(
    (sum, { said }) => sum + [...said.matchAll(/^layer .*: extracted/gm)].length,
    0,
  );
  return {
    what,
    seconds,
    wall,
    cpu: runs.reduce((sum, run) => sum + run.cpu, 0),
    fairness: Math.max(...seconds) / median(seconds),
    wire: (registry.sent() - sent) / bytes,
    extractions: extracted / layers.size,
    load,
  };
}

/** The second line of the shell's `times`: user and system time of its children, `0m1.230000s 0m0.450000s`. */
function childSeconds(text: string): number {
  const line = text.split('\n')[1] ?? '';
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + Number(m) * 60 + Number(s),
    0,
  );
}
