import type { Backend } from '../../core/backend.ts';
import { isKind, wrap } from '../../core/errors.ts';
import { isCompanion } from '../../core/images/cri.ts';
import type { Image } from '../../core/images/image-store.ts';
import { bool } from '../grammar/flag.ts';
import { DRY_RUN, JSON_DOCUMENT, SYNC } from '../grammar/flags.ts';
import { type Context, show, warn, withExisting } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { previewRemoval, removedNames } from '../session/removal.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

const ALL_NAMES = bool({
  name: 'all-names',
  describe:
    'remove all names of these images, as crictl rmi does: those that Kubernetes needs, and other tags',
});
type RemoveContext = Context<'all-names' | 'json'>;

export const imagesRemove: Command = command({
  path: ['images', 'delete'],
  short: 'rmi',
  aliases: ['del', 'remove', 'rm'],
  args: ['<ref...>'],
  missing: 'please provide an image reference to delete',
  summary: 'remove images, and what nothing uses any more',
  details: 'Example:\n  hawser images rm --dry-run alpine',
  flags: [ALL_NAMES, SYNC, DRY_RUN, JSON_DOCUMENT],
  run: async (context, input) => {
    const preview = input.get(DRY_RUN);
    const work = (backend: Backend) =>
      preview ? previewOf(context, backend, input.get(JSON_DOCUMENT)) : remove(context, backend);
    return await withExisting(context, work, { readOnly: preview });
  },
});

interface Found {
  /** The records that are there. */
  readonly images: readonly Image[];
  readonly failures: readonly unknown[];
}

/** With --all-names also the other records of what was named. */
async function findAll(context: RemoveContext, { images }: Backend): Promise<Found> {
  const { input, signal } = context;
  const failures: unknown[] = [];
  const found: Image[] = [];
  for (const name of input.args) {
    try {
      found.push(await findImage(images, name, { signal }));
    } catch (err) {
      signal.throwIfAborted();
      if (isKind(err, 'NotFound')) await warn(context, `${name}: image not found`);
      else failures.push(wrap(`unable to delete ${name}`, err));
    }
  }
  if (!input.get(ALL_NAMES) || found.length === 0) return { images: found, failures };
  const digests = new Set(found.map(({ target }) => target.digest));
  const all = (await images.list({ signal })).filter(({ target }) => digests.has(target.digest));
  return { images: all, failures };
}

const namesOf = (images: readonly Image[]): string[] => images.map(({ name }) => name);

async function remove(context: RemoveContext, backend: Backend): Promise<Outcome> {
  const call = { signal: context.signal };
  const { images, failures } = await findAll(context, backend);
  const removed = removedNames(
    await backend.images.deleteAll(namesOf(images), call),
    context.input.get(JSON_DOCUMENT),
  );
  await show(context, removed);
  await tellOthers(context, backend, images);
  await backend.collect(call);
  return { failures };
}

/** Says so where the names that Kubernetes needs keep an image whose last other name is gone. */
async function tellOthers(context: Context, backend: Backend, removed: readonly Image[]): Promise<void> {
  if (backend.namespace !== backend.criNamespace || removed.length === 0) return;
  const left = await backend.images.list({ signal: context.signal });
  for (const [digest, name] of new Map(removed.map((image) => [image.target.digest, image.name]))) {
    const others = left.filter(({ target }) => target.digest === digest);
    if (others.length === 0 || !others.every(isCompanion)) continue;
    const names = namesOf(others).join(' and ');
    await warn(
      context,
      `warning: ${name} is removed, and the image stays as ${names}: --all-names removes them too`,
    );
  }
}

async function previewOf(context: RemoveContext, backend: Backend, json: boolean): Promise<Outcome> {
  const { images, failures } = await findAll(context, backend);
  const removals = namesOf(images).map((id) => ({ type: 'images' as const, id }));
  return { ...(await previewRemoval(context, backend, removals, json)), failures };
}
