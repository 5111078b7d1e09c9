/** What all calls of the library have in common: their options are known ones, an abort before the call asks nobody, hints name options. */
import { canceling } from '../core/async/abort.ts';
import { byteStream } from '../core/async/byte-stream.ts';
import { closest } from '../core/closest.ts';
import { HawserError } from '../core/errors.ts';
import type { LayerSettings } from '../core/layers/layer-settings.ts';
import type { Call } from '../core/ports/call.ts';
import { inLibrary, type Listeners, spelledOptions } from './option-hints.ts';

/** The names of all options of a type; of an option that is an object itself, where that has names of its own, those. */
export type OptionNames<T> = { readonly [K in keyof Required<T>]: true | Readonly<Record<string, true>> };

export const LAYER_NAMES: OptionNames<LayerSettings> = {
  codec: true,
  limits: { maxBytes: true, maxRatio: true, maxImageBytes: true },
  owner: true,
  jobs: true,
};

/** LAYER_NAMES where the options say by themselves whose the files become, or how many layers are unpacked at once. */
export const SNAPSHOT_NAMES: OptionNames<Omit<LayerSettings, 'owner'>> = {
  codec: LAYER_NAMES.codec,
  limits: LAYER_NAMES.limits,
  jobs: LAYER_NAMES.jobs,
};

/**
 * Runs a call of the library; `work` gets the options, with listeners that are told in the words of a program. InvalidArgument for an option that is not among `names`; Canceled, before `work` begins, for a signal that has
 * aborted.
 */
export async function called<O extends Call & Listeners, T>(
  names: OptionNames<O>,
  options: O,
  work: (options: O) => Promise<T>,
): Promise<T> {
  try {
    checkNames(names, options);
    await canceling(options.signal, async (signal) => signal?.throwIfAborted());
    return await work(spelledOptions(options));
  } catch (err) {
    throw inLibrary(err);
  }
}

/** The same, with the hints of errors in the words of a program. */
export async function* spelled<T>(work: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    yield* work;
  } catch (err) {
    throw inLibrary(err);
  }
}

/** The same bytes, with the hints of errors in the words of a program. */
export function spelledStream(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  const next = async (): Promise<Uint8Array | undefined> => {
    try {
      return (await reader.read()).value;
    } catch (err) {
      throw inLibrary(err);
    }
  };
  return byteStream({ next, cancel: (reason) => reader.cancel(reason) });
}

/** InvalidArgument. An option that is undefined is not given. */
export function checkNames(names: Readonly<Record<string, unknown>>, options: object, within = ''): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const known = Object.hasOwn(names, name) ? names[name] : undefined;
    if (known === undefined) throw unknown(within + name, near(name, Object.keys(names)), names);
    if (known instanceof Object && value instanceof Object && typeof value !== 'function')
      checkNames(known as Readonly<Record<string, unknown>>, value, `${within}${name}.`);
  }
}

/** `maxlayers` is `maxLayers`, however many letters differ in case. */
function near(name: string, known: readonly string[]): string | undefined {
  const sameLetters = known.find((one) => one.toLowerCase() === name.toLowerCase());
  return sameLetters ?? closest(name, known);
}

function unknown(name: string, nearest: string | undefined, names: object): HawserError {
  const inside = name.slice(0, name.lastIndexOf('.') + 1);
  return new HawserError('InvalidArgument', `Unknown option ${JSON.stringify(name)}`, {
    hint:
      nearest === undefined
        ? `These are known: ${Object.keys(names).sort().join(', ')}`
        : `Did you mean ${inside}${nearest}?`,
  });
}
