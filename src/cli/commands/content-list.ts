import { wrap } from '../../core/errors.ts';
import { contentFields, parseFilters } from '../../core/filter/filter.ts';
import { JSON_DOCUMENT, QUIET } from '../grammar/flags.ts';
import { withStore } from '../session/context.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const contentList: Command = command({
  path: ['content', 'list'],
  aliases: ['ls'],
  args: ['[filter...]'],
  summary: 'list blobs',
  details: 'Filters: digest==DIGEST, size==BYTES, labels."KEY"==VALUE, labels.KEY',
  flags: [QUIET, JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const infos = await backend.content.list({ signal: context.signal });
      const filter = parse(input.args);
      const found = infos.filter((info) => filter(contentFields(info)));
      const now = context.runtime.clock.now();
      return {
        view: input.get(QUIET)
          ? lines(...found.map(({ digest }) => digest))
          : { type: 'blobs', infos: found, now, json: input.get(JSON_DOCUMENT) },
      };
    }),
});

function parse(filters: readonly string[]) {
  try {
    return parseFilters(filters);
  } catch (err) {
    throw wrap('failed to list content', err);
  }
}
