import { isKind, wrap } from '../../core/errors.ts';
import { bool } from '../grammar/flag.ts';
import { show, warn, withBackend } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const imagesRemove: Command = command({
  path: ['images', 'delete'],
  aliases: ['del', 'remove', 'rm'],
  args: ['<ref...>'],
  missing: 'please provide an image reference to delete',
  summary: 'remove images, and what nothing uses any more',
  flags: [
    bool({
      name: 'sync',
      describe: 'accepted: what is unused is always collected before the command ends',
    }),
  ],
  run: async (context, input) =>
    await withBackend(context, async (backend) => {
      const call = { signal: context.signal };
      const failures: unknown[] = [];
      const names: string[] = [];
      for (const name of input.args) {
        try {
          names.push((await findImage(backend.images, name, call)).name);
        } catch (err) {
          context.signal.throwIfAborted();
          if (isKind(err, 'NotFound')) await warn(context, `${name}: image not found`);
          else failures.push(wrap(`unable to delete ${name}`, err));
        }
      }
      for (const name of await backend.images.deleteAll(names, call)) await show(context, lines(name));
      await backend.collect(call);
      return { failures };
    }),
});
