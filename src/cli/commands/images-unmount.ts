import { ifFound } from '../../core/errors.ts';
import { bool } from '../grammar/flag.ts';
import { SNAPSHOTTER } from '../grammar/flags.ts';
import { safe } from '../render/text.ts';
import { print, withBackend } from '../session/context.ts';
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
      const target = input.arg(0);
      const call = { signal: context.signal };
      await (await context.runtime.mounter()).unmount(target, call);
      if (input.get(RM)) {
        const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
        await ifFound(snapshotter.remove(target, call));
        await ifFound(backend.leases.delete(target, call));
      }
      await print(context, `${safe(target)}\n`);
    }),
});
