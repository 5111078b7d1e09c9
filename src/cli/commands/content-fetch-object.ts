import { wrap } from '../../core/errors.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/registry-flags.ts';
import { withRegistryOutput } from '../session/registry-output.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const contentFetchObject: Command = command({
  path: ['content', 'fetch-object'],
  args: ['<ref>'],
  missing: 'please provide a reference to fetch',
  summary: 'write the manifest or index that a reference names to standard output; nothing is stored',
  details:
    'The bytes are checked as they are written: when the exit status is not 0, throw them away. A manifest of schema 1 is\n' +
    'written without its signature: that is what its digest is of.',
  flags: [...REGISTRY_FLAGS, ...NETWORK_FLAGS],
  run: async (context) => {
    await withRegistryOutput(context, async ({ registry, reference, write }) => {
      const { signal } = context;
      const { root } = await registry.resolve(reference, { signal, read: true }).catch((err) => {
        throw wrap(`failed to resolve reference "${reference.raw}"`, err);
      });
      await write(root, registry.fetcher(reference));
    });
    return DONE;
  },
});
