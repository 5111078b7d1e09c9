import { absolutePath } from '../../core/absolute-path.ts';
import { unmountImage } from '../../core/verbs/unmount.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT, SNAPSHOTTER } from '../grammar/flags.ts';
import { warn, withBackend } from '../session/context.ts';
import { type Command, command } from './command.ts';

const RM = bool({ name: 'rm', describe: 'also remove the snapshot and its lease, mounted or not' });

export const imagesUnmount: Command = command({
  path: ['images', 'unmount'],
  short: true,
  args: ['<target>'],
  missing: 'please provide a target path to unmount from',
  summary: 'unmount what images mount mounted',
  flags: [RM, SNAPSHOTTER, JSON_DOCUMENT],
  run: async (context, input) =>
    await withBackend(context, async (backend) => {
      const { runtime, signal } = context;
      const given = absolutePath(input.arg(0), runtime.host);
      const warnings: string[] = [];
      const target = await unmountImage(
        { backend, runtime },
        {
          target: given,
          remove: input.get(RM),
          snapshotter: input.get(SNAPSHOTTER),
          report: (event) => void (event.type === 'warning' && warnings.push(event.message)),
          signal,
        },
      );
      for (const message of warnings) await warn(context, `warning: ${message}`);
      const json = input.get(JSON_DOCUMENT);
      return { view: { type: 'answer', of: 'unmounted', lines: [target], members: { target }, json } };
    }),
});
