import { usageOf } from '../../core/gc/usage.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { withStore } from '../session/context.ts';
import { type Command, command } from './command.ts';

export const df: Command = command({
  path: ['df'],
  args: [],
  summary: 'what takes room in the store, and what hawser gc would free',
  details: `UNIQUE is what only the image refers to, SHARED what other images refer to, too; both are part of CONTENT and SNAPSHOTS.
hawser's own store is measured with all its namespaces, a containerd (--address) one namespace at a time.
The images that policy.toml lets go are not among what is reclaimable: hawser gc --dry-run shows them.

Example:
  hawser df`,
  flags: [JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const usage = usageOf(await backend.survey({ signal: context.signal }));
      return { view: { type: 'df', usage, json: input.get(JSON_DOCUMENT) } };
    }),
});
