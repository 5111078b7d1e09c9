/** Commands in this process, over a runtime whose calls can be made to fail. */
import { main } from '../../src/cli/main.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { collector } from './command-line.ts';
import { Faults, faultyRuntime, type Point, pointsOf } from './fault-points.ts';
import type { Engine, Ran } from './fault-world.ts';
import { hasFfi } from './ffi.ts';
import { LostData } from './lost-data.ts';
import { parts } from './this-runtime.ts';

export function portEngine(): Engine<Point> {
  const lost = new LostData();
  const faults = new Faults(lost);
  const run = async (root: string, args: readonly string[], point?: Point): Promise<Ran> => {
    const [stdout, stderr] = [collector(), collector()];
    const base = composeRuntime(parts, { workerUrl: new URL('file:///none') });
    const onInterrupt = (): Disposable => ({ [Symbol.dispose]: () => {} });
    const host = { ...base.host, stdout, stderr, onInterrupt };
    faults.arm(point);
    const runtime = faultyRuntime({ ...base, host }, faults);
    const code = await main(runtime, ['--root', root, ...args]);
    return { code, out: stdout.text(), err: stderr.text(), first: faults.first };
  };
  return {
    run,
    points: async (_, root, args, few) => {
      const { code, err } = await run(root, args);
      if (code !== 0) throw new Error(`undisturbed: ${err}`);
      const counts = new Map(faults.counts);
      // Each system call is a program without FFI; the pulls show them.
      if (few && !hasFfi() && args[0] !== 'pull') {
        for (const kind of [...counts.keys()]) if (kind.startsWith('sys.')) counts.delete(kind);
      }
      return pointsOf(counts, few);
    },
    show: ({ kind, nth, errno }) => `${errno} at ${kind} ${nth}`,
    dropLost: (dir) => lost.drop(dir),
  };
}
