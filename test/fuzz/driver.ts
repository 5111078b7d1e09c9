/** Runs fuzz targets in turn, a slice of time each; makes what it finds small. */
import process from 'node:process';
import { seeded } from './random.ts';
import type { AnyTarget } from './target.ts';

export interface FuzzOptions {
  /** The first execution of each target has this seed, the next one seed + 1, and so on (32 bits). */
  readonly seed: number;
  /** How long to go on, all targets together. */
  readonly seconds: number;
  /** An execution that takes more processor time than this is a finding. Default: none does. */
  readonly limitMs?: number;
  /** Before each execution, so that one that hangs can be named from outside. */
  readonly onExecution?: (target: number, seed: number) => void;
}

export interface Found {
  readonly target: string;
  /** Of the execution: `--target T --seed S` runs it first. */
  readonly seed: number;
  readonly error: string;
  /** As small as it could be made. */
  readonly input: string;
}

const SLICE_MS = 200;
const SHRINK_MS = 20_000;

/** Every target runs at least once; one that found something is done, the others go on. */
export async function fuzz(
  targets: readonly AnyTarget[],
  options: FuzzOptions,
): Promise<{ executions: readonly number[]; found: readonly Found[] }> {
  const executions = targets.map(() => 0);
  const found = new Map<AnyTarget, Found>();
  const slice = Math.min(SLICE_MS, (options.seconds * 1000) / targets.length);
  const end = performance.now() + options.seconds * 1000;
  do {
    for (const [index, target] of targets.entries()) {
      const until = performance.now() + slice;
      while (!found.has(target)) {
        const seed = (options.seed + (executions[index] ?? 0)) >>> 0;
        options.onExecution?.(index, seed);
        const error = await failure(target, target.generate(seeded(seed)), options.limitMs);
        executions[index] = (executions[index] ?? 0) + 1;
        if (error !== undefined) found.set(target, await describe(target, seed, error, options));
        if (performance.now() >= until) break;
      }
    }
  } while (performance.now() < end && found.size < targets.length);
  return { executions, found: [...found.values()] };
}

/** What is wrong with an execution, if anything. */
async function failure(
  target: AnyTarget,
  input: unknown,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<unknown> {
  const before = process.cpuUsage();
  try {
    await target.execute(input);
  } catch (err) {
    return err ?? new Error('threw nothing');
  }
  const { user, system } = process.cpuUsage(before);
  const ms = Math.round((user + system) / 1000);
  return ms > limitMs ? new Error(`took too long: ${ms} ms, and ${limitMs} ms are allowed`) : undefined;
}

async function describe(
  target: AnyTarget,
  seed: number,
  error: unknown,
  options: FuzzOptions,
): Promise<Found> {
  const until = performance.now() + SHRINK_MS;
  let small = target.generate(seeded(seed));
  let last = error;
  for (let progress = true; progress && performance.now() < until; ) {
    progress = false;
    for (const candidate of target.shrink(small)) {
      if (performance.now() > until) break;
      const now = await failure(target, candidate, options.limitMs);
      if (now === undefined || signature(now) !== signature(error)) continue;
      small = candidate;
      last = now;
      progress = true;
      break;
    }
  }
  const text = last instanceof Error ? (last.stack ?? String(last)) : String(last);
  return { target: target.name, seed, error: text, input: target.show(small) };
}

/** Tells one failure from another while the input changes. */
function signature(err: unknown): string {
  return (
    String(err)
      .split('\n')[0]
      ?.replace(/[0-9]+|"[^"]*"/g, '') ?? ''
  );
}
