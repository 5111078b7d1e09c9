import { BoundedMap } from '../bounded-map.ts';
import type { Clock } from '../ports/clock.ts';
import { singleHeader } from './answer.ts';
import { coolsDown } from './failures.ts';
import type { Layer } from './layers.ts';
import { parseRetryAfter } from './status.ts';

/** A wait that a registry asked for. `host`: `host:port`. */
export interface Wait {
  readonly host: string;
  readonly milliseconds: number;
}

export interface CooldownDeps {
  readonly clock: Clock;
  /** Milliseconds. A registry that asks for more gets no wait; the error names the time. */
  readonly longest: number;
  /** Called once for each wait, when the first request begins to wait. */
  readonly onWait: (wait: Wait) => void;
}

/** Redirects may lead to any number. */
const MAX_ORIGINS = 1000;

interface Cooldown {
  readonly until: number;
  told: boolean;
}

/** The waits that origins asked for with Retry-After (RFC 9110 10.2.3); all requests to an origin keep its wait. */
export class Cooldowns {
  readonly #deps: CooldownDeps;
  readonly #until = new BoundedMap<string, Cooldown>(MAX_ORIGINS);

  constructor(deps: CooldownDeps) {
    this.#deps = deps;
  }

  /** Milliseconds that requests to this origin still have to wait. */
  left({ origin }: URL): number {
    return Math.max(0, (this.#until.get(origin)?.until ?? 0) - this.#deps.clock.monotonic());
  }

  /** For single exchanges: each hop of a redirect and each token request waits by itself. */
  readonly layer: Layer = (next) => async (request) => {
    const { clock, onWait } = this.#deps;
    for (let left = this.left(request.url); left > 0; left = this.left(request.url)) {
      const cooldown = this.#until.get(request.url.origin);
      if (cooldown?.told === false) onWait({ host: request.url.host, milliseconds: left });
      if (cooldown !== undefined) cooldown.told = true;
      await clock.sleep(left, request.signal);
    }
    const response = await next(request);
    if (coolsDown(response.status)) this.#note(request.url, singleHeader(response, 'retry-after'));
    return response;
  };

  #note({ origin }: URL, field: string | undefined): void {
    const { clock, longest } = this.#deps;
    const asked = parseRetryAfter(field, clock.now());
    if (asked === undefined || asked === 0 || asked > longest) return;
    const until = clock.monotonic() + asked;
    if (until > (this.#until.get(origin)?.until ?? 0)) this.#until.set(origin, { until, told: false });
  }
}
