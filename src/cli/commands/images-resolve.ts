import { cleaningUp } from '../../core/async/cleanup.ts';
import { referenceOf } from '../../core/carry/layout-source.ts';
import { findError, hintOf, kindOf, messageOf, wrap } from '../../core/errors.ts';
import type { Report } from '../../core/progress/events.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { Observe, RegistryEvent } from '../../core/registry/observe.ts';
import type { Registry } from '../../core/registry/registry.ts';
import type { GateOptions } from '../../core/verbs/gate.ts';
import { type JudgeOptions, judgeImage } from '../../core/verbs/judge.ts';
import { type PlatformManifests, resolvePlatforms } from '../../core/verbs/resolve-platforms.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT, PLATFORM } from '../grammar/flags.ts';
import { GATE_FLAGS } from '../grammar/gate-flags.ts';
import {
  NETWORK_FLAGS,
  type NetworkFlag,
  REGISTRY_FLAGS,
  type RegistryFlag,
} from '../grammar/registry-flags.ts';
import { type Context, late } from '../session/context.ts';
import { asksJudge, gateOptions } from '../session/gate.ts';
import { networkOptions } from '../session/network-options.ts';
import { registryOptions } from '../session/registry-options.ts';
import { platformsOf } from '../session/transfer.ts';
import type { ExplainedError, ExplainedVerdict, Explanation } from '../views/explanation.ts';
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
    'which proxy was used, what the registry says of its rate limits, and whether a pull would let the image in: by the policy, by keys, by\n' +
    'programs. No secret is printed. A flag that asks somebody asks without --explain, too. An image that is refused: exit status 1.\n' +
    'With --platform the digest of the manifest that a pull of the platform would take, a line for each platform.',
  flags: [PLATFORM, ...REGISTRY_FLAGS, ...NETWORK_FLAGS, ...GATE_FLAGS, EXPLAIN, JSON_DOCUMENT],
  run: async (context, input) => {
    const explained = input.get(EXPLAIN);
    const gate = explained || asksJudge(context) ? gateOptions(context) : undefined;
    const { explanation, failures } = await explain(context, input.arg(0), gate);
    const json = input.get(JSON_DOCUMENT);
    const { root, manifests, events } = explanation;
    // A digest that is printed was let in.
    const found = manifests?.map(({ desc }) => desc) ?? (root === undefined ? [] : [root]);
    const warnings = events.flatMap((event) =>
      event.type === 'warning' ? [`warning: ${event.message}`] : [],
    );
    const view: View =
      explained || json
        ? { type: 'explanation', explanation, explained, json }
        : lines(...(failures.length > 0 ? [] : found).map(({ digest }) => digest));
    return { view, warnings: explained ? [] : warnings, failures };
  },
});

interface Explained {
  readonly explanation: Explanation;
  readonly failures: readonly unknown[];
}

type ResolveContext = Context<RegistryFlag | NetworkFlag | 'platform'>;

/** `gate`: who is asked whether the image may come in; undefined: nobody is. */
async function explain(
  context: ResolveContext,
  text: string,
  gate: GateOptions | undefined,
): Promise<Explained> {
  const { runtime, services, signal } = context;
  const reference = await referenceOf(runtime, text, { signal });
  const events: RegistryEvent[] = [];
  const observe = (event: RegistryEvent): void => {
    if (events.length < MAX_EVENTS) events.push(event);
  };
  const registry = services.openRegistry(runtime, {
    ...(await registryOptions(context, reference)),
    ...networkOptions(context.input),
    observe,
  });
  const { name } = reference;
  return await cleaningUp(
    async () => {
      try {
        const answer = await ask(context, registry, reference);
        const explanation = { name, events, ...answer };
        if (gate === undefined) return { explanation, failures: [] };
        const subject = {
          reference,
          root: answer.root,
          platforms: platformsOf(context) ?? [context.platform],
        };
        const { verdict, failures } = await judged(registry, { ...gate, ...subject, signal }, observe);
        return { explanation: { ...explanation, verdict }, failures };
      } catch (err) {
        signal.throwIfAborted();
        const failure = wrap(`failed to resolve reference "${reference.raw}"`, err);
        return { explanation: { name, events, error: errorOf(err) }, failures: [failure] };
      }
    },
    () => registry[Symbol.asyncDispose](),
    late(context, 'closing the connections'),
  );
}

function errorOf(err: unknown): ExplainedError {
  return { kind: kindOf(err), message: messageOf(findError(err) ?? err), hint: hintOf(err) };
}

async function judged(
  registry: Registry,
  options: JudgeOptions,
  observe: Observe,
): Promise<{ readonly verdict: ExplainedVerdict; readonly failures: readonly unknown[] }> {
  const report: Report = (event) => {
    if (event.type === 'warning') observe(event);
  };
  try {
    const { verified } = await judgeImage(registry, { ...options, report });
    return { verdict: { accepted: true, verified }, failures: [] };
  } catch (err) {
    options.signal?.throwIfAborted();
    return { verdict: { accepted: false, error: errorOf(err) }, failures: [err] };
  }
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
