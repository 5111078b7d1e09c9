import { bool } from '../grammar/flag.ts';
import { JOBS, PRINT_CHAIN_ID, SNAPSHOTTER } from '../grammar/flags.ts';
import { LAYER_FLAGS, layerSettings } from '../grammar/layer-flags.ts';
import { TRANSFER_FLAGS } from '../grammar/transfer-flags.ts';
import { planned } from '../session/pull-plan.ts';
import { transfer } from '../session/transfer.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const PLAN = bool({
  name: 'plan',
  describe: 'only print what would be fetched and unpacked, and how large it is; nothing is stored',
});

export const imagesPull: Command = command({
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
    if (input.get(PLAN)) return await planned(context, { snapshotter });
    const settings = { ...layerSettings(input), jobs: input.get(JOBS) };
    const shown = { unpacks: true, printChainId: input.get(PRINT_CHAIN_ID) };
    await transfer(context, shown, async (deps, options) =>
      context.services.pull(deps, { ...options, snapshotter, layerSettings: settings }),
    );
    return DONE;
  },
});
