/**
 * `bench swarm`: twenty nodes fetch one image at once, from its registry, and from `hawser serve --pull-through` in one place; what the
 * registry sends, and when the last node has all.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { exec } from '../../test/support/exec.ts';
import { startDaemon } from '../../test/support/processes.ts';
import { scratch } from '../../test/support/scratch.ts';
import type { Flags, Results } from './flags.ts';
import { generatedImages } from './generated.ts';
import { layoutManifest } from './images.ts';
import { type Machine, makeNetwork } from './nodes.ts';
import { COMMANDS } from './peers/hawser.ts';
import { median, table, timed } from './run.ts';
import { startBenchRegistry } from './server.ts';

const NODES = 20;
/** Megabits a second that each sends at most: the registry is behind an uplink that the cluster shares. */
const RATES = { origin: 200, mirror: 2000, node: 1000 };
const IMAGE = 'swarm';
const PORT = 5000;
/** Three layers, 60 MB, and half of that compressed. */
const LAYERS = [1, 2, 3].map((seed) => ({ seed, files: 20, bytes: 1_000_000 }));

type Way = 'registry' | 'mirror' | 'filled mirror';

interface Measured {
  readonly way: Way;
  /** Of the registry's machine. */
  readonly bytes: number;
  /** Seconds from the first start to each end. */
  readonly ends: readonly number[];
}

interface World {
  readonly hawser: readonly string[];
  readonly dir: string;
  readonly origin: Machine;
  readonly mirror: Machine;
  readonly nodes: readonly Machine[];
}

export async function swarm(flags: Flags, log: (line: string) => void): Promise<Results> {
  const layers = LAYERS.map((layer) => ({ ...layer, bytes: Math.ceil(layer.bytes * flags.scale) }));
  const layout = await generatedImages([{ name: IMAGE, layers }], log);
  // Brings the image into the storage from which the registry serves afterwards.
  await (await startBenchRegistry(layout, [IMAGE]))[Symbol.asyncDispose]();
  const size = layoutManifest(layout, IMAGE).layers.reduce((sum, layer) => sum + layer.size, 0);
  const names = Array.from({ length: NODES }, (_, at) => `node-${at}`);
  using network = makeNetwork({
    origin: RATES.origin,
    mirror: RATES.mirror,
    ...Object.fromEntries(names.map((name) => [name, RATES.node])),
  });
  const [origin, mirror, ...nodes] = [...network.machines.values()];
  if (origin === undefined || mirror === undefined) throw new Error('the network has too few machines');
  await using dir = scratch('bench-swarm-', '/dev/shm');
  await using _registry = await startRegistry(origin, `${layout}.registry`, dir.path);
  const world = { hawser: COMMANDS[flags.target], dir: dir.path, origin, mirror, nodes };
  const measured: Measured[] = [];
  for (let round = 0; round < flags.runs; round++) measured.push(...(await oneRound(world, round, log)));
  console.log(
    `${NODES} nodes fetch an image of ${(size / 1e6).toFixed(0)} MB at once; the registry sends ${RATES.origin} Mbit/s, the mirror ${RATES.mirror}. Medians of ${flags.runs}.\n`,
  );
  console.log(tableOf(measured, size));
  return { nodes: NODES, rates: RATES, size, measured };
}

async function oneRound(world: World, round: number, log: (line: string) => void): Promise<Measured[]> {
  const results: Measured[] = [];
  const one = async (way: Way): Promise<void> => {
    const done = await fetchAll(world, way, round);
    results.push(done);
    log(
      `${way} ${round + 1}: ${(done.bytes / 1e6).toFixed(0)} MB, last node ${Math.max(...done.ends).toFixed(2)} s`,
    );
  };
  await one('registry');
  await using _server = await startMirror(world, round);
  await one('mirror');
  await one('filled mirror');
  return results;
}

async function fetchAll(
  { hawser, dir, origin, mirror, nodes }: World,
  way: Way,
  round: number,
): Promise<Measured> {
  const certs = `${dir}/certs-${way === 'registry' ? 'registry' : 'mirror'}`;
  hostsDir(certs, origin, way === 'registry' ? undefined : mirror);
  const before = origin.sent();
  const began = performance.now();
  const ends = await Promise.all(
    nodes.map(async ({ prefix, name }) => {
      const root = `${dir}/${name}-${way.replace(' ', '-')}-${round}`;
      const args = ['content', 'fetch', '--progress', 'none', '--hosts-dir', certs];
      await timed([...prefix, ...hawser, '--root', root, ...args, referenceAt(origin)]);
      const seconds = (performance.now() - began) / 1000;
      await exec('rm', ['-rf', root]);
      return seconds;
    }),
  );
  return { way, bytes: origin.sent() - before, ends };
}

function referenceAt({ address }: Machine): string {
  return `${address}:${PORT}/bench/${IMAGE}:1`;
}

/** The hosts.toml of the registry, which speaks plain HTTP. */
function hostsDir(dir: string, origin: Machine, mirror?: Machine): void {
  const place = `${dir}/${origin.address}:${PORT}`;
  mkdirSync(place, { recursive: true });
  const capable = '  capabilities = ["pull", "resolve"]\n';
  const first = mirror === undefined ? '' : `[host."http://${mirror.address}:${PORT}"]\n${capable}`;
  writeFileSync(`${place}/hosts.toml`, `server = "http://${origin.address}:${PORT}"\n${first}`);
}

/** docker-registry on its own machine. */
async function startRegistry(origin: Machine, storage: string, dir: string): Promise<AsyncDisposable> {
  const config = `${dir}/registry.yml`;
  writeFileSync(
    config,
    `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: ${JSON.stringify(storage)} } }
http: { addr: "0.0.0.0:${PORT}" }
`,
  );
  return await startOn(origin, ['docker-registry', 'serve', config]);
}

async function startMirror({ hawser, dir, origin, mirror }: World, round: number): Promise<AsyncDisposable> {
  const certs = `${dir}/certs-registry`;
  hostsDir(certs, origin);
  const listen = ['--listen', `${mirror.address}:${PORT}`, '--plain-http', '--max-connections', '1000'];
  const through = ['--pull-through', `${origin.address}:${PORT}`, '--hosts-dir', certs];
  return await startOn(mirror, [
    ...hawser,
    '--root',
    `${dir}/mirror-${round}`,
    'serve',
    ...listen,
    ...through,
  ]);
}

/** Ready when something listens at the port. */
async function startOn({ prefix, address }: Machine, command: readonly string[]): Promise<AsyncDisposable> {
  const [file = '', ...before] = prefix;
  const open = [...before, 'bash', '-c', `< /dev/tcp/${address}/${PORT}`];
  const ready = async () => (await exec(file, open)).code === 0;
  const daemon = await startDaemon(file, [...before, ...command], ready);
  return { [Symbol.asyncDispose]: () => daemon.stop() };
}

function tableOf(measured: readonly Measured[], size: number): string {
  const rows = [['', 'from the registry', 'images', 'first node', 'last node']];
  for (const way of ['registry', 'mirror', 'filled mirror'] as const) {
    const of = measured.filter((one) => one.way === way);
    const bytes = median(of.map((one) => one.bytes));
    const [first, last] = [Math.min, Math.max].map((pick) => median(of.map(({ ends }) => pick(...ends))));
    rows.push([
      way === 'registry'
        ? 'without a mirror'
        : way === 'mirror'
          ? 'hawser serve --pull-through'
          : 'the same, once it has all',
      `${(bytes / 1e6).toFixed(0)} MB`,
      (bytes / size).toFixed(2),
      `${first?.toFixed(2)} s`,
      `${last?.toFixed(2)} s`,
    ]);
  }
  return table(rows);
}
