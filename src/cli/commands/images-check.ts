import type { Backend } from '../../core/backend.ts';
import { isKind, wrap } from '../../core/errors.ts';
import type { Image } from '../../core/images/image-store.ts';
import { chainIdOf, imageStatus, isComplete } from '../../core/images/inspect.ts';
import { defaultPlatform } from '../../core/platforms/host.ts';
import { only } from '../../core/platforms/match.ts';
import type { Snapshotter } from '../../core/snapshots/snapshotter.ts';
import { JSON_DOCUMENT, QUIET, SNAPSHOTTER } from '../grammar/flags.ts';
import { type Context, warn, withStore } from '../session/context.ts';
import type { CheckRow } from '../views/images.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';
import { matchingImages } from './images-list.ts';

async function checkImage(
  context: Context,
  backend: Backend,
  snapshotter: Snapshotter,
  image: Image,
): Promise<CheckRow> {
  const { signal } = context;
  const errors: unknown[] = [];
  const attempt = async <T>(doing: string, work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (err) {
      if (isKind(err, 'Canceled', 'DeadlineExceeded')) throw err;
      errors.push(wrap(`unable to check ${doing}${image.name}`, err));
      return undefined;
    }
  };
  const status = await attempt(
    '',
    imageStatus(backend.content, image.target, only(defaultPlatform(backend, context.runtime.host)), {
      signal,
    }),
  );
  const unpacked = await attempt('unpack for ', isUnpacked(context, backend, snapshotter, image));
  return { image, status, unpacked: unpacked ?? false, errors };
}

/** Whether the snapshots of all layers are there. */
async function isUnpacked(
  context: Context,
  backend: Backend,
  snapshotter: Snapshotter,
  image: Image,
): Promise<boolean> {
  const { runtime, signal } = context;
  const deps = { store: backend.content, hashers: runtime.hashers };
  try {
    const matcher = only(defaultPlatform(backend, runtime.host));
    const chainId = await chainIdOf(deps, image.target, matcher, { signal });
    for (let key: string = chainId; key !== ''; ) {
      const { kind, parent } = await snapshotter.stat(key, { signal });
      if (kind !== 'Committed') return false;
      key = parent;
    }
    return true;
  } catch (err) {
    if (isKind(err, 'NotFound', 'FailedPrecondition')) return false;
    throw err;
  }
}

/** Said with every check, for nobody is to take a size for more than it is. */
const CHECKED =
  'checked: manifests and configs by their digests, layers by their sizes, snapshots by their directories';

export const imagesCheck: Command = command({
  path: ['images', 'check'],
  args: ['[filter...]'],
  summary: 'check that images are complete and unpacked',
  details: 'Filters are those of hawser images ls.',
  flags: [QUIET, SNAPSHOTTER, JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const images = await matchingImages(backend, input.args, context.signal);
      const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
      const rows: CheckRow[] = [];
      for (const image of images) rows.push(await checkImage(context, backend, snapshotter, image));
      if (rows.length > 0 && !input.get(QUIET)) await warn(context, CHECKED);
      const good = rows.filter((row) => isComplete(row.status) && row.unpacked);
      const json = input.get(JSON_DOCUMENT);
      return {
        view: input.get(QUIET) ? lines(...good.map((row) => row.image.name)) : { type: 'checks', rows, json },
        failures: rows.flatMap((row) => row.errors),
      };
    }),
});
