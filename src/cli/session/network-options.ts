import { parseDuration } from '../../core/duration.ts';
import { hintOf, messageOf } from '../../core/errors.ts';
import type { RegistryOptions } from '../../core/registry/open.ts';
import type { Input } from '../grammar/command.ts';
import { usageError } from '../grammar/usage-error.ts';
import { parseSize } from '../render/units.ts';

export type NetworkOptions = Pick<RegistryOptions, 'limits' | 'retry' | 'limitRate' | 'foreignUrls'>;

/** The flags that say how long and how fast. */
export function networkOptions(input: Input): NetworkOptions {
  const minSpeed = parsed(input, 'min-speed', parseSize);
  const rate = parsed(input, 'limit-rate', parseSize);
  if (rate === 0) throw usageError('invalid value "0" for --limit-rate: nothing would ever come');
  return {
    limits: {
      connect: limitOf(input, 'timeout-connect'),
      headers: limitOf(input, 'timeout-response'),
      stall: limitOf(input, 'timeout-stall'),
      minSpeed,
    },
    retry: {
      tries: input.count('retry'),
      time: parsed(input, 'retry-time', parseDuration),
      // Under a limit any speed is progress.
      minSpeed: rate === undefined ? minSpeed : 0,
    },
    limitRate: rate,
    foreignUrls: input.bool('foreign-urls'),
  };
}

/** A duration that is not nothing. */
function limitOf(input: Input, name: string): number | undefined {
  const ms = parsed(input, name, parseDuration);
  if (ms !== undefined && ms < 1) {
    throw usageError(`invalid value "${input.text(name)}" for --${name}: it must be longer than nothing`);
  }
  return ms;
}

function parsed(input: Input, name: string, parse: (text: string) => number): number | undefined {
  const text = input.text(name);
  if (text === undefined) return undefined;
  try {
    const value = parse(text);
    if (value >= 0) return value;
  } catch (err) {
    throw usageError(`invalid value "${text}" for --${name}: ${messageOf(err)}`, hintOf(err));
  }
  throw usageError(`invalid value "${text}" for --${name}: it must not be negative`);
}
