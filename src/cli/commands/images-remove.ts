import type { Backend } from '../../core/backend.ts';
import { isKind, wrap } from '../../core/errors.ts';
import { DRY_RUN, JSON_DOCUMENT, SYNC } from '../grammar/flags.ts';
import { type Context, show, warn, withBackend } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { previewRemoval } from '../session/removal.ts';
import { lines, type Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const imagesRemove: Command = command({
  path: ['images', 'delete'],
  short: 'rmi',
  aliases: ['del', 'remove', 'rm'],
  args: ['<ref...>'],
  missing: 'please provide an image reference to delete',
  summary: 'remove images, and what nothing uses any more',
  details: 'Example:\n  hawser images rm --dry-run alpine',
  flags: [SYNC, DRY_RUN, JSON_DOCUMENT],
  run: async (context, input) => {
    const preview = input.get(DRY_RUN);
    const work = (backend: Backend) =>
      preview ? previewOf(context, backend, input.get(JSON_DOCUMENT)) : remove(context, backend);
    return await withBackend(context, work, preview);
  },
});

interface Named {
  readonly names: readonly string[];
  readonly failures: readonly unknown[];
}

/** The names of the records that are there. */
async function findAll(context: Context, { images }: Backend): Promise<Named> {
  const failures: unknown[] = [];
  const names: string[] = [];
  for (const name of context.input.args) {
    try {
      names.push((await findImage(images, name, { signal: context.signal })).name);
    } catch (err) {
      context.signal.throwIfAborted();
      if (isKind(err, 'NotFound')) await warn(context, `${name}: image not found`);
      else failures.push(wrap(`unable to delete ${name}`, err));
    }
  }
  return { names, failures };
}

async function remove(context: Context, backend: Backend): Promise<Outcome> {
  const call = { signal: context.signal };
  const { names, failures } = await findAll(context, backend);
  for (const name of await backend.images.deleteAll(names, call)) await show(context, lines(name));
  await backend.collect(call);
  return { failures };
}

async function previewOf(context: Context, backend: Backend, json: boolean): Promise<Outcome> {
  const { names, failures } = await findAll(context, backend);
  const removals = names.map((id) => ({ type: 'images' as const, id }));
  return { ...(await previewRemoval(context, backend, removals, json)), failures };
}
