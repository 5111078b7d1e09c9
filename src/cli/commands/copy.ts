import { isLayoutSource, referenceOf } from '../../core/carry/layout-source.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { Registry } from '../../core/registry/registry.ts';
import { copy as copyImage, isOneRegistry } from '../../core/verbs/copy.ts';
import { GATE_FLAGS } from '../grammar/gate-flags.ts';
import { PUSH_FLAGS } from '../grammar/push-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { gateOptions } from '../session/gate.ts';
import { networkOptions } from '../session/network-options.ts';
import { sentOptions } from '../session/pushing.ts';
import { otherRegistryOptions, registryOptions } from '../session/registry-options.ts';
import { displayed, withTransferRegistry } from '../session/transfer.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

export const copy: Command = command({
  path: ['copy'],
  args: ['<src>', '<dst>'],
  missing: 'please provide a source and a target',
  summary: 'copy an image from a registry, a layout or an archive to a registry, through no store',
  details:
    'SRC is a reference, or oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] or dir:DIR; DST is a reference. All platforms\n' +
    'go along (of a layout those that it has), digests unchanged. Every byte is verified on its way; where both are one registry, blobs are lent\n' +
    'from one repository to the other. --user, --plain-http, --skip-verify and --tls* are for the registry of DST;\n' +
    'that of SRC is asked as hosts.toml says, with stored credentials. A policy, keys and programs judge the image of SRC, as they do for a pull;\n' +
    'signatures that are copied by themselves (a tag sha256-HEX.sig) are signed by nobody: --policy none.',
  flags: [...PUSH_FLAGS, ...GATE_FLAGS],
  run: async (context, input) => {
    const [src, dst] = [input.arg(0), input.arg(1)];
    if (isLayoutSource(dst))
      throw usageError(
        'copy writes to registries only',
        'Bring the image into the store, and export it: hawser content fetch --all-platforms SRC, then hawser export DIR/ SRC',
      );
    const to = parseReference(dst);
    const from = await referenceOf(context.runtime, src, context);
    const options = sentOptions(context);
    const gate = gateOptions(context);
    const network = networkOptions(input);
    const registry = { ...(await registryOptions(context, to)), ...network };
    const other = { ...otherRegistryOptions(context), ...network };
    const { clock, hashers } = context.runtime;
    await displayed(context, { unpacks: false, printChainId: false, sends: true }, (report) =>
      withTransferRegistry(context, { ...registry, report }, async (client) => {
        const work = (source: Registry) =>
          copyImage({ source, registry: client, clock, hashers }, { ...options, ...gate, from, to, report });
        return isOneRegistry(from, to)
          ? await work(client)
          : await withTransferRegistry(context, { ...other, report }, work);
      }),
    );
    return DONE;
  },
});
