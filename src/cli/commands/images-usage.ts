import { HawserError, isKind } from '../../core/errors.ts';
import { chainIdOf } from '../../core/images/inspect.ts';
import { defaultPlatform } from '../../core/platforms/host.ts';
import { only } from '../../core/platforms/match.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Snapshotter } from '../../core/snapshots/snapshotter.ts';
import { JSON_DOCUMENT, SNAPSHOTTER } from '../grammar/flags.ts';
import { withStore } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import type { UsageRow } from '../views/usage.ts';
import { type Command, command } from './command.ts';

/** The usage of a snapshot and of each of its ancestors, nearest first. */
export async function chainUsage(snapshotter: Snapshotter, top: string, call: Call): Promise<UsageRow[]> {
  const rows: UsageRow[] = [];
  for (let key = top; key !== ''; key = (await snapshotter.stat(key, call)).parent) {
    rows.push({ key, ...(await snapshotter.usage(key, call)) });
  }
  return rows;
}

export const imagesUsage: Command = command({
  path: ['images', 'usage'],
  args: ['<ref>'],
  missing: 'please provide an image reference to show its usage',
  summary: 'disk usage of an unpacked image, layer by layer',
  flags: [SNAPSHOTTER, JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const call = { signal: context.signal };
      const image = await findImage(backend.images, input.arg(0), call);
      const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
      const deps = { store: backend.content, hashers: context.runtime.hashers };
      const chainId = await chainIdOf(
        deps,
        image.target,
        only(defaultPlatform(backend, context.runtime.host)),
        call,
      );
      try {
        const rows = await chainUsage(snapshotter, chainId, call);
        return { view: { type: 'usage', rows, inBytes: false, json: input.get(JSON_DOCUMENT) } };
      } catch (err) {
        if (!isKind(err, 'NotFound')) throw err;
        const where = `image ${image.name} isn't unpacked in snapshotter ${snapshotter.name}`;
        throw new HawserError('NotFound', where, {
          cause: err,
          hint: `Unpack it: hawser unpack --snapshotter ${snapshotter.name} ${image.name}`,
        });
      }
    }),
});
