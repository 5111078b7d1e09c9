import { unmountImage } from '../../core/verbs/unmount.ts';
import { bool } from '../grammar/flag.ts';
import { SNAPSHOTTER } from '../grammar/flags.ts';
import { withBackend } from '../session/context.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

const RM = bool({ name: 'rm', describe: 'also remove the snapshot and its lease' });

export const imagesUnmount: Command = command({
  path: ['images', 'unmount'],
  args: ['<target>'],
  missing: 'please provide a target path to unmount from',
  summary: 'unmount what images mount mounted',
  flags: [RM, SNAPSHOTTER],
  run: async (context, input) =>
    await withBackend(context, async (backend) => {
      const { runtime, signal } = context;
      const target = input.arg(0);
      const options = { target, remove: input.get(RM), snapshotter: input.get(SNAPSHOTTER), signal };
      await unmountImage({ backend, runtime }, options);
      return { view: lines(target) };
    }),
});
