import type { CodecChoice } from '../../core/ports/codecs.ts';
import { unpackImage } from '../../core/transfer/unpack.ts';
import type { Command } from '../command.ts';
import { type Context, withBackend } from '../context.ts';
import { CODEC, PLATFORM, PROGRESS, SNAPSHOTTER } from '../flags.ts';
import { findImage } from '../images.ts';
import { displayed, fetchOptions, storeDeps } from '../transfer.ts';

async function toSnapshots(context: Context): Promise<void> {
  const { input, signal } = context;
  const { platforms } = fetchOptions(context);
  await withBackend(context, async (backend) => {
    const image = await findImage(backend.images, input.arg(0), { signal });
    await displayed(context, true, (report) =>
      unpackImage(storeDeps(context, backend), image, {
        platforms: platforms === 'all' ? undefined : platforms,
        snapshotter: input.text('snapshotter'),
        codec: input.text('codec') as CodecChoice | undefined,
        report,
        signal,
      }),
    );
  });
}

export const imagesUnpack: Command = {
  path: ['images', 'unpack'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to unpack',
  summary: 'unpack an image that is in the store into snapshots',
  details: 'The image has to be here already: nothing is pulled.',
  flags: [
    PLATFORM,
    SNAPSHOTTER,
    CODEC,
    PROGRESS,
    { name: 'print-chainid', type: 'bool', describe: 'print the chain ID of each unpacked platform' },
  ],
  run: async (context) => await toSnapshots(context),
};
