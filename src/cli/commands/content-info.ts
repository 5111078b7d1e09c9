import { parseDigest } from '../../core/oci/digest.ts';
import { withStore } from '../session/context.ts';
import { type Command, command } from './command.ts';

export const contentInfo: Command = command({
  path: ['content', 'info'],
  args: ['<digest>'],
  summary: 'what is known about a blob, as JSON',
  flags: [],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const info = await backend.content.info(parseDigest(input.arg(0)), { signal: context.signal });
      return { view: { type: 'blob', info } };
    }),
});
