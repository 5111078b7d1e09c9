import { wrap } from '../../core/errors.ts';
import { ingestFields, parseFilters } from '../../core/filter/filter.ts';
import { JSON_DOCUMENT, QUIET } from '../grammar/flags.ts';
import { withStore } from '../session/context.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const contentActive: Command = command({
  path: ['content', 'active'],
  args: ['[filter...]'],
  summary: 'list downloads that are under way or were interrupted',
  details: `Filters: ref==REF, ref~=REGEXP
The next pull of the image goes on with an interrupted download; hawser content rm REF drops one.

Example:
  hawser content active`,
  flags: [QUIET, JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const passes = parse(input.args);
      const all = await backend.content.listStatuses({ signal: context.signal });
      const statuses = all.filter((one) => passes(ingestFields(one)));
      if (input.get(QUIET)) return { view: lines(...statuses.map(({ ref }) => ref)) };
      const now = context.runtime.clock.now();
      return { view: { type: 'ingests', statuses, now, json: input.get(JSON_DOCUMENT) } };
    }),
});

function parse(filters: readonly string[]) {
  try {
    return parseFilters(filters);
  } catch (err) {
    throw wrap('failed to list downloads', err);
  }
}
