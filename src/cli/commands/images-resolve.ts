import { findError, hintOf, kindOf, messageOf, wrap } from '../../core/errors.ts';
import type { Descriptor } from '../../core/oci/descriptor.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { RegistryEvent } from '../../core/registry/observe.ts';
import { bool } from '../grammar/flag.ts';
import { REGISTRY_FLAGS, type RegistryFlag } from '../grammar/registry-flags.ts';
import { renderExplanation, renderExplanationJson } from '../render/explain.ts';
import { type Context, print, warn } from '../session/context.ts';
import { registryOptions } from '../session/registry-options.ts';
import { type Command, command } from './command.ts';

/** How a reference came to a descriptor, or why it did not. */
export interface Explanation {
  /** The full name. */
  readonly name: string;
  /** In the order in which they happened. */
  readonly events: readonly RegistryEvent[];
  readonly root?: Pick<Descriptor, 'mediaType' | 'digest' | 'size'> | undefined;
  readonly error?: { readonly kind: string; readonly message: string; readonly hint: string | undefined };
}

/** More is not kept: a resolution makes a dozen requests. */
const MAX_EVENTS = 1000;

const EXPLAIN = bool({ name: 'explain', describe: 'print how the answer was found' });
const JSON_DOCUMENT = bool({ name: 'json', describe: 'print one JSON document' });

export const imagesResolve: Command = command({
  path: ['images', 'resolve'],
  short: true,
  args: ['<ref>'],
  missing: 'please provide an image reference to resolve',
  summary: 'ask the registry which digest a reference stands for; nothing is stored',
  details:
    'With --explain also which hosts were asked, in which order and why each was left, where credentials came from,\n' +
    'which proxy was used, and what the registry says of its rate limits. No secret is printed.',
  flags: [...REGISTRY_FLAGS, EXPLAIN, JSON_DOCUMENT],
  run: async (context, input) => {
    const { explanation, failure } = await explain(context, input.arg(0));
    if (input.get(JSON_DOCUMENT))
      await print(context, renderExplanationJson(explanation, input.get(EXPLAIN)));
    else if (input.get(EXPLAIN)) await print(context, renderExplanation(explanation));
    else if (explanation.root !== undefined) await print(context, `${explanation.root.digest}\n`);
    for (const event of input.get(EXPLAIN) ? [] : explanation.events) {
      if (event.type === 'warning') await warn(context, `warning: ${event.message}`);
    }
    if (failure !== undefined) throw failure;
  },
});

async function explain(
  context: Context<RegistryFlag>,
  text: string,
): Promise<{ explanation: Explanation; failure: unknown }> {
  const { runtime, services, signal } = context;
  const reference = parseReference(text);
  const events: RegistryEvent[] = [];
  const registry = services.openRegistry(runtime, {
    ...(await registryOptions(context, reference)),
    observe: (event) => {
      if (events.length < MAX_EVENTS) events.push(event);
    },
  });
  const { name } = reference;
  try {
    const { root } = await registry.resolve(reference, { signal });
    return { explanation: { name, events, root }, failure: undefined };
  } catch (err) {
    signal.throwIfAborted();
    const failure = wrap(`failed to resolve reference "${reference.raw}"`, err);
    const error = { kind: kindOf(err), message: messageOf(findError(err) ?? err), hint: hintOf(err) };
    return { explanation: { name, events, error }, failure };
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}
