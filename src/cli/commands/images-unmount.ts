import { ifFound } from '../../core/errors.ts';
import type { Command } from '../grammar/command.ts';
import { SNAPSHOTTER } from '../grammar/flags.ts';
import { safe } from '../render/text.ts';
import { print, withBackend } from '../session/context.ts';

export const imagesUnmount: Command = {
  path: ['images', 'unmount'],
  args: ['<target>'],
  missing: 'please provide a target path to unmount from',
  summary: 'unmount what images mount mounted',
  flags: [{ name: 'rm', type: 'bool', describe: 'also remove the snapshot and its lease' }, SNAPSHOTTER],
  run: async (context, input) =>
    await withBackend(context, async (backend) => {
      const target = input.arg(0);
      const call = { signal: context.signal };
      await (await context.runtime.mounter()).unmount(target, call);
      if (input.bool('rm')) {
        const snapshotter = backend.snapshotter(input.text('snapshotter'));
        await ifFound(snapshotter.remove(target, call));
        await ifFound(backend.leases.delete(target, call));
      }
      await print(context, `${safe(target)}\n`);
    }),
};
