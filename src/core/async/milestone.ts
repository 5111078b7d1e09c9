import { orAborted } from './abort.ts';

/** A milestone as those who wait for it see it. */
export interface Awaitable {
  readonly isReached: boolean;
  /** Resolves when the milestone is reached; rejects with the signal's reason. */
  wait(signal: AbortSignal | undefined): Promise<void>;
}

/** An event that others wait for. It happens once, and stays true. */
export class Milestone implements Awaitable {
  #reached = false;
  #resolve = (): void => {};
  readonly #promise: Promise<void> = new Promise((resolve) => {
    this.#resolve = resolve;
  });

  get isReached(): boolean {
    return this.#reached;
  }

  reach(): void {
    this.#reached = true;
    this.#resolve();
  }

  async wait(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#reached) await orAborted(this.#promise, signal);
  }
}

/** A milestone that is reached from the start. */
export function reached(): Milestone {
  const milestone = new Milestone();
  milestone.reach();
  return milestone;
}
