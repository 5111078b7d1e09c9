import { cleaningUp } from '../../core/async/cleanup.ts';
import { Limiter } from '../../core/async/limiter.ts';
import { hintOf, kindOf, messageOf } from '../../core/errors.ts';
import type { ImageList, Listed } from '../../core/lists/list.ts';
import { type Locked, lockText } from '../../core/lists/lock.ts';
import { parsePlatform } from '../../core/platforms/parse.ts';
import { lockImage } from '../../core/verbs/lock.ts';
import { PLATFORM } from '../grammar/flags.ts';
import { LIST_FORMS } from '../grammar/list-flags.ts';
import {
  NETWORK_FLAGS,
  type NetworkFlag,
  REGISTRY_FLAGS,
  type RegistryFlag,
} from '../grammar/registry-flags.ts';
import { type Context, late } from '../session/context.ts';
import { imagesOf } from '../session/image-lists.ts';
import { networkOptions } from '../session/network-options.ts';
import { registryOptions } from '../session/registry-options.ts';
import { platformsOf } from '../session/transfer.ts';
import { checkCredentials, nothing, outcomeOf } from '../session/transfer-many.ts';
import type { FailedImage, Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

type LockContext = Context<RegistryFlag | NetworkFlag | 'platform'>;

/** Registries are asked for so many images at once. */
const AT_ONCE = 6;

export const lock: Command = command({
  path: ['lock'],
  args: ['<file...>'],
  missing: 'please provide a list of images to lock',
  summary: 'pin the digest of each image of a list; nothing is stored',
  details:
    `${LIST_FORMS}\n` +
    'Writes a lock to standard output: hawser lock images.txt > images.lock; then hawser pull -f images.lock takes\n' +
    'what was locked, under its tag, and with --locked refuses what has moved. "-" stands for standard input.\n' +
    'With --platform, or where the list has platforms, the digest of the manifest of each, and a pull takes those.',
  flags: [PLATFORM, ...REGISTRY_FLAGS, ...NETWORK_FLAGS],
  run: async (context, input) => {
    const list = await imagesOf(context, [], input.args);
    const warnings = list.warnings.map((message) => `warning: ${message}`);
    const [first] = list.images;
    if (first === undefined || list.errors.length > 0) return nothing(list);
    checkCredentials(context, list.images);
    const { locked, failed } = await lockAll(context, first, list);
    if (failed.length > 0) {
      const outcome = outcomeOf(failed, list.images.length);
      return { ...outcome, warnings: [...warnings, ...(outcome.warnings ?? [])] };
    }
    return { view: { type: 'text', text: lockText(locked) }, warnings } satisfies Outcome;
  },
});

async function lockAll(
  context: LockContext,
  { reference: first }: Listed,
  { images }: ImageList,
): Promise<{ readonly locked: readonly Locked[]; readonly failed: readonly FailedImage[] }> {
  const { runtime, services, signal } = context;
  const { clock, hashers } = runtime;
  const network = networkOptions(context.input);
  const registry = services.openRegistry(runtime, {
    ...(await registryOptions(context, first)),
    ...network,
  });
  const deps = { registry, clock, hashers, report: () => {}, retry: network.retry };
  const slots = new Limiter(AT_ONCE);
  const locked: Locked[] = [];
  const failed: FailedImage[] = [];
  const one = async ({ reference, platforms }: Listed): Promise<void> => {
    try {
      const listed = platforms?.map((text) => parsePlatform(text, context.platform));
      const wanted = platformsOf(context) ?? listed;
      locked.push(await slots.run(signal, () => lockImage(deps, reference, wanted, { signal })));
    } catch (err) {
      const { name } = reference;
      failed.push({ name, kind: kindOf(err), message: messageOf(err), hint: hintOf(err) });
    }
  };
  await cleaningUp(
    async () => void (await Promise.all(images.map(one))),
    () => registry[Symbol.asyncDispose](),
    late(context, 'closing the connections'),
  );
  signal.throwIfAborted();
  return { locked, failed };
}
