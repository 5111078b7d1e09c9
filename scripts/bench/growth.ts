/** `bench growth`: time over entries and over bytes, and the exponent that fits. */

import type { Flags, Results } from './flags.ts';
import { type GeneratedImage, generatedImages } from './generated.ts';
import { COMMANDS, hawser } from './peers/hawser.ts';
import { exponent, median, table } from './run.ts';
import { startBenchRegistry } from './server.ts';

const STEPS: readonly number[] = [1, 4, 16];
/** 16 times this is a million. */
const FILES = 62_500;
/** 16 times this is 8 GB, in files of 4 MiB. */
const BYTES = 500e6;
const FILE_BYTES = 4 << 20;

interface Series {
  readonly what: 'files' | 'bytes';
  readonly sizes: readonly number[];
  readonly images: readonly GeneratedImage[];
}

function seriesOf(scale: number): Series[] {
  const files = STEPS.map((step) => Math.max(1, Math.round(FILES * step * scale)));
  const counts = STEPS.map((step) => Math.max(1, Math.round((BYTES * step * scale) / FILE_BYTES)));
  const image = (name: string, count: number, bytes: number): GeneratedImage => ({
    name,
    layers: [{ seed: 1, files: count, bytes }],
  });
  return [
    {
      what: 'files',
      sizes: files,
      images: files.map((n, at) => image(`files-${STEPS[at]}x`, n, 100)),
    },
    {
      what: 'bytes',
      sizes: counts.map((n) => n * FILE_BYTES),
      images: counts.map((n, at) => image(`bytes-${STEPS[at]}x`, n, FILE_BYTES)),
    },
  ];
}

/** The images whose layer grows in bytes: memory is measured on them too. */
export function growingLayers(scale: number): readonly GeneratedImage[] {
  return seriesOf(scale)[1]?.images ?? [];
}

export async function growth(flags: Flags, log: (line: string) => void): Promise<Results> {
  const peer = hawser('hawser', COMMANDS[flags.target]);
  const found: object[] = [];
  const rows = [['', ...STEPS.map((step) => `${step}x`), 'exponent']];
  for (const { what, sizes, images } of seriesOf(flags.scale)) {
    const layout = await generatedImages(images, log);
    await using registry = await startBenchRegistry(
      layout,
      images.map((one) => one.name),
    );
    const seconds: number[][] = images.map(() => []);
    for (let round = 0; round < flags.runs; round++) {
      for (const [at, { name }] of images.entries()) {
        const job = { kind: 'pull', image: name, zstd: false, registry, base: '/dev/shm' } as const;
        seconds[at]?.push(await peer.run(job));
        log(`${name} ${round + 1}/${flags.runs}: ${seconds[at]?.at(-1)?.toFixed(2)} s`);
      }
    }
    const medians = seconds.map(median);
    const fitted = exponent(sizes.map((size, at) => [size, medians[at] ?? Number.NaN]));
    found.push({ what, sizes, seconds, medians, exponent: fitted });
    rows.push([
      `${what} (${sizes.map((size) => (what === 'files' ? size : `${(size / 1e9).toFixed(2)} GB`)).join(', ')})`,
      ...medians.map((one) => `${one.toFixed(2)} s`),
      fitted.toFixed(2),
    ]);
  }
  console.log(
    `Seconds of a pull of one layer that grows, medians of ${flags.runs}; time = a * size ^ exponent.\n`,
  );
  console.log(table(rows));
  return { growth: found };
}
