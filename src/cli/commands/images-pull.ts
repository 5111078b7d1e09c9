import type { Command } from '../grammar/command.ts';
import { CODEC, JOBS, SNAPSHOTTER, TRANSFER_FLAGS } from '../grammar/flags.ts';
import { LAYER_LIMIT_FLAGS, layerSettings } from '../grammar/layer-settings.ts';
import { showPlan } from '../session/pull-plan.ts';
import { transfer } from '../session/transfer.ts';

export const imagesPull: Command = {
  path: ['images', 'pull'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to pull',
  summary: 'pull an image and unpack it',
  details:
    'Short names are completed as Docker does: alpine is docker.io/library/alpine:latest.\n' +
    'With --progress=json standard output has one event a line, {"v":1,"type":...}, and nothing else.',
  flags: [
    ...TRANSFER_FLAGS,
    SNAPSHOTTER,
    CODEC,
    JOBS,
    ...LAYER_LIMIT_FLAGS,
    {
      name: 'plan',
      type: 'bool',
      describe: 'only print what would be fetched and unpacked, and how large it is; nothing is stored',
    },
    { name: 'print-chainid', type: 'bool', describe: 'print the chain ID of each unpacked platform' },
    { name: 'local', type: 'bool', describe: 'accepted: hawser always does the work itself, as ctr --local' },
    {
      name: 'sync-fs',
      type: 'bool',
      describe: 'accepted: layers are always made durable before the image is recorded',
    },
  ],
  run: async (context, input) => {
    const snapshotter = input.text('snapshotter');
    if (input.bool('plan')) return await showPlan(context, { snapshotter });
    await transfer(context, true, async (deps, options) =>
      context.services.pull(deps, { ...options, snapshotter, layerSettings: layerSettings(input) }),
    );
  },
};
