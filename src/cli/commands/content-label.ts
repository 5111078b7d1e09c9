import { parseDigest } from '../../core/oci/digest.ts';
import { JSON_DOCUMENT, REPLACE_ALL } from '../grammar/flags.ts';
import { withExisting } from '../session/context.ts';
import { labelChanges } from '../session/labels.ts';
import { BLOBS_HERE, orHint } from '../session/not-found.ts';
import { type Command, command } from './command.ts';

export const contentLabel: Command = command({
  path: ['content', 'label'],
  args: ['<digest>', '[key=value...]'],
  summary: 'set labels of a blob, and print them; KEY= removes one',
  details: `Labels that begin with containerd.io/gc. say what garbage collection keeps.

Example:
  hawser content label sha256:... containerd.io/gc.root=yes`,
  flags: [REPLACE_ALL, JSON_DOCUMENT],
  run: async (context, input) =>
    await withExisting(context, async ({ content }) => {
      const call = { signal: context.signal };
      const [given = '', ...texts] = input.args;
      const digest = parseDigest(given);
      const before = await orHint(content.info(digest, call), BLOBS_HERE);
      const changes = labelChanges(texts, before.labels, input.get(REPLACE_ALL));
      const { labels } = await content.label(digest, changes, call);
      return { view: { type: 'labels', of: digest, labels, json: input.get(JSON_DOCUMENT) } };
    }),
});
