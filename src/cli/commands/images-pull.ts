import { bool } from '../grammar/flag.ts';
import { JOBS, PRINT_CHAIN_ID, SNAPSHOTTER } from '../grammar/flags.ts';
import { LAYER_FLAGS, layerSettings } from '../grammar/layer-flags.ts';
import { LIST_FLAGS, LIST_FORMS } from '../grammar/list-flags.ts';
import { TRANSFER_FLAGS } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { planned } from '../session/pull-plan.ts';
import { isMany, transferAny } from '../session/transfer-many.ts';
import { type Command, command } from './command.ts';

const MISSING = 'please provide an image reference to pull';

const PLAN = bool({
  name: 'plan',
  describe: 'only print what would be fetched and unpacked, and how large it is; nothing is stored',
});

export const imagesPull: Command = command({
  path: ['images', 'pull'],
  short: true,
  args: ['[ref...]'],
  summary: 'pull images and unpack them',
  details:
    'Short names are completed as Docker does: alpine is docker.io/library/alpine:latest.\n' +
    `${LIST_FORMS}\n` +
    'Of several images one that fails does not stop the others; the exit status is 1 then.\n' +
    'With --progress=json standard output has one event a line, {"v":1,"type":...}, and nothing else.',
  flags: [
    ...TRANSFER_FLAGS,
    ...LIST_FLAGS,
    SNAPSHOTTER,
    JOBS,
    ...LAYER_FLAGS,
    PLAN,
    PRINT_CHAIN_ID,
    bool({ name: 'local', describe: 'accepted: hawser always does the work itself, as ctr --local' }),
    bool({
      name: 'sync-fs',
      describe: 'accepted: layers are always made durable before the image is recorded',
    }),
  ],
  run: async (context, input) => {
    const snapshotter = input.get(SNAPSHOTTER);
    if (input.get(PLAN)) {
      if (isMany(context, MISSING))
        throw usageError('--plan is for one image', 'Name one reference, without -f and --locked');
      return await planned(context, { snapshotter });
    }
    const jobs = input.get(JOBS);
    const settings = { ...layerSettings(input), jobs };
    const shown = { unpacks: true, printChainId: input.get(PRINT_CHAIN_ID), missing: MISSING, jobs };
    return await transferAny(context, shown, async (deps, options) =>
      context.services.pull(deps, { ...options, snapshotter, layerSettings: settings }),
    );
  },
});
