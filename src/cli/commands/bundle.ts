import { bundleImage } from '../../core/verbs/bundle.ts';
import { checkDirectory } from '../../core/verbs/rootfs.ts';
import { type Bool, bool } from '../grammar/flag.ts';
import { DISPLAY_FLAGS, PLATFORM } from '../grammar/flags.ts';
import { GATE_FLAGS } from '../grammar/gate-flags.ts';
import { LAYER_FLAGS } from '../grammar/layer-flags.ts';
import { FETCH_FLAGS, PULL } from '../grammar/transfer-flags.ts';
import { withLocalBackend } from '../session/context.ts';
import { OUTPUT_FLAGS, outputOptions, presentImage, vouched } from '../session/output-directory.ts';
import { mayBring } from '../session/pull-policy.ts';
import { displayed, storeDeps } from '../session/transfer.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const TTY: Bool<'tty'> = bool({ name: 'tty', alias: 't', describe: 'give the process a terminal' });

export const bundle: Command = command({
  path: ['bundle'],
  args: ['<ref>', '<dir>'],
  missing: 'please provide an image reference and a directory',
  summary: 'make a runtime bundle of an image: rootfs and config.json, for runc run and crun run',
  details:
    'The image is fetched first if it is not here. config.json follows from its config (image-spec conversion.md) and from\n' +
    'the defaults of runc. Without root it asks for a user namespace in which you are root.',
  flags: [
    TTY,
    ...OUTPUT_FLAGS,
    ...GATE_FLAGS,
    PLATFORM,
    ...LAYER_FLAGS,
    ...DISPLAY_FLAGS,
    PULL,
    ...FETCH_FLAGS,
  ],
  run: async (context, input) => {
    await withLocalBackend(
      context,
      async (backend) => {
        const options = { ...outputOptions(context, backend, input.arg(1)), tty: input.get(TTY) };
        await checkDirectory(context.runtime, options);
        await displayed(context, { unpacks: true, printChainId: false }, async (report) => {
          const present = await presentImage(context, backend, options.platform, report);
          const deps = { ...storeDeps(context, backend), runtime: context.runtime };
          return vouched(await bundleImage(deps, present.image, { ...options, report }), present);
        });
      },
      { readOnly: 'if-need-be', existing: !mayBring(context, input.arg(0)) },
    );
    return DONE;
  },
});
