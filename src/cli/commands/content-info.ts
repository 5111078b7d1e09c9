import { parseDigest } from '../../core/oci/digest.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { withStore } from '../session/context.ts';
import { BLOBS_HERE, orHint } from '../session/not-found.ts';
import { type Command, command } from './command.ts';

export const contentInfo: Command = command({
  path: ['content', 'info'],
  args: ['<digest>'],
  summary:
    'what is known about a blob, as JSON: as ctr prints it, or (--json) in the form of all documents of hawser',
  flags: [JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const digest = parseDigest(input.arg(0));
      const info = await orHint(backend.content.info(digest, { signal: context.signal }), BLOBS_HERE);
      return { view: { type: 'blob', info, json: input.get(JSON_DOCUMENT) } };
    }),
});
