/** The commands that only show snapshots: list, info, tree, mounts, usage. */
import { wrap } from '../../core/errors.ts';
import { parseFilters, snapshotFields } from '../../core/filter/filter.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Snapshotter } from '../../core/snapshots/snapshotter.ts';
import { bool } from '../grammar/flag.ts';
import { type GlobalFlag, JSON_DOCUMENT, SNAPSHOTTER } from '../grammar/flags.ts';
import type { Input } from '../grammar/input.ts';
import { type Context, withStore } from '../session/context.ts';
import { orHint, SNAPSHOTS_HERE } from '../session/not-found.ts';
import type { UsageRow } from '../views/usage.ts';
import type { Outcome, View } from '../views/view.ts';
import { type Command, command } from './command.ts';

const ASKING = {
  NotFound: SNAPSHOTS_HERE,
  FailedPrecondition:
    'A committed snapshot is not mounted itself: hawser snapshots view NEWKEY KEY makes a view of it',
};

type Show<F extends string> = (snapshotter: Snapshotter, input: Input<F>, call: Call) => Promise<View>;

function show<F extends string>(
  work: Show<F | 'snapshotter' | GlobalFlag>,
): (context: Context<F | 'snapshotter'>) => Promise<Outcome> {
  return async (context) =>
    await withStore(context, async (backend) => {
      const { input } = context;
      const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
      return { view: await orHint(work(snapshotter, input, { signal: context.signal }), ASKING) };
    });
}

async function usageOf(snapshotter: Snapshotter, keys: readonly string[], call: Call): Promise<UsageRow[]> {
  const wanted = keys.length > 0 ? keys : (await snapshotter.list(call)).map((info) => info.name);
  const rows: UsageRow[] = [];
  for (const key of wanted) rows.push({ key, ...(await snapshotter.usage(key, call)) });
  return rows;
}

function parse(filters: readonly string[]) {
  try {
    return parseFilters(filters);
  } catch (err) {
    throw wrap('failed to list snapshots', err);
  }
}

const BYTES = bool({ name: 'bytes', alias: 'b', describe: 'sizes in bytes' });

export const snapshotCommands: readonly Command[] = [
  command({
    path: ['snapshots', 'list'],
    aliases: ['ls'],
    args: ['[filter...]'],
    summary: 'list snapshots',
    details: 'Filters: name==KEY, parent==NAME, kind==active|view|committed, labels."KEY"==VALUE, labels.KEY',
    flags: [SNAPSHOTTER, JSON_DOCUMENT],
    run: show(async (snapshotter, input, call) => {
      const passes = parse(input.args);
      const infos = (await snapshotter.list(call)).filter((info) => passes(snapshotFields(info)));
      return { type: 'snapshots', infos, json: input.get(JSON_DOCUMENT) };
    }),
  }),
  command({
    path: ['snapshots', 'info'],
    args: ['<key>'],
    summary:
      'what is known about a snapshot, as JSON: as ctr prints it, or (--json) in the form of all documents of hawser',
    flags: [SNAPSHOTTER, JSON_DOCUMENT],
    run: show(async (snapshotter, input, call) => ({
      type: 'snapshot',
      json: input.get(JSON_DOCUMENT),
      info: await snapshotter.stat(input.arg(0), call),
    })),
  }),
  command({
    path: ['snapshots', 'tree'],
    args: [],
    summary: 'show snapshots below their parents',
    flags: [SNAPSHOTTER, JSON_DOCUMENT],
    run: show(async (snapshotter, input, call) => {
      const infos = await snapshotter.list(call);
      return input.get(JSON_DOCUMENT)
        ? { type: 'snapshots', infos, json: true }
        : { type: 'snapshot-tree', infos };
    }),
  }),
  command({
    path: ['snapshots', 'mounts'],
    aliases: ['m', 'mount'],
    args: ['<target>', '<key>'],
    summary: 'print the commands that mount an active snapshot or a view',
    flags: [SNAPSHOTTER, JSON_DOCUMENT],
    run: show(async (snapshotter, input, call) => ({
      type: 'mounts',
      json: input.get(JSON_DOCUMENT),
      mounts: await snapshotter.mounts(input.arg(1), call),
      target: input.arg(0),
    })),
  }),
  command({
    path: ['snapshots', 'usage'],
    args: ['[key...]'],
    summary: 'disk usage of snapshots',
    flags: [SNAPSHOTTER, BYTES, JSON_DOCUMENT],
    run: show(async (snapshotter, input, call) => ({
      type: 'usage',
      rows: await usageOf(snapshotter, input.args, call),
      inBytes: input.get(BYTES),
      json: input.get(JSON_DOCUMENT),
    })),
  }),
];
