/** How the library's verbs ask registries, on every runtime. */
import { checkDuration } from '../core/duration.ts';
import type { Call } from '../core/ports/call.ts';
import type { Report } from '../core/progress/events.ts';
import { checkRate } from '../core/registry/flow.ts';
import { type Observe, reporting } from '../core/registry/observe.ts';
import type { Limits, RegistryOptions } from '../core/registry/open.ts';
import type { RetryOptions } from '../core/registry/patience.ts';
import type { OptionNames } from './called.ts';

/** How registries are asked, on every runtime. */
export interface ApiNetworkOptions extends Call {
  /** Gets what happens, as it happens. */
  readonly onProgress?: Report | undefined;
  /** Sent to the reference's own registry (and the token server it names) only. Default: what Docker and podman keep; in `hawser/web` none. */
  readonly credentials?: { readonly username: string; readonly secret: string } | undefined;
  /** Asks the reference's registry by HTTP. */
  readonly plainHttp?: boolean | undefined;
  /** Which hosts there are, how each was asked and why it was left, and what of the configuration has no effect. */
  readonly observe?: Observe | undefined;
  /** How long a failure that may pass is tried again. */
  readonly retry?: RetryOptions | undefined;
  /** How long and how slow a request may be. */
  readonly timeouts?: Limits | undefined;
  /** Bytes a second for all blobs of the call together, above 0. Default: no limit. */
  readonly limitRate?: number | undefined;
  /** Lets every registry lead (redirects, token servers, foreign URLs) to addresses of this class and more public ones. */
  readonly reach?: 'private' | 'loopback' | undefined;
}

export const NETWORK_NAMES: OptionNames<ApiNetworkOptions> = {
  signal: true,
  onProgress: true,
  credentials: { username: true, secret: true },
  plainHttp: true,
  observe: true,
  retry: { tries: true, time: true, minSpeed: true, stall: true },
  timeouts: { connect: true, headers: true, stall: true, minSpeed: true, window: true },
  limitRate: true,
  reach: true,
};

/** The options as those of a registry client. */
export function clientOptions(options: ApiNetworkOptions): RegistryOptions {
  const { observe, onProgress, retry, timeouts, limitRate, reach } = options;
  const report = reporting(onProgress);
  return {
    observe: (event) => {
      observe?.(event);
      report(event);
    },
    retry,
    limits: timeouts,
    limitRate,
    reach,
  };
}

/** InvalidArgument for a time or a rate that is none. */
export function checkDurations({
  keepPartial,
  retry = {},
  timeouts = {},
  limitRate,
}: Pick<ApiNetworkOptions, 'retry' | 'timeouts' | 'limitRate'> & {
  readonly keepPartial?: number | undefined;
}): void {
  const { time, stall } = retry;
  const { connect, headers, stall: silence, window } = timeouts;
  checkRate(limitRate);
  checkDuration('keepPartial', keepPartial);
  for (const [name, ms] of Object.entries({ time, stall })) checkDuration(`retry.${name}`, ms);
  for (const [name, ms] of Object.entries({ connect, headers, stall: silence, window }))
    checkDuration(`timeouts.${name}`, ms);
}
