import { cleaningUp } from '../../core/async/cleanup.ts';
import { Limiter } from '../../core/async/limiter.ts';
import { HawserError, reasonOf } from '../../core/errors.ts';
import type { ImageList, Listed } from '../../core/lists/list.ts';
import { type Locked, lockText } from '../../core/lists/lock.ts';
import { parsePlatform } from '../../core/platforms/parse.ts';
import { lockImage, requireUnmoved } from '../../core/verbs/lock.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT, PLATFORM } from '../grammar/flags.ts';
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
import { checkCredentials, failedImage, nothing, outcomeOf } from '../session/transfer-many.ts';
import type { Outcome } from '../views/view.ts';
import { type Command, command } from './command.ts';

type LockContext = Context<RegistryFlag | NetworkFlag | 'platform' | 'check'>;

const CHECK = bool({
  name: 'check',
  describe: 'ask whether the tags of a lock still name what is locked: exit status 3 when one has moved',
});

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
    'Later hawser lock --check images.lock asks whether the tags still name that.\n' +
    'With --platform, or where the list has platforms, the digest of the manifest of each, and a pull takes those.',
  flags: [
    CHECK,
    PLATFORM,
    ...REGISTRY_FLAGS,
    ...NETWORK_FLAGS,
    { ...JSON_DOCUMENT, describe: 'accepted: a lock is a JSON document' },
  ],
  run: async (context, input) => {
    const list = await imagesOf(context, [], input.args);
    const warnings = list.warnings.map((message) => `warning: ${message}`);
    const [first] = list.images;
    if (first === undefined || list.errors.length > 0) return nothing(list);
    checkCredentials(context, list.images);
    const { results, failed } = await askAll(context, first, list);
    if (failed.length > 0) {
      const outcome = outcomeOf(
        failed.map(({ name, error }) => failedImage(name, error)),
        list.images.length,
      );
      const onlyMoved = failed.every(({ error }) => reasonOf(error, 'moved') !== undefined);
      const failures = onlyMoved ? [movedOf(failed.length, list.images.length)] : outcome.failures;
      return { warnings: [...warnings, ...(outcome.warnings ?? [])], failures: failures ?? [] };
    }
    if (input.get(CHECK)) return { warnings };
    return { view: { type: 'text', text: lockText(results) }, warnings } satisfies Outcome;
  },
});

interface Failed {
  readonly name: string;
  readonly error: unknown;
}

function movedOf(moved: number, all: number): HawserError {
  return new HawserError('FailedPrecondition', `${moved} of ${all} tags moved`, {
    reason: { type: 'moved' },
  });
}

/** With `--check` without results. */
async function askAll(
  context: LockContext,
  { reference: first }: Listed,
  { images }: ImageList,
): Promise<{ readonly results: readonly Locked[]; readonly failed: readonly Failed[] }> {
  const { runtime, services, signal } = context;
  const { clock, hashers } = runtime;
  const network = networkOptions(context.input);
  const registry = services.openRegistry(runtime, {
    ...(await registryOptions(context, first)),
    ...network,
  });
  const deps = { registry, clock, hashers, report: () => {}, retry: network.retry };
  const slots = new Limiter(AT_ONCE);
  const results: Locked[] = [];
  const failed: Failed[] = [];
  const checks = context.input.get(CHECK);
  const one = async ({ reference, platforms }: Listed): Promise<void> => {
    try {
      await slots.run(signal, async () => {
        if (checks) return await requireUnmoved({ registry }, reference, { signal });
        const listed = platforms?.map((text) => parsePlatform(text, context.platform));
        results.push(await lockImage(deps, reference, platformsOf(context) ?? listed, { signal }));
      });
    } catch (error) {
      failed.push({ name: reference.name, error });
    }
  };
  await cleaningUp(
    async () => void (await Promise.all(images.map(one))),
    () => registry[Symbol.asyncDispose](),
    late(context, 'closing the connections'),
  );
  signal.throwIfAborted();
  return { results, failed };
}
