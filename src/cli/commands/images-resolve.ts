import { cleaningUp } from '../../core/async/cleanup.ts';
import { referenceOf } from '../../core/carry/layout-source.ts';
import { findError, hintOf, kindOf, messageOf, wrap } from '../../core/errors.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { RegistryEvent } from '../../core/registry/observe.ts';
import type { Registry } from '../../core/registry/registry.ts';
import { type PlatformManifests, resolvePlatforms } from '../../core/verbs/resolve-platforms.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT, PLATFORM } from '../grammar/flags.ts';
import {
  NETWORK_FLAGS,
  type NetworkFlag,
  REGISTRY_FLAGS,
  type RegistryFlag,
} from '../grammar/registry-flags.ts';
import { type Context, late } from '../session/context.ts';
import { networkOptions } from '../session/network-options.ts';
import { registryOptions } from '../session/registry-options.ts';
import { platformsOf } from '../session/transfer.ts';
import type { Explanation } from '../views/explanation.ts';
import { lines, type View } from '../views/view.ts';
import { type Command, command } from './command.ts';

/** The most events kept: a resolution makes a dozen requests. */
const MAX_EVENTS = 1000;

const EXPLAIN = bool({ name: 'explain', describe: 'print how the answer was found' });

export const imagesResolve: Command = command({
  path: ['images', 'resolve'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to resolve',
  summary: 'ask the registry which digest a reference stands for; nothing is stored',
  details:
    'With --explain also which hosts were asked, in which order and why each was left, where credentials came from,\n' +
    'which proxy was used, and what the registry says of its rate limits. No secret is printed.\n' +
    'With --platform the digest of the manifest that a pull of the platform would take, a line for each platform.',
  flags: [PLATFORM, ...REGISTRY_FLAGS, ...NETWORK_FLAGS, EXPLAIN, JSON_DOCUMENT],
  run: async (context, input) => {
    const { explanation, failures } = await explain(context, input.arg(0));
    const explained = input.get(EXPLAIN);
    const json = input.get(JSON_DOCUMENT);
    const { root, manifests, events } = explanation;
    const answers = manifests?.map(({ desc }) => desc) ?? (root === undefined ? [] : [root]);
    const warnings = events.flatMap((event) =>
      event.type === 'warning' ? [`warning: ${event.message}`] : [],
    );
    const view: View =
      explained || json
        ? { type: 'explanation', explanation, explained, json }
        : lines(...answers.map(({ digest }) => digest));
    return { view, warnings: explained ? [] : warnings, failures };
  },
});

async function explain(
  context: Context<RegistryFlag | NetworkFlag | 'platform'>,
  text: string,
): Promise<{ readonly explanation: Explanation; readonly failures: readonly unknown[] }> {
  const { runtime, services, signal } = context;
  const reference = await referenceOf(runtime, text, { signal });
  const events: RegistryEvent[] = [];
  const registry = services.openRegistry(runtime, {
    ...(await registryOptions(context, reference)),
    ...networkOptions(context.input),
    observe: (event) => {
      if (events.length < MAX_EVENTS) events.push(event);
    },
  });
  const { name } = reference;
  return await cleaningUp(
    async () => {
      try {
        const answer = await ask(context, registry, reference);
        return { explanation: { name, events, ...answer }, failures: [] };
      } catch (err) {
        signal.throwIfAborted();
        const failure = wrap(`failed to resolve reference "${reference.raw}"`, err);
        const error = { kind: kindOf(err), message: messageOf(findError(err) ?? err), hint: hintOf(err) };
        return { explanation: { name, events, error }, failures: [failure] };
      }
    },
    () => registry[Symbol.asyncDispose](),
    late(context, 'closing the connections'),
  );
}

async function ask(
  context: Context<NetworkFlag | 'platform'>,
  registry: Registry,
  reference: Reference,
): Promise<Pick<PlatformManifests, 'root'> & Partial<PlatformManifests>> {
  const { runtime, signal } = context;
  const platforms = platformsOf(context);
  if (platforms === undefined) return { root: (await registry.resolve(reference, { signal })).root };
  const { clock, hashers } = runtime;
  const deps = { registry, clock, hashers, report: () => {}, retry: networkOptions(context.input).retry };
  return await resolvePlatforms(deps, reference, platforms, { signal });
}
