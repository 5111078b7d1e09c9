import type { Backend } from '../../core/backend.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { withStore } from '../session/context.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

const PLAIN = bool({ name: 'plain', describe: 'one digest a line' });

/** What `export --lacks` takes. Only blobs that are here, verified when they came. */
async function inventoryOf(backend: Backend, signal: AbortSignal): Promise<string> {
  const blobs = (await backend.content.list({ signal })).map(({ digest }) => digest);
  const images = (await backend.images.list({ signal })).map(({ name, target }) => ({
    name,
    target: target.digest,
  }));
  return JSON.stringify({ v: 1, type: 'inventory', what: 'hawser-inventory', blobs, images });
}

export const inventory: Command = command({
  path: ['inventory'],
  args: [],
  summary: 'print what is here, for export --lacks on the other side',
  flags: [PLAIN, { ...JSON_DOCUMENT, describe: 'accepted: without --plain it is a JSON document' }],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      if (!input.get(PLAIN)) return { view: lines(await inventoryOf(backend, context.signal)) };
      const infos = await backend.content.list({ signal: context.signal });
      return { view: lines(...infos.map(({ digest }) => digest)) };
    }),
});
