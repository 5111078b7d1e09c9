import { HawserError } from '../../core/errors.ts';
import type { GcItem, GcPlan } from '../../core/gc/survey.ts';
import { collectByPolicy, planByPolicy } from '../../core/verbs/collect.ts';
import { bool } from '../grammar/flag.ts';
import { DRY_RUN, JSON_DOCUMENT } from '../grammar/flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { withExisting } from '../session/context.ts';
import { fullName } from '../session/find-image.ts';
import { type Command, command } from './command.ts';

const EXPLAIN = bool({
  name: 'explain',
  describe: 'say why each ID (a blob, image, snapshot, download or lease) stays or goes; remove nothing',
});

export const gc: Command = command({
  path: ['gc'],
  args: ['[id...]'],
  summary: 'remove the images that the policy of the store lets go, and what no image and no lease refers to',
  details: `Every namespace of hawser's own store is looked at; with --address one namespace, and containerd collects.
A file policy.toml in the root of the store (max-size, max-age, keep-last, protect) says which images of the namespace go first; without
this file all images stay. hawser images prune --policy FILE --dry-run tries one out.
An interrupted pull is kept for a day by its lease: hawser leases ls, hawser leases rm ID.

Examples:
  hawser gc --dry-run
  hawser gc --explain sha256:...`,
  flags: [DRY_RUN, EXPLAIN, JSON_DOCUMENT],
  run: async (context, input) => {
    const [explain, json] = [input.get(EXPLAIN), input.get(JSON_DOCUMENT)];
    if (explain !== input.args.length > 0) throw usageError('--explain and an ID belong together');
    const preview = input.get(DRY_RUN) || explain;
    return await withExisting(
      context,
      async (backend) => {
        const { signal } = context;
        if (!preview) {
          const { warnings, failures, ...collected } = await collectByPolicy(backend, { signal });
          return { view: { type: 'gc', ...collected, json }, warnings, failures };
        }
        const { plan, file, gone, ...told } = await planByPolicy(backend, { signal });
        if (!explain) return { view: { type: 'gc-plan', plan, json }, ...told };
        const policy = { file, images: gone };
        return { view: { type: 'gc-explanation', plan: onlyOf(plan, input.args), policy, json }, ...told };
      },
      { readOnly: preview },
    );
  },
});

/** What has one of the ids, an image's short name, or a digest that begins so (`sha256:12ab`). NotFound for an id that nothing has. */
function onlyOf(plan: GcPlan, ids: readonly string[]): GcPlan {
  const isMeant = ({ type, id: own }: Pick<GcItem, 'type' | 'id'>, id: string): boolean =>
    own === id ||
    (type === 'images' && own === fullName(id)) ||
    (type === 'content' && /^sha\d+:[0-9a-f]{4}/.test(id) && own.startsWith(id));
  const unknown = ids.find((id) => ![...plan.goes, ...plan.stays].some((item) => isMeant(item, id)));
  if (unknown !== undefined) {
    throw new HawserError('NotFound', `${unknown}: nothing in the store has this name`, {
      hint: 'hawser content ls, images ls, snapshots ls, content active and leases ls list the names',
    });
  }
  const isWanted = (item: GcItem): boolean => ids.some((id) => isMeant(item, id));
  const goes = plan.goes.filter(isWanted);
  return { goes, stays: plan.stays.filter(isWanted), bytes: goes.reduce((sum, { bytes }) => sum + bytes, 0) };
}
