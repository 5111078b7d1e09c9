/** `manifest`, `config`, `digest`: what an image is, by its registry. */
import { referenceOf } from '../../core/carry/layout-source.ts';
import { wrap } from '../../core/errors.ts';
import type { Platform } from '../../core/oci/descriptor.ts';
import type { Reference } from '../../core/reference/reference.ts';
import { askConfig, askManifest, type RemoteDocument } from '../../core/verbs/ask.ts';
import type { ResolveDeps } from '../../core/verbs/resolve-platforms.ts';
import { JSON_DOCUMENT, PLATFORM } from '../grammar/flags.ts';
import {
  NETWORK_FLAGS,
  type NetworkFlag,
  REGISTRY_FLAGS,
  type RegistryFlag,
} from '../grammar/registry-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { withRegistry } from '../session/asking.ts';
import type { Context } from '../session/context.ts';
import { platformsOf } from '../session/transfer.ts';
import { DONE, type Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';
import { imagesResolve } from './images-resolve.ts';

type DocumentFlag = RegistryFlag | NetworkFlag | 'platform' | 'json';
type Ask = (
  deps: ResolveDeps,
  reference: Reference,
  platform: Platform | undefined,
) => Promise<RemoteDocument>;

/** Writes the document, once its digest has held: byte for byte, but to a terminal nothing that commands it. */
async function tellDocument(
  context: Context<DocumentFlag>,
  of: 'manifest' | 'config',
  ask: Ask,
): Promise<Outcome> {
  const { input, stdout } = context;
  const reference = await referenceOf(context.runtime, input.arg(0), context);
  const platforms = platformsOf(context) ?? [];
  if (platforms.length > 1) throw usageError(`${of}: only one --platform can be given`, 'Ask once for each');
  const document = await withRegistry(context, reference, (deps) => ask(deps, reference, platforms[0])).catch(
    (err) => {
      throw wrap(`failed to read the ${of} of "${reference.raw}"`, err);
    },
  );
  if (input.get(JSON_DOCUMENT)) return { view: { type: 'document', of, name: reference.name, document } };
  const { bytes } = document;
  if (stdout.isTerminal) return { view: { type: 'text', text: new TextDecoder().decode(bytes) } };
  await stdout.write(bytes);
  return DONE;
}

export const manifest: Command = command({
  path: ['manifest'],
  args: ['<ref>'],
  missing: 'please provide an image reference',
  summary: 'ask the registry for a manifest or index, and print its very bytes; nothing is stored',
  details:
    'With --platform the manifest that a pull of the platform would take. Nothing is printed before the digest has held. A manifest\n' +
    'of schema 1 is printed without its signature: that is what its digest is of.',
  flags: [PLATFORM, ...REGISTRY_FLAGS, ...NETWORK_FLAGS, JSON_DOCUMENT],
  run: async (context) =>
    await tellDocument(context, 'manifest', (deps, reference, platform) =>
      askManifest(deps, reference, platform, { signal: context.signal }),
    ),
});

export const config: Command = command({
  path: ['config'],
  args: ['<ref>'],
  missing: 'please provide an image reference',
  summary: "ask the registry for an image's config, and print its very bytes; nothing is stored",
  details:
    "Of an index the image for this machine's platform is taken, or for that of --platform. Nothing is printed before the digest\n" +
    'has held.',
  flags: [PLATFORM, ...REGISTRY_FLAGS, ...NETWORK_FLAGS, JSON_DOCUMENT],
  run: async (context, input) => {
    if (input.args[0] === 'show')
      throw usageError(
        'config asks a registry for the config of an image',
        'hawser settings shows the configuration of hawser; an image of that name: hawser config docker.io/library/show',
      );
    return await tellDocument(context, 'config', (deps, reference, platform) => {
      const wanted = { platform: platform ?? context.platform, named: platform !== undefined };
      return askConfig(deps, reference, wanted, { signal: context.signal });
    });
  },
});

/** The word of crane and regctl. */
export const digest: Command = {
  ...imagesResolve,
  path: ['digest'],
  short: false,
  summary: 'the same as resolve: ask the registry for a digest; nothing is stored',
};
