/** `bench codecs`: how fast each decompressor is on each runtime, on a Debian layer. */
import { join } from 'node:path';
import { execOk } from '../../test/support/exec.ts';
import { deno, node22, node26 } from '../../test/support/runtimes.ts';
import type { ProbeResult } from './codec-probe.ts';
import type { Flags, Results } from './flags.ts';
import { benchImages, layoutManifest } from './images.ts';
import { versionOf } from './machine.ts';
import { median, table } from './run.ts';

const QUIET = '--disable-warning=ExperimentalWarning';
const RUNTIMES: readonly (readonly [name: string, command: readonly [string, ...string[]]])[] = [
  ['Node 26', [node26, QUIET]],
  ['Node 22', [node22, QUIET]],
  ['Deno', [deno, 'run', '-A', '--quiet', '--no-check']],
];
/** What the implementations are made of. */
const ROWS: readonly (readonly [codec: ProbeResult['codec'], implementation: string, title: string])[] = [
  ['gzip', 'native', 'gzip, native (node:zlib)'],
  ['gzip', 'portable', 'gzip, WASM (ISA-L)'],
  ['gzip', 'pako', 'gzip, JS (pako)'],
  ['zstd', 'native', 'zstd, native (node:zlib)'],
  ['zstd', 'portable', 'zstd, WASM (zstddec)'],
  ['sha256', 'native', 'sha256, native (node:crypto)'],
];

export async function codecs(flags: Flags, log: (line: string) => void): Promise<Results> {
  const layout = await benchImages(log);
  const blob = (image: string) => {
    const digest = layoutManifest(layout, image).layers[0]?.digest ?? '';
    return join(layout, 'blobs', digest.replace(':', '/'));
  };
  const probe = join(import.meta.dirname, 'codec-probe.ts');
  const found: { runtime: string; version: string; results: ProbeResult[] }[] = [];
  for (const [runtime, [file, ...before]] of RUNTIMES) {
    log(`codecs on ${runtime}`);
    const args = [...before, probe, blob('minbase'), blob('app-zstd'), String(flags.runs)];
    const { stdout } = await execOk(file, args, { timeout: 600_000 });
    found.push({ runtime, version: versionOf(file), results: JSON.parse(stdout) as ProbeResult[] });
  }
  const rows = ROWS.map(([codec, implementation, title]) => [
    title,
    ...found.map(({ results }) => {
      const one = results.find((r) => r.codec === codec && r.implementation === implementation);
      return one === undefined ? '-' : String(Math.round(median(one.rates) / 1e6));
    }),
  ]);
  console.log(
    `Decompressed MB/s on one core, one stream, medians of ${flags.runs}; a Debian layer; - is not there.\n`,
  );
  console.log(table([['', ...found.map((one) => one.runtime)], ...rows]));
  for (const { runtime, version } of found) console.log(`${runtime}: ${version}`);
  return { codecs: found };
}
