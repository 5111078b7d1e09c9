import type { Command } from '../grammar/command.ts';
import { TRANSFER_FLAGS } from '../grammar/flags.ts';
import { transfer } from '../session/transfer.ts';

export const contentFetch: Command = {
  path: ['content', 'fetch'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to fetch',
  summary: 'fetch all content of an image and record it, without unpacking',
  flags: [
    ...TRANSFER_FLAGS,
    { name: 'metadata-only', type: 'bool', describe: 'manifests and configs of all platforms, no layers' },
  ],
  run: async (context) => {
    await transfer(context, false, async (deps, options) => context.services.fetchImage(deps, options));
  },
};
