/** The commands that only show snapshots: list, info, tree, mounts, usage. */
import type { Call } from '../../core/ports/call.ts';
import type { Snapshotter } from '../../core/snapshots/snapshotter.ts';
import type { Command, Input } from '../grammar/command.ts';
import { SNAPSHOTTER } from '../grammar/flags.ts';
import {
  renderMounts,
  renderSnapshotInfo,
  renderSnapshots,
  renderSnapshotTree,
  renderUsage,
} from '../render/snapshots.ts';
import { type Context, print, withStore } from '../session/context.ts';
import type { UsageRow } from './images-usage.ts';

type Show = (snapshotter: Snapshotter, input: Input, call: Call) => Promise<string>;

function show(work: Show): (context: Context, input: Input) => Promise<void> {
  return async (context, input) =>
    await withStore(context, async (backend) => {
      const snapshotter = backend.snapshotter(input.text('snapshotter'));
      await print(context, await work(snapshotter, input, { signal: context.signal }));
    });
}

async function usageOf(snapshotter: Snapshotter, keys: readonly string[], call: Call): Promise<UsageRow[]> {
  const wanted = keys.length > 0 ? keys : (await snapshotter.list(call)).map((info) => info.name);
  const rows: UsageRow[] = [];
  for (const key of wanted) rows.push({ key, ...(await snapshotter.usage(key, call)) });
  return rows;
}

export const snapshotCommands: readonly Command[] = [
  {
    path: ['snapshots', 'list'],
    aliases: ['ls'],
    args: [],
    summary: 'list snapshots',
    flags: [SNAPSHOTTER],
    run: show(async (snapshotter, _, call) => renderSnapshots(await snapshotter.list(call))),
  },
  {
    path: ['snapshots', 'info'],
    args: ['<key>'],
    summary: 'what is known about a snapshot, as JSON',
    flags: [SNAPSHOTTER],
    run: show(async (snapshotter, input, call) =>
      renderSnapshotInfo(await snapshotter.stat(input.arg(0), call)),
    ),
  },
  {
    path: ['snapshots', 'tree'],
    args: [],
    summary: 'show snapshots below their parents',
    flags: [SNAPSHOTTER],
    run: show(async (snapshotter, _, call) => renderSnapshotTree(await snapshotter.list(call))),
  },
  {
    path: ['snapshots', 'mounts'],
    aliases: ['m', 'mount'],
    args: ['<target>', '<key>'],
    summary: 'print the commands that mount an active snapshot or a view',
    flags: [SNAPSHOTTER],
    run: show(async (snapshotter, input, call) =>
      renderMounts(await snapshotter.mounts(input.arg(1), call), input.arg(0)),
    ),
  },
  {
    path: ['snapshots', 'usage'],
    args: ['[key...]'],
    summary: 'disk usage of snapshots',
    flags: [SNAPSHOTTER, { name: 'bytes', alias: 'b', type: 'bool', describe: 'sizes in bytes' }],
    run: show(async (snapshotter, input, call) =>
      renderUsage(await usageOf(snapshotter, input.args, call), input.bool('bytes')),
    ),
  },
];
