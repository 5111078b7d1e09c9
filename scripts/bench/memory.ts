/** `bench memory`: the most that all our processes and threads take, over layers that grow and layers that are many. */
import { scratch } from '../../test/support/scratch.ts';
import type { Flags, Results } from './flags.ts';
import { generatedImages } from './generated.ts';
import { growingLayers } from './growth.ts';
import { benchImages, IMAGES } from './images.ts';
import { COMMANDS } from './peers/hawser.ts';
import { table, timed } from './run.ts';
import { type BenchRegistry, startBenchRegistry } from './server.ts';
import { type Usage, watch } from './watch.ts';

/** Goal 3, in bytes. */
const LIMIT = 256 << 20;

interface Measured extends Usage {
  readonly image: string;
}

export async function memory(flags: Flags, log: (line: string) => void): Promise<Results> {
  const growing = growingLayers(flags.scale);
  const many = {
    name: 'layers-200',
    layers: Array.from({ length: 200 }, (_, n) => ({ seed: n, files: 20, bytes: 50_000 })),
  };
  const fixed = IMAGES.map((one) => one.name).filter((name) => flags.only.includes(name));
  const found: Measured[] = [];
  for (const [layout, images] of [
    [await benchImages(log), fixed],
    [await generatedImages([...growing, many], log), [...growing.map((one) => one.name), many.name]],
  ] as const) {
    await using registry = await startBenchRegistry(layout, images);
    for (const image of images) {
      const usage = await peak(COMMANDS[flags.target], image, registry);
      found.push({ image, ...usage });
      log(`${image}: ${mebibytes(usage.peakRss)}`);
    }
  }
  const most = Math.max(...found.map((one) => one.peakRss));
  console.log(
    'Peak resident memory of one pull, MiB: the sum of the high-water marks of all processes, threads included.\n',
  );
  console.log(
    table([
      ['image', 'resident', 'of it in no file', 'processes'],
      ...found.map((one) => [
        one.image,
        mebibytes(one.peakRss),
        mebibytes(one.peakAnonymous),
        String(one.processes),
      ]),
    ]),
  );
  console.log(
    `\nat most ${mebibytes(LIMIT)} MiB: ${most <= LIMIT ? 'holds' : 'DOES NOT HOLD'} (${mebibytes(most)})`,
  );
  return { memory: found, limit: LIMIT, most };
}

async function peak(command: readonly string[], image: string, registry: BenchRegistry): Promise<Usage> {
  await using dir = scratch('bench-memory-', '/dev/shm');
  let watching: ReturnType<typeof watch> | undefined;
  const line = [...command, '--root', dir.path, 'pull', '--progress', 'none', registry.reference(image)];
  try {
    await timed(line, {
      started: (pid) => {
        watching = watch(pid);
      },
    });
  } finally {
    watching?.stop();
  }
  return watching?.stop() ?? { peakRss: 0, peakAnonymous: 0, processes: 0 };
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
