import type { RegistryOptions } from '../../core/registry/open.ts';
import type { Input } from '../grammar/input.ts';
import {
  LIMIT_RATE,
  MIN_SPEED,
  type NetworkFlag,
  RETRY,
  RETRY_TIME,
  TIMEOUT_CONNECT,
  TIMEOUT_RESPONSE,
  TIMEOUT_STALL,
} from '../grammar/registry-flags.ts';

export type NetworkOptions = Pick<RegistryOptions, 'limits' | 'retry' | 'limitRate'>;

/** The flags of time limits and speed as options. */
export function networkOptions(input: Input<NetworkFlag>): NetworkOptions {
  const minSpeed = input.get(MIN_SPEED);
  const limitRate = input.get(LIMIT_RATE);
  return {
    limits: {
      connect: input.get(TIMEOUT_CONNECT),
      headers: input.get(TIMEOUT_RESPONSE),
      stall: input.get(TIMEOUT_STALL),
      minSpeed,
    },
    retry: {
      tries: input.get(RETRY),
      time: input.get(RETRY_TIME),
      stall: input.get(TIMEOUT_STALL),
      // With --limit-rate any speed counts as progress.
      minSpeed: limitRate === undefined ? minSpeed : 0,
    },
    limitRate,
  };
}
