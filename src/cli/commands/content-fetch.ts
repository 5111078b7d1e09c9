import { bool } from '../grammar/flag.ts';
import { TRANSFER_FLAGS } from '../grammar/transfer-flags.ts';
import { transfer } from '../session/transfer.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const METADATA_ONLY = bool({
  name: 'metadata-only',
  describe: 'manifests and configs of all platforms, no layers',
});

export const contentFetch: Command = command({
  path: ['content', 'fetch'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to fetch',
  summary: 'fetch all content of an image and record it, without unpacking',
  flags: [...TRANSFER_FLAGS, METADATA_ONLY],
  run: async (context, input) => {
    const metadataOnly = input.get(METADATA_ONLY);
    await transfer(context, { unpacks: false, printChainId: false }, async (deps, options) =>
      context.services.fetchImage(deps, { ...options, metadataOnly }),
    );
    return DONE;
  },
});
