import { diffSnapshots } from '../../core/verbs/diff.ts';
import { bool, list, text } from '../grammar/flag.ts';
import { SNAPSHOTTER } from '../grammar/flags.ts';
import { withExisting } from '../session/context.ts';
import { orHint, SNAPSHOTS_HERE } from '../session/not-found.ts';
import { labelsOf, storeDeps } from '../session/transfer.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const MEDIA_TYPE = text({
  name: 'media-type',
  value: 'TYPE',
  describe: 'of the layer (default application/vnd.oci.image.layer.v1.tar+gzip)',
});
const STORE = bool({
  name: 'store',
  describe: 'store the layer, too, with a label that keeps it; its digest goes to standard error',
});

const LABEL = list({
  name: 'label',
  value: 'KEY[=VALUE]',
  describe: 'label of the layer that is kept (may be repeated)',
});

export const snapshotsDiff: Command = command({
  path: ['snapshots', 'diff'],
  args: ['<key>', '[key]'],
  summary: 'write the layer that makes one snapshot of another to standard output',
  details: `Of one key: the layer that makes it of its parent. Of two: the one that makes the second of the first.

Example:
  hawser snapshots diff work \\
    --media-type application/vnd.oci.image.layer.v1.tar | tar -tv`,
  flags: [SNAPSHOTTER, MEDIA_TYPE, STORE, LABEL],
  run: async (context, input) =>
    await withExisting(context, async (backend) => {
      const [first = '', second] = input.args;
      const [lower, upper] = second === undefined ? [undefined, first] : [first, second];
      const labels = {
        ...labelsOf(input.get(LABEL)),
        'containerd.io/gc.root': new Date(context.runtime.clock.now()).toISOString(),
      };
      const options = {
        ...{ lower, upper, signal: context.signal },
        snapshotter: input.get(SNAPSHOTTER),
        mediaType: input.get(MEDIA_TYPE),
        keep: input.get(STORE) ? labels : undefined,
        write: (chunk: Uint8Array) => context.stdout.write(chunk),
      };
      const digest = await orHint(diffSnapshots(storeDeps(context, backend), options), SNAPSHOTS_HERE);
      return digest === undefined ? DONE : { warnings: [`kept as ${digest}`] };
    }),
});
