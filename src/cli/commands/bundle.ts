import { bundleImage } from '../../core/verbs/bundle.ts';
import { checkDirectory } from '../../core/verbs/rootfs.ts';
import type { Command } from '../grammar/command.ts';
import { CODEC, PLATFORM, PROGRESS, REGISTRY_FLAGS } from '../grammar/flags.ts';
import { LAYER_LIMIT_FLAGS } from '../grammar/layer-settings.ts';
import { withLocalBackend } from '../session/context.ts';
import { OUTPUT_FLAGS, outputOptions, presentImage } from '../session/output-directory.ts';
import { displayed, storeDeps } from '../session/transfer.ts';

export const bundle: Command = {
  path: ['bundle'],
  args: ['<ref>', '<dir>'],
  missing: 'please provide an image reference and a directory',
  summary: 'make a runtime bundle of an image: rootfs and config.json, for runc run and crun run',
  details:
    'The image is fetched first if it is not here. config.json follows from its config (image-spec conversion.md) and from\n' +
    'the defaults of runc. Without root it asks for a user namespace in which you are root.',
  flags: [
    { name: 'tty', alias: 't', type: 'bool', describe: 'give the process a terminal' },
    ...OUTPUT_FLAGS,
    PLATFORM,
    CODEC,
    ...LAYER_LIMIT_FLAGS,
    PROGRESS,
    ...REGISTRY_FLAGS,
  ],
  run: async (context, input) => {
    await withLocalBackend(context, async (backend) => {
      const options = { ...outputOptions(context, backend, input.arg(1)), tty: input.bool('tty') };
      await checkDirectory(context.runtime, options);
      await displayed(context, true, async (report) => {
        const image = await presentImage(context, backend, options.platform, report);
        const deps = { ...storeDeps(context, backend), runtime: context.runtime };
        return await bundleImage(deps, image, { ...options, report });
      });
    });
  },
};
