import type { Backend } from '../../core/backend.ts';
import { planCollection } from '../../core/gc/survey.ts';
import { chooseReferences, pruneReferences, withoutReferences } from '../../core/verbs/prune-references.ts';
import { bool } from '../grammar/flag.ts';
import { DRY_RUN, JSON_DOCUMENT } from '../grammar/flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { warn, withExisting } from '../session/context.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

const DRY = bool({ name: 'dry', describe: "the same as --dry-run (ctr's word)" });

const ALL = bool({ name: 'all', describe: 'also of images that are not unpacked, as ctr does' });

export const contentPrune: Command = command({
  path: ['content', 'prune'],
  args: ['<references>'],
  missing: 'say what to prune: references',
  summary: 'remove the layers of images that stay unpacked',
  details: `The images still run; to unpack one again, or in another snapshotter, it must be pulled again. Images that are not unpacked keep
their layers, unless --all.

Example:
  hawser content prune references --dry-run`,
  flags: [ALL, DRY_RUN, DRY, JSON_DOCUMENT],
  run: async (context, input) => {
    if (input.args.length !== 1 || input.arg(0) !== 'references')
      throw usageError('content prune takes one word: references');
    const { signal } = context;
    const preview = input.get(DRY_RUN) || input.get(DRY);
    const json = input.get(JSON_DOCUMENT);
    const work = async (backend: Backend): Promise<Outcome> => {
      const chosen = await chooseReferences(backend, { all: input.get(ALL), signal });
      if (chosen.left.length > 0) {
        const more = chosen.left.length > 10 ? ' and others' : '';
        const names = `${chosen.left.slice(0, 10).join(' ')}${more}`;
        await warn(
          context,
          `${chosen.left.length} manifests keep their layers, which are not unpacked: ${names}`,
        );
      }
      if (preview) {
        const survey = withoutReferences(await backend.survey({ signal }), backend.namespace, chosen);
        return { view: { type: 'gc-plan', plan: planCollection(survey), json } };
      }
      await pruneReferences(backend, chosen, { signal });
      return { view: { type: 'gc', result: await backend.collect({ signal }), json } };
    };
    return await withExisting(context, work, { readOnly: preview });
  },
});
