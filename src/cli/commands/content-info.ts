import { parseDigest } from '../../core/oci/digest.ts';
import { withStore } from '../session/context.ts';
import { BLOBS_HERE, orHint } from '../session/not-found.ts';
import { type Command, command } from './command.ts';

export const contentInfo: Command = command({
  path: ['content', 'info'],
  args: ['<digest>'],
  summary: 'what is known about a blob, as JSON',
  flags: [],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const digest = parseDigest(input.arg(0));
      const info = await orHint(backend.content.info(digest, { signal: context.signal }), BLOBS_HERE);
      return { view: { type: 'blob', info } };
    }),
});
