import { parseDigest } from '../../core/oci/digest.ts';
import { withStore } from '../session/context.ts';
import { BLOBS_HERE, orHint } from '../session/not-found.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const contentGet: Command = command({
  path: ['content', 'get'],
  args: ['<digest>'],
  summary: 'write a blob to standard output',
  flags: [],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const digest = parseDigest(input.arg(0));
      const stream = await orHint(backend.content.open(digest, { signal: context.signal }), BLOBS_HERE);
      for await (const chunk of stream) {
        context.signal.throwIfAborted();
        await context.stdout.write(chunk);
      }
      return DONE;
    }),
});
