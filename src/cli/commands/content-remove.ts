import type { Backend } from '../../core/backend.ts';
import type { GcType } from '../../core/gc/survey.ts';
import { isDigest, parseDigest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import { DRY_RUN, JSON_DOCUMENT } from '../grammar/flags.ts';
import { withExisting } from '../session/context.ts';
import { BLOBS_HERE, orHint } from '../session/not-found.ts';
import { previewRemoval, removeAll } from '../session/removal.ts';
import { type Command, command } from './command.ts';

const HINT = `${BLOBS_HERE}, hawser content active the downloads`;

/** A digest names a blob, anything else the ref of a download. */
async function remove({ content }: Backend, name: string, call: Call): Promise<void> {
  const removal = isDigest(name) ? content.delete(parseDigest(name), call) : content.abort(name, call);
  await orHint(removal, HINT);
}

export const contentRemove: Command = command({
  path: ['content', 'delete'],
  aliases: ['del', 'remove', 'rm'],
  args: ['<digest|ref...>'],
  missing: 'please provide the digest of a blob, or the ref of a download',
  summary: 'remove blobs, or drop interrupted downloads',
  details: `An image that refers to a removed blob is incomplete until it is pulled again.

Examples:
  hawser content rm sha256:...
  hawser content rm layer-sha256:...      # a ref of hawser content active`,
  flags: [DRY_RUN, JSON_DOCUMENT],
  run: async (context, input) =>
    await withExisting(
      context,
      async (backend) => {
        const json = input.get(JSON_DOCUMENT);
        if (!input.get(DRY_RUN))
          return await removeAll(context, backend, input.args, json, (name) =>
            remove(backend, name, context),
          );
        const typeOf = (name: string): GcType => (isDigest(name) ? 'content' : 'ingests');
        const removals = input.args.map((id) => ({ type: typeOf(id), id }));
        return await previewRemoval(context, backend, removals, json);
      },
      { readOnly: input.get(DRY_RUN) },
    ),
});
