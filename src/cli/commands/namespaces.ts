/** The commands of namespaces: list, create, label, remove. */
import { wrap } from '../../core/errors.ts';
import { labelledFields, parseFilters } from '../../core/filter/filter.ts';
import { JSON_DOCUMENT, QUIET } from '../grammar/flags.ts';
import { withBackend, withExisting, withStore } from '../session/context.ts';
import { orHint } from '../session/not-found.ts';
import { removedNames } from '../session/removal.ts';
import { labelsOf } from '../session/transfer.ts';
import { DONE, lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

const HERE = 'hawser namespaces ls lists the namespaces';

const list = command({
  path: ['namespaces', 'list'],
  aliases: ['ls'],
  args: ['[filter...]'],
  summary: 'list namespaces',
  details: 'Filters: name==NAME, labels."KEY"==VALUE, labels.KEY\n\nExample:\n  hawser namespaces ls',
  flags: [QUIET, JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const passes = parse(input.args);
      const all = await backend.namespaceStore.list({ signal: context.signal });
      const found = all.filter(({ name, labels }) => passes(labelledFields('name', name, labels)));
      if (input.get(QUIET)) return { view: lines(...found.map(({ name }) => name)) };
      return { view: { type: 'namespaces', namespaces: found, json: input.get(JSON_DOCUMENT) } };
    }),
});

function parse(filters: readonly string[]) {
  try {
    return parseFilters(filters);
  } catch (err) {
    throw wrap('failed to list namespaces', err);
  }
}

const create = command({
  path: ['namespaces', 'create'],
  aliases: ['c'],
  args: ['<name>', '[key=value...]'],
  summary: 'make a namespace, with labels',
  details: 'A pull makes its namespace by itself.\n\nExample:\n  hawser namespaces create ci owner=build',
  flags: [],
  run: async (context, input) =>
    await withBackend(context, async (backend) => {
      const [name = '', ...labels] = input.args;
      const call = { signal: context.signal };
      await orHint(backend.namespaceStore.create(name, labelsOf(labels, 'a label'), call), {
        AlreadyExists: 'hawser namespaces label NAME KEY=VALUE changes its labels',
      });
      return DONE;
    }),
});

const label = command({
  path: ['namespaces', 'label'],
  args: ['<name>', '[key=value...]'],
  summary: 'set labels of a namespace; KEY= removes one',
  details: 'Example:\n  hawser namespaces label ci owner=release',
  flags: [],
  run: async (context, input) =>
    await withExisting(context, async (backend) => {
      const [name = '', ...labels] = input.args;
      const call = { signal: context.signal };
      await orHint(backend.namespaceStore.label(name, labelsOf(labels, 'a label'), call), HERE);
      return DONE;
    }),
});

const remove = command({
  path: ['namespaces', 'remove'],
  aliases: ['rm'],
  args: ['<name...>'],
  missing: 'please provide the name of a namespace',
  summary: 'remove namespaces that are empty',
  details: 'Example:\n  hawser namespaces rm ci',
  flags: [JSON_DOCUMENT],
  run: async (context, input) =>
    await withExisting(context, async (backend) => {
      const removed: string[] = [];
      const failures: unknown[] = [];
      for (const name of input.args) {
        try {
          await orHint(backend.namespaceStore.delete(name, { signal: context.signal }), HERE);
          removed.push(name);
        } catch (err) {
          context.signal.throwIfAborted();
          failures.push(wrap(`unable to delete ${name}`, err));
        }
      }
      return { view: removedNames(removed, input.get(JSON_DOCUMENT)), failures };
    }),
});

export const namespaceCommands: readonly Command[] = [list, create, label, remove];
