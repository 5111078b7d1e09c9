/** `bench import`: an archive of the six layers, imported and unpacked by hawser and by the ctr of a containerd 2 in turn; and again. */
import { execFileSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { installations, startContainerd } from '../../test/support/containerd.ts';
import { scratch } from '../../test/support/scratch.ts';
import type { Flags, Results } from './flags.ts';
import { benchDir, benchImages } from './images.ts';
import { versionOf } from './machine.ts';
import { COMMANDS } from './peers/hawser.ts';
import { median, table, timed } from './run.ts';

const IMAGE = 'app';
const REPOSITORY = 'bench.example/images';
/** The time of ctr divided by ours. */
const AT_LEAST = 3;
/** Seconds for an import of what is there. */
const AGAIN_LIMIT = 0.15;

interface Round {
  readonly ours: number;
  readonly again: number;
  readonly theirs: number;
}

export async function importing(flags: Flags, log: (line: string) => void): Promise<Results> {
  const [, newer] = installations;
  if (newer === undefined) throw new Error('CONTAINERD2 must name a containerd 2.x, with its ctr beside it');
  const command = COMMANDS[flags.target];
  const archive = await benchArchive(command, log);
  const rounds: Round[] = [];
  for (let round = 1; round <= flags.runs; round++) {
    execFileSync('sync');
    const own = await byHawser(command, archive);
    execFileSync('sync');
    const theirs = await byCtr(archive);
    rounds.push({ ...own, theirs });
    const seconds = [own.ours, own.again, theirs].map((one) => one.toFixed(2)).join(', ');
    log(`${round}/${flags.runs}: hawser, hawser again, ctr: ${seconds} s`);
  }
  const of = (pick: (round: Round) => number) => median(rounds.map(pick));
  const ratio = of(({ ours, theirs }) => theirs / ours);
  const again = of((round) => round.again);
  console.log(
    'Import of an archive of six layers (449 MB) with unpacking, into empty stores on tmpfs; medians.\n',
  );
  console.log(
    table([
      ['', 'seconds'],
      ['hawser', of(({ ours }) => ours).toFixed(2)],
      ['ctr', of(({ theirs }) => theirs).toFixed(2)],
      ['hawser, all there', again.toFixed(2)],
    ]),
  );
  const holds = (is: boolean) => (is ? 'holds' : 'DOES NOT HOLD');
  console.log(
    `\nat least ${AT_LEAST} times as fast as ctr, paired: ${ratio.toFixed(2)}: ${holds(ratio >= AT_LEAST)}`,
  );
  console.log(`all there in at most ${AGAIN_LIMIT} s: ${again.toFixed(3)}: ${holds(again <= AGAIN_LIMIT)}`);
  return { rounds, ratio, again, ctr: versionOf(newer.ctr) };
}

/** Made once, beside the images. */
async function benchArchive(command: readonly string[], log: (line: string) => void): Promise<string> {
  const layout = await benchImages(log);
  const file = join(benchDir(), `${IMAGE}-of-${layout.slice(layout.lastIndexOf('/') + 1)}.tar`);
  if (existsSync(file)) return file;
  await using store = await scratch('bench-export-', benchDir());
  const at = [...command, '--root', store.path];
  await timed([...at, 'import', '--no-unpack', '--progress', 'none', '--base-name', REPOSITORY, layout]);
  await timed([...at, 'export', `${file}.new`, `${REPOSITORY}:${IMAGE}`]);
  renameSync(`${file}.new`, file);
  return file;
}

async function byHawser(command: readonly string[], archive: string): Promise<Pick<Round, 'ours' | 'again'>> {
  await using dir = scratch('bench-hawser-', '/dev/shm');
  const line = [...command, '--root', dir.path, 'import', '--progress', 'none', archive];
  const { seconds: ours } = await timed(line);
  const { seconds: again } = await timed(line);
  return { ours, again };
}

async function byCtr(archive: string): Promise<number> {
  const [, newer] = installations;
  await using daemon = await startContainerd('/dev/shm', '', newer);
  return (await timed([newer?.ctr ?? '', '--address', daemon.socket, 'images', 'import', archive])).seconds;
}
