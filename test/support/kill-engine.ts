/** Commands of the executable that are killed at a moment of their run, half of them with the portable decoders. */
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { exec } from './exec.ts';
import { KILLED } from './fault-check.ts';
import type { Engine, Ran } from './fault-world.ts';
import type { Flavour } from './hawser.ts';

export interface Moment {
  /** Milliseconds from the start of the program to SIGKILL. */
  readonly after: number;
  /** What HAWSER_CODEC says. */
  readonly codec: 'native' | 'portable';
}

/** `count` moments of each command, by `random` (0 to 1), from the start to a little after its usual end. */
export function killEngine({ command }: Flavour, random: () => number, count: number): Engine<Moment> {
  const [file, ...before] = command;
  const run = async (root: string, args: readonly string[], moment?: Moment): Promise<Ran> => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const { code, stdout, stderr } = await exec(file, [...before, '--root', root, ...args], {
      env: moment === undefined ? process.env : { ...process.env, HAWSER_CODEC: moment.codec },
      started: (child) => {
        if (moment !== undefined) timer = setTimeout(() => child.kill('SIGKILL'), moment.after);
      },
    });
    clearTimeout(timer);
    return { code: code ?? KILLED, out: stdout, err: stderr, first: [] };
  };
  return {
    run,
    points: async (_, root, args) => {
      const began = performance.now();
      const { code, err } = await run(root, args);
      if (code !== 0) throw new Error(`undisturbed: ${err}`);
      const whole = 1.1 * (performance.now() - began);
      return Array.from({ length: count }, () => ({
        after: Math.round(random() * whole),
        codec: random() < 0.5 ? 'native' : 'portable',
      }));
    },
    show: ({ after, codec }) => `killed after ${after} ms (${codec})`,
    dropLost: () => {},
  };
}
