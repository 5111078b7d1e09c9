/** `npm run bench`: every image by every peer in turn, n rounds; medians, paired ratios, and the goals. */
import { execFileSync } from 'node:child_process';
import { AGAIN_LIMIT, type Goal } from './goals.ts';
import type { BenchImage } from './images.ts';
import type { Machine } from './machine.ts';
import type { Job, Kind, Peer } from './peers/peer.ts';
import { median, table } from './run.ts';

export interface PullBench {
  readonly images: readonly BenchImage[];
  readonly kinds: readonly Kind[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  readonly base: string;
  /** What each run waits for: that the disk is as it was before the first. */
  readonly refresh?: (() => void) | undefined;
  readonly registry: Job['registry'];
  readonly log: (line: string) => void;
}

/** One peer on one image: seconds of each round. */
export interface Series {
  readonly image: string;
  readonly kind: Kind;
  readonly peer: string;
  readonly seconds: number[];
  /** Why there are none. */
  readonly skipped?: string;
  failure?: string;
}

/** Fetching alone and pulling again are measured on this one. */
const OTHER_KINDS_ON = 'app';

export async function measurePulls(bench: PullBench): Promise<Series[]> {
  const all: Series[] = [];
  for (const image of bench.images) {
    for (const kind of bench.kinds) {
      if (kind !== 'pull' && image.name !== OTHER_KINDS_ON) continue;
      all.push(...(await measure(bench, image, kind)));
    }
  }
  return all;
}

/** A B C, A B C, ...: what else the machine does meets all of them alike. */
async function measure(bench: PullBench, image: BenchImage, kind: Kind): Promise<Series[]> {
  const zstd = image.compression === 'zstd';
  const { registry, base, log } = bench;
  const series = bench.peers.map((peer): Series => {
    const skipped = peer.cannot(kind, zstd);
    return { image: image.name, kind, peer: peer.name, seconds: [], ...(skipped ? { skipped } : {}) };
  });
  for (let round = 1; round <= bench.rounds; round++) {
    for (const [n, peer] of bench.peers.entries()) {
      const one = series[n];
      if (one === undefined || one.skipped !== undefined || one.failure !== undefined) continue;
      execFileSync('sync');
      bench.refresh?.();
      try {
        const seconds = await peer.run({ kind, image: image.name, zstd, registry, base });
        one.seconds.push(seconds);
        log(`${image.name} ${kind} ${peer.name} ${round}/${bench.rounds}: ${seconds.toFixed(2)} s`);
      } catch (err) {
        one.failure = err instanceof Error ? err.message : String(err);
        log(`${image.name} ${kind} ${peer.name}: failed: ${one.failure}`);
      }
    }
  }
  return series;
}

/** The median over the rounds of their time divided by ours; undefined when either has none. */
export function pairedRatio(theirs: Series | undefined, ours: Series | undefined): number | undefined {
  if (theirs === undefined || ours === undefined) return undefined;
  const pairs = Math.min(theirs.seconds.length, ours.seconds.length);
  if (pairs === 0) return undefined;
  return median(theirs.seconds.slice(0, pairs).map((one, n) => one / (ours.seconds[n] ?? Number.NaN)));
}

/** Seconds, and in brackets how many times hawser's. `titles`: of the images, by name. */
export function pullTable(
  all: readonly Series[],
  peers: readonly Pick<Peer, 'name'>[],
  titles: Readonly<Record<string, string>>,
): string {
  const rows = [['', ...peers.map((peer) => peer.name)]];
  for (const { image, kind } of all.filter((one) => one.peer === peers[0]?.name)) {
    const of = (peer: string) => find(all, image, kind, peer);
    const ours = of('hawser');
    rows.push([
      kind === 'pull'
        ? (titles[image] ?? image)
        : `${image}: ${kind === 'fetch' ? 'fetch alone' : 'pull again'}`,
      ...peers.map(({ name }) => cell(of(name), ours)),
    ]);
  }
  return table(rows);
}

function cell(theirs: Series | undefined, ours: Series | undefined): string {
  if (theirs?.failure !== undefined) return 'failed';
  if (theirs === undefined || theirs.seconds.length === 0) return '-';
  const seconds = median(theirs.seconds).toFixed(2);
  const ratio = theirs === ours ? undefined : pairedRatio(theirs, ours);
  return ratio === undefined ? seconds : `${seconds} (${ratio.toFixed(2)}x)`;
}

export interface Verdict {
  readonly goal: string;
  readonly measured: number;
  readonly holds: boolean;
}

/** The goals that this run can tell of. */
export function verdicts(all: readonly Series[], goals: readonly Goal[]): Verdict[] {
  const ratios = goals.flatMap((goal) => verdict(all, goal));
  const again = find(all, OTHER_KINDS_ON, 'again', 'hawser');
  if (again === undefined || again.seconds.length === 0) return ratios;
  const measured = median(again.seconds);
  const goal = `${OTHER_KINDS_ON} again: at most ${AGAIN_LIMIT} s`;
  return [...ratios, { goal, measured, holds: measured <= AGAIN_LIMIT }];
}

function verdict(all: readonly Series[], { image, kind, ours, peer, atLeast }: Goal): Verdict[] {
  const measured = pairedRatio(find(all, image, kind, peer), find(all, image, kind, ours));
  if (measured === undefined) return [];
  const goal = `${image} ${kind}: ${ours} at least ${Number(atLeast.toFixed(2))} times as fast as ${peer}`;
  return [{ goal, measured, holds: measured >= atLeast }];
}

export function verdictTable(all: readonly Verdict[]): string {
  return table(
    all.map(({ goal, measured, holds }) => [goal, measured.toFixed(2), holds ? 'holds' : 'DOES NOT HOLD']),
  );
}

function find(all: readonly Series[], image: string, kind: Kind, peer: string): Series | undefined {
  return all.find((one) => one.image === image && one.kind === kind && one.peer === peer);
}

export function machineLine({ cpu, cores, memoryGiB, os, kernel, load }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}, Linux ${kernel}, load ${load.toFixed(2)} at the start`;
}
