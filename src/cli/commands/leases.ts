/** The commands of leases: list, create, delete. */
import type { Backend } from '../../core/backend.ts';
import { ifFound, wrap } from '../../core/errors.ts';
import { labelledFields, parseFilters } from '../../core/filter/filter.ts';
import type { Removal } from '../../core/gc/survey.ts';
import { randomLeaseId } from '../../core/leases/ids.ts';
import type { Call } from '../../core/ports/call.ts';
import { downloadsOf, endLease } from '../../core/verbs/end-lease.ts';
import { duration, text } from '../grammar/flag.ts';
import { DRY_RUN, JSON_DOCUMENT, QUIET, SYNC } from '../grammar/flags.ts';
import { withBackend, withExisting, withStore } from '../session/context.ts';
import { orHint } from '../session/not-found.ts';
import { previewRemoval, removeAll } from '../session/removal.ts';
import { labelsOf } from '../session/transfer.ts';
import type { LeaseRow } from '../views/leases.ts';
import { lines, type Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

const ID = text({ name: 'id', value: 'ID', describe: 'its id (default: a random one)' });
const EXPIRES = duration({
  name: 'expires',
  alias: 'x',
  value: 'DURATION',
  describe: 'how long the lease protects (default 24h; 0: until it is deleted)',
});
const DAY = 24 * 3600 * 1000;

async function leaseRows(backend: Backend, filters: readonly string[], call: Call): Promise<LeaseRow[]> {
  try {
    const passes = parseFilters(filters);
    const rows: LeaseRow[] = [];
    for (const lease of await backend.leases.list(call)) {
      if (!passes(labelledFields('id', lease.id, lease.labels))) continue;
      // NotFound: the lease has ended meanwhile.
      const resources = await ifFound(backend.leases.resources(lease.id, call));
      if (resources !== undefined) rows.push({ lease, resources });
    }
    return rows;
  } catch (err) {
    throw wrap('failed to list leases', err);
  }
}

const list = command({
  path: ['leases', 'list'],
  aliases: ['ls'],
  args: ['[filter...]'],
  summary: 'list leases: what protects content that no image refers to',
  details: `Filters: id==ID, labels."KEY"==VALUE, labels.KEY
A pull that failed leaves a lease for a day, so that the next one goes on; with --json the list says what each lease protects.

Example:
  hawser leases ls --json`,
  flags: [QUIET, JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const rows = await leaseRows(backend, input.args, { signal: context.signal });
      if (input.get(QUIET)) return { view: lines(...rows.map(({ lease }) => lease.id)) };
      return { view: { type: 'leases', rows, json: input.get(JSON_DOCUMENT) } };
    }),
});

const CREATING = {
  AlreadyExists: 'hawser leases ls lists the leases: take another --id, or none for a random one',
  InvalidArgument: 'Leave --id away for a random id',
};

const create = command({
  path: ['leases', 'create'],
  args: ['[key=value...]'],
  summary: 'make a lease, and print its id',
  details: 'The arguments are labels.\n\nExample:\n  hawser leases create --id build --expires 2h',
  flags: [ID, EXPIRES, JSON_DOCUMENT],
  run: async (context, input) =>
    await withBackend(context, async (backend) => {
      const { runtime, signal } = context;
      const random = (length: number): Uint8Array => runtime.host.random(length);
      // Without an id of the caller's a lease would end with this process.
      const id = input.get(ID) ?? randomLeaseId(runtime.clock.now(), random);
      const expiresIn = input.get(EXPIRES) ?? DAY;
      const limit = expiresIn === 0 ? {} : { expiresIn };
      const labels = labelsOf(input.args, 'a label');
      const lease = await orHint(backend.leases.create({ id, labels, ...limit, signal }), CREATING);
      if (!input.get(JSON_DOCUMENT)) return { view: lines(lease.id) };
      return { view: { type: 'leases', rows: [{ lease, resources: [] }], json: true } };
    }),
});

const remove = command({
  path: ['leases', 'delete'],
  aliases: ['del', 'remove', 'rm'],
  args: ['<id...>'],
  missing: 'please provide the id of a lease',
  summary: 'delete leases, and remove what only they protected, interrupted downloads too',
  details: 'Example:\n  hawser leases rm --dry-run ID',
  flags: [SYNC, DRY_RUN, JSON_DOCUMENT],
  run: async (context, input) => {
    const call = { signal: context.signal };
    const [preview, json] = [input.get(DRY_RUN), input.get(JSON_DOCUMENT)];
    const work = async (backend: Backend): Promise<Outcome> => {
      if (preview)
        return await previewRemoval(context, backend, await endingWith(backend, input.args, call), json);
      return await removeAll(context, backend, input.args, json, (id) =>
        orHint(endLease(backend, id, call), 'hawser leases ls lists the leases'),
      );
    };
    return await withExisting(context, work, { readOnly: preview });
  },
});

async function endingWith(backend: Backend, ids: readonly string[], call: Call): Promise<Removal[]> {
  const removals: Removal[] = [];
  for (const id of ids) {
    removals.push({ type: 'leases', id });
    for (const ref of await downloadsOf(backend, id, call)) removals.push({ type: 'ingests', id: ref });
  }
  return removals;
}

export const leaseCommands: readonly Command[] = [list, create, remove];
