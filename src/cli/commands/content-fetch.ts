import { bool } from '../grammar/flag.ts';
import { LIST_FLAGS, LIST_FORMS } from '../grammar/list-flags.ts';
import { TRANSFER_FLAGS } from '../grammar/transfer-flags.ts';
import { transferAny } from '../session/transfer-many.ts';
import { type Command, command } from './command.ts';

const MISSING = 'please provide an image reference to fetch';

const METADATA_ONLY = bool({
  name: 'metadata-only',
  describe: 'manifests and configs of all platforms, no layers',
});

export const contentFetch: Command = command({
  path: ['content', 'fetch'],
  short: true,
  args: ['[ref...]'],
  summary: 'fetch all content of images and record them, without unpacking',
  details: LIST_FORMS,
  flags: [...TRANSFER_FLAGS, ...LIST_FLAGS, METADATA_ONLY],
  run: async (context, input) => {
    const metadataOnly = input.get(METADATA_ONLY);
    const shown = { unpacks: false, printChainId: false, missing: MISSING };
    return await transferAny(context, shown, async (deps, options) =>
      context.services.fetchImage(deps, { ...options, metadataOnly }),
    );
  },
});
