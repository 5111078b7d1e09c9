/** The commands that make, label and remove snapshots: prepare, view, commit, label, remove. */
import type { Backend } from '../../core/backend.ts';
import type { Labels } from '../../core/content/content-store.ts';
import { HawserError } from '../../core/errors.ts';
import type { Removal } from '../../core/gc/survey.ts';
import type { Call } from '../../core/ports/call.ts';
import type { Snapshotter } from '../../core/snapshots/snapshotter.ts';
import { text } from '../grammar/flag.ts';
import { DRY_RUN, JSON_DOCUMENT, REPLACE_ALL, SNAPSHOTTER } from '../grammar/flags.ts';
import { type Context, withBackend, withExisting } from '../session/context.ts';
import { labelChanges } from '../session/labels.ts';
import { orHint, SNAPSHOTS_HERE } from '../session/not-found.ts';
import { previewRemoval, removeAll } from '../session/removal.ts';
import { DONE, type Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

const TARGET = text({
  name: 'target',
  value: 'DIR',
  describe: 'print the commands that mount the snapshot there',
});

const MAKING = {
  NotFound: SNAPSHOTS_HERE,
  AlreadyExists:
    'hawser snapshots ls lists the snapshots: take another key, or remove that one (snapshots rm)',
  InvalidArgument: 'Give a key, and a parent that is committed: hawser snapshots ls shows the kinds',
};
const COMMITTING = {
  NotFound: SNAPSHOTS_HERE,
  AlreadyExists: 'hawser snapshots ls lists the snapshots: take another name',
  FailedPrecondition: 'An active snapshot can be committed, once: hawser snapshots ls shows the kinds',
};
const REMOVING = {
  NotFound: SNAPSHOTS_HERE,
  FailedPrecondition: 'Remove those that lie over it first: hawser snapshots tree shows them',
};

/** As ctr's: such a snapshot stays until it is removed by name. */
function kept({ runtime }: Pick<Context, 'runtime'>): Labels {
  return { 'containerd.io/gc.root': new Date(runtime.clock.now()).toISOString() };
}

async function make(
  context: Context<'snapshotter' | 'target' | 'json'>,
  how: 'prepare' | 'view',
): Promise<Outcome> {
  const { input, signal } = context;
  const [key = '', parent = ''] = input.args;
  const open = parent === '' ? withBackend : withExisting;
  return await open(context, async (backend) => {
    const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
    const opts = { labels: kept(context), signal };
    await orHint(snapshotter[how](key, parent, opts), MAKING);
    const target = input.get(TARGET);
    if (target === undefined) return DONE;
    const mounts = await snapshotter.mounts(key, { signal });
    return { view: { type: 'mounts', mounts, target, json: input.get(JSON_DOCUMENT) } };
  });
}

const prepare = command({
  path: ['snapshots', 'prepare'],
  args: ['<key>', '[parent]'],
  summary: 'make a writable snapshot, over a committed one',
  details:
    'It stays until snapshots rm.\n\nExample:\n  hawser snapshots prepare --target /mnt work sha256:...',
  flags: [SNAPSHOTTER, TARGET, JSON_DOCUMENT],
  run: async (context) => await make(context, 'prepare'),
});

const view = command({
  path: ['snapshots', 'view'],
  args: ['<key>', '[parent]'],
  summary: 'make a snapshot that is only read, of a committed one',
  details: 'It stays until snapshots rm.\n\nExample:\n  hawser snapshots view --target /mnt look sha256:...',
  flags: [SNAPSHOTTER, TARGET, JSON_DOCUMENT],
  run: async (context) => await make(context, 'view'),
});

const commit = command({
  path: ['snapshots', 'commit'],
  args: ['<name>', '<key>'],
  summary: 'turn a writable snapshot into a committed one',
  details:
    'Unmount the snapshot first. Without --address the snapshot is durable when the command ends.\n\n' +
    'Example:\n  hawser snapshots commit mine work',
  flags: [SNAPSHOTTER],
  run: async (context, input) =>
    await withExisting(context, async (backend) => {
      const call = { signal: context.signal };
      const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
      const [name = '', key = ''] = input.args;
      await orHint(snapshotter.commit(name, key, { labels: kept(context), ...call }), COMMITTING);
      await backend.sync(call);
      return DONE;
    }),
});

const label = command({
  path: ['snapshots', 'label'],
  args: ['<key>', '[key=value...]'],
  summary: 'set labels of a snapshot, and print them; KEY= removes one',
  details: 'Example:\n  hawser snapshots label work owner=me',
  flags: [SNAPSHOTTER, REPLACE_ALL, JSON_DOCUMENT],
  run: async (context, input) =>
    await withExisting(context, async (backend) => {
      const call = { signal: context.signal };
      const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
      const [key = '', ...texts] = input.args;
      const before = await orHint(snapshotter.stat(key, call), SNAPSHOTS_HERE);
      const changes = labelChanges(texts, before.labels, input.get(REPLACE_ALL));
      const { labels } = await snapshotter.label(key, changes, call);
      return { view: { type: 'labels', of: key, labels, json: input.get(JSON_DOCUMENT) } };
    }),
});

/** FailedPrecondition where the removal itself would fail for a child that stays. */
async function removalsOf(snapshotter: Snapshotter, keys: readonly string[], call: Call): Promise<Removal[]> {
  const left = new Map((await snapshotter.list(call)).map((info) => [info.name, info]));
  for (const key of keys) {
    if (!left.delete(key))
      throw new HawserError('NotFound', `snapshot ${key} does not exist: not found`, {
        hint: SNAPSHOTS_HERE,
      });
    const child = [...left.values()].find(({ parent }) => parent === key);
    if (child === undefined) continue;
    throw new HawserError(
      'FailedPrecondition',
      `Cannot remove snapshot "${key}": "${child.name}" lies over it`,
      { hint: REMOVING.FailedPrecondition },
    );
  }
  return keys.map((id) => ({ type: `snapshots/${snapshotter.name}`, id }));
}

const remove = command({
  path: ['snapshots', 'delete'],
  aliases: ['del', 'remove', 'rm'],
  args: ['<key...>'],
  missing: 'please provide the key of a snapshot',
  summary: 'remove snapshots that nothing lies over and nothing mounts',
  details: 'The snapshots of an image go with the image (images rm).\n\nExample:\n  hawser snapshots rm work',
  flags: [SNAPSHOTTER, DRY_RUN, JSON_DOCUMENT],
  run: async (context, input) => {
    const call = { signal: context.signal };
    const [preview, json] = [input.get(DRY_RUN), input.get(JSON_DOCUMENT)];
    const work = async (backend: Backend): Promise<Outcome> => {
      const snapshotter = backend.snapshotter(input.get(SNAPSHOTTER));
      if (!preview)
        return await removeAll(context, backend, input.args, json, (key) =>
          orHint(snapshotter.remove(key, call), REMOVING),
        );
      const removals = await removalsOf(snapshotter, input.args, call);
      return await previewRemoval(context, backend, removals, json);
    };
    return await withExisting(context, work, { readOnly: preview });
  },
});

export const snapshotChanges: readonly Command[] = [prepare, view, commit, label, remove];
