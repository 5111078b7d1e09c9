import type { Backend } from '../../core/backend.ts';
import { parseFilters } from '../../core/filter/filter.ts';
import { planCollection, withoutItems } from '../../core/gc/survey.ts';
import { chooseByPolicy, readPolicy } from '../../core/verbs/policy.ts';
import { choosePruned, type PruneChoice, pruneChosen } from '../../core/verbs/prune.ts';
import { bool, count, duration, list, text } from '../grammar/flag.ts';
import { DRY_RUN, JSON_DOCUMENT } from '../grammar/flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, withExisting } from '../session/context.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

const ALL = bool({ name: 'all', describe: 'every image that nothing uses' });
const OLDER_THAN = duration({
  name: 'older-than',
  value: 'DURATION',
  describe: 'only images whose record has not changed for so long: 72h',
});
const KEEP = count({
  name: 'keep',
  value: 'N',
  describe: 'of each repository the last N stay, by when their records changed',
});
const POLICY = text({
  name: 'policy',
  value: 'FILE',
  describe:
    'by the rules of this file; hawser gc and the collections after pulls follow policy.toml in the root of the store',
});
const FILTER = list({
  name: 'filter',
  value: 'FILTER',
  describe: 'only images that pass, as for images ls (may be repeated: one of them is enough)',
});

export const imagesPrune: Command = command({
  path: ['images', 'prune'],
  args: [],
  summary: 'remove images that nothing uses, by age, number or name, and what only they referred to',
  details: `An image stays that is pinned (label io.cri-containerd.pinned=pinned), that a lease lists, or over whose layers a
writable snapshot or a view lies (images mount, a container). All rules that are given must hold.

Examples:
  hawser images prune --all --dry-run
  hawser images prune --keep 3 --older-than 168h
  hawser images prune --filter 'name~=^registry.test/ci/'
  hawser images prune --policy policy.toml --dry-run`,
  flags: [ALL, OLDER_THAN, KEEP, FILTER, POLICY, DRY_RUN, JSON_DOCUMENT],
  run: async (context, input) => {
    const filters = input.get(FILTER);
    const [olderThan, keep] = [input.get(OLDER_THAN), input.get(KEEP)];
    const file = input.get(POLICY);
    const rules = olderThan !== undefined || keep !== undefined || filters.length > 0 || input.get(ALL);
    if (file === undefined && !rules)
      throw usageError('say which images: --all, --older-than, --keep, --filter or --policy');
    if (file !== undefined && rules)
      throw usageError('--policy goes with none of --all, --older-than, --keep, --filter');
    const { signal, runtime } = context;
    const options = { filter: parseFilters(filters), olderThan, keep, now: runtime.clock.now(), signal };
    const [preview, json] = [input.get(DRY_RUN), input.get(JSON_DOCUMENT)];
    const work = async (backend: Backend): Promise<Outcome> => {
      const follow = preview ? foretell : prune;
      if (file === undefined)
        return await follow(context, backend, await choosePruned(backend, options), json);
      const policy = await readPolicy(runtime.fs, file, { signal });
      const { tooLarge, ...choice } = await chooseByPolicy(backend, policy, options);
      const outcome = await follow(context, backend, choice, json);
      return tooLarge === undefined ? outcome : { ...outcome, warnings: [`${file}: ${tooLarge}`] };
    };
    return await withExisting(context, work, { readOnly: preview });
  },
});

async function foretell(
  { signal }: Context,
  backend: Backend,
  choice: PruneChoice,
  json: boolean,
): Promise<Outcome> {
  const removals = choice.goes.map(({ name }) => ({ type: 'images' as const, id: name }));
  const survey = await backend.survey({ signal });
  const plan = planCollection(withoutItems(survey, backend.namespace, removals));
  return { view: { type: 'prune', choice, plan, json } };
}

async function prune(
  { signal }: Context,
  backend: Backend,
  chosen: PruneChoice,
  json: boolean,
): Promise<Outcome> {
  const choice = await pruneChosen(backend, chosen, { signal });
  const went = new Set(choice.goes.map(({ name }) => name));
  const warnings = choice.stays.flatMap(({ image: { name }, why }) =>
    chosen.goes.some((one) => one.name === name) && !went.has(name) ? [`image ${name} stays: ${why}`] : [],
  );
  return { view: { type: 'prune', choice, plan: undefined, json }, warnings };
}
