import { absolutePath } from '../../core/absolute-path.ts';
import type { Backend } from '../../core/backend.ts';
import { unmountImage } from '../../core/verbs/unmount.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT, SNAPSHOTTER } from '../grammar/flags.ts';
import { warn, withExisting } from '../session/context.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

const RM = bool({ name: 'rm', describe: 'also remove the snapshot and its lease, mounted or not' });

export const imagesUnmount: Command = command({
  path: ['images', 'unmount'],
  short: true,
  args: ['<target>'],
  missing: 'please provide a target path to unmount from',
  summary: 'unmount what images mount mounted',
  flags: [RM, SNAPSHOTTER, JSON_DOCUMENT],
  run: async (context, input) => {
    const work = async (backend: Backend): Promise<Outcome> => {
      const { runtime, signal } = context;
      const given = absolutePath(input.arg(0), runtime.host);
      const warnings: string[] = [];
      const { target, found } = await unmountImage(
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
      const lines = found ? [target] : [];
      return { view: { type: 'answer', of: 'unmounted', lines, members: { target, found }, json } };
    };
    return await withExisting(context, work);
  },
});
