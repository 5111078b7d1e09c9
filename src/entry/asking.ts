/** What the library's questions are asked with, on Node, Deno and Bun: a registry, or a layout in its place, for one call. */
import { canceling } from '../core/async/abort.ts';
import { cleanedUp, cleaningUp, closingAfter } from '../core/async/cleanup.ts';
import { referenceOf } from '../core/carry/layout-source.ts';
import { withLayouts } from '../core/carry/with-layouts.ts';
import { defaultPlatform, hostPlatform } from '../core/platforms/host.ts';
import type { Call } from '../core/ports/call.ts';
import { parseHost } from '../core/reference/parse.ts';
import type { Registry } from '../core/registry/registry.ts';
import type { Runtime } from '../core/runtime.ts';
import { storedFirst } from '../core/verbs/stored-first.ts';
import { type ApiRegistryOptions, REGISTRY_NAMES, registryOf } from './api.ts';
import type { OptionNames } from './called.ts';
import { defaultRuntime } from './library.ts';
import { checkDurations } from './network-options.ts';
import type { Asking } from './questions.ts';
import { type AnyStore, partsOf } from './stores.ts';

/** What questions about an image take. */
export interface ApiAskOptions extends ApiRegistryOptions {
  /** Answers for what it has: the image that it records under the name, and blobs. Default: none, so that the registry is asked. */
  readonly store?: AnyStore | undefined;
}

export const ASK_NAMES: OptionNames<ApiAskOptions> = { ...REGISTRY_NAMES, store: true };

/** An open registry, and what else a question takes. */
export interface OpenAsking {
  readonly asking: Asking;
  close(): Promise<void>;
}

/** Asks for `text`, a reference, or an image of a layout. */
export async function withAsking<T>(
  text: string,
  options: ApiAskOptions,
  work: (asking: Asking, call: Call) => Promise<T>,
): Promise<T> {
  checkDurations(options);
  return await canceling(options.signal, async (signal) => {
    const { asking, close } = await openAsking(text, { ...options, signal });
    return await cleaningUp(() => work(storeBefore(asking, options.store), { signal }), close);
  });
}

/** Asks a registry, and for no image of it. */
export async function withHost<T>(
  text: string,
  options: ApiRegistryOptions,
  work: (registry: Registry, host: string, call: Call) => Promise<T>,
): Promise<T> {
  checkDurations(options);
  const host = parseHost(text);
  return await canceling(options.signal, async (signal) => {
    const runtime = await defaultRuntime();
    const registry = registryOf(runtime, { host }, options);
    const close = () => closingAfter(async () => await registry[Symbol.asyncDispose](), endOf(runtime));
    return await cleaningUp(() => work(registry, host, { signal }), close);
  });
}

/** The store answers for what it has. */
export function storeBefore(asking: Asking, store: AnyStore | undefined): Asking {
  if (store === undefined) return asking;
  return { ...asking, registry: storedFirst(asking.registry, partsOf(store).backend) };
}

/** Whatever of `options.store`: its runtime is used, and the platform that it takes by itself. */
export async function openAsking(text: string, options: ApiAskOptions): Promise<OpenAsking> {
  const { signal, onProgress: report = () => {}, retry, limitRate } = options;
  const parts = options.store && partsOf(options.store);
  const runtime = parts?.runtime ?? (await defaultRuntime());
  const endRuntime = parts === undefined ? endOf(runtime) : async () => {};
  try {
    const reference = await referenceOf(runtime, text, { signal });
    const registry = withLayouts(registryOf(runtime, reference, options), runtime);
    const { clock, hashers, codecs, host } = runtime;
    const platform = parts === undefined ? hostPlatform(host) : defaultPlatform(parts.backend, host);
    const split = limitRate === undefined ? undefined : { lanes: 1 };
    return {
      asking: { registry, reference, clock, hashers, codecs, report, retry, split, hostPlatform: platform },
      close: () => closingAfter(async () => await registry[Symbol.asyncDispose](), endRuntime),
    };
  } catch (err) {
    throw await cleanedUp(err, endRuntime);
  }
}

function endOf({ workers }: Runtime): () => Promise<void> {
  return async () => await workers[Symbol.asyncDispose]();
}
